"""What a search on Rekognition costs, three ways side by side. Pure arithmetic; ``estimating`` reads what it needs.

``full`` sends all footage to StartFaceSearch, ``active`` only the parts in which the local engine found a face, and
``tracks`` enrols the best picture of each track that it found in a collection of faces seen. The first two ask about
the people enrolled now, so whoever is added later costs the same again; the third is asked about each new photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vidsearch.pricing import UNITS, Prices, money

TITLES = {"full": "all of it", "active": "only where a face may be", "tracks": "by the track"}
"""The ways, as they are called on screens."""

KEPT_DAYS = Decimal(1)
"""How long footage is in the bucket until its search is done and it is removed."""
DAYS_A_MONTH = Decimal(30)

PARTS_A_GIGABYTE = Decimal(64)
"""Requests for uploading a gigabyte: parts of 16 MiB, and a few around them."""

HOUR_MINUTES = Decimal(60)
CENT = Decimal("0.01")

ENROLLING = 2
"""Pictures that a photo is charged as when it is enrolled: DetectFaces looks for its faces, IndexFaces keeps one."""
ASKING = 1
"""And when faces like it are searched for among those seen."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Footage as the local engine knows it."""

    minutes: Decimal = Decimal(0)
    """All of it."""
    active_minutes: Decimal = Decimal(0)
    """Of what was looked at, the parts in which a face may be."""
    unseen_minutes: Decimal = Decimal(0)
    """What was not looked at yet."""

    @property
    def within(self) -> Range:
        """How many minutes are worth searching: those known, and at most those not looked at too."""
        return Range(self.active_minutes, self.active_minutes + self.unseen_minutes)


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be searched, as far as that is known."""

    full: Looked
    """What ``full`` would still search for those enrolled now."""
    active: Looked
    """What ``active`` would."""
    again: Looked
    """What either would search for somebody enrolled later: all the footage asked about."""
    gigabytes_an_hour: Decimal = Decimal(0)
    """Mean size of the footage."""
    tracks: int = 0
    """Tracks found and not yet enrolled as seen."""
    tracks_unseen_minutes: Decimal = Decimal(0)
    """What must still be looked at for tracks."""
    tracks_an_hour: Decimal | None = None
    """How many tracks an hour not looked at probably has; None where nobody knows."""
    photos: int = 0
    """Photos to be enrolled now."""
    photos_searched: int = 0
    """Photos to be searched for among the faces seen."""
    photos_each: int = 1
    """Photos of somebody who is added later."""
    suspects: int = 1
    """How many people are added later, one after the other."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number that may be known only within bounds. ``most`` is None where there is no upper one."""

    least: Decimal
    most: Decimal | None

    @classmethod
    def exactly(cls, number: Decimal | int) -> Range:
        """Return a number that is known."""
        return cls(Decimal(number), Decimal(number))

    @property
    def exact(self) -> bool:
        """Whether it is known."""
        return self.least == self.most

    def __add__(self, other: Range) -> Range:
        most = None if self.most is None or other.most is None else self.most + other.most
        return Range(self.least + other.least, most)

    def __mul__(self, factor: Decimal | int) -> Range:
        return Range(self.least * factor, None if self.most is None else self.most * factor)

    def __truediv__(self, divisor: Decimal | int) -> Range:
        return Range(self.least / divisor, None if self.most is None else self.most / divisor)

    def money(self) -> str:
        """Return dollars for people."""
        if self.most is None:
            return "not known" if self.least < CENT else f"{money(self.least)} at least"
        if self.exact or money(self.least) == money(self.most):
            return money(self.most)
        if self.least < CENT or self.least * 100 < self.most:
            return f"at most {money(self.most)}"
        return f"{money(self.least)} to {money(self.most).removeprefix('about ')}"


NOTHING = Range.exactly(0)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an account."""

    what: str
    """The price's name, as in pricing.UNITS."""
    quantity: Range
    usd: Range


