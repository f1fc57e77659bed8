"""``vidsearch estimate``: what searching on Rekognition would cost, before anything is paid."""

from __future__ import annotations

import click

from vidsearch.cli.context import Context, case_option, print_json
from vidsearch.cli.show import table
from vidsearch.cost_text import counted, hours_text
from vidsearch.costs import Estimate, Way
from vidsearch.pricing import money


def register(cli: click.Group) -> None:
    """Add the command."""
    cli.add_command(estimate)


@click.command()
@click.option("--from", "from_", metavar="TIME", help="Only from this time on, in the camera's zone (ISO 8601).")
@click.option("--to", metavar="TIME", help="Only up to this time.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given again.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=10_000_000),
    help="Estimate for so many hours of footage, instead of what the case has.",
)
@click.option(
    "--faces-per-hour",
    type=click.FloatRange(min=0, max=10_000_000),
    help="How many faces pass by in an hour. Default: as many as in the case's footage looked at so far.",
)
@click.option(
    "--suspects",
    type=click.IntRange(min=1, max=1_000_000),
    default=1,
    show_default=True,
    help="How many people are added later, one after the other.",
)
@click.option("--photos", type=click.IntRange(min=1, max=1_000_000), help="Photos of each of them. Default: 1.")
@click.option("--region", metavar="NAME", help="AWS region whose prices are taken. Default: as set up, or us-east-1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@case_option
@click.pass_obj
def estimate(
    ctx: Context,
    from_: str | None,
    to: str | None,
    cameras: tuple[str, ...],
    hours: float | None,
    faces_per_hour: float | None,
    suspects: int,
    photos: int | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Show what searching on Amazon Rekognition would cost, three ways side by side. Nothing is sent, nothing paid.

    The keys of the JSON are those of ``Estimate.as_json``: amounts in dollars with `least` and `most`, per way `now`,
    `each_suspect`, `suspects`, `month` and `items`; `notice` says of when the prices are.
    """
    with ctx.open() as app:
        given = app.estimating.of_case(
            ctx.case_id,
            cameras=cameras,
            from_=from_,
            to=to,
            region=region or "",
            hours=hours,
            tracks_an_hour=faces_per_hour,
            suspects=suspects,
            photos=photos,
        )
    if as_json:
        print_json(given.as_json())
        return
    _print(given, hypothetical=hours is not None)


def _print(given: Estimate, *, hypothetical: bool) -> None:
    need = given.need
    length = hours_text(need.full.minutes)
    click.echo(f"{length} of footage{'' if hypothetical else ' that Rekognition has not searched for those enrolled'}")
    columns = ["way", "searched", "now", "each new suspect", "a month"]
    if need.suspects > 1:
        columns.insert(4, f"{need.suspects:,} new suspects")
    table(columns, [_row(given, way) for way in given.ways])
    for line in _remarks(given):
        click.echo(line)


def _row(given: Estimate, way: Way) -> list[str]:
    guess = " expected" if way.guessed else ""
    row = [way.title, _searched(given, way), way.now.money() + guess, way.each.money(), way.month.money() + guess]
    if given.need.suspects > 1:
        row.insert(4, way.later.money())
    return row


def _searched(given: Estimate, way: Way) -> str:
    if way.name == "tracks":
        pictures = way.quantity("image")
        return f"{counted(pictures)} pictures" if pictures.most is not None else "as many faces as pass by"
    return f"{counted(way.quantity('video_minute'))} minutes"


def _remarks(given: Estimate) -> list[str]:
    """Return what must be known to read the table."""
    need, remarks = given.need, []
    if need.active.unseen_minutes:
        unseen = hours_text(need.active.unseen_minutes)
        remarks.append(f"{unseen} not looked at on this machine yet, which costs nothing and shows where faces may be")
    tracks = given.way("tracks")
    if tracks.now.most is None:
        thousand = given.prices["image"].first * 1000
        remarks.append(
            f"by the track: {money(thousand)} for every 1,000 faces that pass by; --faces-per-hour N reckons with yours"
        )
    elif tracks.guessed:
        remarks.append(f"by the track: {need.tracks_an_hour:,.0f} faces an hour where nobody has looked yet")
    remarks.append(
        f"by the track costs less while under {given.tracks_worth:,.0f} faces an hour pass by; it knows only faces "
        "that the local engine finds"
    )
    remarks.append(given.prices.notice)
    return remarks
