"""Find which tracks go on over the border of two ranges.

Both ranges have looked at the last moments before the border: the one before as its end, the one after as its lead.
A track of each that saw a face in the same place at the same time is one track. This depends on the two ranges only,
so the result is the same whichever was analysed first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidsearch.engines.local.boxes import Box, iou
from vidsearch.engines.local.piece import Sighting

_SAME_PLACE = 0.3
"""Least intersection over union of two sightings of one face in one picture, seen through different tiles."""


def links(before: Mapping[str, Sequence[Sighting]], after: Mapping[str, Sequence[Sighting]]) -> dict[str, str]:
    """Return piece after the border -> piece before it, for those that are one track.

    Args:
        before: Last sightings of each piece of the range that ends at the border.
        after: Sightings before the border of each piece of the range that starts there.
    """
    scored = sorted(
        (-score, old, new)
        for old, tail in before.items()
        for new, lead in after.items()
        if (score := agreement(tail, lead)) > 0
    )
    result: dict[str, str] = {}
    for _, old, new in scored:
        if new not in result and old not in result.values():
            result[new] = old
    return result


def agreement(tail: Sequence[Sighting], lead: Sequence[Sighting]) -> float:
    """Return in how many pictures two pieces saw a face in the same place, weighed by how well the places agree."""
    seen = dict(tail)
    overlaps = [iou(_corners(seen[ms]), _corners(box)) for ms, box in lead if ms in seen]
    return sum(value for value in overlaps if value >= _SAME_PLACE)


def _corners(box: tuple[float, float, float, float]) -> Box:
    left, top, width, height = box
    return left, top, left + width, top + height
