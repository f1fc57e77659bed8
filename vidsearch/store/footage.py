"""Cameras and their recordings."""

from __future__ import annotations

import builtins
import json
from dataclasses import asdict

from vidsearch.errors import UnknownRecord
from vidsearch.model import Camera, Footage, MediaFacts, StartSource
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import now_ms


class FootageTable:
    """The cameras and recordings of all cases. ``store.footage``."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # -- cameras -------------------------------------------------------------------------------------------------

    def ensure_camera(self, case_id: str, name: str, zone: str) -> Camera:
        """Return the camera with this name, made with ``zone`` (IANA) where new. A known one keeps its own."""
        self._db.run(
            "INSERT INTO cameras (case_id, name, zone) VALUES (?, ?, ?) ON CONFLICT (case_id, name) DO NOTHING",
            (case_id, name, zone),
        )
        return self.camera_by_name(case_id, name)

    def camera(self, case_id: str, camera_id: int) -> Camera:
        """Return a camera. Raises UnknownRecord."""
        row = self._db.one("SELECT * FROM cameras WHERE id = ? AND case_id = ?", (camera_id, case_id))
        if row is None:
            raise UnknownRecord(f"there is no camera {camera_id} in case '{case_id}'")
        return _camera(row)

    def camera_by_name(self, case_id: str, name: str) -> Camera:
        """Return the camera with this name. Raises UnknownRecord with the names there are."""
        row = self._db.one("SELECT * FROM cameras WHERE case_id = ? AND name = ?", (case_id, name))
        if row is None:
            known = ", ".join(camera.name for camera in self.cameras(case_id)) or "none"
            raise UnknownRecord(f"no camera is called '{name}'; the cameras are: {known}")
        return _camera(row)

    def cameras(self, case_id: str) -> builtins.list[Camera]:
        """Return the cameras of a case by name."""
        rows = self._db.all("SELECT * FROM cameras WHERE case_id = ? ORDER BY name, id", (case_id,))
        return [_camera(row) for row in rows]

    def set_camera(self, camera_id: int, zone: str | None = None, clock_offset_ms: int | None = None) -> None:
        """Correct a camera's zone, or what is added to its clock; None leaves it. Appearances move with the clock."""
        self._db.run(
            "UPDATE cameras SET zone = coalesce(?, zone), clock_offset_ms = coalesce(?, clock_offset_ms) WHERE id = ?",
            (zone, clock_offset_ms, camera_id),
        )

    # -- recordings ----------------------------------------------------------------------------------------------

    def add(
        self,
        case_id: str,
        camera_id: int,
        *,
        path: str,
        size: int,
        mtime_ns: int,
        key: str,
        start_ms: int,
        start_source: StartSource,
        facts: MediaFacts,
        sha256: str | None = None,
    ) -> Footage:
        """Add a recording; its key must be new to the case."""
        footage_id = self._db.insert(
            "INSERT INTO footage (case_id, camera_id, path, size, mtime_ns, key, sha256, start_ms, start_source, "
            "duration_ms, facts, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                case_id,
                camera_id,
                path,
                size,
                mtime_ns,
                key,
                sha256,
                start_ms,
                start_source.value,
                facts.duration_ms,
                json.dumps(asdict(facts), ensure_ascii=False),
                now_ms(),
            ),
        )
        return self.get(case_id, footage_id)

    def get(self, case_id: str, footage_id: int) -> Footage:
        """Return a recording. Raises UnknownRecord."""
        row = self._db.one("SELECT * FROM footage WHERE id = ? AND case_id = ?", (footage_id, case_id))
        if row is None:
            raise UnknownRecord(f"there is no recording {footage_id} in case '{case_id}'")
        return _footage(row)

    def by_key(self, case_id: str, key: str) -> Footage | None:
        """Return the recording of a case with this fingerprint, or None."""
        row = self._db.one("SELECT * FROM footage WHERE case_id = ? AND key = ?", (case_id, key))
        return _footage(row) if row else None

    def with_key(self, key: str) -> builtins.list[Footage]:
        """Return the recordings of all cases with this fingerprint; an engine keeps one analysis for all of them."""
        return [_footage(row) for row in self._db.all("SELECT * FROM footage WHERE key = ? ORDER BY id", (key,))]

    def list(self, case_id: str, camera_id: int | None = None) -> builtins.list[Footage]:
        """Return the recordings of a case, or of one of its cameras, by camera and start."""
        rows = self._db.all(
            "SELECT * FROM footage WHERE case_id = :case_id AND (:camera_id IS NULL OR camera_id = :camera_id) "
            "ORDER BY camera_id, start_ms, id",
            {"case_id": case_id, "camera_id": camera_id},
        )
        return [_footage(row) for row in rows]

    def without_sha256(self) -> builtins.list[Footage]:
        """Return the recordings of all cases whose SHA-256 is not known yet, oldest first."""
        return [_footage(row) for row in self._db.all("SELECT * FROM footage WHERE sha256 IS NULL ORDER BY id")]

    def set_sha256(self, footage_id: int, sha256: str) -> None:
        """Keep the SHA-256 of a recording's whole file."""
        self._db.run("UPDATE footage SET sha256 = ? WHERE id = ?", (sha256, footage_id))

    def set_source(self, footage_id: int, path: str, size: int, mtime_ns: int) -> None:
        """Say where a recording's file is now."""
        self._db.run(
            "UPDATE footage SET path = ?, size = ?, mtime_ns = ? WHERE id = ?", (path, size, mtime_ns, footage_id)
        )

    def set_start(self, footage_id: int, start_ms: int, source: StartSource) -> None:
        """Correct when a recording's zero was. Its appearances move with it."""
        self._db.run(
            "UPDATE footage SET start_ms = ?, start_source = ? WHERE id = ?", (start_ms, source.value, footage_id)
        )

    def set_missing(self, footage_id: int, missing: bool) -> None:
        """Say whether a recording's file could not be found when it was last looked for."""
        self._db.run("UPDATE footage SET missing = ? WHERE id = ?", (int(missing), footage_id))

    def remove(self, footage_id: int) -> None:
        """Remove a recording with its jobs, tracks, spans, matches, appearances and verdicts."""
        self._db.run("DELETE FROM footage WHERE id = ?", (footage_id,))


def _camera(row: Row) -> Camera:
    return Camera(row["id"], row["case_id"], row["name"], row["zone"], row["clock_offset_ms"])


def _footage(row: Row) -> Footage:
    return Footage(
        id=row["id"],
        case_id=row["case_id"],
        camera_id=row["camera_id"],
        path=row["path"],
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        key=row["key"],
        sha256=row["sha256"],
        start_ms=row["start_ms"],
        start_source=StartSource(row["start_source"]),
        facts=MediaFacts(**json.loads(row["facts"])),
        created_ms=row["created_ms"],
        missing=bool(row["missing"]),
    )
