"""What a worker sends back: the tracks of one range, ready to be stored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidsearch.model import BoundingBox, ExaminedSpan

Sighting = tuple[int, tuple[float, float, float, float]]
"""(ms, (left, top, width, height) in ratios)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A track, or the part of one that lies in one range. A face that stays longer than a range has several."""

    id: str
    start_ms: int
    end_ms: int
    best_ms: int
    best_box: BoundingBox
    face_px: int
    quality: float
    """Of the best shot; only the order has a meaning."""
    detections: int
    confidence: float
    """0–100."""
    lead: tuple[Sighting, ...]
    """Sightings just before the range, where the face was there already."""
    tail: tuple[Sighting, ...]
    """The last sightings, where the face may still be there after the range."""
    shot_ms: NDArray[np.int64]
    shot_px: NDArray[np.float32]
    shot_quality: NDArray[np.float32]
    vectors: NDArray[np.float32]
    """Shape (shots, dimensions): only shots that the second opinion confirmed."""
    path: tuple[Sighting, ...] = field(default=(), repr=False)
    """Where the face was each time it was seen in the range."""
    face_jpeg: bytes = field(default=b"", repr=False)
    frame_jpeg: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RangeResult:
    """Everything found in one range."""

    pieces: tuple[Piece, ...]
    spans: tuple[ExaminedSpan, ...]
