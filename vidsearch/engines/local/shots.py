"""Keep the few best shots of a track, spread over its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.boxes import Box

Pixels = NDArray[np.uint8]

_SLOTS = 10
"""Shots held while a track lives."""

_FIRST_SPACING_MS = 200
"""Shots are at least about this far apart; the spacing doubles as a track gets long, so that they stay spread. Somebody
seen for half a second still gives two."""

_FRAMES = 2
"""Of this many best shots the whole picture is held too."""


@dataclass(slots=True)
class Shot:
    """One sighting that may stand for its track."""

    ms: int
    box: Box
    """In pixels of the recording."""
    score: float
    frontal: float
    sharpness: float
    quality: float
    piece: Pixels
    """The face and its surroundings."""
    piece_box: Box
    """The face in ``piece``."""
    frame: Pixels | None = field(default=None, repr=False)
    """The whole picture, scaled down, while this is among the best shots."""

    @property
    def width(self) -> float:
        """Width of the face in pixels of the recording."""
        return self.box[2] - self.box[0]


class Shots:
    """The shots of one track."""

    def __init__(self) -> None:
        self._best: dict[int, Shot] = {}
        self._spacing = _FIRST_SPACING_MS

    def wants(self, ms: int, quality: float) -> bool:
        """Return whether a shot of this quality would be kept."""
        held = self._best.get(ms // self._spacing)
        return held is None or quality > held.quality

    def add(self, shot: Shot, frame: Callable[[], Pixels]) -> None:
        """Keep a shot if it is the best of its time; ``frame`` makes the scaled-down whole picture if it is needed."""
        if not self.wants(shot.ms, shot.quality):
            return
        self._best[shot.ms // self._spacing] = shot
        while len(self._best) > _SLOTS:
            self._thin()
        leading = self.ranked()[:_FRAMES]
        for held in self._best.values():
            if not any(held is best for best in leading):
                held.frame = None
        if any(shot is best for best in leading):
            shot.frame = frame()

    def ranked(self) -> list[Shot]:
        """Return the shots, best first."""
        return sorted(self._best.values(), key=lambda shot: (-shot.quality, shot.ms))

    def _thin(self) -> None:
        self._spacing *= 2
        merged: dict[int, Shot] = {}
        for shot in self.ranked():
            merged.setdefault(shot.ms // self._spacing, shot)
        self._best = merged
