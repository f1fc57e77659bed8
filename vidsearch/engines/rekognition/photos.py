"""Choose a face of a photo and make the picture of it that Amazon is sent: upright, small, without surroundings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.rekognition.translate import box_of
from vidsearch.errors import (
    FaceTooBlurred,
    FaceTooSmall,
    NoFaceFound,
    PhotoRefused,
    SeveralFaces,
    UsageError,
)
from vidsearch.model import BoundingBox, FaceDescription, Picture

Pixels = NDArray[np.uint8]

MAX_BYTES = 5_000_000
"""Bytes of a picture that a call may carry (5 MB); larger ones would have to lie in S3."""

MAX_SIDE = 3000
"""Longest side of a photo in which faces are looked for, pixels."""

LEAST_SIDE = 80
"""Amazon takes no picture with a shorter side than this, pixels; smaller ones get a border."""

LEAST_PX = 40
"""Least width of a face that Amazon finds, pixels, in pictures of up to 1920×1080."""

LEAST_CONFIDENCE = 50.0
"""What Amazon takes for a face with less than this is none to us."""

CROP_SIDE = 720
"""Longest side of the picture of one face that is indexed and kept, pixels: its face is some 240 wide."""

SURROUNDINGS = 1.0
"""How much around a face goes along, in widths of the face, on each side."""

_WORDS = {
    "EXTREME_POSE": "turned too far away",
    "LOW_BRIGHTNESS": "too dark",
    "LOW_SHARPNESS": "too blurred",
    "LOW_CONFIDENCE": "not clearly a face",
    "LOW_FACE_QUALITY": "too poor",
}
"""Amazon's reasons not to index a face, as ends of a sentence."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture made for Amazon, and which part of the photo it shows."""

    jpeg: bytes
    left: float
    top: float
    width: float
    height: float
    """Pixels of the photo; a border makes the part reach beyond it."""

    def to_photo(self, box: BoundingBox, photo: Picture) -> BoundingBox:
        """Return a box of this picture as one of the photo, clamped to it."""
        x0, y0 = self.left + box.left * self.width, self.top + box.top * self.height
        x1, y1 = x0 + box.width * self.width, y0 + box.height * self.height
        return BoundingBox.from_pixels(x0, y0, x1, y1, photo.width, photo.height)


def whole(picture: Picture) -> Sent:
    """Return a photo as Amazon takes it: upright JPEG of at most 5 MB, without the file's own data.

    Pixels only: where and with what a photo was taken is nobody's business, and every kind of file becomes one.
    """
    pixels, border = _bordered(picture.pixels)
    jpeg = _jpeg(pixels, MAX_SIDE)
    side = MAX_SIDE
    while len(jpeg) > MAX_BYTES:
        side = side * 3 // 4
        jpeg = _jpeg(pixels, side)
    height, width = pixels.shape[:2]
    return Sent(jpeg, -border[0], -border[1], width, height)


def crop(picture: Picture, faces: Sequence[FaceDescription], chosen: int) -> Sent:
    """Return a picture of one face of a photo; what else is a face in it is painted over."""
    mine = faces[chosen].box.to_pixels(picture.width, picture.height)
    margin = round(SURROUNDINGS * max(mine[2] - mine[0], mine[3] - mine[1]))
    x0, y0 = max(0, mine[0] - margin), max(0, mine[1] - margin)
    x1, y1 = min(picture.width, mine[2] + margin), min(picture.height, mine[3] + margin)
    piece = picture.pixels[y0:y1, x0:x1].copy()
    own = picture.pixels[mine[1] : mine[3], mine[0] : mine[2]].copy()
    for other in (face for index, face in enumerate(faces) if index != chosen):
        a, b, c, d = other.box.to_pixels(picture.width, picture.height)
        piece[max(0, b - y0) : max(0, d - y0), max(0, a - x0) : max(0, c - x0)] = 128
    piece[mine[1] - y0 : mine[3] - y0, mine[0] - x0 : mine[2] - x0] = own
    pixels, border = _bordered(piece)
    height, width = pixels.shape[:2]
    return Sent(_jpeg(pixels, CROP_SIDE), x0 - border[0], y0 - border[1], width, height)


