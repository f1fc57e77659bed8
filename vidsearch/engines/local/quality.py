"""Judge how much a face can tell: size, sharpness, how far it is turned away."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import cut_around
from vidsearch.engines.local.boxes import Box

Pixels = NDArray[np.uint8]

_SHARP_SIDE = 64
"""Width to which a face is brought before its sharpness is measured, so that small and large faces compare."""


def frontal(points: NDArray[np.float32] | None) -> float:
    """Return 1 for a face that looks at the camera, falling to 0 for a profile.

    It is how far the nose lies from the middle of the eyes, along the line through them, in halves of their distance.
    Without points nothing is known, and 0.5 is returned.
    """
    if points is None:
        return 0.5
    right, left, nose = points[0], points[1], points[2]
    line = left - right
    length = float(np.hypot(line[0], line[1]))
    if length < 1e-3:
        return 0.0
    off = abs(float(np.dot(nose - (left + right) / 2, line))) / (length * length / 2)
    return max(0.0, 1.0 - off)


def sharpness(rgb: Pixels, box: Box) -> float:
    """Return 0–100: how much fine detail a face has for its contrast, at 64 px width."""
    piece, _ = cut_around(rgb, box, _SHARP_SIDE, 1.0)
    grey = cv2.cvtColor(piece, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(grey.var())
    if contrast < 1.0:
        return 0.0
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return min(100.0, 100.0 * detail / contrast)


def shot_quality(width: float, turned: float, score: float, sharp: float) -> float:
    """Return how good a shot is, for choosing among shots of one track; only the order has a meaning.

    Args:
        width: Of the face, pixels. Beyond 120 the embedder sees no more.
        turned: ``frontal`` of the face, 0 to 1.
        score: The detector's, 0 to 1.
        sharp: ``sharpness``, 0 to 100.
    """
    return min(width, 120.0) / 120.0 * (0.25 + 0.75 * turned) * score * (0.5 + 0.5 * min(1.0, sharp / 30.0))
