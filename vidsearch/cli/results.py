"""``vidsearch matches`` and ``vidsearch probe``: what was found."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from vidsearch.cli.context import Context, case_option, print_json
from vidsearch.cli.show import plain, table
from vidsearch.clock import duration_text
from vidsearch.model import Footage
from vidsearch.probing import ProbeResult
from vidsearch.timeline import AppearanceRow, FootageRow, Query


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(matches)
    cli.add_command(probe)


@click.command()
@click.option("--person", "people", multiple=True, metavar="NAME", help="Only this person; may be given again.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given again.")
@click.option("--from", "from_", metavar="TIME", help="Only from this time on (ISO 8601).")
@click.option("--to", metavar="TIME", help="Only up to this time.")
@click.option("--min", "min_similarity", type=click.FloatRange(0, 100), help="Only this similarity and more.")
@click.option("--engine", metavar="NAME", help="Only what this engine found: `local` or `rekognition`.")
@click.option("--weak", is_flag=True, help="Show what resembles only a weak photo, which never counts as that person.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@case_option
@click.pass_obj
def matches(
    ctx: Context,
    people: tuple[str, ...],
    cameras: tuple[str, ...],
    from_: str | None,
    to: str | None,
    min_similarity: float | None,
    engine: str | None,
    weak: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List appearances: one person on one camera from start to end. A match is a lead to check, never proof."""
    query = Query(
        people=people, cameras=cameras, from_=from_, to=to, min_similarity=min_similarity, engine=engine, weak=weak
    )
    with ctx.open() as app:
        rows = app.timeline.appearances(ctx.case_id, query)
        searched = [] if as_json or as_csv else app.timeline.engines(ctx.case_id)
        engines: list[str | None] = [name for name in searched if engine in (None, name)]
        coverage = {name: app.timeline.coverage(ctx.case_id, query, name) for name in engines or [engine]}
        unasked = {name: app.timeline.unasked(ctx.case_id, query, name) for name in engines}
        limits = app.store.matches.thresholds(ctx.case_id)
    if as_json:
        print_json([row.as_json() for row in rows])
    elif as_csv:
        _print_csv(rows)
    else:
        _print_table(rows)
        for name, seen in coverage.items():
            _print_unasked(unasked, name)
            found = sum(name in (None, row.appearance.engine) for row in rows)
            _print_coverage(seen, found, f"{name}: " if len(coverage) > 1 else "", limits.get(name or ""))
        if any(row.examined_ms < row.footage.facts.duration_ms for seen in coverage.values() for row in seen):
            click.echo("`vidsearch footage list` shows what was not examined, and why.")


def _print_csv(rows: list[AppearanceRow]) -> None:
    fields = ["person", "camera", "start_time", "end_time", "similarity", "start_s", "end_s", "best_s", "detections"]
    fields += ["footage", "review", "engine", "engine_version", "start_source", "estimated", "id"]
    writer = csv.DictWriter(sys.stdout, fields, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.as_json().items()} for row in rows)


