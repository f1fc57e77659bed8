"""Analyse one time range of one recording: the work of a worker. Knows no database and nobody's face.

A range is read from a little before its start, so that gate and tracker are warm, and only what is seen inside it
counts. Nothing here depends on other ranges, their order or the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.align import cut_around, shrunk
from vidsearch.engines.local.boxes import Box, clamped, grown
from vidsearch.engines.local.describe import Describer
from vidsearch.engines.local.detect import Found, Window, find_in
from vidsearch.engines.local.faces import Faces
from vidsearch.engines.local.gate import Gate
from vidsearch.engines.local.piece import Piece, RangeResult
from vidsearch.engines.local.quality import frontal, sharpness, shot_quality
from vidsearch.engines.local.reading import Frame, Reader
from vidsearch.engines.local.shots import Shot
from vidsearch.engines.local.track import GAP_MS, LiveTrack, Tracker
from vidsearch.engines.local.windows import Turns, around
from vidsearch.errors import EngineError
from vidsearch.model import MediaFacts

Pixels = NDArray[np.uint8]

LEAD_MS = 1_600
"""Read before a range. Longer than GAP_MS, so that a face that is still followed at the border was seen in it."""

SWEEP_MS = 20_000
"""Every so often the whole picture is looked at, for faces that came in without moving much."""

_BUDGET = 8
"""Windows looked at in one picture, besides those of followed faces. Where more is moving they take turns, so that a
shaking camera or a cloud over the sun costs recall of a fraction of a second and not hours of time."""

_FRUITLESS = 3
"""Looks in a row without a new face after which, besides followed faces, only every other picture is looked at. People
seen from behind, traffic and leaves cost half, and whoever turns round is found a fifth of a second later."""

_KEPT_SIDE = 1280
"""Longer side of the picture kept of a track, pixels."""

_REACH = 2.4
"""Side of the piece kept of a shot, in widths of the face."""

_LOOK_AROUND = 0.8
"""How far around a followed face is looked, in its widths, so that the detector sees the head."""


@dataclass(frozen=True, slots=True)
class AnalyseTask:
    """Everything a worker needs to know. Picklable."""

    footage_key: str
    version: str
    """Engine version and settings: part of the names of tracks."""
    path: Path
    facts: MediaFacts
    start_ms: int
    end_ms: int
    sample_ms: int
    reader: Reader
    models: Path
    detector: str
    embedder: str


class RangeAnalysis:
    """The state of one range while it is read."""

    def __init__(self, task: AnalyseTask, faces: Faces) -> None:
        self._task = task
        self._faces = faces
        self._gate = Gate(task.sample_ms)
        self._tracker = Tracker()
        self._describer = Describer(task.footage_key, task.version, task.start_ms, task.end_ms, faces)
        self._pieces: list[Piece] = []
        self._swept = -1
        self._fruitless = 0
        self._turns = Turns(_BUDGET)
        self._size = (task.facts.width, task.facts.height)

    def run(self, stopped: Callable[[], bool]) -> RangeResult:
        """Read the range and return what is in it.

        ``stopped`` is asked before every picture. Raises SourceUnavailable where the recording goes away, EngineError
        when stopped.
        """
        task = self._task
        with task.reader.read(
            task.path, task.facts, task.start_ms, task.end_ms, task.sample_ms, lead_ms=LEAD_MS
        ) as frames:
            for frame in frames:
                if stopped():
                    raise EngineError("stopped")
                self._see(frame)
            spans = tuple(frames.spans)
        self._finish(self._tracker.cut(), still_there=True)
        pieces = sorted(self._pieces, key=lambda piece: (piece.start_ms, piece.id))
        return RangeResult(tuple(pieces), spans)

    def _see(self, frame: Frame) -> None:
        motion = self._gate.look(frame.luma)
        self._size = frame.width, frame.height
        if motion.cut:
            self._finish(self._tracker.cut())
        self._finish(self._tracker.expire(frame.ms))
        if motion.cut or not motion.regions:
            self._fruitless = 0
        windows = self._windows(frame, motion.regions)
        if not windows:
            return
        rgb = frame.rgb()
        small = _Once(lambda: shrunk(rgb, _KEPT_SIDE)[0])
        for track, face in self._tracker.step(frame.ms, find_in(self._faces.detector, rgb, windows)):
            if len(track.sightings) == 1:
                self._fruitless = 0
            if frame.ms >= self._task.start_ms:
                self._take_shot(frame.ms, rgb, track, face, small)

    def _windows(self, frame: Frame, moving: list[Box]) -> list[Window]:
        """Return where to look in a picture: at followed faces, where it moves, and now and then everywhere."""
        certain = around(
            [grown(t.expected(frame.ms), _LOOK_AROUND * (t.box[2] - t.box[0])) for t in self._tracker.live],
            frame.width,
            frame.height,
        )
        self._fruitless += 1
        if self._fruitless > _FRUITLESS and self._fruitless % 2:
            return certain
        sweep = frame.ms // SWEEP_MS
        if sweep != self._swept:
            self._swept = sweep
            moving = [(0.0, 0.0, float(frame.width), float(frame.height))]
        others = self._turns.next(moving, frame.width, frame.height)
        return certain + [window for window in others if window not in certain]

    def _take_shot(self, ms: int, rgb: Pixels, track: LiveTrack, face: Found, small: _Once) -> None:
        turned = frontal(face.points)
        if not track.shots.wants(ms, shot_quality(face.width, turned, face.score, 100.0)):
            return
        piece, box = _piece(rgb, face.box)
        sharp = sharpness(piece, box)
        quality = shot_quality(face.width, turned, face.score, sharp)
        track.shots.add(Shot(ms, face.box, face.score, turned, sharp, quality, piece, box), small.get)

    def _finish(self, tracks: list[LiveTrack], *, still_there: bool = False) -> None:
        for track in tracks:
            live = still_there or track.last_ms > self._task.end_ms - GAP_MS
            self._pieces += self._describer.pieces(track, self._size, reaches_end=live)


class _Once:
    """Makes something on first use."""

    def __init__(self, make: Callable[[], Pixels]) -> None:
        self._make = make
        self._made: Pixels | None = None

    def get(self) -> Pixels:
        if self._made is None:
            self._made = self._make()
        return self._made


def _piece(rgb: Pixels, box: Box) -> tuple[Pixels, Box]:
    """Copy a face and its surroundings out of a picture, at its own size and within the picture."""
    width = box[2] - box[0]
    if width > 320:
        return cut_around(rgb, box, 320.0, _REACH)
    x0, y0, x1, y1 = clamped(grown(box, width * (_REACH - 1) / 2), rgb.shape[1], rgb.shape[0])
    return rgb[y0:y1, x0:x1].copy(), (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
