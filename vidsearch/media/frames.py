"""Read sampled pictures of a recording, and account for every millisecond asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from vidsearch.errors import SourceUnavailable, UnreadableFootage
from vidsearch.media.container import check_file, unavailable
from vidsearch.media.decoding import Decoder
from vidsearch.media.sampled import SampledFrame
from vidsearch.media.timing import frame_ms
from vidsearch.model import ExaminedSpan, MediaFacts, SpanOutcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP_MS: Final = 2_000
"""Two pictures further apart than this have a gap between them."""


@dataclass(frozen=True, slots=True)
class FrameReader:
    """Reads sampled pictures. Holds no state, so it can be sent to other processes."""

    thread_type: str = "NONE"
    """How the decoder uses threads, in PyAV's words. One thread for each process makes best use of a machine."""

    def read(
        self, path: Path, facts: MediaFacts, start_ms: int, end_ms: int, sample_ms: int, *, lead_ms: int = 0
    ) -> FrameRun:
        """Read the samples of [start_ms - lead_ms, end_ms) of a recording.

        Samples lie on a grid from the recording's zero: of each stretch of ``sample_ms`` the first frame, so the same
        frames come whatever the range, and never by counting frames.

        Args:
            path: The recording.
            facts: What ``probe`` told of it.
            start_ms: Where the range starts, from the recording's zero.
            end_ms: Where it ends, not included.
            sample_ms: Distance of the samples.
            lead_ms: Time before the range from which frames are yielded too, for consumers that must warm up.

        Returns:
            A context manager to iterate over. The file is opened when iteration begins.
        """
        return FrameRun(path, facts, start_ms, end_ms, sample_ms, lead_ms, self.thread_type)


class FrameRun:
    """One reading of a range. After the last frame, ``spans`` covers the part of the range that the recording has."""

    def __init__(
        self,
        path: Path,
        facts: MediaFacts,
        start_ms: int,
        end_ms: int,
        sample_ms: int,
        lead_ms: int,
        thread_type: str,
    ) -> None:
        """Prepare; see ``FrameReader.read``."""
        self._path = path
        self._facts = facts
        self._from_ms = max(0, start_ms - lead_ms)
        self._sample_ms = sample_ms
        self._thread_type = thread_type
        self._coverage = _Coverage(max(0, start_ms), min(end_ms, facts.duration_ms), sample_ms, facts)
        self._frames = self._read()

    @property
    def spans(self) -> list[ExaminedSpan]:
        """What became of [start_ms, end_ms) as far as the recording goes. Complete after the last frame."""
        return self._coverage.spans

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, also where iteration stopped early."""
        self._frames.close()

    def __iter__(self) -> Iterator[SampledFrame]:
        """Return the run."""
        return self

    def __next__(self) -> SampledFrame:
        """Return the next sample. Raises SourceUnavailable where the source vanishes."""
        return next(self._frames)

    def _read(self) -> Generator[SampledFrame, None, None]:
        coverage = self._coverage
        if coverage.end <= coverage.start:
            return
        size = check_file(self._path)
        sample_ms = self._sample_ms
        with Decoder(self._path, self._facts, self._thread_type, sample_ms) as decoder:
            last_cell = -1
            for ms, frame in decoder.frames(self._from_ms // sample_ms * sample_ms):
                coverage.saw(ms, decoder)
                if ms >= coverage.end:
                    return
                cell = ms // sample_ms
                if cell > last_cell:
                    last_cell = cell
                    if ms >= self._from_ms:
                        yield SampledFrame(frame, self._facts, ms)
            _check_still_there(self._path, size)
            coverage.file_ended(decoder)


class _Coverage:
    """Notes which part of a range was looked at, and why the rest was not."""

    def __init__(self, start: int, end: int, sample_ms: int, facts: MediaFacts) -> None:
        self.start = start
        self.end = end
        self.spans: list[ExaminedSpan] = []
        self._truncated = facts.readable_ms is not None
        self._frame_ms = frame_ms(facts)
        # Frames that are slow by design (one in five seconds) are no gaps.
        self._gap_ms = max(GAP_MS, 3 * self._frame_ms, 2 * sample_ms)
        self._loss_ms = max(2 * sample_ms, 2 * self._frame_ms)
        self._last: int | None = None
        self._done = start

    def saw(self, ms: int, decoder: Decoder) -> None:
        """Take note of a good frame."""
        last = self._last
        if ms - (0 if last is None else last) > self._loss_ms:
            self._hole(ms, decoder)
        if last is None or ms > last:
            self._last = ms
        if ms >= self.end:
            self._examined_to(self.end)

    def file_ended(self, decoder: Decoder) -> None:
        """Take note that there are no more frames."""
        since = self._shown_until
        missing = self.end - since
        declared = decoder.declared_end_ms
        early = self._truncated or (declared is not None and declared - since > GAP_MS)
        lost = bool(decoder.read_errors) or decoder.lost_between(self._last, None)
        if missing > (self._loss_ms if early or lost else self._gap_ms):
            if early or decoder.read_errors:
                self._not_examined(since, self.end, SpanOutcome.UNDECODABLE, "the file ends early")
            elif lost:
                self._not_examined(since, self.end, SpanOutcome.UNDECODABLE, "damaged")
            else:
                self._not_examined(since, self.end, SpanOutcome.GAP, "the video ends here")
        self._examined_to(self.end)

    @property
    def _shown_until(self) -> int:
        return 0 if self._last is None else self._last + self._frame_ms

    def _hole(self, ms: int, decoder: Decoder) -> None:
        since = self._shown_until
        if decoder.lost_between(self._last, ms):
            self._not_examined(since, ms, SpanOutcome.UNDECODABLE, "damaged")
        elif ms - since > self._gap_ms:
            self._not_examined(since, ms, SpanOutcome.GAP, "no pictures were recorded")

    def _not_examined(self, start: int, end: int, outcome: SpanOutcome, reason: str) -> None:
        start, end = max(start, self._done), min(end, self.end)
        if start < end:
            self._examined_to(start)
            self.spans.append(ExaminedSpan(start, end, outcome, reason))
            self._done = end

    def _examined_to(self, ms: int) -> None:
        if ms > self._done:
            self.spans.append(ExaminedSpan(self._done, ms, SpanOutcome.EXAMINED))
            self._done = ms


def frame_at(path: Path, facts: MediaFacts, ms: int) -> NDArray[np.uint8]:
    """Return the picture shown at a time of a recording: RGB, upright, uint8, shape (height, width, 3).

    Before the first picture, that one. Raises SourceUnavailable, or UnreadableFootage where there is no picture.
    """
    shown: SampledFrame | None = None
    with Decoder(path, facts) as decoder:
        for at, frame in decoder.frames(ms):
            if shown is not None and at > ms:
                break
            shown = SampledFrame(frame, facts, at)
    if shown is None:
        raise UnreadableFootage("no picture can be read there")
    return shown.rgb()


def _check_still_there(path: Path, size: int) -> None:
    """Raise SourceUnavailable where a file that seemed to end was in truth taken away."""
    if check_file(path) < size:
        raise SourceUnavailable(f"{path} has become shorter while it was read: check its drive, then search again")
    try:
        with path.open("rb") as stream:
            stream.seek(size - 1)
            stream.read(1)
    except OSError as exc:
        raise unavailable(path, exc) from exc
