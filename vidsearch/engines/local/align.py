"""Bring a face into the position that the embedder was trained on."""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.boxes import Box, centre
from vidsearch.errors import ModelMissing

Pixels = NDArray[np.uint8]

CHIP = 150
"""Side of a chip in pixels; dlib's network takes no other."""

_PADDING = 0.25
"""Surroundings of a chip as dlib's own tools cut it."""


class Aligner:
    """Cut chips with dlib's five-point landmarks."""

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise ModelMissing(f"{model} is not there; run `vidsearch models install`")
        self._landmarks = dlib.shape_predictor(str(model))

    def chip(self, rgb: Pixels, box: Box) -> Pixels:
        """Return the chip (150 × 150 RGB) of the face in a box as dlib's frontal detectors draw it."""
        rectangle = dlib.rectangle(*(round(value) for value in box))
        chip = dlib.get_face_chip(rgb, self._landmarks(rgb, rectangle), size=CHIP, padding=_PADDING)
        return np.asarray(chip, dtype=np.uint8)


def cut_around(rgb: Pixels, box: Box, face: float, reach: float) -> tuple[Pixels, Box]:
    """Cut out a face and scale it to a width.

    Args:
        rgb: The picture.
        box: The face in it.
        face: Width of the face in the result, pixels.
        reach: Side of the result in widths of the face. Beyond the picture its edge is repeated.

    Returns:
        The square piece, and the face's box in it.
    """
    x, y = centre(box)
    factor = face / (box[2] - box[0])
    side = round(face * reach)
    if factor < 0.5:  # an affine warp does not average: shrink first, so that fine patterns do not alias
        rgb, (x, y), factor = _shrunk(rgb, x, y, factor)
    matrix = np.array([[factor, 0, side / 2 - x * factor], [0, factor, side / 2 - y * factor]])
    piece = cv2.warpAffine(
        rgb,
        matrix,
        (side, side),
        flags=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    height = face * (box[3] - box[1]) / (box[2] - box[0])
    half = side / 2
    return np.asarray(piece, np.uint8), (half - face / 2, half - height / 2, half + face / 2, half + height / 2)


def _shrunk(rgb: Pixels, x: float, y: float, factor: float) -> tuple[Pixels, tuple[float, float], float]:
    height, width = rgb.shape[:2]
    small = cv2.resize(
        rgb, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.uint8), (x * factor, y * factor), 1.0
