"""Decode a recording from a time on, going past what cannot be decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import av
import av.error

from vidsearch.errors import NoDecoder
from vidsearch.media.container import opened, video_stream
from vidsearch.media.packets import ByCount, ByTime, Reading, TooLate, from_any_key_frame, from_key_frame
from vidsearch.media.sparing import Sparing, can_spare
from vidsearch.media.timing import JUMP_MS, Slots, Ticks, frame_ms, steady
from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from vidsearch.media.container import VideoStream

ENTRANCES_MS: Final = ((0, 0), (3_000, 0), (12_000, 2_000), (60_000, 10_000), (300_000, 60_000))
"""How long before the time asked for to seek, and how long before it at least the key frame must be: the next where
the one before came out too late. Streams without an index (TS, PS) are entered at any packet near the time, and after
a key frame pictures can be broken for a while (periodic intra refresh). After the last one the file is read from its
beginning, which is always right and can take long."""

REENTRY_FROM_MS: Final = 2_000
"""A file whose pictures end this much before their time is entered again further on."""

REENTRY_MS: Final = (1_000, 5_000, 20_000, 60_000, 300_000)
"""How far behind the last picture, in turn, until there is one."""


class Decoder:
    """Good frames of one recording in the order in which they are shown, and what was lost between them."""

    def __init__(self, path: Path, facts: MediaFacts, thread_type: str = "NONE", sample_ms: int | None = None) -> None:
        """Prepare to decode; nothing is opened yet.

        Args:
            path: The recording.
            facts: What probing it told.
            thread_type: PyAV's word: ``NONE`` (one thread), ``SLICE``, ``FRAME`` or ``AUTO``.
            sample_ms: Where only the first frame of each stretch of this length is wanted: the others may then be
                left out, as far as no other frame depends on them. None: every frame is wanted.
        """
        self._path = path
        self._facts = facts
        self._thread_type = thread_type
        self._sample_ms = sample_ms
        self._frame_ms = frame_ms(facts)
        self._files = ExitStack()
        self._open()

    def __enter__(self) -> Self:
        """Return the decoder; it closes the file at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._files.close()

    def frames(self, from_ms: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (recording time, frame) to the end, the first at or before ``from_ms`` if there is one so early.

        Raises SourceUnavailable and the errors of ``opened``.
        """
        jump_ms = max(JUMP_MS, 10 * self._frame_ms)
        for entrance in self._entrances(from_ms):
            try:
                yield from steady(self._attempt(from_ms, entrance), jump_ms)
                break
            except TooLate:
                continue
        yield from self._rest()

    @property
    def read_errors(self) -> list[str]:
        """Errors of the demuxer so far."""
        return self._reading.errors

    @property
    def declared_end_ms(self) -> int | None:
        """Where the container says the video ends, in recording time, or None where it does not say."""
        if self._stream.duration is None or self._facts.estimated_times:
            return None
        return self._ticks.ms((self._stream.start_time or 0) + self._stream.duration)

    def lost_between(self, last_ms: int | None, ms: int | None) -> bool:
        """Tell whether the file has pictures between two frames shown one after the other that were not decoded.

        To be asked before the next frame. ``last_ms`` None means the beginning of what was read, ``ms`` None its end.
        """
        if self._error_after == last_ms and self._errors:
            return True
        low = float("-inf") if last_ms is None else last_ms
        high = float("inf") if ms is None else ms
        return any(low < self._ticks.ms(pts) < high for pts in self._pending)

    def _entrances(self, from_ms: int) -> Iterator[tuple[int, int] | None]:
        if from_ms > 0 and self._facts.estimated_times:
            yield ENTRANCES_MS[0]  # found by counting, so right at once or never
        elif from_ms > 0 and self._facts.joined:
            yield from ENTRANCES_MS[:3]
        elif from_ms > 0 and self._facts.seekable:
            yield from (entrance for entrance in ENTRANCES_MS if entrance[1] < from_ms)
        yield None

    def _open(self) -> None:
        self._files.close()
        container = self._files.enter_context(opened(self._path))
        try:
            self._stream = video_stream(container)
            self._codec = codec_context(self._stream, self._thread_type)
            self._ticks = Ticks(self._stream, self._facts.origin_ms)
            self._reading = Reading(container, self._stream, joined=self._facts.joined)
        except BaseException:
            self._files.close()
            raise
        self._stretch_ms = self._sample_ms if can_spare(self._codec.name, self._facts) else None
        self._by_slot = self._facts.container == "avi"
        self._codec.copy_opaque = self._by_slot
        self._fresh = True
        self._start_over(0)

    def _start_over(self, from_ms: int) -> None:
        stretch_ms = self._stretch_ms
        self._sparing = Sparing(self._codec, self._ticks, stretch_ms, from_ms) if stretch_ms else None
        self._pending: deque[int] = deque()
        self._slots = Slots()
        self._errors = 0
        self._error_after: int | None = None
        self._last: int | None = None
        self._counter = 0

    def _attempt(self, from_ms: int, entrance: tuple[int, int] | None) -> Iterator[tuple[int, VideoFrame]]:
        """Yield frames from an entrance on; None is the beginning of the file."""
        facts = self._facts
        seeks = entrance is not None and not (facts.estimated_times or facts.joined)
        if not (seeks or self._fresh):
            self._open()  # counts from the beginning of the file
        self._start_over(from_ms)
        self._fresh = False
        must_reach = entrance is not None and not facts.estimated_times
        for ms, frame in self._decoded(self._packets(from_ms, entrance)):
            if must_reach and ms > from_ms:
                raise TooLate
            must_reach = False
            yield ms, frame
        if must_reach:
            raise TooLate

    def _rest(self) -> Iterator[tuple[int, VideoFrame]]:
        """Go on where the demuxer gave up before the end, as AVI's does in damaged places."""
        reached = self._last
        if reached is None or not self._facts.seekable:
            return
        end = self._facts.readable_ms or self._facts.duration_ms
        lost = self.lost_between(reached, None)
        steps = iter(REENTRY_MS)
        while end - reached > REENTRY_FROM_MS:
            step = next(steps, None)
            if step is None or reached + step >= end:
                break
            for ms, frame in self._reentered(reached, reached + step):
                if ms > reached:
                    reached = ms
                    steps = iter(REENTRY_MS)
                    yield ms, frame
                    lost = self.lost_between(reached, None)
        # Looking in vain for more leaves no trace.
        self._pending.clear()
        self._errors, self._error_after = int(lost), reached

    def _reentered(self, last_ms: int, at_ms: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield frames from a later key frame on; a seek may well end before ``last_ms``."""
        if not self._reading.seek(self._ticks.pts(at_ms)):
            return
        self._start_over(at_ms)
        self._last = self._error_after = last_ms
        self._errors = 1
        yield from self._decoded(from_any_key_frame(iter(self._reading)))

    def _packets(self, from_ms: int, entrance: tuple[int, int] | None) -> Iterator[Packet[VideoStream]]:
        packets = iter(self._reading)
        if entrance is None:
            yield from packets
        elif self._facts.estimated_times:
            place = ByCount(int(from_ms * self._facts.fps / 1000), self._codec.name)
            for packet in from_key_frame(packets, place):
                self._counter = self._counter or place.entered
                yield packet
        else:
            seek_ms, key_ms = (from_ms - before for before in entrance)
            if not self._facts.joined and not self._reading.seek(self._ticks.pts(seek_ms)):
                raise TooLate
            yield from from_key_frame(packets, ByTime(self._ticks.pts(key_ms)))

    def _decoded(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[tuple[int, VideoFrame]]:
        pending, sparing = self._pending, self._sparing
        for packet in packets:
            pts = packet.pts
            if self._by_slot and packet.dts is not None:
                packet.opaque = packet.dts
                self._slots.add(packet.dts)
            elif not (sparing and sparing.decide(pts)) and pts is not None:
                pending.append(pts)
            yield from self._frames_of(packet)
        yield from self._frames_of(None)

    def _frames_of(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[int, VideoFrame]]:
        try:
            frames = self._codec.decode(packet)
        except av.error.EOFError:
            return
        except av.FFmpegError:
            self._note_error()
            return
        for frame in frames:
            ms = self._time_of(frame)
            if frame.is_corrupt:
                self._note_error()
                continue
            yield ms, frame
            self._last = ms
            pts = frame.pts
            while self._pending and pts is not None and self._pending[0] <= pts:
                self._pending.popleft()

    def _note_error(self) -> None:
        self._errors += 1
        self._error_after = self._last
        self._counter += self._facts.estimated_times

    def _time_of(self, frame: VideoFrame) -> int:
        """Return the recording time of a frame: its own, else its packet's, else one frame after the last."""
        if self._facts.estimated_times:
            self._counter += 1
            return round((self._counter - 1) * 1000 / self._facts.fps)
        if self._by_slot and isinstance(frame.opaque, int):
            return self._ticks.ms(self._slots.next(frame.opaque, self._codec.reorder_depth))
        if frame.pts is not None:
            return self._ticks.ms(frame.pts)
        if frame.dts is not None:
            return self._ticks.ms(frame.dts)
        return 0 if self._last is None else self._last + self._frame_ms


def codec_context(stream: VideoStream, thread_type: str = "NONE") -> VideoCodecContext:
    """Return the stream's decoder, set to a number of threads. Raises NoDecoder."""
    codec: VideoCodecContext | None = stream.codec_context
    if codec is None:
        raise NoDecoder
    codec.thread_type = thread_type
    codec.thread_count = 1 if thread_type == "NONE" else 0
    return codec
