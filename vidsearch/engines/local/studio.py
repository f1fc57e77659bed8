"""The models for photos, shared by the threads of a process."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local import photos
from vidsearch.engines.local.faces import DETECT_IN_PHOTOS_FROM, Faces
from vidsearch.engines.local.photos import PhotoFace
from vidsearch.model import Picture


class Studio:
    """Looks at photos, one at a time, and remembers the last: it is asked about several times in a row."""

    def __init__(self, models: Path, detector: str, embedder: str) -> None:
        """Load the models. Raises ModelMissing, EngineError."""
        self._faces = Faces(models, DETECT_IN_PHOTOS_FROM, detector, embedder)
        self._lock = threading.Lock()
        self._last: tuple[str, list[PhotoFace]] = ("", [])

    def faces_of(self, picture: Picture) -> list[PhotoFace]:
        """Return the faces of a photo, left to right."""
        with self._lock:
            if not picture.sha256 or self._last[0] != picture.sha256:
                self._last = picture.sha256, photos.faces_of(picture, self._faces)
            return self._last[1]

    def choose(self, picture: Picture, face: int | None) -> PhotoFace:
        """Return the face meant. Raises NoFaceFound, SeveralFaces, UsageError."""
        return photos.choose(self.faces_of(picture), face)

    def probe_face(self, picture: Picture, face: int | None) -> PhotoFace:
        """Return the face meant of a probe. Raises NoFaceFound, SeveralFaces, UsageError."""
        return photos.probe_face(self.faces_of(picture), face)

    def vector_of(self, face: PhotoFace) -> NDArray[np.float32]:
        """Return what describes a face."""
        with self._lock:
            return photos.vector_of(face, self._faces)
