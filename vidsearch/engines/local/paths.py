"""Keep where a face was each time it was seen, in 12 bytes a sighting: 3.6 kB for a minute at five a second."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from vidsearch.engines.local.database import Database
from vidsearch.engines.local.piece import Sighting
from vidsearch.model import BoundingBox

SIGHTING = np.dtype([("ms", "<u4"), ("box", "<u2", 4)])
"""Milliseconds from the start of the range; left, top, width and height in 65535ths of the picture."""

_FULL = 65535

_BLOCK = 200
"""Tracks read at once."""


def packed(path: Sequence[Sighting], start_ms: int) -> bytes:
    """Return the sightings of a piece whose range starts at ``start_ms`` as they are stored."""
    rows = np.empty(len(path), SIGHTING)
    rows["ms"] = [ms - start_ms for ms, _ in path]
    rows["box"] = np.rint(np.array([box for _, box in path], np.float64).reshape(-1, 4) * _FULL)
    return rows.tobytes()


def unpacked(blob: bytes, start_ms: int) -> list[tuple[int, BoundingBox]]:
    """Return (ms, box) of stored sightings."""
    rows = np.frombuffer(blob, SIGHTING)
    boxes = (rows["box"] / _FULL).round(5).tolist()
    return [(start_ms + ms, BoundingBox(*box)) for ms, box in zip(rows["ms"].tolist(), boxes, strict=True)]


def read_paths(database: Database, footage: str, version: str) -> Iterator[tuple[str, list[tuple[int, BoundingBox]]]]:
    """Yield (track id, sightings in order of time) of everything followed in a recording."""
    after = ""
    while True:
        with database.reading() as db:
            rows = db.execute(
                "SELECT root, range_start, best_ms, best_box, path FROM pieces WHERE footage = ?1 AND version = ?2 "
                "AND root IN (SELECT DISTINCT root FROM pieces WHERE footage = ?1 AND version = ?2 AND root > ?3 "
                "ORDER BY root LIMIT ?4) ORDER BY root, start_ms",
                (footage, version, after, _BLOCK),
            ).fetchall()
        for root, pieces in groupby(rows, lambda row: str(row["root"])):
            yield root, sorted((seen for piece in pieces for seen in _seen(piece)), key=lambda seen: seen[0])
            after = root
        if not rows:
            return


def _seen(row: sqlite3.Row) -> list[tuple[int, BoundingBox]]:
    """Return the sightings of a piece. One that an older vidsearch stored tells only of its best."""
    if not row["path"]:
        return [(row["best_ms"], BoundingBox(*json.loads(row["best_box"])))]
    return unpacked(row["path"], row["range_start"])
