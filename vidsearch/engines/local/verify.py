"""A second opinion on whether something is a face: dlib's max-margin detector, run at one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import cut_around
from vidsearch.engines.local.boxes import Box
from vidsearch.engines.local.sessions import open_session

Pixels = NDArray[np.uint8]

_FACES = (92.0, 78.0)
"""Widths to which a face is brought before it is shown to the detector, whose window is 80 px. Measured on 87 photos:
a true face scores 1.0 ± 0.1 at one of them, and what it does not take for a face scores below −1."""

_REACH = 2.0
"""Side of the piece shown, in widths of the face."""

_OFF_CENTRE = 0.3
"""How far from the middle a face may lie, in its widths."""

_STRIDE = 8
"""Pixels from one score of the detector to the next."""

SURE = 0.5
"""Score from which the second opinion is yes."""


class Verifier:
    """dlib's ``mmod_human_face_detector`` through onnxruntime."""

    def __init__(self, model: Path) -> None:
        self._session = open_session(model)

    def score(self, rgb: Pixels, box: Box) -> float:
        """Return how sure it is that a face fills the box: about 1 for yes, about −1 for no."""
        best = -2.0
        for width in _FACES:
            piece, _ = cut_around(rgb, box, width, _REACH)
            best = max(best, self._run(piece))
            if best >= SURE:
                break
        return best

    def _run(self, piece: Pixels) -> float:
        image = np.ascontiguousarray(piece.transpose(2, 0, 1)[None], dtype=np.float32)
        scores = self._session.run(None, {"image": image})[0][0, 0]
        # Only a face in the middle counts: a neighbour's face at the edge of the piece says nothing of this one.
        rows, columns = scores.shape
        reach = round(_OFF_CENTRE * piece.shape[1] / _REACH / _STRIDE)
        middle = scores[rows // 2 - reach : rows // 2 + reach + 1, columns // 2 - reach : columns // 2 + reach + 1]
        return float(middle.max())
