"""Tell one person from the next who stands in the same place: after a cut between like scenes, or when paths cross."""

from __future__ import annotations

from vidsearch.engines.local.detect import Found
from vidsearch.engines.local.faces import Faces
from vidsearch.engines.local.track import LiveTrack


class SamePerson:
    """Accepts everything."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    def same(self, track: LiveTrack, face: Found) -> bool:
        """Return whether a face may be the person of a track."""
        return True
