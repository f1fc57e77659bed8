"""Find the faces of a photo and judge whether they can be enrolled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import shrunk
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

_LOOKS = ((0.25, 640), (0.5, 640), (0.0, 384))
"""How a photo is looked at, until a face is found: the part of its longer side by which its edge is repeated outwards,
and the side of tiles, pixels. A face that fills its picture is found only with something around it; tiles of 640 px
find faces from 40 px in photos of crowds, those of 384 px smaller ones."""

_FILLS = 0.25
"""A face that takes this part of a photo's longer side is whom it shows: small faces behind it are not looked for, only
those that the look at the whole finds too, from a third of its size."""

_OVERLAP = 0.3
"""Part of a tile that its neighbour sees too."""

LEAST_PX = 40
"""Least width of a face to enrol, pixels; without noise, in our measurements, it is as good as a larger one."""

WEAK_PX = 20
"""Least width of a face that can be enrolled as weak."""

LEAST_SHARPNESS = 2.5
"""Least sharpness of a face to enrol. Measured by blurring 75 photos: with a blur of 0.02 face widths (sharpness 3.4 in
the median) half of the true pairs are still within distance 0.49, with 0.03 (1.6) within 0.55 only."""

_DOUBTFUL_FROM = 0.6
"""Detector score from which something that the second opinion denies, for it is blurred, is still told of as a face."""

_FACE_PICTURE = 320
"""Most width of the picture kept of an enrolled face, pixels."""

_SURROUNDINGS = 1.8
"""Side of that picture, in widths of the face, where the photo has as much."""


@dataclass(frozen=True, slots=True)
class FacePoints:
    """Where parts of a face are: (x, y) in ratios of the upright picture. The person's right eye is on its left."""

    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    nose: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PhotoFace:
    """A face of a photo, and what is needed to describe it."""

    described: FaceDescription
    pixels: Pixels
    """The photo, perhaps scaled down and padded."""
    box: Box
    """In ``pixels``."""
    sure: bool = True
    """The second opinion confirms it. Where it does not, the face is told of and never used."""
    points: FacePoints | None = None


def faces_of(picture: Picture, faces: Faces) -> list[PhotoFace]:
    """Return the faces of a photo, left to right: what the detector finds and the second opinion confirms."""
    pixels, scale = shrunk(picture.pixels, _LONGER_SIDE)
    doubtful: list[PhotoFace] = []
    for padding, tile in _LOOKS:
        padded, border = _padded(pixels, padding)
        found = [_judged(picture, padded, border, scale, face, faces) for face in _look(padded, border, tile, faces)]
        sure = [face for face in found if face.sure]
        if sure:
            return _left_to_right(sure)
        doubtful = doubtful or [face for face in found if _is_blurred(face)]
    return _left_to_right(doubtful)


def _left_to_right(found: list[PhotoFace]) -> list[PhotoFace]:
    return sorted(found, key=lambda face: (face.described.box.left, face.described.box.top))


def _is_blurred(face: PhotoFace) -> bool:
    described = face.described
    return described.confidence >= 100 * _DOUBTFUL_FROM and described.sharpness < LEAST_SHARPNESS


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


def probe_face(found: list[PhotoFace], face: int | None) -> PhotoFace:
    """Return the one face meant of a probe, whatever its quality. Raises as ``choose``."""
    return choose([one for one in found if one.sure], face)


def readable(found: PhotoFace) -> bool:
    """Return whether a face can be enrolled at least as weak."""
    return found.sure and found.described.face_px >= WEAK_PX


def gate(found: PhotoFace) -> PhotoRefused | None:
    """Return why a face is not good enough to be enrolled, or None."""
    face = found.described
    or_weak = ", or enrol it as weak" if readable(found) else ""
    if face.face_px < LEAST_PX:
        return FaceTooSmall(
            f"the face is {face.face_px} px wide; at least {LEAST_PX} are needed: use a larger picture{or_weak}"
        )
    if face.sharpness < LEAST_SHARPNESS or not found.sure:
        return FaceTooBlurred(
            f"the face is too blurred (sharpness {face.sharpness:.1f}; at least {LEAST_SHARPNESS:.1f} is needed): "
            f"use a sharper picture{or_weak}"
        )
    return None


