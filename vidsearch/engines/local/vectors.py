"""Keep tracks and their vectors in ``engine.db``, stitched over the borders of ranges."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.database import Database
from vidsearch.engines.local.paths import packed, read_paths
from vidsearch.engines.local.piece import Piece, RangeResult, Sighting
from vidsearch.engines.local.stitch import links
from vidsearch.errors import UnknownRecord
from vidsearch.model import BoundingBox, ExaminedSpan, SpanOutcome, Track

SHOT = np.dtype([("ms", "<i8"), ("px", "<f4"), ("quality", "<f4")])
"""One described shot."""

_BLOCK = 2_000
"""Rows read at once: some 5 MB of vectors."""


@dataclass(frozen=True, slots=True)
class Range:
    """One analysed range of one recording."""

    footage: str
    version: str
    start_ms: int
    end_ms: int

    def key(self) -> tuple[str, str, int, int]:
        """Return the columns that name it."""
        return self.footage, self.version, self.start_ms, self.end_ms


@dataclass(frozen=True, slots=True)
class StoredShots:
    """The described shots of one track."""

    footage: str
    track_id: str
    shots: NDArray[Any]
    """Structured, dtype ``SHOT``, shape (n,)."""
    vectors: NDArray[np.float32]
    """Shape (n, dimensions)."""


@dataclass(frozen=True, slots=True)
class TrackPage:
    """Some tracks of a recording, each with the ids of its pieces."""

    tracks: list[tuple[Track, list[str]]]
    last: str | None
    """Where the next page goes on, or None at the end."""


_SUMMARY = (
    "id, root, start_ms, end_ms, best_ms, best_box, face_px, quality, detections, confidence, "
    "length(vectors) > 0 AS sure"
)
"""What a track is told by; vectors stay on the disk."""


class Vectors:
    """Tracks and vectors of all recordings analysed with one version of the engine and its settings."""

    def __init__(self, database: Database, version: str) -> None:
        self._database = database
        self._version = version

    # -- runs ----------------------------------------------------------------------------------------------------

    def note_run(self, token: str, of: Range) -> bool:
        """Note that a token stands for a range, and return whether the range's result is stored already."""
        with self._database.changing() as db:
            db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?)", (token, *of.key()))
            found = db.execute(
                "SELECT 1 FROM ranges WHERE footage = ? AND version = ? AND start_ms = ? AND end_ms = ?", of.key()
            ).fetchone()
        return found is not None

    def run(self, token: str) -> Range:
        """Return the range that a token stands for. Raises UnknownRecord."""
        with self._database.reading() as db:
            row = db.execute("SELECT footage, version, start_ms, end_ms FROM runs WHERE token = ?", (token,)).fetchone()
        if row is None:
            raise UnknownRecord(f"the local engine knows no run '{token}'")
        return Range(*row)

    def store(self, of: Range, result: RangeResult) -> None:
        """Keep a range's result and stitch it to its neighbours, all of it or nothing. Storing again replaces it."""
        with self._database.changing() as db:
            _drop_range(db, of)
            spans = json.dumps([[s.start_ms, s.end_ms, s.outcome.value, s.reason] for s in result.spans])
            db.execute("INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", (*of.key(), spans))
            db.executemany(
                f"INSERT OR REPLACE INTO pieces VALUES ({', '.join('?' * 20)})",
                [_row(of, piece) for piece in result.pieces],
            )
            _stitch(db, of, of.start_ms)
            _stitch(db, of, of.end_ms)

    def spans(self, of: Range) -> list[ExaminedSpan]:
        """Return what became of a range. Raises UnknownRecord where it is not stored."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT spans FROM ranges WHERE footage = ? AND version = ? AND start_ms = ? AND end_ms = ?", of.key()
            ).fetchone()
        if row is None:
            raise UnknownRecord("this run has not finished")
        return [ExaminedSpan(a, b, SpanOutcome(outcome), reason) for a, b, outcome, reason in json.loads(row[0])]

    def all_spans(self, footage: str) -> list[ExaminedSpan]:
        """Return what became of everything of a recording that was looked at, by start."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT spans FROM ranges WHERE footage = ? AND version = ? ORDER BY start_ms", (footage, self._version)
            ).fetchall()
        return [
            ExaminedSpan(a, b, SpanOutcome(outcome), reason)
            for row in rows
            for a, b, outcome, reason in json.loads(row[0])
        ]

    # -- tracks --------------------------------------------------------------------------------------------------

    def tracks(self, footage: str, of: Range | None = None, *, after: str = "", limit: int = 500) -> TrackPage:
        """Return tracks of a recording (only those that touch a range), a page at a time.

        A track without a confirmed shot or with a single detection is none.

        Args:
            footage: The recording's key.
            of: The range, or None for all.
            after: ``TrackPage.last`` of the page before.
            limit: Tracks looked at for one page.
        """
        touching = "" if of is None else "AND range_start = ? AND range_end = ?"
        words = () if of is None else (of.start_ms, of.end_ms)
        with self._database.reading() as db:
            roots = [
                row[0]
                for row in db.execute(
                    f"SELECT DISTINCT root FROM pieces WHERE footage = ? AND version = ? AND root > ? {touching} "
                    "ORDER BY root LIMIT ?",
                    (footage, self._version, after, *words, limit),
                )
            ]
            rows = db.execute(
                f"SELECT {_SUMMARY} FROM pieces WHERE footage = ? AND version = ? "
                "AND root IN (SELECT value FROM json_each(?)) ORDER BY root, start_ms, id",
                (footage, self._version, json.dumps(roots)),
            ).fetchall()
        grouped: dict[str, list[sqlite3.Row]] = {root: [] for root in roots}
        for row in rows:
            grouped[row["root"]].append(row)
        made = [(_track(root, group), [row["id"] for row in group]) for root, group in grouped.items()]
        real = [(track, ids) for track, ids in made if track is not None]
        real.sort(key=lambda pair: (pair[0].start_ms, pair[0].id))
        return TrackPage(real, roots[-1] if len(roots) == limit else None)

    def best_piece(self, track_id: str) -> str | None:
        """Return the piece of a track that has its best confirmed shot: the one its pictures are kept under."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id FROM pieces WHERE root = (SELECT root FROM pieces WHERE id = ?) AND length(vectors) > 0 "
                "ORDER BY quality DESC, id LIMIT 1",
                (track_id,),
            ).fetchone()
        return None if row is None else str(row[0])

    def paths(self, footage: str) -> Iterator[tuple[str, list[tuple[int, BoundingBox]]]]:
        """Yield (track id, sightings in order of time) of everything followed in a recording."""
        yield from read_paths(self._database, footage, self._version)

    def shots(self, footage: str | None = None) -> Iterator[list[StoredShots]]:
        """Yield the described shots of a recording's tracks, or of all, in blocks that fit into memory."""
        yield from self._blocks(self._rows(footage))

    def _rows(self, footage: str | None) -> Iterator[sqlite3.Row]:
        """Yield the pieces with vectors, those of one track together, without holding a query open in between."""
        if footage is None:
            # One recording after the other: over all of them no index has the order, and every block would sort anew.
            for key in self._recordings():
                yield from self._rows(key)
            return
        after: tuple[Any, ...] = ("", -1)
        while True:
            with self._database.reading() as db:
                rows = db.execute(
                    "SELECT footage, root, start_ms, shots, vectors FROM pieces WHERE footage = ? AND version = ? "
                    "AND (root, start_ms) > (?, ?) AND length(vectors) > 0 ORDER BY root, start_ms LIMIT ?",
                    (footage, self._version, *after, _BLOCK),
                ).fetchall()
            yield from rows
            if len(rows) < _BLOCK:
                return
            after = tuple(rows[-1])[1:3]

    def _recordings(self) -> list[str]:
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT DISTINCT footage FROM ranges WHERE version = ? ORDER BY footage", (self._version,)
            )
            return [row[0] for row in rows]

    def _blocks(self, rows: Iterable[sqlite3.Row]) -> Iterator[list[StoredShots]]:
        block: list[StoredShots] = []
        group: list[sqlite3.Row] = []
        for row in rows:
            if group and (row["footage"], row["root"]) != (group[0]["footage"], group[0]["root"]):
                block.append(self._joined(group))
                group = []
                if len(block) >= _BLOCK:
                    yield block
                    block = []
            group.append(row)
        if group:
            block.append(self._joined(group))
        if block:
            yield block

    @staticmethod
    def _joined(rows: Sequence[sqlite3.Row]) -> StoredShots:
        shots = np.frombuffer(b"".join(row["shots"] for row in rows), SHOT)
        vectors = np.frombuffer(b"".join(row["vectors"] for row in rows), "<f4").reshape(len(shots), -1)
        return StoredShots(rows[0]["footage"], rows[0]["root"], shots, vectors)

    # -- forgetting ----------------------------------------------------------------------------------------------

    def purge(self, footage: str) -> list[str]:
        """Remove everything of a recording, of all versions, and return the ids of the pieces that had pictures."""
        with self._database.changing() as db:
            ids = [row[0] for row in db.execute("SELECT id FROM pieces WHERE footage = ?", (footage,))]
            for table in ("pieces", "ranges", "runs"):
                db.execute(f"DELETE FROM {table} WHERE footage = ?", (footage,))
        self._database.forget_log()
        return ids


