"""Choose the parts of a picture that the detector looks at."""

from __future__ import annotations

from collections.abc import Sequence

from vidsearch.engines.local.boxes import Box, meets
from vidsearch.engines.local.detect import Window

TILE = 384
"""Side of a tile in pixels: twice the 192 that the network sees, so that shrinking is quick, and faces from about 25 px
are found (docs/local-engine.md)."""

OVERLAP = 96
"""Faces up to this size lie whole in at least one tile; larger ones are found by the pass over the whole picture."""


def tiles(width: int, height: int, tile: int = TILE, overlap: int = OVERLAP) -> list[Window]:
    """Return windows of ``tile`` pixels that cover a picture of ``width`` × ``height``."""
    return [
        (x, y, min(width, x + tile), min(height, y + tile))
        for y in _starts(0, height, height, tile, overlap)
        for x in _starts(0, width, width, tile, overlap)
    ]


def _starts(low: int, high: int, limit: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles start so that they cover [low, high) within [0, limit), spread evenly."""
    if limit <= tile:
        return [0]
    length = min(max(high - low, tile), limit)
    start = max(0, min((low + high - length) // 2, limit - length))
    count = 1 + max(0, -(-(length - tile) // (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    return [start + round(i * step) for i in range(count)]


def windows_over(
    regions: Sequence[Box], width: int, height: int, tile: int = TILE, overlap: int = OVERLAP
) -> list[Window]:
    """Return the windows to look at so that every region is covered, with as few as is simply possible.

    Regions that fit into one tile together share it. A region larger than a tile is covered by several, and by one
    window around all of it, in which faces too large for a tile are found.
    """
    chosen: list[Window] = []
    for x0, y0, x1, y1 in _joined([_within(region, width, height) for region in regions], tile):
        if any(c[0] <= x0 and c[1] <= y0 and c[2] >= x1 and c[3] >= y1 for c in chosen):
            continue
        mine = [
            (x, y, min(width, x + tile), min(height, y + tile))
            for y in _starts(y0, y1, height, tile, overlap)
            for x in _starts(x0, x1, width, tile, overlap)
        ]
        if len(mine) > 1:
            mine.append((x0, y0, x1, y1))
        chosen += mine
    return list(dict.fromkeys(chosen))


def _within(region: Box, width: int, height: int) -> Window:
    return (
        max(0, int(region[0])),
        max(0, int(region[1])),
        min(width, int(region[2]) + 1),
        min(height, int(region[3]) + 1),
    )


def _joined(regions: list[Window], tile: int) -> list[Window]:
    """Join regions as long as the result fits into a tile, or is no larger than the parts; largest first."""
    regions = sorted(regions, key=lambda r: -(r[2] - r[0]) * (r[3] - r[1]))
    result: list[Window] = []
    for region in regions:
        for i, other in enumerate(result):
            both = (
                min(region[0], other[0]),
                min(region[1], other[1]),
                max(region[2], other[2]),
                max(region[3], other[3]),
            )
            fits = both[2] - both[0] <= tile and both[3] - both[1] <= tile
            cheap = _size(both) <= 1.1 * max(_size(region) + _size(other), tile * tile)
            if fits or cheap:
                result[i] = both
                break
        else:
            result.append(region)
    return result


def _size(region: Window) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def around(regions: Sequence[Box], width: int, height: int) -> list[Window]:
    """Return windows around followed faces: one for each, or for several together.

    A face too large for a tile needs one window around it and no tiles inside it.
    """
    large = [region for region in regions if max(region[2] - region[0], region[3] - region[1]) > TILE]
    small = [region for region in regions if region not in large]
    return list(
        dict.fromkeys([*windows_over(small, width, height), *(_within(region, width, height) for region in large)])
    )


class Turns:
    """Shares a budget of windows among the places that want to be looked at, so that none waits for long."""

    def __init__(self, budget: int) -> None:
        """``budget``: windows looked at in one picture."""
        self._budget = budget
        self._waiting: list[Window] = []
        self._owed: set[Window] = set()

    def next(self, regions: Sequence[Box], width: int, height: int) -> list[Window]:
        """Return the windows for this picture. A region as large as the picture is looked at whole, over some pictures.

        Where there is more than the budget, windows are those of a fixed grid, so that it is known whose turn it is.
        """
        wanted = windows_over(regions, width, height)
        if len(wanted) > self._budget:
            whole = (0, 0, width, height)
            wanted = [whole, *(tile for tile in tiles(width, height) if meets(tile, regions))]
            if any(region[2] - region[0] >= width and region[3] - region[1] >= height for region in regions):
                self._owed = set(wanted)
        kept = [window for window in self._waiting if window in wanted or window in self._owed]
        queue = list(dict.fromkeys([*kept, *wanted]))
        now, self._waiting = queue[: self._budget], queue[self._budget :]
        self._owed.difference_update(now)
        return now
