"""An engine for tests of the screens: what it finds in a photo is told by the photo's name, and it runs nothing."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from PIL import Image

from tests.fakes.scripted import ScriptedEngine
from vidsearch.engine import Capabilities
from vidsearch.errors import FaceTooSmall, NoFaceFound, SeveralFaces, UsageError
from vidsearch.model import BoundingBox, EnrolledFace, FaceDescription, Picture, ProbeMatch


def jpeg(colour: str = "teal", size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a picture."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


class StillEngine(ScriptedEngine):
    """``none``, ``two`` and ``small`` in a photo's name tell its faces; any other has one good face."""

    NAME = "local"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.capabilities = Capabilities(analysis=True, pictures=True)
        self.forgotten: list[str] = []

    def describe(self, picture: Picture) -> list[FaceDescription]:
        if "none" in picture.name:
            return []
        refusal = "too_small" if "small" in picture.name else None
        one = FaceDescription(BoundingBox(0.1, 0.2, 0.2, 0.3), 99.0, 64, 80.0, 1.0, refusal)
        two = FaceDescription(BoundingBox(0.6, 0.2, 0.2, 0.3), 98.0, 60, 80.0, 1.0)
        return [one, two] if "two" in picture.name else [one]

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        found = self.describe(picture)
        if not found:
            raise NoFaceFound
        if len(found) > 1 and face is None:
            raise SeveralFaces(f"{len(found)} faces were found; name the one to use")
        if face is not None and face >= len(found):
            raise UsageError(f"there is no face {face}")
        chosen = found[face or 0]
        if chosen.refusal and not allow_weak:
            raise FaceTooSmall
        name = hashlib.sha256(f"{picture.sha256}/{face or 0}".encode()).hexdigest()[:12]
        return EnrolledFace(name, self.NAME, self.version, chosen, weak=chosen.refusal is not None)

    def forget(self, gallery: str, face_ids: object) -> None:
        self.forgotten += list(face_ids)  # type: ignore[call-overload]

    def compare(self, gallery: str, face_id: str, others: object) -> list[ProbeMatch]:
        return [ProbeMatch(other, 60.0) for other in others]  # type: ignore[attr-defined]

    def match(self, gallery: str, footage_key: str, *, track_ids: object = None, ask: bool = True) -> object:
        return iter(())

    def picture(self, track_id: str, kind: str) -> bytes | None:
        return None if track_id == "lost" else jpeg("teal" if kind == "face" else "navy")

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        return jpeg("olive", (64, 64))

    def purge_footage(self, footage_key: str) -> None:
        self.forgotten.append(footage_key)
