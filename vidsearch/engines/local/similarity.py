"""The one scale on which the local engine says how alike two faces are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MIDDLE = 0.60
"""The Euclidean distance that dlib publishes as its operating point; similarity 50."""

STEEPNESS = 14.0
"""Chosen so that distance 0.50, from where no stranger was let in (docs/engine.md §5), has similarity 80.

A convention, not a probability.
"""


def similarity(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 0–100 for Euclidean distances of vectors."""
    return np.asarray(100 / (1 + np.exp(STEEPNESS * (distance - MIDDLE))), np.float32)


def distance_of(similar: float) -> float:
    """Return the distance that has a similarity, which must be between 0 and 100, exclusive."""
    return MIDDLE - math.log(similar / (100 - similar)) / STEEPNESS


def distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Euclidean distances of every row of ``a`` to every row of ``b``, shape (len(a), len(b))."""
    squares = (a * a).sum(1)[:, None] - 2 * (a @ b.T) + (b * b).sum(1)[None]
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)
