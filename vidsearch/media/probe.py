"""Tell what a recording is, by opening it and decoding its first picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData

from vidsearch.errors import EncryptedFootage, NoDecoder, UnreadableFootage
from vidsearch.media.container import opened, video_stream
from vidsearch.media.decoding import codec_context
from vidsearch.media.extent import Extent, can_seek, clock_restarts, count_frames, measure, measure_joined, usual_fps
from vidsearch.media.packets import Reading
from vidsearch.media.timing import Ticks
from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from vidsearch.media.container import Container, VideoStream

ASSUMED_FPS: Final = 25.0
"""For a stream that has neither timestamps nor a rate; ffmpeg assumes the same."""

RATE_TOLERANCE: Final = 0.1
"""A header's rate that is off by more than this share is replaced by what the pictures' times say."""

TRIES: Final = 600
"""Packets tried for a first picture at each of a few places; more than lie between two key frames of any camera."""

NO_TIMESTAMPS: Final = 0x80
"""libav's AVFMT_NOTIMESTAMPS: what times such a demuxer gives are made up."""

SQUARE: Final = (0.9, 1.1)
"""Pixels with sides in this ratio are taken as square."""

SANE_ASPECT: Final = (0.3, 3.4)
"""Pixel ratios outside this are mistakes of the file."""

_YEAR_2000_MS: Final = 946_684_800_000
_CREATED: Final = ("creation_time", "com.apple.quicktime.creationdate", "creationdate", "date")


def probe(path: Path, *, fps: float | None = None) -> MediaFacts:
    """Return what a recording is.

    Args:
        path: The file.
        fps: Frames per second of a stream without timestamps; without it, what the stream says, else 25.

    Raises:
        SourceUnavailable: Not there, or no permission.
        NoVideoStream: Only sound, or a cover picture.
        NoDecoder: The kind of compression is not known here.
        EncryptedFootage: It is protected.
        UnreadableFootage: Nothing in it can be shown, with the reason.
    """
    with opened(path) as container:
        stream = video_stream(container)
        if stream.codec_context is None:
            raise NoDecoder("there is no decoder for its video: export it as H.264 in MP4")
        pictures = _first_pictures(container, stream)
        if container.format.flags & NO_TIMESTAMPS:
            pictures = replace(pictures, timed=False)
    joined = pictures.timed and clock_restarts(path)
    with opened(path) as container:
        return _facts(path, container, video_stream(container), pictures, fps, joined=joined)


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The first picture that could be decoded, and what was seen on the way."""

    frame: VideoFrame
    interlaced: bool
    timed: bool
    from_start: bool


def _first_pictures(container: Container, stream: VideoStream) -> _Pictures:
    """Decode the first picture; where the beginning is damaged, one from further on."""
    codec_context(stream)
    reading = Reading(container, stream)
    origin, duration = container.start_time or 0, container.duration or 0
    for share in (0.0, 0.25, 0.5, 0.75):
        if share and not (duration and reading.seek(_at(stream, origin + share * duration))):
            continue
        found = _pictures(reading, stream, from_start=not share)
        if found is not None:
            return found
    raise UnreadableFootage("none of its pictures can be decoded: export it again, as H.264 in MP4")


def _at(stream: VideoStream, microseconds: float) -> int:
    assert stream.time_base is not None  # every demuxed stream has one
    return int(microseconds / 1_000_000 / stream.time_base)


def _pictures(reading: Reading, stream: VideoStream, *, from_start: bool) -> _Pictures | None:
    timed = False
    frames: list[VideoFrame] = []
    for packet in islice(reading, TRIES):
        if packet.has_sidedata("encryption_info"):
            # Noise to the decoder, which may well make a picture of it.
            raise EncryptedFootage("the recording is encrypted: export it without protection")
        timed = timed or packet.pts is not None or packet.dts is not None
        frames += _decoded(stream, packet)
        if len(frames) >= 2:
            break
    else:
        frames += _decoded(stream, None)
    if not frames:
        return None
    return _Pictures(frames[0], any(frame.interlaced_frame for frame in frames), timed, from_start)


def _decoded(stream: VideoStream, packet: av.Packet[VideoStream] | None) -> Iterator[VideoFrame]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return
    yield from (frame for frame in frames if not frame.is_corrupt)


def _facts(
    path: Path, container: Container, stream: VideoStream, pictures: _Pictures, fps: float | None, *, joined: bool
) -> MediaFacts:
    frame = pictures.frame
    rotation, mirrored = orientation(_display_matrix(frame))
    width, height = _upright_size(frame, stream, rotation)
    origin = _origin_ms(container, stream, pictures) if pictures.timed else 0
    rate, extent, seekable = _course(path, stream, origin, fps, timed=pictures.timed, joined=joined)
    damaged = None if pictures.from_start else "its beginning is damaged"
    return MediaFacts(
        container=_container_name(container),
        codec=stream.codec_context.codec.canonical_name,
        width=width,
        height=height,
        duration_ms=max(1, extent.duration_ms),
        origin_ms=origin,
        fps=rate,
        rotation=rotation,
        mirrored=mirrored,
        interlaced=pictures.interlaced,
        estimated_times=not pictures.timed,
        seekable=seekable,
        joined=joined,
        readable_ms=extent.readable_ms,
        created=_created_by_clock(container, origin) or _created(container, stream),
        pixel_format=frame.format.name,
        audio_codec=_audio_codec(container),
        warning="; ".join(filter(None, (extent.warning, damaged))) or None,
    )


def orientation(matrix: tuple[int, int, int, int]) -> tuple[int, bool]:
    """Return (degrees clockwise, mirrored) of a display matrix's a, b, c, d (ISO 14496-12 §6.2.2)."""
    a, b, c, d = matrix
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c  # without the flip, which comes after the turn
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 180), mirrored
    return (90 if b > 0 else 270), mirrored


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    pieces: Any = frame.side_data  # iterates over its pieces, not, as its stub says, over names
    data = next((piece for piece in pieces if piece.type == SideData.DISPLAYMATRIX), None)
    if data is None:
        return (1, 0, 0, 1)
    a, b, _, c, d = (int(value) for value in np.frombuffer(data, np.int32)[:5])
    return (a, b, c, d)


