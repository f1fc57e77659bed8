"""Encode parts of a recording anew as H.264, every picture at the time it has.

Our own decoder reads the pictures, because it is what knows the times of streams that have none, of AVI, of recordings
joined into one file and of damaged ones. ffmpeg gets them through a pipe, each with its time, and encodes. There are no
B-frames, so that the first picture is decoded and shown at 0 whether a reader heeds edit lists or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import cv2
import ffmpeg
import numpy as np

from vidsearch.cuts import Span, Stretch
from vidsearch.errors import FFmpegFailed, FootageRefused
from vidsearch.media.container import opened, video_stream
from vidsearch.media.decoding import Decoder
from vidsearch.media.ffmpeg import Feed, fed, size_of, times_kept
from vidsearch.media.packets import Reading
from vidsearch.media.sampled import SampledFrame
from vidsearch.media.timing import frame_ms
from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from ffmpeg.nodes import Stream
    from numpy.typing import NDArray

TICKS: Final = 90
"""Of the pipe's and the cut's clock, in a millisecond."""

PAUSE_MS: Final = 10_000
"""Where the recording shows nothing new for so long, the cut goes on at once."""

NEAR_MS: Final = 20_000
"""A part that begins this soon after the last one is reached by decoding on; beyond it, by entering the file anew."""

CRF: Final = 23
VBV_S: Final = 2
"""Seconds over which the bit rate may exceed its bound."""

MAX_SIDES: Final = (4096, 2304)
"""Long and short side of the largest picture that H.264 decoders must take (level 5.1); larger ones are shrunk."""

ALIKE: Final = 12.0
"""By how much, of 255, the brightness of two thumbnails of one picture may differ on average."""

_TURNS: Final = {
    90: (("transpose", "clock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "cclock"),),
}


@dataclass(slots=True)
class Encoded:
    """What was handed to the encoder. Times are milliseconds."""

    stretches: list[Stretch] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    """When each picture is shown in the cut, in ticks."""
    first: NDArray[np.uint8] | None = None
    last: NDArray[np.uint8] | None = None
    """Thumbnails of the first and last picture."""


def transcode(
    path: Path,
    facts: MediaFacts,
    spans: Sequence[Span],
    part: Path,
    *,
    program: str,
    max_rate: int | None,
    meanwhile: Callable[[float], None],
) -> Encoded:
    """Encode the pictures of ``spans`` (in order and apart) into ``part``, and return what it is to hold.

    No stretch, and no file, where the recording has no picture there. Pictures stand upright, with square pixels and
    whole where they were interlaced. ``check`` tells whether it became what it is to hold.

    Args:
        path: The recording.
        facts: What probing it told.
        spans: Milliseconds of the recording.
        part: The file to write.
        program: Path of ffmpeg; empty takes the usual one.
        max_rate: Bits a second that the cut may have; None leaves that to the pictures.
        meanwhile: Called for every picture with the share done; what it raises ends it all.

    Raises SourceUnavailable, FFmpegFailed, DiskFull and the errors of opening a recording.
    """
    with Decoder(path, facts) as decoder:
        pictures = _pictures(decoder, facts, spans)
        first = next(pictures, None)
        if first is None:
            return Encoded()
        size = first[1].width, first[1].height
        encoded = Encoded()
        try:
            with fed(_command(facts, size, part, max_rate, program), program=program) as feed:
                _feed(feed, _chain(first, pictures), facts, spans, size, encoded, meanwhile)
        except av.FFmpegError as exc:
            raise FFmpegFailed(f"the pictures cannot be handed to ffmpeg: {exc.strerror or exc}") from exc
    return encoded


def _pictures(decoder: Decoder, facts: MediaFacts, spans: Iterable[Span]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (recording time, frame) of every picture of the spans."""
    source: Iterator[tuple[int, VideoFrame]] | None = None
    held: tuple[int, VideoFrame] | None = None
    for start, end in spans:
        far = held is None or start - held[0] > NEAR_MS
        if source is None or (far and facts.seekable):
            source, held = decoder.frames(start), None
        if held is None:
            held = next(source, None)
        while held is not None and held[0] < end:
            if held[0] >= start:
                yield held
            held = next(source, None)


