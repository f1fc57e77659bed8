"""Arithmetic of boxes in pixels: (x0, y0, x1, y1)."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]


def area(box: Box) -> float:
    """Return the area; 0 where the box is empty."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def iou(a: Box, b: Box) -> float:
    """Return intersection over union, 0 to 1."""
    shared = overlap(a, b)
    return shared / (area(a) + area(b) - shared) if shared else 0.0


def covered(a: Box, b: Box) -> float:
    """Return the share of the smaller box that the other covers, 0 to 1."""
    shared = overlap(a, b)
    return shared / min(area(a), area(b)) if shared else 0.0


def centre(box: Box) -> tuple[float, float]:
    """Return the middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def grown(box: Box, by: float) -> Box:
    """Return a box that is larger by ``by`` on every side."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def clamped(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the whole-pixel part of a box that lies in a picture of ``width`` × ``height``."""
    return (
        max(0, min(width, int(box[0]))),
        max(0, min(height, int(box[1]))),
        max(0, min(width, round(box[2] + 0.5))),
        max(0, min(height, round(box[3] + 0.5))),
    )


def meets(a: Box, others: Sequence[Box]) -> bool:
    """Return whether a box shares a point of its inside with any of the others."""
    return any(a[0] < o[2] and o[0] < a[2] and a[1] < o[3] and o[1] < a[3] for o in others)