@dataclass(frozen=True, slots=True)
class Way:
    """What one way of searching costs, in US dollars."""

    name: str
    items: tuple[Item, ...]
    """What is paid now."""
    each: Range
    """What somebody added later costs."""
    later: Range
    """All that are added later, together."""
    month: Range
    """What is kept costs this every month, until the case is removed."""
    guessed: bool = False
    """An amount is what earlier footage of the case had, carried on."""

    @property
    def title(self) -> str:
        """What it is called on screens."""
        return TITLES[self.name]

    @property
    def now(self) -> Range:
        """What is paid now, together."""
        return sum((item.usd for item in self.items), NOTHING)

    def quantity(self, what: str) -> Range:
        """Return how many of something are paid for now."""
        return next((item.quantity for item in self.items if item.what == what), NOTHING)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The ways side by side."""

    need: Need
    prices: Prices
    ways: tuple[Way, ...]

    def way(self, name: str) -> Way:
        """Return one of them: ``full``, ``active`` or ``tracks``."""
        return next(way for way in self.ways if way.name == name)

    @property
    def tracks_worth(self) -> Decimal:
        """How many tracks an hour cost as much as searching the hour."""
        return HOUR_MINUTES * self.prices["video_minute"].first / self.prices["image"].first

    def as_json(self) -> dict[str, Any]:
        """Return it for other programs.

        ``region``, ``as_of`` (the oldest price), ``notice`` and ``currency``; ``prices``: name -> ``usd`` of the first
        one, ``as_of``, ``source`` and ``region`` it is of; ``ways``: name -> ``now``, ``each_suspect``, ``suspects``
        (all of them) and ``month``, each ``{"least", "most"}`` in dollars, where a ``most`` of null means that there is
        no upper bound; ``items`` lists what is paid now: ``what``, ``unit``, ``quantity`` and ``usd``, with bounds
        alike; ``guessed`` tells that a bound is what earlier footage had. ``suspects`` is how many are added later,
        ``faces_an_hour`` what footage not looked at probably has (or null), and ``faces_an_hour_worth`` up to how many
        by the track is cheaper.
        """
        return {
            "currency": "USD",
            "region": self.prices.region,
            "as_of": self.prices.as_of.isoformat(),
            "notice": self.prices.notice,
            "prices": {name: self._price_json(name) for name in UNITS},
            "ways": {way.name: _way_json(way) for way in self.ways},
            "suspects": self.need.suspects,
            "faces_an_hour": _number(self.need.tracks_an_hour),
            "faces_an_hour_worth": _number(self.tracks_worth),
        }

    def _price_json(self, name: str) -> dict[str, Any]:
        price = self.prices[name]
        return {
            "usd": _number(price.first),
            "unit": UNITS[name],
            "as_of": price.as_of.isoformat(),
            "source": price.source,
            "region": self.prices.region_of(name),
        }


def estimate(need: Need, prices: Prices) -> Estimate:
    """Return what the ways of searching cost. Reads nothing and asks nobody."""
    return Estimate(need, prices, (_full(need, prices), _active(need, prices), _tracks(need, prices)))


def _full(need: Need, prices: Prices) -> Way:
    now, again = Range.exactly(need.full.minutes), Range.exactly(need.again.minutes)
    return _by_the_minute("full", need, prices, now, again)


def _active(need: Need, prices: Prices) -> Way:
    return _by_the_minute("active", need, prices, need.active.within, need.again.within)


def _by_the_minute(name: str, need: Need, prices: Prices, now: Range, again: Range) -> Way:
    photos, later = Range.exactly(need.photos), Range.exactly(need.photos_each)
    gigabytes = now * need.gigabytes_an_hour / HOUR_MINUTES
    items = [
        _item(prices, "video_minute", now),
        _item(prices, "image", photos * ENROLLING),
        _item(prices, "storage_gb_month", gigabytes * KEPT_DAYS / DAYS_A_MONTH),
        _item(prices, "put_thousand", gigabytes * PARTS_A_GIGABYTE / 1000),
    ]
    each = _usd(prices, "video_minute", again) + _usd(prices, "image", later * ENROLLING)
    return _way(name, items, each, _usd(prices, "face_month", photos), need)


def _tracks(need: Need, prices: Prices) -> Way:
    unseen_hours = need.tracks_unseen_minutes / HOUR_MINUTES
    guessed = bool(unseen_hours) and need.tracks_an_hour is not None
    tracks = Range.exactly(need.tracks)
    if guessed:
        tracks += Range.exactly((unseen_hours * (need.tracks_an_hour or 0)).to_integral_value())
    elif unseen_hours:
        tracks += Range(Decimal(0), None)
    asked = Range.exactly(ENROLLING * need.photos + ASKING * need.photos_searched)
    items = [_item(prices, "image", tracks + asked)]
    each = _usd(prices, "image", Range.exactly((ENROLLING + ASKING) * need.photos_each))
    month = _usd(prices, "face_month", tracks + Range.exactly(need.photos))
    return _way("tracks", items, each, month, need, guessed=guessed)


def _way(name: str, items: list[Item], each: Range, month: Range, need: Need, *, guessed: bool = False) -> Way:
    paid = tuple(item for item in items if item.quantity.most != 0)
    return Way(name, paid, each, each * need.suspects, month, guessed)


def _item(prices: Prices, what: str, quantity: Range) -> Item:
    return Item(what, quantity, _usd(prices, what, quantity))


def _usd(prices: Prices, what: str, quantity: Range) -> Range:
    price = prices[what]
    return Range(price.of(quantity.least), None if quantity.most is None else price.of(quantity.most))


def _way_json(way: Way) -> dict[str, Any]:
    return {
        "now": _range_json(way.now),
        "each_suspect": _range_json(way.each),
        "suspects": _range_json(way.later),
        "month": _range_json(way.month),
        "guessed": way.guessed,
        "items": [
            {
                "what": item.what,
                "unit": UNITS[item.what],
                "quantity": _range_json(item.quantity),
                "usd": _range_json(item.usd),
            }
            for item in way.items
        ],
    }


def _range_json(value: Range) -> dict[str, Any]:
    return {"least": _number(value.least), "most": _number(value.most)}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(round(value, 6))
