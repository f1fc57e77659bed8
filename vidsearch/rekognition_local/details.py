"""Say what the local engine knows of a face in Rekognition's words, and nothing that it does not know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidsearch.engines.local.engine import LocalEngine
from vidsearch.engines.local.photos import FacePoints
from vidsearch.model import BoundingBox, FaceDescription, Picture

_QUALITY = {"LOW": (20, 1.2, 0.0), "MEDIUM": (60, 4.0, 0.2), "HIGH": (80, 6.0, 0.5)}
"""Least width in pixels, sharpness and frontality. A convention of this server: the service does not say its own."""

_REASONS = {"too_small": "SMALL_BOUNDING_BOX", "too_blurred": "LOW_SHARPNESS"}
"""Code of a PhotoRefused -> the service's word."""


@dataclass(frozen=True, slots=True)
class SeenFace:
    """One face of a picture."""

    index: int
    """In ``Engine.describe(picture)``."""
    described: FaceDescription
    points: FacePoints | None
    brightness: float
    """0 to 100."""
    size: tuple[int, int]
    """Of the picture, pixels."""

    @property
    def area(self) -> float:
        """Its part of the picture."""
        return self.described.box.width * self.described.box.height

    def detail(self) -> dict[str, Any]:
        """Return it as FaceDetail with the DEFAULT attributes, as far as they are known."""
        detail: dict[str, Any] = {
            "BoundingBox": box_of(self.described.box),
            "Confidence": self.described.confidence,
            "Quality": {"Brightness": self.brightness, "Sharpness": self.described.sharpness},
        }
        if self.points is not None:
            detail["Landmarks"] = _landmarks(self.points)
            detail["Pose"] = self._pose(self.points)
        return detail

    def _pose(self, points: FacePoints) -> dict[str, float]:
        """Return roll and yaw. How far a face looks up or down cannot be told from eyes and nose alone."""
        eyes = np.array([points.right_eye, points.left_eye]) * self.size
        across = eyes[1] - eyes[0]
        nose = np.array(points.nose) * self.size - eyes.mean(0)
        # The nose stands out by about half the distance of the eyes, so it moves by this part of half of it.
        off = float(nose @ across) / max(float(across @ across) / 2, 1e-6)
        roll = math.degrees(math.atan2(across[1], across[0]))
        return {"Roll": round(roll, 2), "Yaw": round(math.degrees(math.atan(off)), 2)}

    def unfit(self, quality: str) -> str | None:
        """Return the service's reason why a face is left out by a QualityFilter, or None."""
        if quality == "NONE":
            return None
        face = self.described
        if face.refusal is not None and quality != "LOW":
            return _REASONS.get(face.refusal, "LOW_FACE_QUALITY")
        if quality == "AUTO":
            return None
        least_px, least_sharpness, least_frontal = _QUALITY[quality]
        if face.face_px < least_px:
            return "SMALL_BOUNDING_BOX"
        if face.sharpness < least_sharpness:
            return "LOW_SHARPNESS"
        return "EXTREME_POSE" if face.frontal < least_frontal else None


def reason_of(code: str) -> str:
    """Return the service's word for the ``code`` of a PhotoRefused."""
    return _REASONS.get(code, "LOW_FACE_QUALITY")


def faces_of(engine: LocalEngine, picture: Picture) -> list[SeenFace]:
    """Return the faces of a picture, the largest first."""
    described = engine.describe(picture)
    points = engine.points(picture)
    seen = [
        SeenFace(i, face, where, _brightness(picture, face.box), (picture.width, picture.height))
        for i, (face, where) in enumerate(zip(described, points, strict=True))
    ]
    return sorted(seen, key=lambda face: (-face.area, face.index))


def box_of(box: BoundingBox) -> dict[str, float]:
    """Return a box in the service's words."""
    return {"Left": box.left, "Top": box.top, "Width": box.width, "Height": box.height}


def _landmarks(points: FacePoints) -> Sequence[dict[str, Any]]:
    """Return eyes and nose. The service's ``eyeLeft`` is the one on the left of the picture: the person's right."""
    places = {"eyeLeft": points.right_eye, "eyeRight": points.left_eye, "nose": points.nose}
    return [{"Type": name, "X": x, "Y": y} for name, (x, y) in places.items()]


def _brightness(picture: Picture, box: BoundingBox) -> float:
    """Return the mean brightness of a face, 0 to 100."""
    x0, y0, x1, y1 = box.to_pixels(picture.width, picture.height)
    piece = picture.pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    luma = piece.reshape(-1, 3).astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return round(float(luma.mean()) / 2.55, 2) if luma.size else 0.0