def _row(of: Range, piece: Piece) -> tuple[Any, ...]:
    shots = np.empty(len(piece.shot_ms), SHOT)
    shots["ms"], shots["px"], shots["quality"] = piece.shot_ms, piece.shot_px, piece.shot_quality
    box = piece.best_box
    return (
        piece.id,
        *of.key()[:2],
        of.start_ms,
        of.end_ms,
        piece.start_ms,
        piece.end_ms,
        piece.best_ms,
        json.dumps([box.left, box.top, box.width, box.height]),
        piece.face_px,
        piece.quality,
        piece.detections,
        piece.confidence,
        json.dumps(piece.lead),
        json.dumps(piece.tail),
        None,
        piece.id,
        shots.tobytes(),
        np.ascontiguousarray(piece.vectors, "<f4").tobytes(),
        packed(piece.path, of.start_ms),
    )


def _drop_range(db: sqlite3.Connection, of: Range) -> None:
    """Remove a range's earlier result; pieces after it become the first of their tracks again."""
    where = "footage = ? AND version = ? AND range_start = ? AND range_end = ?"
    old = [row[0] for row in db.execute(f"SELECT id FROM pieces WHERE {where}", of.key())]
    for piece in old:
        for row in db.execute("SELECT id FROM pieces WHERE previous = ?", (piece,)).fetchall():
            db.execute("UPDATE pieces SET previous = NULL WHERE id = ?", (row[0],))
            _set_root(db, row[0], row[0])
    db.execute(f"DELETE FROM pieces WHERE {where}", of.key())
    db.execute("DELETE FROM ranges WHERE footage = ? AND version = ? AND start_ms = ? AND end_ms = ?", of.key())


