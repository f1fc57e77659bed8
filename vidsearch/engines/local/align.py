"""Bring a face into the position that the embedder was trained on."""

from __future__ import annotations

import math
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
        The square piece, within a pixel or two of that side, and the face's box in it.
    """
    x, y = centre(box)
    half = reach * (box[2] - box[0]) / 2
    x0, y0 = math.floor(x - half), math.floor(y - half)
    length = max(1, math.ceil(x + half) - x0)
    side = max(1, round(face * length / (box[2] - box[0])))
    way = cv2.INTER_AREA if side < length else cv2.INTER_CUBIC
    piece = cv2.resize(_with_edges(rgb, x0, y0, length), (side, side), interpolation=way)
    scale = side / length
    placed = ((box[0] - x0) * scale, (box[1] - y0) * scale, (box[2] - x0) * scale, (box[3] - y0) * scale)
    return np.asarray(piece, np.uint8), placed


def shrunk(rgb: Pixels, longer: int) -> tuple[Pixels, float]:
    """Return a picture whose longer side is at most ``longer``, and by what its coordinates were multiplied.

    Averaging by a whole factor takes a tenth of the time of averaging by any other, so it comes first; what is left,
    less than a half, is interpolated.
    """
    height, width = rgb.shape[:2]
    whole = max(height, width) // longer
    if whole > 1:
        size = width // whole, height // whole
        rgb = np.asarray(
            cv2.resize(rgb[: size[1] * whole, : size[0] * whole], size, interpolation=cv2.INTER_AREA), np.uint8
        )
    else:
        whole = 1
    rest = longer / max(rgb.shape[:2])
    if rest >= 1:
        return rgb, 1 / whole
    size = max(1, round(rgb.shape[1] * rest)), max(1, round(rgb.shape[0] * rest))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8), rest / whole


def _with_edges(rgb: Pixels, x0: int, y0: int, length: int) -> Pixels:
    """Return a square of a picture, which it may leave: there its edge is repeated."""
    height, width = rgb.shape[:2]
    # At least one row and column of the picture, for the edge to be repeated from.
    left, right = min(max(0, x0), width - 1), max(min(width, x0 + length), 1)
    top, bottom = min(max(0, y0), height - 1), max(min(height, y0 + length), 1)
    inner = rgb[top:bottom, left:right]
    borders = (max(0, top - y0), max(0, y0 + length - bottom), max(0, left - x0), max(0, x0 + length - right))
    if not any(borders):
        return inner
    padded = cv2.copyMakeBorder(inner, *borders, cv2.BORDER_REPLICATE)
    return np.asarray(padded[:length, :length], np.uint8)
