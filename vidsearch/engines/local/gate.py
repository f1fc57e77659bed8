"""Say where a picture moves, so that only there faces are looked for.

The picture is averaged down to a small brightness map and compared with a background that is learnt as it goes. A place
is of interest while it differs from the background and for a few seconds after it last changed; then it becomes
background, whether it is a parked car, a lamp switched on, or somebody who sits still and whom the detector has looked
at fifteen times by then. The slightest movement makes it differ again. What counts as movement adapts to each place:
sensor noise, rain and leaves raise the bar there, up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import shrunk
from vidsearch.engines.local.boxes import Box

_LONGER_SIDE = 240
"""Cells along the picture's longer side: 8 pixels a cell at 1080p, so that a face of 25 px covers three."""

_LEARN = 0.05
"""Share of a new picture in the background where nothing differs: light drifts."""

_STILL_MS = 3_000
"""A place that differs and has not changed for this long becomes background."""

_LEARN_NOISE = 0.02
_NOISE_FACTOR = 4.0
_LEAST, _MOST = 7.0, 20.0
"""Bounds of the brightness difference (0–255, cell averages) that counts as movement. Video coding alone makes
differences of up to about 4; faces differ from most backgrounds by more than 20."""

_CUT_MEAN = 18.0
"""Mean difference of two successive pictures from which the scene has changed (a cut, a switched light)."""

_CUT_SHARE = 0.6
"""The same as a share of cells that changed by more than _MOST."""

_LEAST_CELLS = 3
"""Smaller patches are noise."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved in a picture, in pixels of the picture."""

    regions: list[Box]
    cut: bool
    """The scene is another than in the picture before; what was known of it does not hold."""


class Gate:
    """Compares each picture with the scene as learnt so far."""

    def __init__(self, sample_ms: int) -> None:
        """``sample_ms``: time between two pictures."""
        self._patience = max(2, round(_STILL_MS / sample_ms))
        self._background: NDArray[np.float32] | None = None
        self._previous: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)
        self._noise: NDArray[np.float32] = np.zeros((1, 1), np.float32)
        self._still: NDArray[np.int16] = np.zeros((1, 1), np.int16)

    def look(self, luma: NDArray[np.uint8]) -> Motion:
        """Return where a picture (brightness, height × width) moves. In the first one, everything does."""
        height, width = luma.shape
        cells = self._cells(luma)
        everything: Box = (0.0, 0.0, float(width), float(height))
        if self._background is None or self._background.shape != cells.shape:
            self._background = cells.astype(np.float32)
            self._noise = np.full(cells.shape, 0.5, np.float32)
            self._still = np.zeros(cells.shape, np.int16)
            self._previous = cells
            return Motion([everything], cut=False)
        step = np.asarray(cv2.absdiff(cells, self._previous), np.uint8)
        self._previous = cells
        if float(step.mean()) > _CUT_MEAN or float((step > _MOST).mean()) > _CUT_SHARE:
            self._background = cells.astype(np.float32)
            return Motion([everything], cut=True)
        moving = self._learn(self._background, cells, step)
        return Motion(self._regions(moving, width / cells.shape[1], height / cells.shape[0]), cut=False)

    @staticmethod
    def _cells(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        small, _ = shrunk(luma, _LONGER_SIDE)
        return np.asarray(cv2.GaussianBlur(small, (3, 3), 0), np.uint8)

    def _learn(
        self, background: NDArray[np.float32], cells: NDArray[np.uint8], step: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Return which cells are of interest, and learn from the picture."""
        bar = np.clip(self._noise * _NOISE_FACTOR + _LEAST / 2, _LEAST, _MOST)
        off = cells - background
        differs = np.abs(off) > bar
        self._still += 1
        self._still[step > bar] = 0
        settled = self._still >= self._patience
        background += off * np.where(differs, settled, np.float32(_LEARN))
        self._noise += (step - self._noise) * np.float32(_LEARN_NOISE)
        return np.asarray(differs & ~settled, np.uint8)

    @staticmethod
    def _regions(moving: NDArray[np.uint8], scale_x: float, scale_y: float) -> list[Box]:
        if not moving.any():
            return []
        joined = cv2.dilate(moving, np.ones((5, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
        sizes = np.bincount(labels[moving > 0], minlength=count)
        margin = 2  # cells beyond the dilation, for the part of a head that did not move
        return [
            ((x - margin) * scale_x, (y - margin) * scale_y, (x + w + margin) * scale_x, (y + h + margin) * scale_y)
            for (x, y, w, h, _), size in zip(stats[1:].tolist(), sizes[1:].tolist(), strict=True)
            if size >= _LEAST_CELLS
        ]
