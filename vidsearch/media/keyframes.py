"""Find where a recording can be cut without decoding and encoding it: at key frames, read by demuxing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import av

from vidsearch.cuts import Span
from vidsearch.media.container import check_file, opened, video_stream
from vidsearch.media.decoding import codec_context
from vidsearch.media.packets import Reading, starts_afresh
from vidsearch.media.timing import Ticks
from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

    from vidsearch.media.container import VideoStream

ENTRANCES_MS: Final = (0, 3_000, 12_000, 60_000, 300_000)
"""How long before a time to enter a file, in turn, to see what lies before that time; then from its beginning."""

AHEAD: Final = 64
"""Packets looked at behind a key frame for pictures shown before it; none reorders over more than 16."""


class Uncopyable(Exception):
    """Cutting without encoding cannot be exact here; the text says why."""


@dataclass(frozen=True, slots=True)
class Take:
    """A run of packets to be copied. Times are ticks of the stream, sizes bytes."""

    start: int
    """When its first picture, a key frame, is shown."""
    first_dts: int
    stop: int | None
    """Decoding time of the first packet that does not belong to it; None where it goes to the end of the file.

    Everything shown before this time is decoded before it. A few pictures shown later may be in the take as well.
    """
    last: int
    """When its last picture is shown."""
    last_dts: int
    frame: int
    """About how long a picture is shown."""
    leading: bool
    """Pictures follow the key frame that are shown before it and need pictures before it (open GOP)."""
    afresh: bool
    """Decoding can begin with its key frame whatever came before (IDR)."""
    digest: bytes
    """Of its first picture, decoded."""
    begin_byte: int
    """Where in the file it lies, as far as the container tells; sound between its pictures included."""
    end_byte: int


class KeyFrames:
    """Looks up key frames of one recording. To be used in a ``with`` block."""

    def __init__(self, path: Path, facts: MediaFacts) -> None:
        """Open the recording. Raises SourceUnavailable and the other errors of opening one."""
        self._path = path
        self._facts = facts
        self._size = check_file(path)
        self._files = ExitStack()
        self._open()
        self._at_beginning = False
        tick = self.ticks.pts
        self._frame = max(1, tick(round(1000 / facts.fps) if facts.fps else 40) - tick(0))

    def __enter__(self) -> Self:
        """Return it; the file is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._files.close()

    @property
    def index(self) -> int:
        """Number of the stream in the file."""
        return self._stream.index

    @property
    def truncated(self) -> bool:
        """Whether the file breaks off."""
        return self._facts.readable_ms is not None

    @property
    def timescale(self) -> int:
        """Ticks a second. Raises Uncopyable where that is no whole number an MP4 can hold."""
        base = self._stream.time_base
        assert base is not None  # every demuxed stream has one
        if base.numerator != 1 or base.denominator > 1 << 30:
            raise Uncopyable(f"its clock ticks every {base} s")
        return base.denominator

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of the pictures as they are stored."""
        return self._codec.width, self._codec.height

    def opening(self) -> Opening:
        """Return how the recording begins."""
        packets = list(islice(self._from_beginning(), AHEAD))
        times = [packet.pts for packet in packets if packet.pts is not None]
        whole = len(times) == len(packets) > 0 and not any(packet.is_discard for packet in packets)
        alone = len(self._container.streams.video) == 1
        return Opening(min(times, default=None), whole and alone and packets[0].is_keyframe)

    def takes(self, spans: Iterable[Span]) -> list[Take]:
        """Return the runs of packets that hold every picture of ``spans``, which are in order and apart.

        Spans without pictures add nothing, and runs that touch are one. Raises Uncopyable where the times or key frames
        of the recording are not what copying needs.
        """
        found: list[Take] = []
        for span in spans:
            take = self._take(*span)
            if take is None:
                continue
            last = found[-1] if found else None
            if last is not None and (last.stop is None or take.first_dts <= last.stop or take.start <= last.last):
                found[-1] = _joined(last, take)
            else:
                found.append(take)
        return found

    def picture_at(self, pts: int) -> bytes | None:
        """Return the digest of the key frame shown at exactly this time, or None where there is none."""
        for packets in self._entered(pts):
            for packet in packets:
                if packet.pts == pts and packet.is_keyframe:
                    return digest_of(self._codec, packet)
                if _beyond(packet, pts):
                    break
        return None

    # -- the ends of a take --------------------------------------------------------------------------------------

    def _take(self, start_ms: int, end_ms: int) -> Take | None:
        first, bound = self.ticks.pts(start_ms), self.ticks.pts(end_ms - 1) + 1
        take = self._from_key_frame(first)
        if take is None or take.start >= bound:
            return None
        end = self._until(bound)
        if self.ticks.ms(end.last) < start_ms:
            return None
        return replace(take, stop=end.stop, last=end.last, last_dts=end.last_dts, end_byte=end.byte)

    def _from_key_frame(self, first: int) -> Take | None:
        """Return a take that begins with the last key frame at or before a time, else with the first one there is."""
        for packets in self._entered(first):
            key: Packet[VideoStream] | None = None
            following: list[Packet[VideoStream]] = []
            for packet in packets:
                if packet.is_keyframe and (key is None or _pts(packet) <= first):
                    key, following = packet, []
                    continue
                if key is not None and len(following) < AHEAD:
                    following.append(packet)
                if key is not None and _beyond(packet, first) and (len(following) == AHEAD or packet.is_keyframe):
                    break
            # Some demuxers know decoding times only after a few packets.
            if key is not None and (self._at_beginning or (_pts(key) <= first and key.dts is not None)):
                return self._begun(key, following)
        return None

    def _begun(self, key: Packet[VideoStream], following: list[Packet[VideoStream]]) -> Take:
        start = _pts(key)
        dts = start if key.dts is None else key.dts
        digest = digest_of(self._codec, key)
        if digest is None:
            raise Uncopyable("a key frame cannot be decoded by itself")
        leading = any(_pts(packet) < start for packet in following)
        afresh = starts_afresh(bytes(key), self._codec.extradata)
        return Take(start, dts, None, start, dts, self._frame, leading, afresh, digest, key.pos or 0, self._size)

    def _until(self, bound: int) -> _End:
        """Return where to stop so that every picture shown before ``bound`` is in."""
        for packets in self._entered(bound - 1):
            last: int | None = None
            last_dts = 0
            for packet in packets:
                pts, dts = _pts(packet), packet.dts
                if packet.is_corrupt and self.truncated:
                    continue  # half a picture, where the file breaks off
                if dts is not None and dts >= bound:
                    if last is None:
                        break  # entered too late
                    return _End(dts, last, last_dts, packet.pos or self._size)
                if last is not None or packet.is_keyframe:  # before it, pictures shown later may have gone by
                    last = pts if last is None else max(pts, last)
                    last_dts = pts if dts is None else dts
            else:
                if last is not None:
                    return _End(None, last, last_dts, self._size)
        raise Uncopyable("its end cannot be found")

    # -- getting there -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._files.close()
        self._container = self._files.enter_context(opened(self._path))
        try:
            self._stream = video_stream(self._container)
            self._codec = codec_context(self._stream)
        except BaseException:
            self._files.close()
            raise
        self.ticks = Ticks(self._stream, self._facts.origin_ms)

    def _entered(self, pts: int) -> Iterator[Iterator[Packet[VideoStream]]]:
        """Yield the packets from ever earlier entrances on, in the end from the beginning of the file."""
        self._at_beginning = False
        if self._facts.seekable:
            reading = Reading(self._container, self._stream)
            zero, second = self.ticks.pts(0), self.ticks.pts(1000) - self.ticks.pts(0)
            for before_ms in ENTRANCES_MS:
                at = pts - before_ms * second // 1000
                if at <= zero:
                    break
                if reading.seek(at):
                    yield iter(reading)
        self._at_beginning = True
        yield self._from_beginning()

    def _from_beginning(self) -> Iterator[Packet[VideoStream]]:
        self._open()
        return iter(Reading(self._container, self._stream))


@dataclass(frozen=True, slots=True)
class _End:
    """Where a take ends: see ``Take``."""

    stop: int | None
    last: int
    last_dts: int
    byte: int


@dataclass(frozen=True, slots=True)
class Opening:
    """How a recording begins."""

    first: int | None
    """When its first picture is shown, in ticks."""
    simple: bool
    """It begins with a key frame, nothing of it is hidden, and it is the only video in the file."""


def digest_of(codec: VideoCodecContext, packet: Packet[VideoStream]) -> bytes | None:
    """Return a digest of a key frame, decoded by itself, or None where that gives no whole picture."""
    codec.flush_buffers()
    # Of a packet that an edit list hides the decoder would show nothing.
    alone: Packet[Any] = av.Packet(bytes(packet)) if packet.is_discard else packet
    try:
        frames = [*codec.decode(alone), *codec.decode(None)]
    except av.FFmpegError:
        return None
    finally:
        codec.flush_buffers()
    if len(frames) != 1 or frames[0].is_corrupt:
        return None
    return hashlib.sha256(frames[0].to_ndarray().tobytes()).digest()


def _joined(one: Take, later: Take) -> Take:
    """Return one take for two that touch or overlap."""
    goes_further = one.stop is not None and (later.stop is None or later.stop > one.stop)
    end = later if goes_further else one
    return replace(one, stop=end.stop, last=max(one.last, later.last), last_dts=end.last_dts, end_byte=end.end_byte)


def _beyond(packet: Packet[VideoStream], pts: int) -> bool:
    """Tell whether everything from this packet on is shown after a time."""
    return packet.dts is not None and packet.dts > pts


def _pts(packet: Packet[VideoStream]) -> int:
    if packet.pts is None:
        raise Uncopyable("a packet has no time")
    return packet.pts