def face_id(picture: Picture, found: PhotoFace, version: str) -> str:
    """Return the id of a face: the same for the same photo, face and engine version."""
    box = found.described.box
    place = "/".join(f"{value:.3f}" for value in (box.left, box.top, box.width, box.height))
    return hashlib.sha256(f"{picture.sha256}/{version}/{place}".encode()).hexdigest()[:24]


def vector_of(found: PhotoFace, faces: Faces) -> Vector:
    """Return what describes a face."""
    return faces.embedder.describe_photo(found.pixels, found.box)


def face_jpeg(picture: Picture, box: BoundingBox) -> bytes:
    """Return a square picture of a face with as much of its surroundings as the photo has."""
    x0, y0, x1, y1 = box.to_pixels(picture.width, picture.height)
    side = min(round(_SURROUNDINGS * max(x1 - x0, y1 - y0)), picture.width, picture.height)
    left = min(max(0, (x0 + x1 - side) // 2), picture.width - side)
    top = min(max(0, (y0 + y1 - side) // 2), picture.height - side)
    piece, _ = shrunk(picture.pixels[top : top + side, left : left + side], _FACE_PICTURE)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(piece, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return data.tobytes() if done else b""


def _padded(pixels: Pixels, part: float) -> tuple[Pixels, int]:
    border = round(max(pixels.shape[:2]) * part)
    padded = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8), border


def _look(padded: Pixels, border: int, tile: int, faces: Faces) -> list[Found]:
    """Return the faces of a padded photo: looked at as a whole and, where it is large, in tiles."""
    height, width = padded.shape[:2]
    found = faces.detector.find(padded)
    inner_w, inner_h = width - 2 * border, height - 2 * border
    fills = any(face.width >= _FILLS * max(inner_w, inner_h) and face.score >= _DOUBTFUL_FROM for face in found)
    if max(inner_w, inner_h) > tile and not fills:
        windows = [
            (x0 + border, y0 + border, x1 + border, y1 + border)
            for x0, y0, x1, y1 in tiles(inner_w, inner_h, tile, round(tile * _OVERLAP))
        ]
        found = [*found, *find_in(faces.detector, padded, windows)]
    inside = (border, border, width - border, height - border)
    return [face for face in distinct(found) if _mostly_inside(face.box, inside)]


def _mostly_inside(box: Box, inside: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return inside[0] <= x <= inside[2] and inside[1] <= y <= inside[3]


def _judged(picture: Picture, padded: Pixels, border: int, scale: float, face: Found, faces: Faces) -> PhotoFace:
    """Return what is known of a face found in a padded photo."""
    corners = [(value - border) / scale for value in face.box]
    described = FaceDescription(
        box=BoundingBox.from_pixels(corners[0], corners[1], corners[2], corners[3], picture.width, picture.height),
        confidence=round(100 * face.score, 1),
        face_px=round(face.width / scale),
        sharpness=round(sharpness(padded, face.box), 2),
        frontal=round(frontal(face.points), 3),
    )
    sure = faces.verifier.score(padded, face.box) >= SURE
    judged = PhotoFace(described, padded, face.box, sure, _points(picture, border, scale, face))
    refused = gate(judged)
    return judged if refused is None else replace(judged, described=replace(described, refusal=refused.code))


def _points(picture: Picture, border: int, scale: float, face: Found) -> FacePoints | None:
    if face.points is None:
        return None
    size = np.array([picture.width, picture.height])
    right, left, nose = ((face.points[:3] - border) / scale / size).round(5).tolist()
    return FacePoints(tuple(right), tuple(left), tuple(nose))
