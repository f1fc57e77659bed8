"""Find faces in a picture: BlazeFace full range, run over tiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from vidsearch.engines.local.align import shrunk
from vidsearch.engines.local.boxes import Box, centre, covered, iou
from vidsearch.engines.local.quiet import quiet

Pixels = NDArray[np.uint8]

Window = tuple[int, int, int, int]
"""A part of a picture: (x0, y0, x1, y1), whole pixels."""

_INPUT = 192
_CELLS = 48
_POINTS = 6
"""Right eye, left eye, nose, mouth, right ear, left ear (the person's right is on the left of the picture)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One face in one picture."""

    box: Box
    score: float
    """0 to 1: how sure the detector is that this is a face."""
    points: NDArray[np.float32] | None
    """Shape (6, 2): right eye, left eye, nose, mouth, right ear, left ear, in pixels; None where unknown."""

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return self.box[2] - self.box[0]


class Detector(Protocol):
    """Finds faces in a piece of a picture."""

    def find(self, rgb: Pixels) -> list[Found]:
        """Return the faces of an RGB picture of any size, in its pixels, possibly overlapping."""


class BlazeFace:
    """BlazeFace full range (TensorFlow Lite file of mediapipe 0.10.21) with a decoder in numpy.

    Not for several threads at once.
    """

    def __init__(self, model: Path, threshold: float) -> None:
        """``threshold``: least score, 0 to 1."""
        with quiet():
            self._interpreter = Interpreter(str(model), num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = {int(d["shape"][-1]): d["index"] for d in self._interpreter.get_output_details()}
        self._regressors, self._scores = outputs[4 + 2 * _POINTS], outputs[1]
        grid = (np.arange(_CELLS, dtype=np.float32) + 0.5) / _CELLS
        self._anchors = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
        self._logit = float(np.log(threshold / (1 - threshold)))
        self._canvas = np.full((1, _INPUT, _INPUT, 3), -1, np.float32)

    def find(self, rgb: Pixels) -> list[Found]:
        """Return the faces of an RGB picture; its longer side is scaled to the network's 192 pixels."""
        longer = max(rgb.shape[:2])
        if longer >= _INPUT:
            small, factor = shrunk(rgb, _INPUT)
        else:
            factor = _INPUT / longer
            small = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)
        canvas = self._canvas
        canvas.fill(-1)
        canvas[0, : small.shape[0], : small.shape[1]] = small * np.float32(1 / 127.5) - 1
        self._interpreter.set_tensor(self._input, canvas)
        self._interpreter.invoke()
        scores = self._interpreter.get_tensor(self._scores)[0, :, 0]
        hits = np.flatnonzero(scores > self._logit)
        if not len(hits):
            return []
        return self._decode(
            self._interpreter.get_tensor(self._regressors)[0][hits], scores[hits], hits, _INPUT / factor
        )

    def _decode(
        self, raw: NDArray[np.float32], scores: NDArray[np.float32], hits: NDArray[np.intp], longer: float
    ) -> list[Found]:
        anchors = self._anchors[hits]
        centres = anchors + raw[:, :2] / _INPUT
        halves = raw[:, 2:4] / (2 * _INPUT)
        corners = np.concatenate([centres - halves, centres + halves], 1) * longer
        points = (raw[:, 4:].reshape(-1, _POINTS, 2) / _INPUT + anchors[:, None]) * longer
        chances = 1 / (1 + np.exp(-np.clip(scores, -80, 80)))
        return [
            Found((float(c[0]), float(c[1]), float(c[2]), float(c[3])), float(s), p.astype(np.float32))
            for c, s, p in zip(corners, chances, points, strict=True)
        ]


def find_in(detector: Detector, rgb: Pixels, windows: Iterable[Window]) -> list[Found]:
    """Return the faces found in windows (x0, y0, x1, y1) of a picture, each face once."""
    faces: list[Found] = []
    for x0, y0, x1, y1 in windows:
        for face in detector.find(rgb[y0:y1, x0:x1]):
            b = face.box
            points = None if face.points is None else face.points + np.array([x0, y0], np.float32)
            faces.append(Found((b[0] + x0, b[1] + y0, b[2] + x0, b[3] + y0), face.score, points))
    return distinct(faces)


def distinct(faces: Sequence[Found]) -> list[Found]:
    """Return faces without those that repeat a surer one."""
    kept: list[Found] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_repeats(face, other) for other in kept):
            kept.append(face)
    return kept


def _repeats(face: Found, other: Found) -> bool:
    """Return whether two boxes are one face: no two have their middles within half a face of each other."""
    (ax, ay), (bx, by) = centre(face.box), centre(other.box)
    near = max(abs(ax - bx), abs(ay - by)) < 0.5 * min(face.width, other.width)
    return near or iou(face.box, other.box) > 0.35 or covered(face.box, other.box) > 0.6
