"""Keep enrolled faces in ``engine.db``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.database import Database
from vidsearch.engines.local.match import Target
from vidsearch.model import FaceDescription


@dataclass(frozen=True, slots=True)
class StoredFace:
    """A face as it is to be kept."""

    face_id: str
    face: FaceDescription
    weak: bool
    vector: NDArray[np.float32]
    jpeg: bytes


class Galleries:
    """The enrolled faces of all galleries, for one version of the engine."""

    def __init__(self, database: Database, version: str) -> None:
        self._database = database
        self._version = version

    def add(self, gallery: str, stored: StoredFace) -> None:
        """Keep a face; the same face again replaces it, and stays sound if it was."""
        face, box = stored.face, stored.face.box
        described = {
            "box": [box.left, box.top, box.width, box.height],
            "confidence": face.confidence,
            "face_px": face.face_px,
            "sharpness": face.sharpness,
            "frontal": face.frontal,
            "refusal": face.refusal,
        }
        with self._database.changing() as db:
            db.execute(
                "INSERT OR REPLACE INTO faces (gallery, face_id, version, weak, described, vector, jpeg, created_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    gallery,
                    stored.face_id,
                    self._version,
                    stored.weak,
                    json.dumps(described),
                    stored.vector.astype("<f4").tobytes(),
                    stored.jpeg,
                    time.time_ns() // 1_000_000,
                ),
            )

    def ids(self, gallery: str, older_than_s: float = 0.0) -> list[str]:
        """Return the ids of a gallery's faces, of all versions, that were kept so long ago."""
        until = time.time_ns() // 1_000_000 - round(1000 * older_than_s)
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT face_id FROM faces WHERE gallery = ? AND created_ms <= ? ORDER BY face_id", (gallery, until)
            )
            return [row[0] for row in rows]

    def targets(self, gallery: str, face_ids: Sequence[str] | None = None) -> list[Target]:
        """Return the faces of a gallery, or those named that it has."""
        wanted = None if face_ids is None else set(face_ids)
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT face_id, vector, weak FROM faces WHERE gallery = ? AND version = ? ORDER BY face_id",
                (gallery, self._version),
            ).fetchall()
        return [
            Target(row["face_id"], np.frombuffer(row["vector"], "<f4"), bool(row["weak"]))
            for row in rows
            if wanted is None or row["face_id"] in wanted
        ]

    def jpeg(self, gallery: str, face_id: str) -> bytes | None:
        """Return the picture of a face."""
        with self._database.reading() as db:
            row = db.execute("SELECT jpeg FROM faces WHERE gallery = ? AND face_id = ?", (gallery, face_id)).fetchone()
        return None if row is None else bytes(row[0])

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces for good, of all versions."""
        with self._database.changing() as db:
            db.executemany(
                "DELETE FROM faces WHERE gallery = ? AND face_id = ?", [(gallery, face_id) for face_id in face_ids]
            )
        self._database.forget_log()