def _chain(first: tuple[int, VideoFrame], others: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    yield first
    yield from others


def _feed(
    feed: Feed,
    pictures: Iterator[tuple[int, VideoFrame]],
    facts: MediaFacts,
    spans: Sequence[Span],
    size: tuple[int, int],
    encoded: Encoded,
    meanwhile: Callable[[float], None],
) -> None:
    """Write pictures with their times to ffmpeg, and down what is written."""
    clock = Fraction(1, 1000 * TICKS)
    share = _Share(spans)
    layout = _Layout(facts, spans, encoded)
    with av.open(feed, "w", format="nut") as out:
        stream = out.add_stream("rawvideo", rate=max(1, round(facts.fps)))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = clock
        last: VideoFrame | None = None
        for ms, decoded in pictures:
            meanwhile(share.at(ms))
            frame = decoded.reformat(*size, "yuv420p")
            frame.pts, frame.time_base = layout.place(ms), clock
            out.mux(stream.encode(frame))
            feed.send()
            if encoded.first is None:
                encoded.first = _thumbnail(frame, facts)
            last = frame
            if feed.ended:
                return
        out.mux(stream.encode(None))
    layout.end()
    if last is not None:
        encoded.last = _thumbnail(last, facts)


class _Layout:
    """Gives pictures their times in the cut, and keeps the account of its stretches."""

    def __init__(self, facts: MediaFacts, spans: Sequence[Span], encoded: Encoded) -> None:
        self._frame_ms = frame_ms(facts)
        self._spans = list(spans)
        self._encoded = encoded
        self._out = self._begun = 0
        self._last: int | None = None

    def place(self, ms: int) -> int:
        """Return when the picture of a recording time is shown in the cut, in ticks."""
        if self._last is None:
            self._begun = ms
        elif not 0 <= ms - self._last <= max(PAUSE_MS, 3 * self._frame_ms) or ms >= self._end_of_span():
            # A pause, a clock that goes back, or the next span.
            self._close()
            self._begun = ms
        while self._spans and ms >= self._spans[0][1]:
            self._spans.pop(0)
        self._last = ms
        shown = self._encoded.shown
        ticks = TICKS * (self._out + ms - self._begun)
        # Two pictures of one millisecond are shown one tick apart.
        ticks = max(ticks, shown[-1] + 1) if shown else ticks
        shown.append(ticks)
        return ticks

    def end(self) -> None:
        """Take note that there are no more pictures."""
        if self._last is not None:
            self._close()

    def _end_of_span(self) -> int:
        return self._spans[0][1] if self._spans else self._begun

    def _close(self) -> None:
        assert self._last is not None  # there was a picture
        length = self._last - self._begun + self._frame_ms
        self._encoded.stretches.append(Stretch(self._out, self._begun, length))
        self._out += length


class _Share:
    """Tells how much of some spans lies before a time."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._whole = max(1, sum(end - start for start, end in spans))

    def at(self, ms: int) -> float:
        return sum(max(0, min(ms, end) - start) for start, end in self._spans) / self._whole


def _command(facts: MediaFacts, size: tuple[int, int], part: Path, max_rate: int | None, program: str) -> Stream:
    video = ffmpeg.input("pipe:0", format="nut").video
    if facts.interlaced:
        video = video.filter("bwdif", mode="send_frame")
    for name, way in _TURNS.get(facts.rotation, ()):
        video = video.filter(name, *([way] if way else []))
    if facts.mirrored:
        video = video.filter("hflip")
    width, height = _even(facts)
    if (width, height) != (size[::-1] if facts.rotation in (90, 270) else size):
        video = video.filter("scale", width, height)
    bound: dict[str, Any] = {}
    if max_rate is not None:
        kilobits = max(1, max_rate // 1000)
        bound = {"maxrate": f"{kilobits}k", "bufsize": f"{VBV_S * kilobits}k"}
    return ffmpeg.output(
        video.filter("setsar", 1).filter("format", "yuv420p"),
        str(part.absolute()),
        format="mp4",
        vcodec="libx264",
        preset="veryfast",
        crf=CRF,
        bf=0,
        enc_time_base=f"1:{1000 * TICKS}",
        video_track_timescale=1000 * TICKS,
        map_metadata=-1,
        **bound,
        **times_kept(program),
    )


def _even(facts: MediaFacts) -> tuple[int, int]:
    """Return an even width and height that H.264 decoders take."""
    sides = max(facts.width, facts.height), min(facts.width, facts.height)
    scale = min(1.0, *(most / side for most, side in zip(MAX_SIDES, sides, strict=True)))
    return max(2, round(facts.width * scale / 2) * 2), max(2, round(facts.height * scale / 2) * 2)


def _thumbnail(frame: VideoFrame, facts: MediaFacts) -> NDArray[np.uint8]:
    """Return the brightness of a picture, upright and so small that encoding hardly changes it."""
    luma = SampledFrame(frame, facts, 0).luma
    return cv2.resize(luma, (16, 16), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def check(part: Path, encoded: Encoded) -> None:
    """Raise FFmpegFailed where a cut lacks pictures, shows them at other times, or begins or ends with others."""
    size_of(part)
    try:
        with opened(part) as container:
            stream = video_stream(container)
            shown = sorted(packet.pts or 0 for packet in Reading(container, stream))
    except FootageRefused as exc:
        raise FFmpegFailed(f"the transcoded cut cannot be read: {exc}") from exc
    if stream.time_base != Fraction(1, 1000 * TICKS) or shown != encoded.shown:
        raise FFmpegFailed("the transcoded cut shows its pictures at other times than the recording")
    width, height = stream.codec_context.width, stream.codec_context.height
    facts = MediaFacts("mp4", "h264", width, height, shown[-1] // TICKS + 1, 0, 25.0)
    with Decoder(part, facts) as decoder:
        first = next(decoder.frames(0), None)
        last = first
        for last in decoder.frames(shown[-1] // TICKS):  # noqa: B007 - the last one is what is wanted
            pass
        for found, expected in ((first, encoded.first), (last, encoded.last)):
            if found is None or expected is None or _difference(_thumbnail(found[1], facts), expected) > ALIKE:
                raise FFmpegFailed("the transcoded cut begins or ends with another picture than the recording")


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())
