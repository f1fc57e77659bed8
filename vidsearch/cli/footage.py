"""``vidsearch footage``: add recordings, list them, find moved ones again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidsearch.cli.context import Context, case_option, print_json
from vidsearch.cli.show import plain, table
from vidsearch.clock import duration_text
from vidsearch.errors import FootageRefused
from vidsearch.submission import FootageResult
from vidsearch.timeline import FootageRow


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(footage)


@click.group()
def footage() -> None:
    """Add recordings and look after them. They are read where they are and never written to."""


@footage.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--camera", metavar="NAME", help="The camera; unknown ones are made. Default: the name of the file's folder."
)
@click.option("--start", metavar="ISO8601", help="When the recording begins; without an offset, in the camera's zone.")
@click.option("--zone", metavar="ZONE", help="The camera's time zone, such as Europe/Paris. Default: this machine's.")
@click.option("--copy", is_flag=True, help="Keep a copy in the data folder.")
@click.option("--fps", type=click.FloatRange(0.1, 240), help="Pictures per second of a stream without timestamps.")
@case_option
@click.pass_obj
def add(
    ctx: Context,
    paths: tuple[Path, ...],
    camera: str | None,
    start: str | None,
    zone: str | None,
    copy: bool,
    fps: float | None,
) -> None:
    """Add files, or folders with everything in them."""
    with ctx.open() as app:
        tried = taken = 0
        found = app.submission.add(
            app.actor, ctx.case_id, paths, camera=camera, start=start, zone=zone, copy=copy, fps=fps
        )
        for result in found:
            click.echo(plain(_outcome(result)))
            tried += 1
            taken += result.outcome != "refused"
            if result.footage and result.outcome == "taken":
                row = app.timeline.one_footage(ctx.case_id, result.footage.id)
                click.echo(plain(f"  {_facts(row)}"))
            for warning in result.warnings:
                click.echo(plain(f"  note: {warning}"))
        if start and taken > 1:
            click.echo(f"note: all {taken} begin at {start}; give --start to one at a time where they do not")
    if not taken:
        raise FootageRefused(
            "no recording was taken; the reasons are above"
            if tried
            else f"nothing in {', '.join(map(str, paths))} is named like a recording; name a file to have it tried"
        )


@footage.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@case_option
@click.pass_obj
def list_(ctx: Context, as_json: bool) -> None:
    """List the recordings with state and coverage."""
    with ctx.open() as app:
        rows = app.timeline.footage(ctx.case_id)
    if as_json:
        print_json([_json(row) for row in rows])
        return
    table(
        ("id", "camera", "start", "length", "state", "examined", "seen", "file"),
        [
            (
                row.footage.id,
                row.camera.name,
                row.start_time + (" ?" if row.footage.start_source == "file_date" else ""),
                duration_text(row.footage.facts.duration_ms),
                row.state,
                f"{100 * row.share:.0f} %",
                row.appearances,
                row.footage.path,
            )
            for row in rows
        ],
        right=("id", "length", "examined", "seen"),
    )
    for row in rows:
        for span in row.unexamined:
            stretch = f"{duration_text(span.start_ms)} to {duration_text(span.end_ms)}"
            click.echo(plain(f"recording {row.footage.id}, {stretch}: {span.outcome.value}: {span.reason}"))


@footage.command()
@click.argument("folder", type=click.Path(path_type=Path))
@case_option
@click.pass_obj
def relink(ctx: Context, folder: Path) -> None:
    """Find recordings that were moved, by size, then by SHA-256."""
    with ctx.open() as app:
        results = list(app.submission.relink(app.actor, ctx.case_id, folder))
    for result in results:
        click.echo(plain(f"{result.footage.id}\t{result.footage.path}\t{result.path or 'not found'}"))
    if not results:
        click.echo("every recording is where it was")
    elif not any(result.path for result in results):
        raise FootageRefused(f"none of the {len(results)} missing recordings is in {folder}")


@footage.command()
@click.argument("footage_id", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
@case_option
@click.pass_obj
def remove(ctx: Context, footage_id: int, yes: bool) -> None:
    """Remove a recording with everything learnt of it. The file itself is not touched."""
    with ctx.open() as app:
        row = app.timeline.one_footage(ctx.case_id, footage_id)
        if not yes:
            click.confirm(
                f"Remove recording {footage_id} ({plain(row.footage.path)}) and its {row.appearances} appearances?",
                abort=True,
            )
        app.submission.remove(app.actor, ctx.case_id, footage_id, app.forgetting.sweep)
    click.echo(f"removed recording {footage_id}; the file it was added from is untouched")


def _outcome(result: FootageResult) -> str:
    number = result.footage.id if result.footage else "-"
    return f"{number}\t{result.path}\t{result.outcome}" + (f": {result.reason}" if result.reason else "")


def _facts(row: FootageRow) -> str:
    facts = row.footage.facts
    estimated = ", times estimated" if facts.estimated_times else ""
    clock = {"user": "as given", "container": "from the file", "file_name": "from the file name"}.get(
        row.footage.start_source, "guessed from the file's date"
    )
    return (
        f"{facts.codec} {facts.width}x{facts.height}, {duration_text(facts.duration_ms)}{estimated}, "
        f"camera {row.camera.name}, begins {row.start_time} ({clock})"
    )


def _json(row: FootageRow) -> dict[str, Any]:
    facts = row.footage.facts
    return {
        "id": row.footage.id,
        "path": row.footage.path,
        "camera": row.camera.name,
        "zone": row.camera.zone,
        "state": row.state,
        "errors": row.errors,
        "start_time": row.start_time,
        "end_time": row.end_time,
        "start_source": row.footage.start_source.value,
        "duration_s": facts.duration_ms / 1000,
        "codec": facts.codec,
        "container": facts.container,
        "width": facts.width,
        "height": facts.height,
        "fps": facts.fps,
        "estimated": facts.estimated_times,
        "warning": facts.warning,
        "sha256": row.footage.sha256,
        "examined_s": row.examined_ms / 1000,
        "appearances": row.appearances,
        "spans": [
            {
                "start_s": span.start_ms / 1000,
                "end_s": span.end_ms / 1000,
                "outcome": span.outcome.value,
                "reason": span.reason,
            }
            for span in row.spans
        ],
    }
