"""Enrol people: photos in, an outcome for each, nothing lost."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vidsearch.engine import Engine
from vidsearch.errors import DiskFull, FaceTaken, PhotoRefused, SeveralFaces, UnknownRecord, UsageError, VidsearchError
from vidsearch.model import Actor, EnrolledFace, FaceDescription, Person, Photo, Picture
from vidsearch.store import Store

DISAGREES_BELOW = 35.0
"""A photo less similar than this to every other photo of its person may show somebody else. On the local engine's
scale it is a distance of 0.64, beyond dlib's published operating point of 0.60."""

RESEMBLES_FROM = 90.0
"""A photo at least this similar to somebody else's may be enrolled under the wrong name."""

PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".heic", ".heif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")
)
"""Files of a folder that are tried as photos; a file named on its own is always tried."""

Source = Path | tuple[str, bytes]
"""A photo as a file, or as (name, content)."""


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """What became of one photo."""

    person: str
    name: str
    outcome: str
    """As ``Photo.outcome``."""
    reason: str
    photo: Photo | None = None
    faces: list[FaceDescription] = field(default_factory=list)
    """Where the person must choose: the faces found, left to right."""

    @property
    def usable(self) -> bool:
        """Whether the photo is enrolled now, also where it was before."""
        return self.outcome in ("enrolled", "weak", "duplicate")


