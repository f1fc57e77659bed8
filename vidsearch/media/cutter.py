"""Make files that an engine far away takes: H.264 in MP4, no larger and no longer than it allows, without sound.

What can be copied without encoding is copied, exactly or not at all; everything else is encoded anew. Either way the
result is read back before it gets its name, and says which part of the recording it shows when.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os import getpid
from pathlib import Path
from typing import Final

import psutil

from vidsearch.cuts import Cut, Span, Stretch, merged
from vidsearch.errors import DiskFull, FFmpegFailed, FootageRefused, SourceUnavailable
from vidsearch.media.acceptance import CONTAINERS, acceptable, amount, encoding_reasons
from vidsearch.media.boxes import Structure, structure
from vidsearch.media.container import check_file
from vidsearch.media.copying import copy, placed, stretches
from vidsearch.media.ffmpeg import LOOK_S, Stopped, size_of
from vidsearch.media.keyframes import KeyFrames, Take, Uncopyable
from vidsearch.media.transcoding import check, transcode
from vidsearch.model import MediaFacts

log = logging.getLogger(__name__)

PART: Final = ".part.mp4"
"""Ends the name of a file that is being made; the number of the process that makes it stands before."""

MOST_STRETCHES: Final = 200
"""More parts than this are not put together in one file: the shortest gaps between them are filled."""

SPARE_BYTES: Final = 16 << 20
"""Disk that must stay free."""

BITS_PER_PIXEL: Final = 0.12
"""What an encoded picture takes, for an estimate of the disk needed."""

GENEROUS_RATE: Final = 25_000_000
"""Bits a second above which a bound on the rate is left out: it would only raise the level decoders must have."""

OVERHEAD: Final = 0.95
"""Share of what a file may have that the pictures may take."""

SECOND_TRY: Final = 0.7
"""By how much the rate is lowered where the encoder kept to its bound too loosely."""

READABLE_SLACK_MS: Final = 1_500
"""How far beyond the point to which a truncated recording seems readable it is tried."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """Makes cuts. Holds settings only, so it can be shared and sent to other processes."""

    program: str = ""
    """Path of the ffmpeg to use; empty takes the system's, else the bundled one."""

    def cut(
        self,
        path: Path,
        facts: MediaFacts,
        size: int,
        spans: Sequence[Span],
        out: Path,
        *,
        max_bytes: int,
        max_ms: int,
        on_progress: Callable[[float], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Cut:
        """Return a file that shows all of ``spans``: the recording itself where that will do, else ``out``.

        A copy begins at a key frame, so it may hold up to some seconds before each span; hits there are for the caller
        to drop. Where nothing is shown in the spans, the cut has no stretches and there is no file. A file of that
        name is replaced, but only by a whole one.

        Args:
            path: The recording.
            facts: What probing it told.
            size: Its bytes.
            spans: The parts wanted, in milliseconds of the recording.
            out: Where to write; its folder is made.
            max_bytes: Largest file to return.
            max_ms: Longest file to return, as it plays.
            on_progress: Called now and then with the share done, 0 to 1; it may start again at 0.
            stop: Asked now and then; once true, everything is undone and Stopped is raised.

        Raises:
            SourceUnavailable: The recording is not there, or changed while it was read.
            FootageRefused: It cannot be read, or the spans are longer than ``max_ms``.
            DiskFull: There is no room for the cut; found out before it is begun, where that can be told.
            FFmpegFailed: ffmpeg could not do it; Stopped where it was told to.
        """
        there = check_file(path)
        wanted = merged((max(0, start), end) for start, end in spans)
        if sum(max(0, min(end, facts.duration_ms) - start) for start, end in wanted) > max_ms:
            raise FootageRefused(f"parts of more than {max_ms / 3_600_000:.3g} h cannot be sent: search shorter ones")
        limits = _Limits(max_bytes, max_ms)
        found = structure(path) if facts.container in CONTAINERS else Structure()
        if _is_whole(wanted, facts) and acceptable(path, facts, found, size, max_bytes, max_ms):
            return Cut(path, (Stretch(0, 0, facts.duration_ms),), there, made=False)
        work = _Work(path, facts, _few(wanted), out, limits, self.program, on_progress, stop)
        work.prepare()
        try:
            held = None if found.edited or encoding_reasons(facts) else work.copied()
            if held is None:
                held = work.encoded()
            if check_file(path) < there:
                raise SourceUnavailable(f"{path} has become shorter while it was read: check its drive")
            return work.finish(held)
        finally:
            work.part.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Limits:
    bytes: int
    ms: int


def _is_whole(spans: Sequence[Span], facts: MediaFacts) -> bool:
    return len(spans) == 1 and spans[0][0] <= 0 and spans[0][1] >= facts.duration_ms


def _few(spans: list[Span]) -> list[Span]:
    """Return spans with the shortest gaps filled, so that there are not too many."""
    gaps = sorted(later[0] - earlier[1] for earlier, later in pairwise(spans))
    surplus = len(spans) - MOST_STRETCHES
    return merged(spans, gap_ms=gaps[surplus - 1]) if surplus > 0 else spans


@dataclass(slots=True)
class _Work:
    """One cut in the making."""

    path: Path
    facts: MediaFacts
    spans: list[Span]
    out: Path
    limits: _Limits
    program: str
    on_progress: Callable[[float], None] | None
    stop: Callable[[], bool] | None
    looked: float = 0.0

    @property
    def part(self) -> Path:
        """The file while it is made."""
        return self.out.with_name(f"{self.out.stem}.{getpid()}{PART}")

    def prepare(self) -> None:
        """Make the folder, and remove what processes that are gone left in it."""
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            for left in self.out.parent.glob(f"*{PART}"):
                process = left.name.removesuffix(PART).rpartition(".")[2]
                if left == self.part or (process.isdecimal() and not psutil.pid_exists(int(process))):
                    left.unlink(missing_ok=True)
        except OSError as exc:
            raise FFmpegFailed(f"cuts cannot be written to {self.out.parent}: {exc.strerror or exc}") from exc

    def copied(self) -> tuple[Stretch, ...] | None:
        """Copy, and return what the file holds; None where copying cannot be exact or the copy does not fit."""
        readable = self.facts.readable_ms
        most = None if readable is None else readable + READABLE_SLACK_MS
        spans = [(start, end if most is None else min(end, most)) for start, end in self.spans]
        try:
            with KeyFrames(self.path, self.facts) as keys:
                if keys.coded_size != (self.facts.width, self.facts.height):
                    raise Uncopyable("its pixels are not square")
                takes = keys.takes([(start, end) for start, end in spans if start < end])
                if not takes:
                    return ()
                if any(not take.afresh for take in takes[1:]):
                    raise Uncopyable("its key frames lean on the pictures before them")
                return self._copied(keys, takes)
        except Uncopyable as exc:
            log.info("%s is transcoded: %s", self.path, exc)
            return None

    def _copied(self, keys: KeyFrames, takes: list[Take]) -> tuple[Stretch, ...]:
        places = placed(takes)
        needed = sum(max(0, take.end_byte - take.begin_byte) for take in takes)
        length_ms = round((places[-1].last + takes[-1].frame) * 1000 / keys.timescale)
        if needed > 1.5 * self.limits.bytes or length_ms > self.limits.ms:
            raise Uncopyable("from key frame to key frame it is more than may be sent")
        self._check_room(min(needed, self.limits.bytes))
        copy(
            self.path,
            keys,
            places,
            self.part,
            program=self.program,
            max_bytes=self.limits.bytes,
            meanwhile=lambda: self._tell(self.part.stat().st_size / max(1, needed) if self.part.exists() else 0.0),
        )
        if size_of(self.part) > self.limits.bytes:
            raise Uncopyable(f"copied it is larger than {amount(self.limits.bytes)}")
        return stretches(places, keys)

    def encoded(self) -> tuple[Stretch, ...]:
        """Encode, at a rate at which the file fits, and return what it holds."""
        facts = self.facts
        ends = ((start, min(end, facts.duration_ms)) for start, end in self.spans)
        length_s = max(0.1, sum(max(0, end - start) for start, end in ends) / 1000)
        most = int(OVERHEAD * 8 * self.limits.bytes / (length_s + 2))
        usual = BITS_PER_PIXEL * facts.width * facts.height * max(1.0, facts.fps)
        self._check_room(int(min(usual * length_s / 8, self.limits.bytes)))
        # Encoding takes hours: never twice the same.
        for rate in dict.fromkeys((most if most < GENEROUS_RATE else None, most, int(SECOND_TRY * most))):
            encoded = transcode(
                self.path, facts, self.spans, self.part, program=self.program, max_rate=rate, meanwhile=self._tell
            )
            if not encoded.stretches:
                return ()
            if size_of(self.part) <= self.limits.bytes:
                check(self.part, encoded)
                return tuple(encoded.stretches)
        raise FFmpegFailed(f"{length_s:.0f} s of it cannot be brought under {amount(self.limits.bytes)}")

    def finish(self, held: tuple[Stretch, ...]) -> Cut:
        """Give the file its name."""
        if not held:
            return Cut(self.out, (), 0, made=False)
        try:
            size = self.part.stat().st_size
            self.part.replace(self.out)
        except OSError as exc:
            raise FFmpegFailed(f"the cut cannot be kept as {self.out}: {exc.strerror or exc}") from exc
        if self.on_progress is not None:
            self.on_progress(1.0)
        return Cut(self.out, held, size, made=True)

    def _tell(self, share: float) -> None:
        """Tell how far it is, and stop where that is wanted."""
        now = time.monotonic()
        if now - self.looked < LOOK_S:
            return
        self.looked = now
        if self.stop is not None and self.stop():
            raise Stopped
        if self.on_progress is not None:
            self.on_progress(min(1.0, share))

    def _check_room(self, needed: int) -> None:
        folder = self.out.parent
        free = shutil.disk_usage(folder).free
        if needed + SPARE_BYTES > free:
            raise DiskFull(
                f"a cut of {self.path.name} needs {amount(needed)} in {folder}, where {amount(free)} are free: "
                "free some space and run the same command again"
            )
