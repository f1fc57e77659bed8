"""The collections that galleries are kept in, and which faces are in them."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vidsearch.engines.rekognition.calls import Calls
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.engines.rekognition.photos import same_face
from vidsearch.engines.rekognition.translate import external_id
from vidsearch.errors import AwsNotFound, DiskFull
from vidsearch.model import BoundingBox, FaceDescription


@dataclass(frozen=True, slots=True)
class HeldFace:
    """A face that a collection holds."""

    collection: str
    face_id: str
    """Ours."""
    aws_id: str
    picture: str
    """SHA-256."""
    face: FaceDescription
    weak: bool


class Collections:
    """Which collection belongs to a gallery, and what we put into it. Safe for several threads and processes."""

    def __init__(self, database: Database, calls: Calls, prefix: str, pictures: Path) -> None:
        """``pictures`` is the folder of the JPEGs that were indexed, kept to show and to index them again."""
        self._database = database
        self._calls = calls
        self._prefix = prefix
        self._pictures = pictures

    # -- collections ---------------------------------------------------------------------------------------------

    def find(self, gallery: str) -> str | None:
        """Return the collection in use for a gallery, or None where none was made, or not yet of the newer model."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT name FROM collections WHERE gallery = ? AND generation >= ? ORDER BY generation DESC",
                (gallery, self._generation(gallery)),
            ).fetchone()
        return str(row[0]) if row else None

    def all(self, gallery: str) -> list[str]:
        """Return the collections of a gallery, the one in use first, then older generations."""
        with self._database.reading() as db:
            rows = db.execute("SELECT name FROM collections WHERE gallery = ? ORDER BY generation DESC", (gallery,))
            return [row[0] for row in rows]

    def galleries(self) -> list[str]:
        """Return the galleries that have a collection."""
        with self._database.reading() as db:
            return [row[0] for row in db.execute("SELECT DISTINCT gallery FROM collections ORDER BY gallery")]

    def of(self, gallery: str) -> str:
        """Return the collection in use for a gallery, made on first use, or when its turn to be renewed has come."""
        return self.find(gallery) or self._make(gallery, self._generation(gallery))

    def _generation(self, gallery: str) -> int:
        """Return which generation of a gallery's collection is to be used, from 1."""
        return max(int(self._database.fact(name) or 1) for name in ("generation", f"generation/{gallery}"))

    def _make(self, gallery: str, generation: int) -> str:
        name = collection_name(self._prefix, self._database.folder, gallery, generation)
        # There already: made by a process that died before it could write it down, or just now by another.
        model = self._calls.create_collection(name) or self._calls.collection_model(name)
        with self._database.changing() as db:
            db.execute(
                "INSERT OR IGNORE INTO collections VALUES (?, ?, ?, ?, ?)", (name, gallery, generation, model, now_ms())
            )
            db.execute("INSERT OR IGNORE INTO facts VALUES ('model', ?)", (model,))
        return name

    # -- models --------------------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The version of Amazon's face model that scores are of, or an empty text before the first collection.

        It stays until somebody has the galleries indexed again: with another model everything would have to be
        searched again, and paid for. Amazon makes a new collection with its newest model; a case begun later may so be
        of a newer one than this. Its scores are its own: they are never compared with another case's.
        """
        return self._database.fact("model")

    def newer_model(self) -> str | None:
        """Return the version of Amazon's newest face model where it is not ours, or None. Makes a collection to see."""
        if not self.model:
            return None
        name = f"{self._prefix}-look-{self._database.folder}"
        model = self._calls.create_collection(name)
        if model is None:  # left by a process that died: it may be of an older model
            self._calls.delete_collection(name)
            model = self._calls.create_collection(name) or self.model
        self._calls.delete_collection(name)
        return model if model != self.model else None

    def renew(self, model: str, also: Callable[[sqlite3.Connection], None]) -> None:
        """Have every gallery go to a new collection, of a newer model, with the next face enrolled.

        ``also`` is done in the same transaction.
        """
        with self._database.changing() as db:
            newest = db.execute("SELECT coalesce(max(generation), 0) FROM collections").fetchone()[0]
            db.execute("INSERT OR REPLACE INTO facts VALUES ('generation', ?)", (str(newest + 1),))
            db.execute("INSERT OR REPLACE INTO facts VALUES ('model', ?)", (model,))
            also(db)

    def restore(self, gallery: str) -> int:
        """Make a gallery's collection again and index the kept pictures into it; return how many faces it has.

        Faces keep their ids, so that nothing found before is lost. A face whose picture is not kept stays away.
        """
        old = self.all(gallery)
        held = {face.face_id: face for name in reversed(old) for face in self._held("collection = ?", (name,))}
        with self._database.changing() as db:
            newest = db.execute("SELECT max(generation) FROM collections WHERE gallery = ?", (gallery,)).fetchone()[0]
            again = str((newest or 0) + 1)
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (f"generation/{gallery}", again))
        name = self.of(gallery)
        done = [face for face in held.values() if self._index_again(name, gallery, face)]
        for collection in old:
            self._drop(collection)
        return len(done)

    def _index_again(self, collection: str, gallery: str, held: HeldFace) -> bool:
        jpeg = self.picture(gallery, held.face_id)
        if jpeg is None:
            return False
        answer = self._calls.index_face(collection, jpeg, external_id(held.face_id, weak=held.weak), gate=False)
        records = answer.get("FaceRecords") or []
        if records:
            self.add(gallery, replace(held, collection=collection, aws_id=str(records[0]["Face"]["FaceId"])))
        return bool(records)

    def _drop(self, collection: str) -> None:
        """Delete a collection for good."""
        self._calls.delete_collection(collection)
        with self._database.changing() as db:
            db.execute("DELETE FROM faces WHERE collection = ?", (collection,))
            db.execute("DELETE FROM collections WHERE name = ?", (collection,))

    def _drop_empty(self, gallery: str) -> None:
        """Delete older collections of a gallery when all their faces have gone to the one in use, or are forgotten."""
        for collection in self.all(gallery)[1:] if self.find(gallery) else []:
            if not self._held("collection = ?", (collection,)):
                self._drop(collection)

    # -- faces ---------------------------------------------------------------------------------------------------

    def add(self, gallery: str, held: HeldFace) -> None:
        """Note a face that was indexed. Older collections let go of the same face."""
        with self._database.changing() as db:
            db.execute(
                "INSERT OR REPLACE INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    held.collection,
                    held.face_id,
                    gallery,
                    held.aws_id,
                    held.picture,
                    json.dumps(asdict(held.face)),
                    int(held.weak),
                    now_ms(),
                ),
            )
        for older in self.all(gallery)[1:]:
            same = [face for face in self.of_picture(older, held.picture) if same_face(face.face.box, held.face.box)]
            if same:
                self._forget_in(older, {face.face_id for face in same})
        self._drop_empty(gallery)

    def held(self, gallery: str) -> list[HeldFace]:
        """Return the faces of the collection in use for a gallery."""
        collection = self.find(gallery)
        return self._held("collection = ?", (collection,)) if collection else []

    def of_picture(self, collection: str, picture: str) -> list[HeldFace]:
        """Return the faces that a collection holds of a picture, named by its SHA-256."""
        return self._held("collection = ? AND picture = ?", (collection, picture))

    def get(self, collection: str, face_id: str) -> HeldFace | None:
        """Return a face of a collection."""
        found = self._held("collection = ? AND face_id = ?", (collection, face_id))
        return found[0] if found else None

    def young(self, gallery: str, older_than_s: float) -> set[str]:
        """Return the faces of a gallery that were enrolled later than so long ago."""
        since = now_ms() - round(1000 * older_than_s)
        with self._database.reading() as db:
            rows = db.execute("SELECT face_id FROM faces WHERE gallery = ? AND created_ms > ?", (gallery, since))
            return {row[0] for row in rows}

    def left_pictures(self, gallery: str, older_than_s: float) -> set[str]:
        """Return the faces of which only a picture is here, kept so long ago: a crash came before they were indexed."""
        before = time.time() - older_than_s
        with self._database.reading() as db:
            noted = {row[0] for row in db.execute("SELECT face_id FROM faces WHERE gallery = ?", (gallery,))}
        left = set()
        for path in self._file(gallery, "any").parent.glob("*"):
            with suppress(FileNotFoundError):  # somebody is enrolled at this moment
                if path.stem not in noted and path.stat().st_mtime <= before:
                    left.add(path.stem)
        return left

    def changed_ms(self, collection: str) -> int:
        """Return when the last face was enrolled into a collection, or 0."""
        with self._database.reading() as db:
            row = db.execute("SELECT max(created_ms) FROM faces WHERE collection = ?", (collection,)).fetchone()
        return int(row[0] or 0)

    def forget(self, gallery: str, face_ids: Iterable[str]) -> None:
        """Delete faces at Amazon, then what we have of them. Unknown ids are no error."""
        wanted = set(face_ids)
        for collection in self.all(gallery):
            self._forget_in(collection, wanted)
        for face_id in wanted:
            for suffix in (".jpg", ".part"):
                self._file(gallery, face_id).with_suffix(suffix).unlink(missing_ok=True)
        self._drop_empty(gallery)
        self._database.forget_log()

    def forget_weak(self, held: HeldFace) -> None:
        """Delete the weak face at Amazon that a sound one of the same picture has taken the place of."""
        if held.weak:
            self._calls.delete_faces(held.collection, [held.aws_id])

    def _forget_in(self, collection: str, wanted: set[str]) -> None:
        """Delete faces of one collection."""
        known = {held.face_id: held.aws_id for held in self._held("collection = ?", (collection,))}
        doomed = [known[face_id] for face_id in wanted if face_id in known]
        strangers = {f"{flag}-{face_id}" for face_id in wanted - set(known) for flag in "sw"} | (wanted - set(known))
        try:
            if any(_looks_like_ours(face_id) for face_id in wanted - set(known)):
                # Indexed by a process that died before it could write it down.
                listed = self._calls.list_faces(collection)
                doomed += [
                    face["FaceId"]
                    for face in listed
                    if face.get("ExternalImageId") in strangers or face.get("FaceId") in strangers
                ]
            if doomed:
                self._calls.delete_faces(collection, doomed)
        except AwsNotFound:
            pass  # the collection is gone, and the faces with it
        with self._database.changing() as db:
            db.executemany(
                "DELETE FROM faces WHERE collection = ? AND face_id = ?", [(collection, face) for face in wanted]
            )

    # -- pictures ------------------------------------------------------------------------------------------------

    def keep_picture(self, gallery: str, face_id: str, jpeg: bytes) -> None:
        """Keep the picture that was indexed. Raises DiskFull."""
        path = self._file(gallery, face_id)
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(jpeg)
            part.replace(path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise DiskFull(f"the picture of a face cannot be kept in {self._pictures}: {exc.strerror or exc}") from exc

    def drop_picture(self, gallery: str, face_id: str) -> None:
        """Remove the picture of a face that was not indexed after all."""
        self._file(gallery, face_id).unlink(missing_ok=True)

    def picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return the picture kept of a face, or None."""
        try:
            return self._file(gallery, face_id).read_bytes()
        except OSError:
            return None

    def _file(self, gallery: str, face_id: str) -> Path:
        folder = hashlib.sha256(gallery.encode()).hexdigest()[:10]
        return self._pictures / folder / f"{re.sub(r'[^0-9A-Za-z-]', '_', face_id)[:64]}.jpg"

    def _held(self, where: str, words: Sequence[str]) -> list[HeldFace]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT * FROM faces WHERE {where} ORDER BY face_id", words).fetchall()
        return [
            HeldFace(
                row["collection"],
                row["face_id"],
                row["aws_id"],
                row["picture"],
                _face(json.loads(row["described"])),
                bool(row["weak"]),
            )
            for row in rows
        ]


def collection_name(prefix: str, folder: str, gallery: str, generation: int) -> str:
    """Return the name of a collection: legal for every gallery, and another one for every gallery and data folder.

    Two data folders may use one account and one prefix. What one of them does not know it sweeps up, so they must not
    share a collection.
    """
    readable = re.sub(r"[^a-zA-Z0-9_.-]", "-", gallery)[:100]
    unique = hashlib.sha256(f"{folder}/{gallery}".encode()).hexdigest()[:10]
    return f"{prefix}-{readable}-{unique}" + (f"-g{generation}" if generation > 1 else "")


def _looks_like_ours(face_id: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", face_id) is not None


def _face(described: dict[str, object]) -> FaceDescription:
    box = described.pop("box")
    assert isinstance(box, dict)
    return FaceDescription(box=BoundingBox(**box), **described)  # type: ignore[arg-type]
