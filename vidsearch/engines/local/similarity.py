"""The one scale on which the local engine says how alike two faces are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import EngineError


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns Euclidean distances of an embedder's vectors into similarities: ``100 / (1 + exp(s · (d - middle)))``.

    The defaults are for dlib's network. ``middle`` is the distance that dlib publishes as its operating point
    (similarity 50); the steepness gives distance 0.50, from where no stranger was let in (docs/local-engine.md), the
    similarity 80. A convention, not a probability.
    """

    middle: float = 0.60
    steepness: float = 14.0

    @classmethod
    def from_metadata(cls, words: Mapping[str, str]) -> Scale:
        """Return the scale written into a site's own embedder: ``vidsearch.middle`` and ``vidsearch.steepness``.

        Raises EngineError where they are not positive numbers.
        """
        try:
            values = [float(words[f"vidsearch.{name}"]) for name in ("middle", "steepness")]
        except (KeyError, ValueError) as exc:
            raise EngineError(
                "the embedder does not say what its distances mean: its ONNX metadata needs the numbers "
                "`vidsearch.middle` (distance with similarity 50) and `vidsearch.steepness`"
            ) from exc
        if min(values) <= 0:
            raise EngineError("`vidsearch.middle` and `vidsearch.steepness` must be positive")
        return cls(*values)

    def similarity(self, distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return 0–100 for distances."""
        return np.asarray(100 / (1 + np.exp(self.steepness * (distance - self.middle))), np.float32)

    def distance_of(self, similar: float) -> float:
        """Return the distance that has a similarity, which must be between 0 and 100, exclusive."""
        return self.middle - math.log(similar / (100 - similar)) / self.steepness


def distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Euclidean distances of every row of ``a`` to every row of ``b``, shape (len(a), len(b))."""
    squares = (a * a).sum(1)[:, None] - 2 * (a @ b.T) + (b * b).sum(1)[None]
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)