def _upright_size(frame: VideoFrame, stream: VideoStream, rotation: int) -> tuple[int, int]:
    """Return width and height with square pixels, only ever stretched; recorders squash 704 × 576 to 704 × 288."""
    width, height = frame.width, frame.height
    ratio = float(stream.sample_aspect_ratio or 1)
    if SANE_ASPECT[0] < ratio < SQUARE[0]:
        height = round(height / ratio)
    elif SQUARE[1] < ratio < SANE_ASPECT[1]:
        width = round(width * ratio)
    return (height, width) if rotation in (90, 270) else (width, height)


def _course(
    path: Path, stream: VideoStream, origin: int, fps: float | None, *, timed: bool, joined: bool
) -> tuple[float, Extent, bool]:
    """Return the average rate, the length, and whether seeks can be trusted."""
    if not timed:
        own = fps or stream.codec_context.framerate
        rate = float(own or ASSUMED_FPS)
        assumed = f"no timestamps and no frame rate in the file: {rate:g} a second is assumed, see --fps"
        return rate, Extent(round(count_frames(path) * 1000 / rate), None if own else assumed), False
    rate = float(stream.average_rate or stream.guessed_rate or ASSUMED_FPS)
    if joined:
        return rate, measure_joined(path, origin), False
    extent = measure(path, origin)
    usual = usual_fps(path)
    if usual and abs(usual - rate) > RATE_TOLERANCE * rate:
        rate = usual
    return rate, extent, can_seek(path, origin, extent.duration_ms)


def _origin_ms(container: Container, stream: VideoStream, pictures: _Pictures) -> int:
    """Return the earliest presentation time of any stream in milliseconds of the file's own clock."""
    first = pictures.frame.pts if pictures.from_start else None
    video = None if first is None else Ticks(stream, 0).ms(first)
    start = None if container.start_time is None else (container.start_time + 500) // 1000
    return min((ms for ms in (start, video) if ms is not None), default=0)


def _container_name(container: Container) -> str:
    name = container.format.name
    if name.startswith("mov,"):
        return "mov" if container.metadata.get("major_brand", "").strip() == "qt" else "mp4"
    return name.split(",")[0]


def _audio_codec(container: Container) -> str:
    for stream in container.streams.audio:
        return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    return ""


def _created_by_clock(container: Container, origin_ms: int) -> str | None:
    """Return the start of a Dahua export, whose pictures carry the recorder's wall clock: without an offset."""
    if container.format.name != "dhav" or origin_ms < _YEAR_2000_MS:
        return None
    return (datetime(1970, 1, 1) + timedelta(milliseconds=origin_ms)).isoformat()


def _created(container: Container, stream: VideoStream) -> str | None:
    """Return the creation time where it is one: clocks that were never set say 1904 or 1970."""
    for metadata in (container.metadata, stream.metadata):
        for name in _CREATED:
            text = metadata.get(name, "")
            try:
                when = datetime.fromisoformat(text)
            except ValueError:
                continue
            if when.year > 1990 and len(text) > len("2026-11-02"):
                return when.isoformat()
    return None
