"""Small things that several tables share: the time of a row, lists as parameters, boxes in columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from vidsearch.model import BoundingBox
from vidsearch.store.connection import Row


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch (UTC)."""
    return time.time_ns() // 1_000_000


def listed(values: Iterable[Any]) -> str:
    """Return values as JSON for ``IN (SELECT value FROM json_each(?))``: no limit on how many there are."""
    return json.dumps(list(values))


def box_of(row: Row) -> BoundingBox:
    """Return the box in a row's columns."""
    return BoundingBox(row["left"], row["top"], row["width"], row["height"])


def box_columns(box: BoundingBox) -> tuple[float, float, float, float]:
    """Return a box as (left, top, width, height), in plain floats."""
    return float(box.left), float(box.top), float(box.width), float(box.height)
