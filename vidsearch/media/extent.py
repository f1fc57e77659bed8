"""Find out how far a recording really goes: headers promise, files break off."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import av
from av.stream import Discard

from vidsearch.media.container import opened, video_stream
from vidsearch.media.packets import RESTART_S, Reading, decoding_time, persistent, restarts, time_of
from vidsearch.media.timing import Ticks

if TYPE_CHECKING:
    from vidsearch.media.container import Container, VideoStream

TAIL_MS: Final = 10_000
"""How long before the promised end the tail is read."""

SLACK_MS: Final = 2_000
"""A file that ends this much earlier than promised is called truncated."""

NONSENSE: Final = 20
"""A header that promises this many times what is there, and more than an hour of it, is not believed."""

READ_WHOLE_BYTES: Final = 64 << 20
"""MPEG files up to this size are read whole to follow their clock."""

PLACES: Final = 64
PIECE_BYTES: Final = 512 << 10
"""Of larger ones, so many pieces of this size are looked at."""

MPEG_HERTZ: Final = 90_000
MPEG_CLOCK: Final = 1 << 33
"""Ticks a second of the clock of MPEG streams, and after how many it wraps (ISO 13818-1 §2.4.3.7)."""

STRAY_MS: Final = RESTART_S[1] * 1000
"""Two packets of a stream further apart than this do not vouch for each other's times."""

RATE_PICTURES: Final = 100
"""Pictures looked at to tell a rate."""

SEEK_SLACK_MS: Final = 600_000
"""A seek that lands further away than this is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a recording is, and what its owner should know about that."""

    duration_ms: int
    warning: str | None = None
    readable_ms: int | None = None
    """How far it can be read where that is less."""


def measure(path: Path, origin_ms: int) -> Extent:
    """Return the length of a recording with timestamps, by reading its tail.

    A file that breaks off keeps the length its header promises, so that what is missing shows as missing.
    """
    with opened(path) as container:
        name = container.format.name
        promised = None if container.duration is None else max(0, round(container.duration / 1000))
    if promised is not None and name in ("flv", "live_flv", "kux"):
        promised = max(0, promised - origin_ms)  # counted from the clock's zero instead of the recording's
    found = _last_ms(path, origin_ms, promised)
    if promised is None or promised - found <= SLACK_MS:
        return Extent(max(promised or 0, found))
    if promised > NONSENSE * found and promised - found > 3_600_000:
        return Extent(found, f"the header promises {_seconds(promised)}, but only {_seconds(found)} are there")
    return Extent(promised, f"truncated: {_seconds(found)} of {_seconds(promised)} can be read", found)


def measure_joined(path: Path, origin_ms: int) -> Extent:
    """Return the length of a recording whose clock starts again on the way, by reading all of it."""
    with _video(path) as (container, stream):
        ticks = Ticks(stream, origin_ms)
        end = 0
        for packet in Reading(container, stream, joined=True):
            pts = time_of(packet)
            if pts is not None:
                end = max(end, ticks.ms(pts + (packet.duration or 0)))
    return Extent(end, "recordings joined into one file: times are counted on without the pauses between them")


def count_frames(path: Path) -> int:
    """Return the number of coded pictures, by reading the whole file."""
    with _video(path) as (container, stream):
        return sum(1 for _ in Reading(container, stream))