def _stitch(db: sqlite3.Connection, of: Range, border_ms: int) -> None:
    """Join the pieces that go on over a border, where both sides are stored."""
    before = _sightings(db, of, "range_end", border_ms, "tail")
    after = _sightings(db, of, "range_start", border_ms, "lead")
    for new, old in sorted(links(before, after).items()):
        db.execute("UPDATE pieces SET previous = ? WHERE id = ?", (old, new))
        root = db.execute("SELECT root FROM pieces WHERE id = ?", (old,)).fetchone()[0]
        _set_root(db, new, root)


def _sightings(db: sqlite3.Connection, of: Range, border: str, ms: int, column: str) -> dict[str, Sequence[Sighting]]:
    rows = db.execute(
        f"SELECT id, {column} FROM pieces WHERE footage = ? AND version = ? AND {border} = ? AND {column} != '[]'",
        (of.footage, of.version, ms),
    )
    return {row[0]: [(ms, tuple(box)) for ms, box in json.loads(row[1])] for row in rows}


def _set_root(db: sqlite3.Connection, piece: str | None, root: str) -> None:
    """Make a piece and all that follow it part of the track of ``root``."""
    while piece is not None:
        db.execute("UPDATE pieces SET root = ? WHERE id = ?", (root, piece))
        row = db.execute("SELECT id FROM pieces WHERE previous = ?", (piece,)).fetchone()
        piece = None if row is None else row[0]


def _track(root: str, rows: Sequence[sqlite3.Row]) -> Track | None:
    """Return the track that pieces make together, or None where it is not one."""
    sure = [row for row in rows if row["sure"]]
    detections = sum(row["detections"] for row in rows)
    if not sure or detections < 2:
        return None
    best = min(sure, key=lambda row: (-row["quality"], row["id"]))
    return Track(
        id=root,
        start_ms=min(row["start_ms"] for row in rows),
        end_ms=max(row["end_ms"] for row in rows),
        best_ms=best["best_ms"],
        best_box=BoundingBox(*json.loads(best["best_box"])),
        face_px=best["face_px"],
        detections=detections,
        confidence=max(row["confidence"] for row in rows),
    )
