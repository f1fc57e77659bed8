"""Who is looked for: photos, their outcomes, and forgetting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from vidsearch.enrolment import PhotoResult
from vidsearch.errors import UsageError
from vidsearch.timeline import Query
from web.current import actor, capabilities, case_id, only_matched, vidsearch
from web.words import PHOTO_OUTCOMES, plural

blueprint = Blueprint("people", __name__, url_prefix="/people")

RECENT = 50
"""Appearances on a person's page; the timeline has them all."""

TOLD = 6
"""Refused files named one by one in the message after an upload. What is stored is on the page anyway."""


@blueprint.get("/")
def index() -> str:
    """Show everybody looked for."""
    return render_template("people/index.html", people=vidsearch().timeline.people(case_id()), can=capabilities())


@blueprint.post("/")
def add() -> Response:
    """Add photos to a person, new or known."""
    return _enrol(request.form.get("name", ""), url_for("people.index"))


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> str:
    """Show a person with photos and appearances."""
    row = vidsearch().timeline.person(case_id(), person_id)
    found = vidsearch().timeline.appearances(case_id(), Query(person_ids=[person_id], limit=RECENT, newest_first=True))
    weak = vidsearch().timeline.count(case_id(), Query(person_ids=[person_id], weak=True))
    stale, again = _stale() if row.usable else (0, 0)
    return render_template(
        "people/person.html",
        row=row,
        appearances=found,
        weak=weak,
        recent=RECENT,
        stale=stale,
        again=again,
        can=capabilities(),
        engines=vidsearch().timeline.engines(case_id()),
    )


@blueprint.post("/<int:person_id>/photos")
def add_photos(person_id: int) -> Response:
    """Add photos to a known person."""
    held = vidsearch().timeline.person(case_id(), person_id).person
    return _enrol(held.name, url_for("people.person", person_id=person_id))


@blueprint.post("/<int:person_id>/name")
def rename(person_id: int) -> Response:
    """Give a person another name."""
    vidsearch().enrolment.rename(actor(), case_id(), person_id, request.form.get("name", ""))
    return redirect(url_for("people.person", person_id=person_id), 303)


@blueprint.get("/<int:person_id>/forget")
def ask_forget(person_id: int) -> str:
    """Ask before a person is forgotten, and say what goes."""
    row = vidsearch().timeline.person(case_id(), person_id)
    weak = vidsearch().timeline.count(case_id(), Query(person_ids=[person_id], weak=True))
    return render_template("people/forget.html", row=row, weak=weak)


@blueprint.post("/<int:person_id>/forget")
def forget(person_id: int) -> Response:
    """Forget a person, for good."""
    vidsearch().enrolment.forget_person(actor(), case_id(), person_id)
    flash("The person is forgotten, with photos, face data and appearances.", "ok")
    return redirect(url_for("people.index"), 303)


@blueprint.get("/photos/<int:photo_id>/faces")
def choose(photo_id: int) -> str:
    """Show the faces of a photo, to choose one."""
    photo = vidsearch().store.people.photo(case_id(), photo_id)
    row = vidsearch().timeline.person(case_id(), photo.person_id)
    faces = vidsearch().enrolment.faces_of(photo)
    return render_template("people/faces.html", photo=photo, row=row, faces=faces, can=capabilities())


@blueprint.post("/photos/<int:photo_id>/faces")
def choose_face(photo_id: int) -> Response:
    """Enrol the chosen face of a photo, as weak where that was asked for."""
    face = request.form.get("face", type=int)
    photo = vidsearch().store.people.photo(case_id(), photo_id)
    if face is None or face < 0:
        raise UsageError("choose a face of the photo")
    weak = request.form.get("weak") == "1"
    result = vidsearch().enrolment.choose_face(actor(), case_id(), photo_id, face, allow_weak=weak)
    _tell([result])
    return redirect(url_for("people.person", person_id=photo.person_id), 303)


@blueprint.get("/photos/<int:photo_id>/forget")
def ask_forget_photo(photo_id: int) -> str:
    """Ask before a photo is forgotten."""
    photo = vidsearch().store.people.photo(case_id(), photo_id)
    row = vidsearch().timeline.person(case_id(), photo.person_id)
    return render_template("people/forget_photo.html", photo=photo, row=row)


@blueprint.post("/photos/<int:photo_id>/forget")
def forget_photo(photo_id: int) -> Response:
    """Forget a photo, for good."""
    photo = vidsearch().store.people.photo(case_id(), photo_id)
    vidsearch().enrolment.forget_photo(actor(), case_id(), photo_id)
    flash("The photo is forgotten, with its face data.", "ok")
    return redirect(url_for("people.person", person_id=photo.person_id), 303)


def _stale() -> tuple[int, int]:
    """Return how many recordings searched before need only be matched again, and how many searched again."""
    app = vidsearch()
    limit = app.threshold(case_id())
    if app.engine().capabilities.analysis:
        return len(app.matching.pending(case_id(), limit)), 0
    plan = app.search.plan(case_id(), threshold=limit)
    anew = {footage.id for footage, _ in plan.segments} & {footage.id for footage in plan.rematch}
    return len(only_matched(plan)), len(anew)


def _enrol(name: str, back: str) -> Response:
    sources = [_source(upload) for upload in request.files.getlist("photos") if upload.filename]
    if not sources:
        raise UsageError("choose at least one photo")
    weak = request.form.get("weak") == "1"
    results = list(vidsearch().enrolment.add_photos(actor(), case_id(), name, sources, allow_weak=weak))
    photos = [result.photo for result in results if result.photo]
    if len(results) == 1 and results[0].outcome == "several_faces" and photos:
        return redirect(url_for("people.choose", photo_id=photos[0].id), 303)
    _tell(results)
    return redirect(url_for("people.person", person_id=photos[0].person_id) if photos else back, 303)


def _source(upload: FileStorage) -> tuple[str, bytes]:
    # A browser may send a path of the sender's machine; only the last part is the photo's name.
    name = (upload.filename or "").replace("\\", "/").rpartition("/")[2]
    return name[:300] or "photo", upload.read()


def _tell(results: Sequence[PhotoResult]) -> None:
    """Say what became of photos, in one message each for the good and the others."""
    good = Counter(result.outcome for result in results if result.usable)
    if good:
        parts = [f"{count} {PHOTO_OUTCOMES[outcome][0]}" for outcome, count in good.items()]
        flash(f"{plural(sum(good.values()), 'photo')}: {', '.join(parts)}.", "ok")
    bad = [result for result in results if not result.usable]
    for result in bad[:TOLD]:
        flash(f"{result.name[:60]}: {result.reason[:200]}", "ask" if result.outcome == "several_faces" else "no")
    if len(bad) > TOLD:
        flash(f"and {plural(len(bad) - TOLD, 'more photo')} that could not be used.", "no")
