"""Get to the right place in a recording: the packets from the last good key frame at or before a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, Final, Protocol

import av
import av.error
from av.stream import Discard

if TYPE_CHECKING:
    from av.packet import Packet

    from vidsearch.media.container import Container, VideoStream

WAITING: Final = 1_000
"""Packets held back in the hope of a later key frame before the start; beyond it decoding begins."""

RESTART_S: Final = (-1, 6 * 3600)
"""A step of the clock outside this many seconds is a new clock, not a gap. (Of a clock that goes back libav makes a
step of up to 26 hours forward, because the clock of MPEG streams wraps there.)"""

GIVE_UP: Final = 50
"""Read errors in a row after which a file is taken to end there."""

_IDR: Final = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
"""NAL unit types of pictures that nothing shown earlier follows (H.264 table 7-1, H.265 table 7-1)."""

_SLICES: Final = {"h264": frozenset({1, 2, 5}), "hevc": frozenset(range(32))}
"""NAL unit types that hold a picture."""


class TooLate(Exception):
    """The file could not be entered at or before the time asked for."""


class Reading:
    """Packets of one stream, going on past read errors as far as the demuxer can."""

    def __init__(self, container: Container, stream: VideoStream, *, joined: bool = False) -> None:
        """Tell the demuxer to leave out every other stream. ``joined``: count on where the clock starts again."""
        self._container = container
        self._stream = stream
        self._joined = joined
        self.errors: list[str] = []
        """What went wrong while reading, in order."""
        for other in container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all

    def seek(self, pts: int) -> bool:
        """Go to a key frame at or before a presentation time; False where the file does not allow it."""
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.FFmpegError:
            return False
        return True

    def __iter__(self) -> Iterator[Packet[VideoStream]]:
        """Yield packets to the end of the file, without the empty one that asks for a flush."""
        return _counted_on(self._packets(), self._stream) if self._joined else self._packets()

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        return persistent(self._container, [self._stream], self.errors)


def persistent(container: Container, streams: Sequence[Any], errors: list[str]) -> Iterator[Packet[Any]]:
    """Yield the packets of streams to the end of the file, going on behind places that cannot be read.

    What went wrong is appended to ``errors``.
    """
    failures = 0
    while failures < GIVE_UP:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    failures = 0
                    yield packet
            return
        except av.error.EOFError:
            return
        except av.FFmpegError as exc:
            # A new demux() goes on behind the place that could not be read.
            failures += 1
            errors.append(exc.strerror or str(exc))
        except IndexError:
            # Noise can look like the start of another stream, which PyAV does not expect.
            failures += 1
            errors.append("noise in the file")


def time_of(packet: Packet[Any]) -> int | None:
    """Return when a packet is shown, else when it is decoded, else None."""
    return packet.pts if packet.pts is not None else packet.dts


def decoding_time(packet: Packet[Any]) -> int | None:
    """Return when a packet is decoded, else when it is shown, else None."""
    return packet.dts if packet.dts is not None else packet.pts


def restarts(last: int, now: int, stream: VideoStream) -> bool:
    """Tell whether a stream's clock was set anew between two decoding times."""
    assert stream.time_base is not None  # every demuxed stream has one
    return not RESTART_S[0] <= (now - last) * stream.time_base <= RESTART_S[1]


def _counted_on(packets: Iterator[Packet[VideoStream]], stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Give packets the times they would have, had the clock not started again."""
    offset, last = 0, None
    for packet in packets:
        now = decoding_time(packet)
        if now is not None:
            if last is not None and restarts(last, now + offset, stream):
                offset = last + (packet.duration or 0) - now
            last = now + offset
        if offset:
            packet.dts = None if packet.dts is None else packet.dts + offset
            packet.pts = None if packet.pts is None else packet.pts + offset
        yield packet


class Place(Protocol):
    """Says of each packet where it is relative to the time asked for."""

    def after(self, packet: Packet[VideoStream]) -> bool:
        """Tell whether a packet is shown after the time asked for. Called once for each packet, in order."""

    def enterable(self, packet: Packet[VideoStream]) -> bool:
        """Tell whether decoding can begin with a packet."""


class ByTime:
    """Places packets by their timestamps."""

    def __init__(self, pts: int) -> None:
        """``pts`` is the time asked for, in the stream's clock."""
        self._pts = pts

    def after(self, packet: Packet[VideoStream]) -> bool:
        """Compare the packet's time; one without a time is taken to be before."""
        pts = time_of(packet)
        return pts is not None and pts > self._pts

    def enterable(self, packet: Packet[VideoStream]) -> bool:
        """Trust the key flag; decoding proves it right or wrong."""
        return packet.is_keyframe


class ByCount:
    """Places packets by counting them: for streams without timestamps, read from their beginning."""

    def __init__(self, index: int, codec: str) -> None:
        """``index`` is the number of the frame asked for, from 0."""
        self._index = index
        self._codec = codec
        self._count = -1
        self.entered = 0
        """Number of the packet last found fit to begin with."""

    def after(self, packet: Packet[VideoStream]) -> bool:
        """Count."""
        self._count += 1
        return self._count > self._index

    def enterable(self, packet: Packet[VideoStream]) -> bool:
        """Allow only key frames that nothing shown earlier follows, so that counting frames from there is exact."""
        fit = packet.is_keyframe and (self._codec not in _IDR or _is_idr(bytes(packet), self._codec))
        if fit:
            self.entered = self._count
        return fit


def from_key_frame(packets: Iterator[Packet[VideoStream]], place: Place) -> Iterator[Packet[VideoStream]]:
    """Drop the packets before the last key frame at or before the place asked for, and yield the others.

    Raises TooLate where there is none.
    """
    held: list[Packet[VideoStream]] = []
    for packet in packets:
        after = place.after(packet)
        if not after and place.enterable(packet):
            held = [packet]
        elif held:
            held.append(packet)
        if after or len(held) >= WAITING:
            break
    if not held:
        raise TooLate
    yield from held
    yield from packets


def from_any_key_frame(packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    """Drop the packets before the first key frame."""
    return dropwhile(lambda packet: not packet.is_keyframe, packets)


def starts_afresh(data: bytes, extradata: bytes | None) -> bool:
    """Tell whether an H.264 packet is an IDR picture, before which a decoder forgets everything.

    Args:
        data: The packet: NAL units behind start codes, or behind their lengths as in MP4.
        extradata: The stream's, which tells the two apart.
    """
    if not extradata or extradata[0] != 1:  # an avcC box begins with its version, 1 (ISO 14496-15 §5.3.3)
        return _is_idr(data, "h264")
    prefix, at = (extradata[4] & 3) + 1, 0
    while at + prefix < len(data):
        kind = data[at + prefix] & 0x1F
        if kind in _SLICES["h264"]:
            return kind in _IDR["h264"]
        at += prefix + int.from_bytes(data[at : at + prefix], "big")
    return False


def _is_idr(data: bytes, codec: str) -> bool:
    """Tell whether the first slice of an Annex B packet belongs to an IDR picture."""
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        header = data[at + 3]
        kind = header & 0x1F if codec == "h264" else header >> 1 & 0x3F
        if kind in _SLICES[codec]:
            return kind in _IDR[codec]
        at = data.find(b"\0\0\1", at + 3)
    return False