class Enrolment:
    """Add and forget people and their photos."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[], Engine],
        load_picture: Callable[[Path | bytes, str | None], Picture],
        photos: Path,
        sweep: Callable[[], None],
    ) -> None:
        """``engine`` is asked for on first use; ``photos`` keeps the originals; ``sweep`` is Forgetting's."""
        self._store = store
        self._engine = engine
        self._load = load_picture
        self._photos = photos
        self._sweep = sweep

    def add_photos(
        self,
        actor: Actor,
        case_id: str,
        name: str,
        sources: Iterable[Source],
        *,
        face: int | None = None,
        allow_weak: bool = False,
    ) -> Iterator[PhotoResult]:
        """Add photos to the person called ``name``, new or known, and yield what became of each, in order.

        Args:
            actor: Who does it.
            case_id: The case whose gallery is meant.
            name: The person's name.
            sources: The photos.
            face: Index of the face to take where a photo has several, left to right from 0.
            allow_weak: Take readable faces below the quality gate, marked weak.

        Raises:
            UsageError: The name is empty or too long.
        """
        name = clean_name(name)
        for source in sources:
            try:
                result = self._add_one(actor, case_id, name, source, face, allow_weak)
            except UsageError as refused:  # it has no face number ``face``; the next photo may have
                result = PhotoResult(name, _label(source), PhotoRefused.code, str(refused))
            yield result

    def choose_face(
        self, actor: Actor, case_id: str, photo_id: int, face: int, *, allow_weak: bool = False
    ) -> PhotoResult:
        """Enrol a face of a photo given before that was refused, by its index from 0."""
        photo = self._store.people.photo(case_id, photo_id)
        person = self._store.people.get(case_id, photo.person_id)
        source = (photo.name, self.photo_file(photo).read_bytes())
        return self._add_one(actor, case_id, person.name, source, face, allow_weak)

    def faces_of(self, photo: Photo) -> list[FaceDescription]:
        """Return the faces of a stored photo, left to right."""
        return self._engine().describe(self._load(self.photo_file(photo), photo.name))

    def photo_file(self, photo: Photo) -> Path:
        """Return where the original of a photo is kept."""
        return self._photos / photo.sha256[:2] / photo.sha256

    def rename(self, actor: Actor, case_id: str, person_id: int, name: str) -> None:
        """Give a person another name. Raises UsageError where it is taken or empty."""
        name = clean_name(name)
        person = self._store.people.get(case_id, person_id)
        if name == person.name:
            return
        if self._store.people.by_name(case_id, name):
            raise UsageError(f"there is a person called '{name}' already")
        with self._store.atomic():
            self._store.people.rename(person_id, name)
            self._store.people.reword(case_id, _like(person.name), _like(name))
            # Without the names: the audit cannot forget them when the person is to be forgotten.
            self._store.audit.record(actor, "person.rename", str(person_id), case_id=case_id)

    def forget_person(self, actor: Actor, case_id: str, person_id: int) -> None:
        """Remove a person with photos, vectors, matches and appearances, for good."""
        person = self._store.people.get(case_id, person_id)
        photos = self._store.people.photos(person_id)
        with self._store.atomic():
            self._store.people.remove(person_id)
            self._store.people.reword(case_id, _like(person.name), _like("somebody since forgotten"))
            self._store.cases.bump_revision(case_id)
            # The name goes too: the audit keeps that somebody was forgotten, not whom.
            self._store.audit.record(actor, "person.forget", str(person_id), case_id=case_id, photos=len(photos))
        # Before the engine is asked, which may be unable to start.
        for photo in photos:
            self._drop_original(photo)
        self._sweep()

    def forget_photo(self, actor: Actor, case_id: str, photo_id: int) -> None:
        """Remove a photo and the face enrolled from it, for good."""
        photo = self._store.people.photo(case_id, photo_id)
        with self._store.atomic():
            self._store.people.remove_photo(photo_id)
            self._store.cases.bump_revision(case_id)
            self._store.audit.record(
                actor, "photo.forget", str(photo_id), case_id=case_id, person=photo.person_id, sha256=photo.sha256
            )
        self._drop_original(photo)
        self._sweep()

    # -- one photo -----------------------------------------------------------------------------------------------

    def _add_one(
        self, actor: Actor, case_id: str, name: str, source: Source, face: int | None, allow_weak: bool
    ) -> PhotoResult:
        label = _label(source)
        try:
            picture = self._load(source if isinstance(source, Path) else source[1], label)
        except PhotoRefused as refused:
            return PhotoResult(name, label, refused.code, str(refused))
        known = self._known(case_id, name, picture, face)
        if known:
            return PhotoResult(name, label, "duplicate", "this photo is enrolled already", known)
        try:
            enrolled = self._engine().enrol(case_id, picture, face=face, allow_weak=allow_weak)
        except PhotoRefused as refused:
            faces = self._engine().describe(picture) if isinstance(refused, SeveralFaces) else []
            photo = self._record(actor, case_id, name, picture, refused.code, str(refused), None, None)
            return PhotoResult(name, label, refused.code, str(refused), photo, faces)
        outcome = "weak" if enrolled.weak else "enrolled"
        try:
            reason, disagrees = self._doubts(case_id, name, enrolled)
            photo = self._record(actor, case_id, name, picture, outcome, reason, disagrees, enrolled)
        except VidsearchError as exc:
            self._let_go(case_id, enrolled)
            if isinstance(exc, FaceTaken):
                return PhotoResult(name, label, exc.code, str(exc))
            raise
        return PhotoResult(name, label, outcome, reason, photo)

    def _let_go(self, case_id: str, enrolled: EnrolledFace) -> None:
        """Have the engine forget a face that could not be recorded, unless it is somebody's already."""
        if enrolled.face_id not in self._store.people.owners(case_id, enrolled.engine):
            self._engine().forget(case_id, [enrolled.face_id])

    def _known(self, case_id: str, name: str, picture: Picture, face: int | None) -> Photo | None:
        """Return the same photo of the same person, where it is enrolled and no other face of it is asked for."""
        person = self._store.people.by_name(case_id, name)
        same = [
            photo
            for photo in self._store.people.photo_by_sha256(case_id, picture.sha256)
            if person and photo.person_id == person.id and photo.usable
        ]
        return same[0] if same and face is None else None

    def _doubts(self, case_id: str, name: str, enrolled: EnrolledFace) -> tuple[str, float | None]:
        """Say what is doubtful about a new face: unlike the person's others, or like somebody else's."""
        engine = self._engine()
        owners = self._store.people.owners(case_id, engine.NAME)
        person = self._store.people.by_name(case_id, name)
        mine = [f for f, (owner, _, _) in owners.items() if person and owner == person.id and f != enrolled.face_id]
        theirs = [f for f, (owner, _, _) in owners.items() if not (person and owner == person.id)]
        # Asked once for all: the engine reads the whole gallery for each question.
        alike = engine.compare(case_id, enrolled.face_id, [*mine, *theirs])
        doubts, disagrees = [], None
        if mine:
            best = max(match.similarity for match in alike[: len(mine)])
            if best < DISAGREES_BELOW:
                disagrees = best
                doubts.append(
                    f"looks unlike the other photos of {name} (similarity {best:.0f}): is it the same person?"
                )
        if theirs:
            like = max(alike[len(mine) :], key=lambda match: match.similarity)
            if like.similarity >= RESEMBLES_FROM:
                other = self._store.people.get(case_id, owners[like.face_id][0]).name
                doubts.append(f"{_like(other)}similarity {like.similarity:.0f}): is the name right?")
        return "; ".join(doubts), disagrees

    def _record(
        self,
        actor: Actor,
        case_id: str,
        name: str,
        picture: Picture,
        outcome: str,
        reason: str,
        disagrees: float | None,
        enrolled: EnrolledFace | None,
    ) -> Photo:
        self._keep_original(picture)
        with self._store.atomic():
            person = self._store.people.by_name(case_id, name) or self._new_person(actor, case_id, name)
            for old in self._store.people.photo_by_sha256(case_id, picture.sha256):
                if old.person_id == person.id and not old.usable:
                    self._store.people.remove_photo(old.id)
            photo = self._store.people.add_photo(
                person,
                name=picture.name,
                sha256=picture.sha256,
                width=picture.width,
                height=picture.height,
                outcome=outcome,
                reason=reason,
                disagrees=disagrees,
                enrolled=enrolled,
            )
            if enrolled:
                self._store.cases.bump_revision(case_id)
            self._store.audit.record(
                actor,
                "photo.add",
                str(photo.id),
                case_id=case_id,
                person=person.id,
                sha256=picture.sha256,
                outcome=outcome,
            )
        return photo

    def _new_person(self, actor: Actor, case_id: str, name: str) -> Person:
        person = self._store.people.add(case_id, name)
        self._store.audit.record(actor, "person.add", str(person.id), case_id=case_id)
        return person

    def _keep_original(self, picture: Picture) -> None:
        target = self._photos / picture.sha256[:2] / picture.sha256
        if target.exists():
            return
        part = target.with_suffix(f".{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(picture.original)
            part.replace(target)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise DiskFull(f"the photo cannot be kept in {self._photos}: {exc.strerror or exc}") from exc

    def _drop_original(self, photo: Photo) -> None:
        if not self._store.people.photo_by_sha256(None, photo.sha256):
            self.photo_file(photo).unlink(missing_ok=True)


def _label(source: Source) -> str:
    return source.name if isinstance(source, Path) else source[0]


def _like(name: str) -> str:
    """Return how a photo's doubts begin to name somebody else: what must change when that name goes."""
    return f"looks very like {name} ("


def clean_name(name: str) -> str:
    """Return a name without outer space. Raises UsageError where it is empty, too long or has control characters."""
    name = " ".join(name.split())
    if not name or len(name) > 300:
        raise UsageError("a name has 1 to 300 characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise UsageError("a name cannot have control characters")
    return name


def photos_to_import(source: Path) -> list[tuple[str, Path]]:
    """Return (name, photo) pairs of a folder with one folder a person, or of a CSV with ``name,path`` rows.

    Paths in a CSV are relative to it. Raises UsageError where the source is neither, or has nothing in it.
    """
    if source.is_dir():
        pairs = [
            (person.name, photo)
            for person in sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith("."))
            for photo in sorted(person.rglob("*"))
            if photo.suffix.lower() in PICTURE_SUFFIXES and photo.is_file()
        ]
        if not pairs:
            raise UsageError(
                f"{source}: no pictures found; put one folder for each person into it, with the photos inside"
            )
        return pairs
    if source.is_file():
        return _from_csv(source)
    raise UnknownRecord(f"{source}: no such folder or CSV file")


def _from_csv(source: Path) -> list[tuple[str, Path]]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{source}: cannot be read as CSV: {exc}") from exc
    try:
        rows = [row for row in csv.reader(text.splitlines()) if row and any(cell.strip() for cell in row)]
    except csv.Error as exc:
        raise UsageError(f"{source}: cannot be read as CSV: {exc}") from exc
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["name", "path"]:
        rows = rows[1:]
    bad = next((row for row in rows if len(row) < 2 or not row[0].strip() or not row[1].strip()), None)
    if bad is not None:
        raise UsageError(f"{source}: each row needs a name and a path, such as `Ann Lee,photos/ann.jpg`; not {bad!r}")
    if not rows:
        raise UsageError(f"{source}: no rows")
    return [(row[0].strip(), source.parent / row[1].strip()) for row in rows]
