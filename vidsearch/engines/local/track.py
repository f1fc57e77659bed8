"""Follow faces from picture to picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vidsearch.engines.local.boxes import Box, centre, iou
from vidsearch.engines.local.detect import Found
from vidsearch.engines.local.shots import Shots

GAP_MS = 1_200
"""A face not found again for longer has left: heads turn away and come back within about a second."""

_REACH = 1.5
"""How far a face may be from where it was expected, in its own widths."""

_FASTEST = 13.0
"""Speed at which a face seen only once may have moved on, in its widths a second: a head is 15 cm wide, so 2 m/s. A
brisk walker across the picture goes two widths from one picture to the next."""

_FASTEST_FOR_MS = 450
"""That is believed for two pictures; later it could be anybody."""

_SIZES = (0.6, 1.6)
"""How much a face may shrink or grow from one sighting to the next."""


@dataclass(slots=True)
class LiveTrack:
    """A face being followed. Times are recording times, boxes pixels."""

    first_ms: int
    first_box: Box
    last_ms: int
    box: Box
    sightings: list[tuple[int, Box, float]] = field(default_factory=list)
    """Every (ms, box, score)."""
    shots: Shots = field(default_factory=Shots)
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels per millisecond, smoothed."""

    def expected(self, ms: int) -> Box:
        """Return where the face should be at a time, going on as it went."""
        elapsed = min(ms - self.last_ms, GAP_MS)
        dx, dy = self.velocity[0] * elapsed, self.velocity[1] * elapsed
        return self.box[0] + dx, self.box[1] + dy, self.box[2] + dx, self.box[3] + dy

    def see(self, ms: int, face: Found) -> None:
        """Add a sighting."""
        elapsed = ms - self.last_ms
        if elapsed > 0:
            old, new = centre(self.box), centre(face.box)
            seen = (new[0] - old[0]) / elapsed, (new[1] - old[1]) / elapsed
            weight = 0.5 if len(self.sightings) > 1 else 1.0
            self.velocity = (
                self.velocity[0] + weight * (seen[0] - self.velocity[0]),
                self.velocity[1] + weight * (seen[1] - self.velocity[1]),
            )
        self.last_ms, self.box = ms, face.box
        self.sightings.append((ms, face.box, face.score))


class Tracker:
    """Joins the faces of successive pictures into tracks."""

    def __init__(self) -> None:
        self.live: list[LiveTrack] = []

    def cut(self) -> list[LiveTrack]:
        """End all tracks, because the scene changed, and return them."""
        ended, self.live = self.live, []
        return ended

    def expire(self, ms: int) -> list[LiveTrack]:
        """End and return the tracks whose face has not been found for GAP_MS."""
        ended = [track for track in self.live if ms - track.last_ms > GAP_MS]
        self.live = [track for track in self.live if ms - track.last_ms <= GAP_MS]
        return ended

    def step(self, ms: int, faces: Sequence[Found]) -> list[tuple[LiveTrack, Found]]:
        """Assign the faces of a picture to tracks, new ones where none fits, and return the pairs."""
        pairs: list[tuple[LiveTrack, Found]] = []
        free = list(faces)
        for track, face in self._candidates(ms, faces):
            if track.last_ms == ms or not any(face is other for other in free):
                continue
            free = [other for other in free if other is not face]
            track.see(ms, face)
            pairs.append((track, face))
        for face in free:
            track = LiveTrack(ms, face.box, ms, face.box)
            track.see(ms, face)
            self.live.append(track)
            pairs.append((track, face))
        return pairs

    def _candidates(self, ms: int, faces: Sequence[Found]) -> list[tuple[LiveTrack, Found]]:
        """Return the pairs that may belong together, the likeliest first."""
        scored = [
            (closeness(track, ms, face.box), i, j) for i, track in enumerate(self.live) for j, face in enumerate(faces)
        ]
        order = sorted((-score, i, j) for score, i, j in scored if score > 0)
        return [(self.live[i], faces[j]) for _, i, j in order]


def closeness(track: LiveTrack, ms: int, seen: Box) -> float:
    """Return how well a face seen at a time fits to a track, 0 for not at all.

    Above 1 it is about where it was expected or last seen; below, a face seen once may have gone as far as one walks.
    """
    width = seen[2] - seen[0]
    ratio = (track.box[2] - track.box[0]) / width if width > 0 else 0.0
    if not _SIZES[0] < ratio < _SIZES[1]:
        return 0.0
    near = max(_near(track.expected(ms), seen, width), _near(track.box, seen, width))
    if near > 0:
        return 1 + near
    elapsed = ms - track.last_ms
    if len(track.sightings) > 1 or elapsed > _FASTEST_FOR_MS:
        return 0.0
    return max(0.0, 1 - _distance(track.box, seen) / (_FASTEST * elapsed / 1000 * width))


def _near(box: Box, seen: Box, width: float) -> float:
    near = 1 - _distance(box, seen) / (_REACH * width)
    return iou(box, seen) + near if near > 0 else 0.0


def _distance(a: Box, b: Box) -> float:
    (ax, ay), (bx, by) = centre(a), centre(b)
    return float(np.hypot(ax - bx, ay - by))