def clock_restarts(path: Path) -> bool:
    """Tell whether a stream's clock starts again on the way, as where MPEG recordings were joined by copying.

    Small files are read whole. Of large ones the clock is read at places all over the file, which finds every joint
    after which the clock stays behind, and nearly every sawtooth of many short pieces.
    """
    with _video(path) as (container, stream):
        name, stream_id = container.format.name, stream.id
        if name not in ("mpegts", "mpeg"):
            return False
        size = path.stat().st_size
        if size <= READ_WHOLE_BYTES:
            times = [dts for dts in map(decoding_time, Reading(container, stream)) if dts is not None]
            return any(restarts(last, now, stream) for last, now in pairwise(times))
    places = (size * number // PLACES for number in range(PLACES))
    read = (_clock_at(path, place, name, stream_id) for place in places)
    times = [time for time in read if time is not None]
    return any((now - last) % MPEG_CLOCK > RESTART_S[1] * MPEG_HERTZ for last, now in pairwise(times))


def can_seek(path: Path, origin_ms: int, duration_ms: int) -> bool:
    """Tell whether a seek to the middle of a recording really ends at a key frame near it."""
    middle = duration_ms // 2
    with _video(path) as (container, stream):
        reading = Reading(container, stream)
        ticks = Ticks(stream, origin_ms)
        if not reading.seek(ticks.pts(middle)):
            return False
        for packet in reading:
            pts = time_of(packet)
            if packet.is_keyframe and pts is not None:
                return abs(ticks.ms(pts) - middle) < SEEK_SLACK_MS
    # The last key frame may lie before the middle of a short recording, or the rest may be missing.
    return True


def usual_fps(path: Path) -> float | None:
    """Return the rate of the first pictures by their times, pauses left out, or None where that cannot be told.

    Headers are often wrong: containers that count milliseconds (FLV, Matroska) make libav take 1,000 a second for the
    rate, time-lapse recorders write 25.
    """
    with _video(path) as (container, stream):
        read = (packet.pts for packet in Reading(container, stream))
        times = sorted({pts for pts in islice(read, RATE_PICTURES) if pts is not None})
        time_base = stream.time_base
    steps = [now - last for last, now in pairwise(times)]
    if not steps or time_base is None:
        return None
    middle = median(steps)
    usual = [step for step in steps if middle / 2 <= step <= middle * 2]
    return float(len(usual) / (sum(usual) * time_base))


@contextmanager
def _video(path: Path) -> Iterator[tuple[Container, VideoStream]]:
    """Open a recording afresh: a seek that failed can leave a demuxer where it reads nothing more."""
    with opened(path) as container:
        yield container, video_stream(container)


def _clock_at(path: Path, place: int, name: str, stream_id: int) -> int | None:
    """Return the first decoding time behind a place of an MPEG file, or None where none is near."""
    with path.open("rb") as file:
        file.seek(place)
        piece = io.BytesIO(file.read(PIECE_BYTES))
    try:
        with av.open(piece, mode="r", format=name) as container:
            for stream in container.streams.video:
                if stream.id == stream_id:
                    return next((packet.dts for packet in persistent(container, [stream], []) if packet.dts), None)
    except av.FFmpegError:
        pass  # a damaged place says nothing of the clock
    return None


def _last_ms(path: Path, origin_ms: int, promised: int | None) -> int:
    """Return the end of the last packet of sound or video that can be read."""
    start = (promised or 0) - TAIL_MS
    if start > 0:
        with _video(path) as (container, stream):
            if not _readable(container, stream, origin_ms, start):
                start = _last_readable(container, stream, origin_ms, start)
            if start > 0 and Reading(container, stream).seek(Ticks(stream, origin_ms).pts(start)):
                found = _end_of_packets(container, origin_ms)
                if found is not None:
                    return found
    with _video(path) as (container, _):
        return _end_of_packets(container, origin_ms) or 0


def _last_readable(container: Container, stream: VideoStream, origin_ms: int, broken: int) -> int:
    """Return a time up to which a truncated file can be read, to about a second."""
    good = 0
    while broken - good > 1_000:
        middle = (good + broken) // 2
        if _readable(container, stream, origin_ms, middle):
            good = middle
        else:
            broken = middle
    return good


def _readable(container: Container, stream: VideoStream, origin_ms: int, ms: int) -> bool:
    reading = Reading(container, stream)
    ticks = Ticks(stream, origin_ms)
    if not reading.seek(ticks.pts(ms)):
        return False
    for packet in reading:
        pts = time_of(packet)
        if pts is not None:
            return not packet.is_corrupt and abs(ticks.ms(pts) - ms) < SEEK_SLACK_MS
    return False


def _end_of_packets(container: Container, origin_ms: int) -> int | None:
    """Return the latest end of a packet of sound or video from here on, or None where there is none."""
    streams: list[Any] = [stream for stream in container.streams if stream.type in ("video", "audio")]
    for stream in streams:
        stream.discard = Discard.default
    latest: int | None = None
    stray: int | None = None
    before: dict[int, int] = {}
    for packet in persistent(container, streams, []):
        pts = time_of(packet)
        if pts is None or packet.is_corrupt:
            continue
        end = round((pts + (packet.duration or 0)) * packet.time_base * 1000) - origin_ms
        # A time counts when the one before it in its stream agrees; damage can make one of years.
        if abs(end - before.get(packet.stream_index, end - 2 * STRAY_MS)) <= STRAY_MS:
            latest = max(latest or 0, end, before[packet.stream_index])
        else:
            stray = max(stray or 0, end)
        before[packet.stream_index] = end
    return stray if latest is None else latest


def _seconds(ms: int) -> str:
    return f"{ms / 1000:,.0f} s" if ms >= 10_000 else f"{ms / 1000:.1f} s"