def described(details: Sequence[Mapping[str, Any]], sent: Sent, picture: Picture) -> list[FaceDescription]:
    """Return the faces that DetectFaces found, left to right."""
    faces = []
    for detail in details:
        box = box_of(detail.get("BoundingBox"))
        confidence = float(detail.get("Confidence") or 0.0)
        if box is None or confidence < LEAST_CONFIDENCE:
            continue
        place = sent.to_photo(box, picture)
        face_px = round(place.width * picture.width)
        if face_px:
            quality, pose = detail.get("Quality") or {}, detail.get("Pose") or {}
            face = FaceDescription(
                box=place,
                confidence=round(confidence, 1),
                face_px=face_px,
                sharpness=round(min(100.0, max(0.0, float(quality.get("Sharpness") or 0.0))), 2),
                frontal=round(_frontal(pose), 3),
            )
            faces.append(replace(face, refusal=FaceTooSmall.code) if face_px < LEAST_PX else face)
    return sorted(faces, key=lambda face: (face.box.left, face.box.top))


def choose(faces: Sequence[FaceDescription], face: int | None) -> int:
    """Return the index of the one face meant. Raises NoFaceFound, SeveralFaces, UsageError."""
    if not faces:
        raise NoFaceFound
    if face is None:
        if len(faces) > 1:
            raise SeveralFaces(
                f"{len(faces)} faces were found; say which one to use, 1 to {len(faces)} from left to right"
            )
        return 0
    if not 0 <= face < len(faces):
        raise UsageError(f"the picture has {len(faces)} face(s); there is no face {face + 1}")
    return face


def refusal(face: FaceDescription, reasons: Sequence[str], *, or_weak: bool) -> PhotoRefused:
    """Return why Amazon did not index a face, as the error that says what to do.

    ``or_weak``: enrolling it as weak has not been tried.
    """
    weak = ", or enrol it as weak" if or_weak else ""
    if face.face_px < LEAST_PX or "SMALL_BOUNDING_BOX" in reasons:
        return FaceTooSmall(
            f"the face is {face.face_px} px wide; at least {LEAST_PX} are needed: use a larger picture{weak}"
        )
    if not reasons:
        # It was seen in the photo and not found again to be indexed: not even as weak.
        return FaceTooBlurred(
            f"Amazon does not see the face clearly enough (sharpness {face.sharpness:.1f}): use a sharper picture that "
            "shows it from the front in good light"
        )
    said = " and ".join(_WORDS[reason] for reason in reasons if reason in _WORDS) or "not good enough"
    return FaceTooBlurred(
        f"Amazon finds the face {said} (sharpness {face.sharpness:.1f}): use a sharper picture that shows it from the "
        f"front in good light{weak}"
    )


def same_face(one: BoundingBox, other: BoundingBox) -> bool:
    """Return whether two boxes of a photo are of one face: they share more than half of what they cover."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return False
    shared = width * height
    return shared > 0.5 * (one.width * one.height + other.width * other.height - shared)


def face_id(picture: Picture, box: BoundingBox) -> str:
    """Return the id of a face: the same for the same photo and face, 40 hex digits."""
    place = "/".join(f"{value:.2f}" for value in (box.left, box.top, box.width, box.height))
    return hashlib.sha256(f"{picture.sha256}/{place}".encode()).hexdigest()[:40]


def _frontal(pose: Mapping[str, Any]) -> float:
    """Return 1 for a face that looks at the camera, 0 for a profile."""
    away = max(abs(float(pose.get("Yaw") or 0.0)), abs(float(pose.get("Pitch") or 0.0)))
    return max(0.0, 1.0 - away / 90.0)


def _bordered(pixels: Pixels) -> tuple[Pixels, tuple[int, int]]:
    """Return pixels with a border where a side is too short for Amazon, and how wide it is (left, top)."""
    height, width = pixels.shape[:2]
    x, y = (max(0, LEAST_SIDE - side + 1) // 2 for side in (width, height))
    if not x and not y:
        return pixels, (0, 0)
    return np.asarray(cv2.copyMakeBorder(pixels, y, y, x, x, cv2.BORDER_REPLICATE), np.uint8), (x, y)


def _jpeg(pixels: Pixels, max_side: int) -> bytes:
    height, width = pixels.shape[:2]
    if max(height, width) > max_side:
        scale = max_side / max(height, width)
        size = (max(LEAST_SIDE, round(width * scale)), max(LEAST_SIDE, round(height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done  # JPEG can hold every 8-bit picture of this size
    return data.tobytes()
