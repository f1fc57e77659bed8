"""An engine for tests of the job machine: it finds what a script says, keeps its runs in a file that processes share,
tells of every run twice and to everybody, hands results out in small pages, and stitches tracks over segment borders
depending on which runs have ended, as real engines do.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from vidsearch.engine import Capabilities, Completion, Engine, MediaLimits, Page, RunRequest
from vidsearch.errors import EngineError
from vidsearch.model import (
    BoundingBox,
    EnrolledFace,
    ExaminedSpan,
    FaceDescription,
    Picture,
    ProbeMatch,
    SpanOutcome,
    Track,
    TrackMatch,
)

SHOT_MS = 200
"""A scripted track has a detection every so often."""

SCRIPT = [(start, start + 700 + 900 * (start % 7)) for start in range(300, 60_000, 2_700)]
"""Who walks by, in milliseconds of every recording. Many cross a border of segments."""

FACE_ID = "face-1"


class ScriptedEngine(Engine):
    """See the module. ``run_s`` is how long a run takes; ranges that begin at one of ``broken`` fail."""

    NAME: ClassVar[str] = "scripted"

    def __init__(
        self, folder: Path, *, run_s: float = 0.02, page_size: int = 2, capacity: int = 2, broken: Sequence[int] = ()
    ) -> None:
        self.version = "1"
        self.settings_key = "s"
        self.capabilities = Capabilities(analysis=True)
        self.media_limits = MediaLimits(segment_ms=5_000)
        self.default_threshold = 80.0
        self.floor_similarity = 50.0
        self.broken = set(broken)
        self.cancelled: list[str] = []
        self.acknowledged: list[str] = []
        self.starts: list[str] = []
        self._run_s = run_s
        self._page_size = page_size
        self._capacity = capacity
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "runs.db"
        self._write(
            "CREATE TABLE IF NOT EXISTS runs (token TEXT PRIMARY KEY, key TEXT, start_ms INTEGER, end_ms INTEGER, "
            "ready REAL, error TEXT, told INTEGER DEFAULT 0)"
        )

    @property
    def capacity(self) -> int:
        return self._capacity

    # -- footage -------------------------------------------------------------------------------------------------

    def start(self, request: RunRequest, token: str) -> str:
        self.starts.append(token)
        error = "the script says no" if request.start_ms in self.broken else None
        self._write(
            "INSERT INTO runs (token, key, start_ms, end_ms, ready, error) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (token, request.footage_key, request.start_ms, request.end_ms, time.time() + self._run_s, error),
        )
        return f"run-{token}"

    def completions(self, wait_s: float) -> list[Completion]:
        deadline = time.monotonic() + wait_s
        while True:
            rows = self._read("SELECT token, error FROM runs WHERE ready <= ? AND told < 2", (time.time(),))
            if rows or time.monotonic() > deadline:
                return [Completion(f"run-{token}", error) for token, error in rows]
            time.sleep(0.005)

    def acknowledge(self, completion: Completion) -> None:
        self.acknowledged.append(completion.run_ref)
        self._write("UPDATE runs SET told = told + 1 WHERE token = ?", (completion.run_ref.removeprefix("run-"),))

    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        rows = self._read(
            "SELECT key, start_ms, end_ms FROM runs WHERE token = ? AND ready <= ?",
            (run_ref.removeprefix("run-"), time.time()),
        )
        if not rows:
            raise EngineError(f"{run_ref} is not finished")
        key, start, end = rows[0]
        done = self._done(key)
        tracks, superseded = [], []
        for begin, stop in SCRIPT:
            if begin < end and stop > start:
                pieces = [(max(begin, s), min(stop, e)) for s, e in done if begin < e and stop > s]
                for group in _joined(pieces):
                    tracks.append(_track(key, group[0][0], group[-1][1]))
                    superseded += [_track(key, *piece).id for piece in group[1:]]
        first = int(cursor or 0)
        last = first + self._page_size >= len(tracks)
        return Page(
            tracks=tracks[first : first + self._page_size],
            spans=[ExaminedSpan(start, end, SpanOutcome.EXAMINED)] if first == 0 else [],
            superseded=superseded if last else [],
            next_cursor=None if last else str(first + self._page_size),
        )

    def cancel(self, run_ref: str) -> None:
        self.cancelled.append(run_ref)

    def progress(self, run_ref: str) -> float | None:
        return 0.5

    def match(
        self, gallery: str, footage_key: str, *, track_ids: Sequence[str] | None = None, ask: bool = True
    ) -> Iterator[TrackMatch]:
        pieces = self._done(footage_key)
        for begin, stop in SCRIPT:
            for group in _joined([(max(begin, s), min(stop, e)) for s, e in pieces if begin < e and stop > s]):
                yield TrackMatch(_track(footage_key, group[0][0], group[-1][1]).id, FACE_ID, 90.0, 3)

    # -- photos: none --------------------------------------------------------------------------------------------

    def describe(self, picture: Picture) -> list[FaceDescription]:
        return []

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        raise NotImplementedError

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        pass

    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        return []

    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        return []

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        return []

    # -- the file ------------------------------------------------------------------------------------------------

    def _done(self, key: str) -> list[tuple[int, int]]:
        return self._read(
            "SELECT DISTINCT start_ms, end_ms FROM runs WHERE key = ? AND ready <= ? AND error IS NULL "
            "ORDER BY start_ms",
            (key, time.time()),
        )

    def _read(self, sql: str, parameters: tuple = ()) -> list[tuple]:
        with closing(sqlite3.connect(self._path, timeout=10)) as db:
            return db.execute(sql, parameters).fetchall()

    def _write(self, sql: str, parameters: tuple = ()) -> None:
        with closing(sqlite3.connect(self._path, timeout=10)) as db, db:
            db.execute(sql, parameters)


def _joined(pieces: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    groups: list[list[tuple[int, int]]] = []
    for piece in pieces:
        if groups and groups[-1][-1][1] == piece[0]:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _track(key: str, start: int, end: int) -> Track:
    detections = max(1, (end - start) // SHOT_MS)
    return Track(f"{key}-{start}", start, end - 1, start, BoundingBox(0.1, 0.1, 0.2, 0.2), 90, detections, 99.0)
