"""``vidsearch person``: enrol, list and forget people."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli.context import Context, case_option, print_json
from vidsearch.cli.show import counting, table
from vidsearch.enrolment import PhotoResult, photos_to_import
from vidsearch.errors import EngineError, PhotoRefused, UnknownRecord, UsageError
from vidsearch.model import Photo
from vidsearch.timeline import PersonRow

if TYPE_CHECKING:
    from vidsearch.app import App


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(person)


@click.group()
def person() -> None:
    """Enrol people and look after their photos."""


@person.command()
@click.argument("name")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO...")
@click.option(
    "--face", type=click.IntRange(min=1), help="Which face to take where a photo has several: 1 is the leftmost."
)
@click.option(
    "--weak", is_flag=True, help="Also take readable faces below the quality gate; their matches stand apart."
)
@case_option
@click.pass_obj
def add(ctx: Context, name: str, photos: tuple[Path, ...], face: int | None, weak: bool) -> None:
    """Add photos to NAME, new or known, and say what became of each."""
    with ctx.open() as app, counting(len(photos), "enrolling") as bar:
        usable = 0
        for result in app.enrolment.add_photos(
            app.actor, ctx.case_id, name, photos, face=None if face is None else face - 1, allow_weak=weak
        ):
            bar.line(_outcome(result))
            usable += result.usable
    if not usable:
        raise PhotoRefused(f"no photo of {name} could be used; the reasons are above")


@person.command("import")
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER|CSV")
@click.option(
    "--weak", is_flag=True, help="Also take readable faces below the quality gate; their matches stand apart."
)
@case_option
@click.pass_obj
def import_(ctx: Context, source: Path, weak: bool) -> None:
    """Enrol many people: one folder a person, or a CSV of name,path rows."""
    pairs = photos_to_import(source)
    with ctx.open() as app:
        results: list[PhotoResult] = []
        with counting(len(pairs), "enrolling") as bar:
            for name, photo in pairs:
                result = _imported(app, ctx, name, photo, weak)
                bar.line(_outcome(result))
                results.append(result)
    usable = sum(result.usable for result in results)
    people = len({result.person for result in results if result.usable})
    click.echo(f"{usable} of {len(results)} photos enrolled, {people} people")
    if not usable:
        raise PhotoRefused("no photo could be used; the reasons are above")


def _imported(app: App, ctx: Context, name: str, photo: Path, weak: bool) -> PhotoResult:
    """Enrol one photo; a row whose name is no name is refused like a photo that is none, and stops no other."""
    try:
        return next(app.enrolment.add_photos(app.actor, ctx.case_id, name, [photo], allow_weak=weak))
    except UsageError as refused:
        return PhotoResult(name, photo.name, PhotoRefused.code, str(refused))


@person.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@case_option
@click.pass_obj
def list_(ctx: Context, as_json: bool) -> None:
    """List the people looked for."""
    with ctx.open() as app:
        rows = app.timeline.people(ctx.case_id)
    if as_json:
        print_json([_person_json(row) for row in rows])
        return
    table(
        ("id", "name", "photos", "usable", "appearances"),
        [(row.person.id, row.person.name, len(row.photos), row.usable, row.appearances) for row in rows],
        right=("id", "photos", "usable", "appearances"),
    )


@person.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@case_option
@click.pass_obj
def show(ctx: Context, name: str, as_json: bool) -> None:
    """Show one person's photos and what became of each."""
    with ctx.open() as app:
        row = _find(app.timeline.people(ctx.case_id), name)
    if as_json:
        print_json(_person_json(row))
        return
    click.echo(f"{row.person.name}: {row.usable} of {len(row.photos)} photos usable, {row.appearances} appearances")
    table(
        ("id", "photo", "outcome", "reason"),
        [(photo.id, photo.name, photo.outcome, photo.reason) for photo in row.photos],
        right=("id",),
    )


@person.command()
@click.argument("name")
@click.option("--photo", type=int, help="Forget only the photo with this id.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@case_option
@click.pass_obj
def forget(ctx: Context, name: str, photo: int | None, yes: bool) -> None:
    """Remove a person, or one photo, with vectors, matches and crops, for good."""
    with ctx.open() as app:
        row = _find(app.timeline.people(ctx.case_id), name)
        what = (
            f"photo {photo} of {name}" if photo else f"{name}, {len(row.photos)} photos, {row.appearances} appearances"
        )
        if not yes:
            click.confirm(f"Forget {what}? This cannot be undone", abort=True)
        if photo is not None and photo not in {held.id for held in row.photos}:
            raise UnknownRecord(f"{name} has no photo {photo}; see `vidsearch person show`")
        try:
            if photo is None:
                app.enrolment.forget_person(app.actor, ctx.case_id, row.person.id)
            else:
                app.enrolment.forget_photo(app.actor, ctx.case_id, photo)
        except EngineError as exc:
            click.echo(f"forgotten here, but not everywhere yet ({exc}); the next search sees to it again", err=True)
        with suppress(EngineError):
            app.search.rematch(ctx.case_id, None)
    click.echo(f"forgot {what}")


@person.command()
@click.option("--new-model", is_flag=True, help="Go over to a newer face model, where the engine offers one.")
@click.option("--engine", metavar="NAME", help="`local` or `rekognition`. Default: as in the settings.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@case_option
@click.pass_obj
def reindex(ctx: Context, new_model: bool, engine: str | None, yes: bool) -> None:
    """Enrol everybody again from the kept photos: after a collection was lost, or for a newer face model."""
    with ctx.open(engine=engine) as app:
        if not new_model:
            held = len(app.store.people.owners(ctx.case_id, app.engine().NAME))
            if app.engine().capabilities.priced and held and not yes:
                click.confirm(
                    f"Send {held} picture{'s' * (held != 1)} to Amazon again, at a cent for some ten? "
                    "No footage need be searched again for it",
                    abort=True,
                )
            click.echo(f"{app.renewal.restore(app.actor, ctx.case_id)} faces are enrolled")
            return
        model = app.engine().newer_model()
        if model is None:
            click.echo("there is no newer face model")
            return
        if not yes:
            click.confirm(
                f"Go over to face model {model}? All footage then counts as not searched, which costs again",
                abort=True,
            )
        lost = app.renewal.adopt(app.actor, ctx.case_id, model)
    for photo in lost:
        click.echo(f"{photo.name}: the newer model finds no face that it could use", err=True)
    click.echo(f"face model {model} is in use now")


def _find(rows: list[PersonRow], name: str) -> PersonRow:
    for row in rows:
        if row.person.name == name or str(row.person.id) == name:
            return row
    raise UnknownRecord(f"nobody is called '{name}'; see `vidsearch person list`")


def _outcome(result: PhotoResult) -> str:
    reason = f": {result.reason}" if result.reason else ""
    line = f"{result.person}\t{result.name}\t{result.outcome}{reason}"
    choices = [
        f"{number} at {round(100 * (face.box.left + face.box.width / 2))} % from the left, {face.face_px} px wide"
        for number, face in enumerate(result.faces, 1)
    ]
    return line + (f" (faces: {'; '.join(choices)})" if choices else "")


def _person_json(row: PersonRow) -> dict[str, Any]:
    return {
        "id": row.person.id,
        "name": row.person.name,
        "appearances": row.appearances,
        "photos": [_photo_json(photo) for photo in row.photos],
    }


def _photo_json(photo: Photo) -> dict[str, Any]:
    return {
        "id": photo.id,
        "name": photo.name,
        "sha256": photo.sha256,
        "outcome": photo.outcome,
        "reason": photo.reason,
        "box": asdict(photo.box) if photo.box else None,
    }
