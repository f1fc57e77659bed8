"""Keep the pictures of tracks as files: the face, and the whole picture it was in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vidsearch.errors import DiskFull

KINDS = ("face", "frame")


class Crops:
    """JPEG files under one folder, two for each piece of a track."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, piece_id: str, pictures: dict[str, bytes]) -> None:
        """Keep the pictures of a piece by kind. Raises DiskFull."""
        for kind, content in pictures.items():
            if not content:
                continue
            path = self._path(piece_id, kind)
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(content)
                part.replace(path)
            except OSError as exc:
                part.unlink(missing_ok=True)
                raise DiskFull(f"{path.parent} cannot take a picture: {exc.strerror or exc}; free some space") from exc

    def read(self, piece_id: str, kind: str) -> bytes | None:
        """Return a picture, or None where none is kept."""
        if kind not in KINDS:
            return None
        try:
            return self._path(piece_id, kind).read_bytes()
        except OSError:
            return None

    def remove(self, piece_ids: Iterable[str]) -> None:
        """Delete the pictures of pieces."""
        for piece_id in piece_ids:
            for kind in KINDS:
                self._path(piece_id, kind).unlink(missing_ok=True)

    def _path(self, piece_id: str, kind: str) -> Path:
        return self._folder / piece_id[:2] / f"{piece_id}-{kind}.jpg"
