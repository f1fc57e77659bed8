"""Faces seen in footage, in a collection of their own: a new face is looked for among them with one question."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from vidsearch.engines.rekognition.calls import Answer, Calls
from vidsearch.engines.rekognition.collections import collection_name
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.errors import AwsNotFound

AT_ONCE = 8
"""Faces on their way to Amazon at once: a call takes some 200 ms, and its quota allows 5 to 50 a second."""

PENDING = "?"
"""Stands for Amazon's id of a face that is being indexed: a crash may leave it there unknown to us."""

_HELD = f"aws_id NOT IN ('', '{PENDING}')"

_TRACK = re.compile(r"t-([0-9a-f]{8,64})")


@dataclass(frozen=True, slots=True)
class SeenFace:
    """The best picture of a track."""

    track_id: str
    footage: str
    jpeg: Callable[[], bytes | None]
    """Returns the picture, as Amazon takes it, or None where there is none that Amazon could see a face in."""


class Seen:
    """The *seen* collection of each gallery. Safe for several threads and processes.

    What was indexed is never indexed again, and what was asked is asked again only when more was seen: each costs.
    """

    def __init__(self, database: Database, calls: Calls, prefix: str) -> None:
        self._database = database
        self._calls = calls
        self._prefix = prefix
        self._making = threading.Lock()

    # -- which recordings ----------------------------------------------------------------------------------------

    def want(self, gallery: str, footage: str) -> None:
        """Note that the faces of a recording belong into a gallery's collection, and that more may be found in it."""
        with self._database.changing() as db:
            db.execute(
                "INSERT INTO seen_footage (gallery, footage) VALUES (?, ?) ON CONFLICT DO UPDATE SET sent = 0",
                (gallery, footage),
            )

    def unsent(self, gallery: str) -> list[str]:
        """Return the recordings whose faces belong into a gallery's collection and may not all be there."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT footage FROM seen_footage WHERE gallery = ? AND NOT sent ORDER BY footage", (gallery,)
            )
            return [row[0] for row in rows]

    def set_sent(self, gallery: str, footage: str) -> None:
        """Say that all that was found in a recording is in a gallery's collection."""
        with self._database.changing() as db:
            db.execute("UPDATE seen_footage SET sent = 1 WHERE gallery = ? AND footage = ?", (gallery, footage))

    def known(self, gallery: str, footage: str) -> set[str]:
        """Return the tracks of a recording that were indexed, or that Amazon saw no face in."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT track FROM seen WHERE gallery = ? AND footage = ? AND aws_id <> ?", (gallery, footage, PENDING)
            )
            return {row[0] for row in rows}

    # -- indexing ------------------------------------------------------------------------------------------------

    def index(self, gallery: str, faces: Sequence[SeenFace]) -> None:
        """Index faces that are not known yet, several at once. What was done before an error is kept."""
        if not faces:
            return
        collection = self._collection(gallery)
        with self._database.changing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO seen (gallery, track, footage, aws_id, at_ms) VALUES (?, ?, ?, ?, ?)",
                [(gallery, face.track_id, face.footage, PENDING, now_ms()) for face in faces],
            )
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="seen") as pool:
            for _ in pool.map(lambda face: self._index_one(gallery, collection, face), faces):
                pass

    def _index_one(self, gallery: str, collection: str, face: SeenFace) -> None:
        jpeg, aws_id = face.jpeg(), ""
        if jpeg is not None:
            answer = self._calls.index_face(collection, jpeg, f"t-{face.track_id}", gate=False)
            records = answer.get("FaceRecords") or []
            aws_id = str(records[0]["Face"]["FaceId"]) if records else ""
        with self._database.changing() as db:
            # Under a new number: more is seen now.
            wanted = db.execute("DELETE FROM seen WHERE gallery = ? AND track = ?", (gallery, face.track_id)).rowcount
            if wanted:
                db.execute(
                    "INSERT INTO seen (gallery, track, footage, aws_id, at_ms) VALUES (?, ?, ?, ?, ?)",
                    (gallery, face.track_id, face.footage, aws_id, now_ms()),
                )
        if aws_id and not wanted:  # the recording was forgotten meanwhile, or a newer model taken
            with suppress(AwsNotFound):
                self._calls.delete_faces(collection, [aws_id])

    # -- asking --------------------------------------------------------------------------------------------------

    def of_face(
        self, gallery: str, face_id: str, jpeg: bytes, threshold: float, *, ask: bool = True
    ) -> list[tuple[str, str, float]]:
        """Return (track, footage, similarity) of everything seen that resembles an enrolled face.

        The answer is kept until more was seen; without ``ask`` the one kept is all that is told. Of more sightings than
        one question returns (4,096) the least similar are left out.
        """
        newest = self._newest(gallery)
        if not newest:
            return []
        with self._database.reading() as db:
            row = db.execute(
                "SELECT newest, answer FROM asked WHERE gallery = ? AND face_id = ?", (gallery, face_id)
            ).fetchone()
        if row is not None and (row["newest"] == newest or not ask):
            found = json.loads(row["answer"])
        elif not ask:
            return []
        else:
            found = self._ask(gallery, jpeg, threshold)
            with self._database.changing() as db:
                db.execute(
                    "INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?)", (gallery, face_id, newest, json.dumps(found))
                )
        return self._placed(gallery, found)

    def of_probe(self, gallery: str, jpeg: bytes, threshold: float) -> list[tuple[str, str, float]]:
        """Return the same for a face that is not enrolled; nothing is kept of it."""
        return self._placed(gallery, self._ask(gallery, jpeg, threshold)) if self._newest(gallery) else []

    def questions(self, gallery: str, face_ids: Iterable[str], *, more: bool) -> int:
        """Return how many faces would have to be asked about; ``more``: when something is seen meanwhile."""
        newest = self._newest(gallery)
        with self._database.reading() as db:
            rows = db.execute("SELECT face_id FROM asked WHERE gallery = ? AND newest = ?", (gallery, newest))
            current = set() if more else {row[0] for row in rows}
        return sum(face not in current for face in face_ids) if newest or more else 0

    def galleries(self) -> list[str]:
        """Return the galleries that something was seen for."""
        with self._database.reading() as db:
            return [row[0] for row in db.execute("SELECT DISTINCT gallery FROM seen ORDER BY gallery")]

    def count(self, gallery: str) -> int:
        """Return how many faces a gallery's collection holds."""
        with self._database.reading() as db:
            row = db.execute(f"SELECT count(*) FROM seen WHERE gallery = ? AND {_HELD}", (gallery,)).fetchone()
        return int(row[0])

    # -- forgetting ----------------------------------------------------------------------------------------------

    def forget_faces(self, gallery: str, face_ids: Iterable[str]) -> None:
        """Remove what was answered about enrolled faces."""
        with self._database.changing() as db:
            db.executemany("DELETE FROM asked WHERE gallery = ? AND face_id = ?", [(gallery, one) for one in face_ids])

    def purge(self, footage: str) -> None:
        """Delete all faces of a recording at Amazon, then what we know of them."""
        self.drop_outdated()
        with self._database.reading() as db:
            rows = db.execute("SELECT gallery, track, aws_id FROM seen WHERE footage = ? AND aws_id <> ''", (footage,))
            held: dict[str, dict[str, str]] = {}
            for row in rows:
                held.setdefault(row["gallery"], {})[row["track"]] = row["aws_id"]
        for gallery, tracks in held.items():
            try:
                self._calls.delete_faces(self._name(gallery), self._at_amazon(gallery, tracks))
            except AwsNotFound:
                continue  # the collection is gone, and the faces with it
        with self._database.changing() as db:
            db.execute("DELETE FROM seen WHERE footage = ?", (footage,))
            db.execute("DELETE FROM seen_footage WHERE footage = ?", (footage,))
        self._database.forget_log()

    @staticmethod
    def forget_all(db: sqlite3.Connection) -> None:
        """Note, in somebody's transaction, that nothing was seen of the newer face model's: all is to be sent again."""
        db.execute("DELETE FROM seen")
        db.execute("DELETE FROM asked")
        db.execute("UPDATE seen_footage SET sent = 0")

    def drop_outdated(self) -> None:
        """Delete the collections of older face models at Amazon. Safe to repeat, also after a crash."""
        with self._database.reading() as db:
            facts = db.execute("SELECT name, value FROM facts WHERE name LIKE 'seen/%'").fetchall()
        for row in facts:
            if row["value"] != self._name(row["name"].removeprefix("seen/")):
                self._calls.delete_collection(row["value"])
                with self._database.changing() as db:
                    db.execute("DELETE FROM facts WHERE name = ? AND value = ?", (row["name"], row["value"]))

    def restore(self, gallery: str) -> None:
        """Note that a gallery's collection is empty, where it was deleted behind our back; it is made again."""
        if not self._database.fact(f"seen/{gallery}") or self._calls.create_collection(self._name(gallery)) is None:
            return
        with self._database.changing() as db:
            db.execute("DELETE FROM seen WHERE gallery = ?", (gallery,))
            db.execute("DELETE FROM asked WHERE gallery = ?", (gallery,))
            db.execute("UPDATE seen_footage SET sent = 0 WHERE gallery = ?", (gallery,))

    # -- inside --------------------------------------------------------------------------------------------------

    def _at_amazon(self, gallery: str, tracks: Mapping[str, str]) -> list[str]:
        """Return Amazon's ids of tracks; ``tracks`` maps each to the id as far as it is known.

        Two processes that sent the same track at once, or one that died, left ids that are not known here: Amazon lists
        them by the track's name.
        """
        known = {aws_id for aws_id in tracks.values() if aws_id != PENDING}
        names = {f"t-{track}" for track in tracks}
        listed = self._calls.list_faces(self._name(gallery))
        return sorted(known | {str(face["FaceId"]) for face in listed if face.get("ExternalImageId") in names})

    def _ask(self, gallery: str, jpeg: bytes, threshold: float) -> list[tuple[str, float]]:
        answer = self._calls.search_by_image(self._name(gallery), jpeg, threshold)
        return [pair for pair in map(_sighting, answer) if pair is not None]

    def _placed(self, gallery: str, found: Sequence[Sequence[object]]) -> list[tuple[str, str, float]]:
        """Return sightings with their recordings; those forgotten meanwhile are left out."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT track, footage FROM seen WHERE gallery = ? AND track IN (SELECT value FROM json_each(?))",
                (gallery, json.dumps([track for track, _ in found])),
            )
            footage = {row["track"]: row["footage"] for row in rows}
        return [(str(t), footage[str(t)], float(str(score))) for t, score in found if str(t) in footage]

    def _newest(self, gallery: str) -> int:
        """Return a number that grows whenever something more was seen, 0 where nothing was."""
        with self._database.reading() as db:
            row = db.execute(
                f"SELECT coalesce(max(number), 0) FROM seen WHERE gallery = ? AND {_HELD}", (gallery,)
            ).fetchone()
        return int(row[0])

    def _collection(self, gallery: str) -> str:
        """Return a gallery's collection, made on first use."""
        name, fact = self._name(gallery), f"seen/{gallery}"
        with self._making:
            if self._database.fact(fact) != name:
                self.drop_outdated()
                self._calls.create_collection(name)
                self._database.set_fact(fact, name)
        return name

    def _name(self, gallery: str) -> str:
        # Hashed together, so that no gallery's own collection can have the same name.
        unique = hashlib.sha256(f"{self._database.folder}/seen".encode()).hexdigest()[:8]
        # Where a newer face model was gone over to, its number is every gallery's.
        generation = int(self._database.fact("generation") or 1)
        return collection_name(f"{self._prefix}-seen", unique, gallery, generation)


def _sighting(match: Answer) -> tuple[str, float] | None:
    """Return (track, similarity) of a FaceMatch, or None for a face that we did not index."""
    track = _TRACK.fullmatch(str((match.get("Face") or {}).get("ExternalImageId") or ""))
    return (track[1], round(float(match.get("Similarity") or 0.0), 2)) if track else None
