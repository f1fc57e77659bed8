"""People looked for, their photos, and the faces engines hold of them."""

from __future__ import annotations

import builtins

from vidsearch.errors import FaceTaken, UnknownRecord, UsageError
from vidsearch.model import BoundingBox, EnrolledFace, Person, Photo
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import box_columns, now_ms


class People:
    """The people of all cases."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # -- people --------------------------------------------------------------------------------------------------

    def add(self, case_id: str, name: str, note: str = "") -> Person:
        """Add a person. Raises UsageError where the name is taken."""
        if self.by_name(case_id, name):
            raise UsageError(f"there is a person called '{name}' already")
        person_id = self._db.insert(
            "INSERT INTO people (case_id, name, note, created_ms) VALUES (?, ?, ?, ?)", (case_id, name, note, now_ms())
        )
        return self.get(case_id, person_id)

    def get(self, case_id: str, person_id: int) -> Person:
        """Return a person. Raises UnknownRecord."""
        row = self._db.one("SELECT * FROM people WHERE id = ? AND case_id = ?", (person_id, case_id))
        if row is None:
            raise UnknownRecord(f"there is no person {person_id} in case '{case_id}'")
        return _person(row)

    def by_name(self, case_id: str, name: str) -> Person | None:
        """Return the person with exactly this name, or None."""
        row = self._db.one("SELECT * FROM people WHERE case_id = ? AND name = ?", (case_id, name))
        return _person(row) if row else None

    def list(self, case_id: str) -> list[Person]:
        """Return the people of a case by name."""
        return [
            _person(r) for r in self._db.all("SELECT * FROM people WHERE case_id = ? ORDER BY name, id", (case_id,))
        ]

    def rename(self, person_id: int, name: str) -> None:
        """Give a person another name. Raises UsageError where somebody else in the case has it."""
        with self._db.atomic():
            taken = self._db.one(
                "SELECT 1 FROM people WHERE name = :name AND id <> :id "
                "AND case_id = (SELECT case_id FROM people WHERE id = :id)",
                {"name": name, "id": person_id},
            )
            if taken:
                raise UsageError(f"there is a person called '{name}' already")
            self._db.run("UPDATE people SET name = ? WHERE id = ?", (name, person_id))

    def reword(self, case_id: str, old: str, new: str) -> None:
        """Put ``new`` for ``old`` in what is said of the photos of a case, where it names somebody else."""
        self._db.run(
            "UPDATE photos SET reason = replace(reason, :old, :new) WHERE case_id = :case_id AND instr(reason, :old)",
            {"case_id": case_id, "old": old, "new": new},
        )

    def remove(self, person_id: int) -> None:
        """Remove a person with photos, faces, matches, appearances and verdicts."""
        self._db.run("DELETE FROM people WHERE id = ?", (person_id,))

    # -- photos --------------------------------------------------------------------------------------------------

    def add_photo(
        self,
        person: Person,
        *,
        name: str,
        sha256: str,
        width: int | None,
        height: int | None,
        outcome: str,
        reason: str,
        disagrees: float | None = None,
        enrolled: EnrolledFace | None,
    ) -> Photo:
        """Add a photo of a person, with the face an engine holds for it where it does.

        A face that this person has already keeps its first photo, and that is returned.

        Raises:
            UsageError: The face is enrolled under another name.
        """
        with self._db.atomic():
            if enrolled:
                known = self._known_face(person, enrolled)
                if known:
                    return known
            photo_id = self._db.insert(
                "INSERT INTO photos (case_id, person_id, name, sha256, width, height, outcome, reason, disagrees, "
                "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (person.case_id, person.id, name, sha256, width, height, outcome, reason, disagrees, now_ms()),
            )
            if enrolled:
                self._add_face(person, photo_id, enrolled)
            return self.photo(person.case_id, photo_id)

    def photos(self, person_id: int) -> builtins.list[Photo]:
        """Return a person's photos, oldest first."""
        rows = self._db.all(self._db.queries["photos_of_person"], {"person_id": person_id})
        return [_photo(row) for row in rows]

    def photo(self, case_id: str, photo_id: int) -> Photo:
        """Return a photo. Raises UnknownRecord."""
        row = self._db.one(self._db.queries["photo_by_id"], {"id": photo_id, "case_id": case_id})
        if row is None:
            raise UnknownRecord(f"there is no photo {photo_id} in case '{case_id}'")
        return _photo(row)

    def photo_by_sha256(self, case_id: str | None, sha256: str) -> builtins.list[Photo]:
        """Return the photos with this content, of one case or (None) of all."""
        rows = self._db.all(self._db.queries["photos_by_sha256"], {"case_id": case_id, "sha256": sha256})
        return [_photo(row) for row in rows]

    def remove_photo(self, photo_id: int) -> None:
        """Remove a photo and the record of its face."""
        self._db.run("DELETE FROM photos WHERE id = ?", (photo_id,))

    def owners(self, case_id: str, engine: str) -> dict[str, tuple[int, int, bool]]:
        """Return face id -> (person id, photo id, weak) of every face an engine holds for a case."""
        rows = self._db.all(
            "SELECT face_id, person_id, photo_id, weak FROM enrolled_faces WHERE case_id = ? AND engine = ?",
            (case_id, engine),
        )
        return {row["face_id"]: (row["person_id"], row["photo_id"], bool(row["weak"])) for row in rows}

    def outdated(self, case_id: str, engine: str, version: str) -> builtins.list[Photo]:
        """Return the photos whose face some engine holds, but not this version of this engine, nor has it refused them.

        The face told with a photo is this engine's where it holds one, else another's.
        """
        rows = self._db.all(
            self._db.queries["photos_of_other_versions"], {"case_id": case_id, "engine": engine, "version": version}
        )
        return [_photo(row) for row in rows]

    def unknown_to(self, case_id: str, engine: str) -> builtins.list[int]:
        """Return the photos whose face some engine holds, and of which this one was never asked, whatever its version.

        Those that it has refused are left out.
        """
        rows = self._db.all(self._db.queries["photos_unknown_to_engine"], {"case_id": case_id, "engine": engine})
        return [row["id"] for row in rows]

    def refuse(self, photo: Photo, engine: str, version: str, outcome: str, reason: str) -> None:
        """Keep why a version of an engine does not take a photo that another engine took."""
        self._db.run(
            "INSERT INTO photo_refusals (photo_id, engine, engine_version, outcome, reason) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET engine_version = excluded.engine_version, outcome = excluded.outcome, "
            "reason = excluded.reason",
            (photo.id, engine, version, outcome, reason),
        )

    def newest_face(self, case_id: str, engine: str) -> int:
        """Return the revision of the gallery that the newest face an engine holds came with, or 0 without any."""
        row = self._db.one(
            "SELECT coalesce(max(revision), 0) AS newest FROM enrolled_faces WHERE case_id = ? AND engine = ?",
            (case_id, engine),
        )
        return int(row["newest"]) if row else 0

    def renew_face(self, photo: Photo, enrolled: EnrolledFace) -> None:
        """Put the face that today's version of an engine holds for a photo in the place of the older one."""
        person = self.get(photo.case_id, photo.person_id)
        self._db.run("DELETE FROM enrolled_faces WHERE photo_id = ? AND engine = ?", (photo.id, enrolled.engine))
        self._add_face(person, photo.id, enrolled)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _known_face(self, person: Person, enrolled: EnrolledFace) -> Photo | None:
        owner = self._db.one(
            self._db.queries["owner_of_face"],
            {"case_id": person.case_id, "engine": enrolled.engine, "face_id": enrolled.face_id},
        )
        if owner is None:
            return None
        if owner["person_id"] != person.id:
            raise FaceTaken(
                f"this face is enrolled as {owner['name']} already; forget it there to enrol it as {person.name}"
            )
        return self.photo(person.case_id, owner["photo_id"])

    def _add_face(self, person: Person, photo_id: int, enrolled: EnrolledFace) -> None:
        face = enrolled.face
        self._db.run(
            "INSERT INTO enrolled_faces (face_id, case_id, person_id, photo_id, engine, engine_version, left, top, "
            "width, height, confidence, face_px, sharpness, frontal, weak, revision) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "(SELECT gallery_revision + 1 FROM cases WHERE id = ?))",
            (
                enrolled.face_id,
                person.case_id,
                person.id,
                photo_id,
                enrolled.engine,
                enrolled.engine_version,
                *box_columns(face.box),
                float(face.confidence),
                int(face.face_px),
                float(face.sharpness),
                float(face.frontal),
                int(enrolled.weak),
                # Whoever enrols bumps the revision in the same transaction, after this.
                person.case_id,
            ),
        )


def _person(row: Row) -> Person:
    return Person(row["id"], row["case_id"], row["name"], row["note"], row["created_ms"])


def _photo(row: Row) -> Photo:
    box = None
    if row["face_id"] is not None:
        box = BoundingBox(row["left"], row["top"], row["face_width"], row["face_height"])
    return Photo(
        id=row["id"],
        case_id=row["case_id"],
        person_id=row["person_id"],
        name=row["name"],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        outcome=row["outcome"],
        reason=row["reason"],
        disagrees=row["disagrees"],
        face_id=row["face_id"],
        box=box,
        engine=row["engine"],
        engine_version=row["engine_version"],
        created_ms=row["created_ms"],
    )
