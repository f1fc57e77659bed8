"""Find the faces of a photo and judge whether they can be enrolled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import cut_around
from vidsearch.engines.local.boxes import Box
from vidsearch.engines.local.detect import Found, distinct, find_in
from vidsearch.engines.local.faces import Faces
from vidsearch.engines.local.quality import frontal, sharpness
from vidsearch.engines.local.verify import SURE
from vidsearch.engines.local.windows import tiles
from vidsearch.errors import FaceTooBlurred, FaceTooSmall, NoFaceFound, PhotoRefused, SeveralFaces, UsageError
from vidsearch.model import BoundingBox, FaceDescription, Picture

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float32]

_LONGER_SIDE = 1600
"""Larger photos are scaled down to this first; their faces stay far larger than the embedder can use."""

_PADDINGS = (0.25, 0.5)
"""Parts of the longer side by which a photo's edge is repeated outwards before faces are looked for. A face that fills
its picture is found only with something around it."""

_PHOTO_TILE, _PHOTO_OVERLAP = 640, 200
"""Photos of crowds are looked at in tiles too: faces from 40 px."""

LEAST_PX = 40
"""Least width of a face to enrol, pixels. Without noise such a face is as good as a larger one (docs/engine.md §5)."""

WEAK_PX = 20
"""Least width of a face that can be enrolled as weak."""

LEAST_SHARPNESS = 3.0
"""Least sharpness of a face to enrol."""

_FACE_PICTURE = 320
"""Width of the picture kept of an enrolled face, pixels."""


@dataclass(frozen=True, slots=True)
class PhotoFace:
    """A face of a photo, and what is needed to describe it."""

    described: FaceDescription
    pixels: Pixels
    """The photo, perhaps scaled down and padded."""
    box: Box
    """In ``pixels``."""


def faces_of(picture: Picture, faces: Faces) -> list[PhotoFace]:
    """Return the faces of a photo, left to right: what the detector finds and the second opinion confirms."""
    scale = min(1.0, _LONGER_SIDE / max(picture.width, picture.height))
    pixels = picture.pixels
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    found: list[PhotoFace] = []
    for padding in _PADDINGS:
        padded, border = _padded(pixels, padding)
        sure = [face for face in _look(padded, border, faces) if faces.verifier.score(padded, face.box) >= SURE]
        found = [PhotoFace(_described(picture, padded, border, scale, face), padded, face.box) for face in sure]
        if found:
            break
    return sorted(found, key=lambda face: (face.described.box.left, face.described.box.top))


def choose(found: list[PhotoFace], face: int | None) -> PhotoFace:
    """Return the one face meant. Raises NoFaceFound, SeveralFaces, UsageError."""
    if not found:
        raise NoFaceFound
    if face is None:
        if len(found) > 1:
            raise SeveralFaces(
                f"{len(found)} faces were found; say which one to use, 1 to {len(found)} from left to right"
            )
        return found[0]
    if not 0 <= face < len(found):
        raise UsageError(f"the picture has {len(found)} face(s); there is no face {face + 1}")
    return found[face]


def gate(found: PhotoFace) -> PhotoRefused | None:
    """Return why a face is not good enough to be enrolled, or None."""
    face = found.described
    if face.face_px < LEAST_PX:
        return FaceTooSmall(
            f"the face is {face.face_px} px wide; at least {LEAST_PX} are needed: "
            "use a larger picture, or enrol it as weak"
        )
    if face.sharpness < LEAST_SHARPNESS:
        return FaceTooBlurred(
            f"the face is too blurred (sharpness {face.sharpness:.1f}; at least {LEAST_SHARPNESS:.0f} is needed): "
            "use a sharper picture, or enrol it as weak"
        )
    return None


def face_id(picture: Picture, found: PhotoFace, version: str) -> str:
    """Return the id of a face: the same for the same photo, face and engine version."""
    box = found.described.box
    place = "/".join(f"{value:.3f}" for value in (box.left, box.top, box.width, box.height))
    return hashlib.sha256(f"{picture.sha256}/{version}/{place}".encode()).hexdigest()[:24]


def vector_of(found: PhotoFace, faces: Faces) -> Vector:
    """Return what describes a face."""
    return np.asarray(faces.embedder.describe([faces.embedder.chip(found.pixels, found.box)])[0], np.float32)


def face_jpeg(found: PhotoFace) -> bytes:
    """Return a picture of a face with its surroundings."""
    width = min(_FACE_PICTURE / 1.8, found.box[2] - found.box[0])
    piece, _ = cut_around(found.pixels, found.box, max(24.0, width), 1.8)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(piece, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return data.tobytes() if done else b""


def _padded(pixels: Pixels, part: float) -> tuple[Pixels, int]:
    border = round(max(pixels.shape[:2]) * part)
    padded = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8), border


def _look(padded: Pixels, border: int, faces: Faces) -> list[Found]:
    """Return the faces of a padded photo: looked at as a whole and, where it is large, in tiles."""
    height, width = padded.shape[:2]
    found = faces.detector.find(padded)
    inner_w, inner_h = width - 2 * border, height - 2 * border
    if max(inner_w, inner_h) > _PHOTO_TILE:
        windows = [
            (x0 + border, y0 + border, x1 + border, y1 + border)
            for x0, y0, x1, y1 in tiles(inner_w, inner_h, _PHOTO_TILE, _PHOTO_OVERLAP)
        ]
        found = [*found, *find_in(faces.detector, padded, windows)]
    inside = (border, border, width - border, height - border)
    return [face for face in distinct(found) if _mostly_inside(face.box, inside)]


def _mostly_inside(box: Box, inside: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return inside[0] <= x <= inside[2] and inside[1] <= y <= inside[3]


def _described(picture: Picture, padded: Pixels, border: int, scale: float, face: Found) -> FaceDescription:
    corners = [(value - border) / scale for value in face.box]
    described = FaceDescription(
        box=BoundingBox.from_pixels(corners[0], corners[1], corners[2], corners[3], picture.width, picture.height),
        confidence=round(100 * face.score, 1),
        face_px=round(face.width / scale),
        sharpness=round(sharpness(padded, face.box), 2),
        frontal=round(frontal(face.points), 3),
    )
    refused = gate(PhotoFace(described, padded, face.box))
    if refused is None:
        return described
    return FaceDescription(
        described.box, described.confidence, described.face_px, described.sharpness, described.frontal, refused.code
    )
