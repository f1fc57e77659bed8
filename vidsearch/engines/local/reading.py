"""What the local engine needs of whatever reads recordings for it. Wiring hands it in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vidsearch.model import ExaminedSpan, MediaFacts


class Frame(Protocol):
    """One picture of a recording."""

    @property
    def ms(self) -> int:
        """Recording time."""

    @property
    def width(self) -> int:
        """Of the upright picture, pixels."""

    @property
    def height(self) -> int:
        """Of the upright picture, pixels."""

    @property
    def luma(self) -> NDArray[np.uint8]:
        """Brightness, shape (height, width); may be valid only until the next frame is asked for."""

    def rgb(self) -> NDArray[np.uint8]:
        """Return the picture, shape (height, width, 3), which stays valid."""


class FrameRun(Protocol):
    """One reading of a span of a recording."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the sampled frames in order of time."""

    @property
    def spans(self) -> Sequence[ExaminedSpan]:
        """What became of the span; complete once the frames are exhausted."""


class Reader(Protocol):
    """Reads recordings. Picklable, without state."""

    def read(
        self, path: Path, facts: MediaFacts, start_ms: int, end_ms: int, sample_ms: int, *, lead_ms: int = 0
    ) -> AbstractContextManager[FrameRun]:
        """Open [start_ms − lead_ms, end_ms) for reading one frame every ``sample_ms``, on a grid from zero."""
