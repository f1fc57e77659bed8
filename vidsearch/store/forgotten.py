"""What was forgotten here and must still be forgotten by engines, so that a crash between the two leaves nothing."""

from __future__ import annotations

from vidsearch.store.connection import Connection


class Forgotten:
    """Faces and recordings on their way out. Triggers add them when they are deleted or strike them off."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def faces(self, engine: str) -> list[tuple[str, str]]:
        """Return (case, face id) of faces that an engine must still forget."""
        rows = self._db.all("SELECT case_id, face_id FROM forgotten_faces WHERE engine = ?", (engine,))
        return [(row["case_id"], row["face_id"]) for row in rows]

    def engines(self) -> list[str]:
        """Return the names of the engines that must still forget a face."""
        return [row["engine"] for row in self._db.all("SELECT DISTINCT engine FROM forgotten_faces ORDER BY engine")]

    def strike_face(self, engine: str, case_id: str, face_id: str) -> None:
        """Say that an engine has forgotten a face."""
        self._db.run(
            "DELETE FROM forgotten_faces WHERE engine = ? AND case_id = ? AND face_id = ?", (engine, case_id, face_id)
        )

    def footage(self) -> list[str]:
        """Return the keys of recordings that no case has any more and engines must still forget."""
        return [row["key"] for row in self._db.all("SELECT key FROM forgotten_footage")]

    def strike_footage(self, key: str) -> None:
        """Say that the engines have forgotten a recording."""
        self._db.run("DELETE FROM forgotten_footage WHERE key = ?", (key,))
