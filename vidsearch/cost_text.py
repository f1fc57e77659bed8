"""What a search on Rekognition costs, in words."""

from __future__ import annotations

from decimal import Decimal

from vidsearch.clock import duration_text
from vidsearch.costs import Estimate, Range

MINUTE_MS = 60_000


def confirm_text(given: Estimate, mode: str = "full", *, flags: bool = True) -> list[str]:
    """Return what is said before somebody agrees to pay: the price, what it is made of, what comes later.

    ``flags``: name the command line's flag for another way of searching.
    """
    way = given.way(mode)
    lines = [f"on Rekognition, {way.title}: {way.now.money()} ({_made_of(given, mode)})"]
    if mode != "tracks":
        by_track = "by the track" + (" (--by-track)" if flags else "")
        lines.append(
            f"whoever is added later costs {way.each.money()} again; {by_track} it is "
            f"{given.way('tracks').each.money()}"
        )
    else:
        lines.append(f"whoever is added later costs {way.each.money()}; the faces kept, {way.month.money()} a month")
    return [*lines, given.prices.notice]


def _made_of(given: Estimate, mode: str) -> str:
    way, prices = given.way(mode), given.prices
    if mode == "tracks":
        pictures = way.quantity("image")
        return f"{counted(pictures)} pictures at {_each(prices['image'].first)}"
    minutes = way.quantity("video_minute")
    length = hours_text(minutes.most or Decimal(0))
    most = "" if minutes.exact else "at most "
    # Measured: a tenth more with key frames two seconds apart.
    more = "; a little more, since parts begin at key frames" if mode == "active" else ""
    return f"{most}{length} of video at {_each(prices['video_minute'].first)} a minute, photos and S3{more}"


def hours_text(minutes: Decimal) -> str:
    """Return a length of footage for people; from a day on in hours, by which footage is counted."""
    if minutes < 24 * 60:
        return duration_text(int(minutes * MINUTE_MS))
    return f"{round(minutes / 60):,} hours"


def counted(quantity: Range) -> str:
    """Return a number of things for people, within its bounds; a few minutes with a decimal."""
    least = _number(quantity.least)
    if quantity.most is None:
        return f"at least {least}"
    most = _number(quantity.most)
    return most if quantity.exact else f"at most {most}" if not quantity.least else f"{least} to {most}"


def _number(value: Decimal) -> str:
    return f"{value:,.1f}" if value < 10 and value % 1 else f"{round(value):,}"


def _each(usd: Decimal) -> str:
    """Return a price as it is in the table."""
    return f"${usd.normalize():f}" if usd < Decimal("0.01") else f"${usd:.2f}"