def _safe(value: Any) -> Any:
    """Keep a spreadsheet from reading a name as a formula (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _print_table(rows: list[AppearanceRow]) -> None:
    several = len({row.appearance.engine for row in rows}) > 1
    table(
        ("from", "to", "person", "camera", "length", "similarity", "seen", "recording", *(["engine"] * several)),
        [
            (
                _clock(row.footage, row.start_time),
                row.end_time[11:19],
                row.person,
                row.camera.name,
                duration_text(row.appearance.end_ms - row.appearance.start_ms),
                f"{row.appearance.similarity:.1f}",
                f"{row.appearance.detections} x",
                f"{row.footage.id} at {duration_text(row.appearance.start_ms)}",
                *([row.appearance.engine] * several),
            )
            for row in rows
        ],
        right=("length", "similarity", "seen"),
    )


def _clock(footage: Footage, text: str) -> str:
    """Return a clock time, with a mark where it rests on a guess."""
    guess = footage.start_source == "file_date" or footage.facts.estimated_times
    return text.replace("T", " ") + (" ?" if guess else "")


def _print_unasked(unasked: dict[str | None, list[str]], engine: str | None) -> None:
    """Say whom an engine was never asked about: that it found none of them says nothing."""
    names = unasked.get(engine, [])
    if names:
        click.echo(
            f"{', '.join(map(plain, names))}: not enrolled at {engine}, which was not asked; search with it first"
        )


def _print_coverage(rows: list[FootageRow], found: int, who: str, limits: tuple[float, float] | None) -> None:
    """Say what the answer rests on: also an empty one is an answer only for what was examined."""
    length = sum(row.footage.facts.duration_ms for row in rows)
    examined = sum(row.examined_ms for row in rows)
    share = 100 * examined // length if length else 0
    rows_text = f"{len(rows)} recording{'s' * (len(rows) != 1)}"
    threshold = ""
    if limits:
        threshold = f" at threshold {limits[0]:g}" + (f" to {limits[1]:g}" if limits[0] != limits[1] else "")
    click.echo(
        f"{who}{found} appearance{'s' * (found != 1)}{threshold}; {duration_text(examined)} of {duration_text(length)} "
        f"({share} %) examined in {rows_text}. A match is a lead to check, never proof."
    )


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option(
    "--face", type=click.IntRange(min=1), help="Which face to ask about where there are several: 1 is the leftmost."
)
@click.option("--threshold", type=click.FloatRange(0, 100), help="Similarity from which a match counts.")
@click.option("--engine", metavar="NAME", help="`local` or `rekognition`. Default: as in the settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@case_option
@click.pass_obj
def probe(
    ctx: Context, photo: Path, face: int | None, threshold: float | None, engine: str | None, as_json: bool
) -> None:
    """Ask who a face is in the gallery, and where it was seen, without enrolling it."""
    with ctx.open(engine=engine) as app:
        limit = app.threshold(ctx.case_id) if threshold is None else threshold
        can = app.engine().capabilities
        if can.priced:
            click.echo("the photo is sent to Amazon, which costs some three pictures: less than a cent", err=True)
        index = None if face is None else face - 1
        result = app.probe.ask(app.actor, ctx.case_id, photo, face=index, threshold=limit)
    if as_json:
        print_json(_probe_json(result))
        return
    click.echo(f"in the gallery: {len(result.candidates)}")
    table(
        ("person", "similarity", "photo"),
        [
            (c.person + (" (weak photo)" if c.weak else ""), f"{c.similarity:.1f}", c.photo.name)
            for c in result.candidates
        ],
        right=("similarity",),
    )
    if not can.seen:
        click.echo("where it was seen cannot be asked: on Rekognition only footage searched with --by-track can be")
        return
    click.echo(f"seen in analysed footage: {len(result.sightings)}")
    table(
        ("from", "camera", "length", "similarity", "recording"),
        [
            (
                _clock(sighting.footage, sighting.start_time),
                sighting.camera.name,
                duration_text(sighting.end_ms - sighting.start_ms),
                f"{sighting.similarity:.1f}",
                f"{sighting.footage.id} at {duration_text(sighting.start_ms)}",
            )
            for sighting in result.sightings
        ],
        right=("length", "similarity"),
    )


def _probe_json(result: ProbeResult) -> dict[str, Any]:
    return {
        "faces": [asdict(face) for face in result.faces],
        "gallery": [
            {
                "person": candidate.person,
                "similarity": round(candidate.similarity, 1),
                "photo": candidate.photo.name,
                "weak": candidate.weak,
            }
            for candidate in result.candidates
        ],
        "seen": [
            {
                "camera": sighting.camera.name,
                "footage": sighting.footage.id,
                "start_s": sighting.start_ms / 1000,
                "end_s": sighting.end_ms / 1000,
                "best_s": sighting.best_ms / 1000,
                "start_time": sighting.start_time,
                "end_time": sighting.end_time,
                "similarity": round(sighting.similarity, 1),
                "detections": sighting.detections,
            }
            for sighting in result.sightings
        ],
    }
