"""A site's own face detector instead of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.detect import Found
from vidsearch.engines.local.sessions import open_session
from vidsearch.errors import EngineError

Pixels = NDArray[np.uint8]


class OnnxDetector:
    """An ONNX model with this contract.

    One input: float32 [1, 3, height, width], RGB, 0–255, any height and width (a tile of a picture, or all of a photo).
    Outputs by name: ``boxes`` [n, 4] (left, top, right, bottom in pixels of the input), drawn from the brows to the
    chin, ``scores`` [n] (0 to 1) and, where it has them, ``points`` [n, 6, 2] (right eye, left eye, nose, mouth, right
    ear, left ear; the person's right), by which turned faces are told from frontal ones.
    """

    def __init__(self, model: Path, threshold: float) -> None:
        """``threshold``: least score. Raises ModelMissing, EngineError where the model keeps another contract."""
        self._session = open_session(model)
        self._threshold = threshold
        inputs = self._session.get_inputs()
        names = {output.name for output in self._session.get_outputs()}
        if len(inputs) != 1 or not {"boxes", "scores"} <= names:
            raise EngineError(
                f"{model}: a detector has one input and the outputs `boxes` and `scores`, not {sorted(names)}"
            )
        self._input = inputs[0].name
        self._outputs = ["boxes", "scores", *(["points"] if "points" in names else [])]

    def find(self, rgb: Pixels) -> list[Found]:
        """Return the faces of an RGB picture."""
        image = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)
        boxes, scores, *points = self._session.run(self._outputs, {self._input: image})
        return [
            Found(
                (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                float(scores[i]),
                np.asarray(points[0][i], np.float32) if points else None,
            )
            for i, box in enumerate(boxes)
            if scores[i] >= self._threshold and box[2] > box[0] and box[3] > box[1]
        ]
