"""Cut clips that every browser plays."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import ffmpeg

from vidsearch.errors import FFmpegFailed, FootageRefused
from vidsearch.media.container import opened, video_stream
from vidsearch.media.decoding import Decoder
from vidsearch.media.ffmpeg import run, times_kept
from vidsearch.media.packets import RESTART_S
from vidsearch.media.sampled import SampledFrame
from vidsearch.model import MediaFacts

MARGIN_MS: Final = 10_000
"""How long before the clip the recording is entered, so that a key frame lies in between; decoding cuts exactly."""

MAX_SIDE: Final = 1920
"""Clips are for looking at in a page; larger pictures are shrunk to this."""

PLAYABLE: Final = {
    "mp4": (frozenset({"h264"}), frozenset({"", "aac", "mp3"})),
    "mov": (frozenset({"h264"}), frozenset({"", "aac"})),
    "matroska": (frozenset({"vp8", "vp9"}), frozenset({"", "opus", "vorbis"})),
}
"""Container to the codecs of video and sound that Chrome, Firefox and Safari all play."""


def playable_in_browser(facts: MediaFacts) -> bool:
    """Tell whether browsers play a recording as it is, with the same times and the same way up as here."""
    video, sound = PLAYABLE.get(facts.container, (frozenset(), frozenset()))
    return (
        facts.codec in video
        and facts.audio_codec in sound
        and facts.pixel_format in ("yuv420p", "yuvj420p")
        and not (facts.interlaced or facts.mirrored or facts.estimated_times or facts.warning)
        # Browsers count from the file's own zero, we from the first presentation time.
        and abs(facts.origin_ms) < 100
    )


def cut_clip(path: Path, facts: MediaFacts, start_ms: int, end_ms: int, out: Path) -> Path:
    """Cut [start_ms, end_ms) of a recording into an MP4 (H.264, AAC) that plays in every browser.

    The first picture is the first one at or after ``start_ms``; time 0 of the clip is ``start_ms``. It is written
    under another name and then renamed, so ``out`` is never half a clip.

    Raises FFmpegFailed, SourceUnavailable and the errors of opening a recording.
    """
    with opened(path) as container:
        index = video_stream(container).index
        has_sound = bool(container.streams.audio)
    part = out.with_name(f".{out.stem}.{os.getpid()}.part.mp4")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise FFmpegFailed(f"clips cannot be written to {out.parent}: {exc.strerror or exc}") from exc
    try:
        if facts.estimated_times:
            _encode_raw(path, facts, start_ms, end_ms, part)
        else:
            _encode_sound_or_not(path, facts, start_ms, end_ms, part, index, sound=has_sound)
        _check_has_picture(part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


def _encode_sound_or_not(
    path: Path, facts: MediaFacts, start_ms: int, end_ms: int, part: Path, index: int, *, sound: bool
) -> None:
    try:
        _encode(path, facts, start_ms, end_ms, part, index, sound=sound)
    except FFmpegFailed:
        if not sound:
            raise
        # Damaged or exotic sound must not cost the picture.
        _encode(path, facts, start_ms, end_ms, part, index, sound=False)


def _encode_raw(path: Path, facts: MediaFacts, start_ms: int, end_ms: int, part: Path) -> None:
    """Encode a part of a stream without timestamps, which ffmpeg would have to decode from its beginning."""
    width, height = _size(facts)
    thousandth = Fraction(1, 1000)
    try:
        with (
            Decoder(path, facts) as decoder,
            av.open(str(part.absolute()), "w", format="mp4", options={"movflags": "faststart"}) as out,
        ):
            stream = out.add_stream(
                "libx264", rate=max(1, round(facts.fps)), options={"preset": "veryfast", "crf": "23"}
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = thousandth
            for ms, decoded in decoder.frames(start_ms):
                if ms >= end_ms:
                    break
                if ms >= start_ms:
                    upright = av.VideoFrame.from_ndarray(SampledFrame(decoded, facts, ms).rgb(), format="rgb24")
                    frame = upright.reformat(width, height, "yuv420p")
                    frame.pts, frame.time_base = ms - start_ms, thousandth
                    out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    except av.FFmpegError as exc:
        raise FFmpegFailed(f"the clip cannot be written: {exc.strerror or exc}") from exc


def _encode(path: Path, facts: MediaFacts, start_ms: int, end_ms: int, part: Path, index: int, *, sound: bool) -> None:
    zero_ms, options = _entrance(facts, start_ms, end_ms)
    source = ffmpeg.input(str(path.absolute()), **options)
    begin, end = (zero_ms + start_ms) / 1000, (zero_ms + end_ms) / 1000
    video = source[str(index)].filter("trim", start=begin, end=end).filter("setpts", f"PTS-({begin})/TB")
    if facts.interlaced:
        video = video.filter("bwdif", mode="send_frame")
    width, height = _size(facts)
    streams = [video.filter("scale", width, height).filter("setsar", 1).filter("format", "yuv420p")]
    if sound:
        streams.append(source["a:0"].filter("atrim", start=begin, end=end).filter("asetpts", f"PTS-({begin})/TB"))
    sound_options: dict[str, Any] = {"acodec": "aac", "audio_bitrate": "96k", "ac": 2} if sound else {}
    run(
        ffmpeg.output(
            *streams,
            str(part.absolute()),
            format="mp4",
            vcodec="libx264",
            preset="veryfast",
            crf=23,
            movflags="+faststart",
            map_metadata=-1,
            # By default times are rounded to a grid of the frame rate, which moves pictures of variable rates.
            enc_time_base="1:90000",
            video_track_timescale=90_000,
            **times_kept(),
            **sound_options,
        )
    )


def _entrance(facts: MediaFacts, start_ms: int, end_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the recording's zero on ffmpeg's clock, and the options with which ffmpeg is to read it."""
    if facts.joined:
        # ffmpeg counts on where a clock starts again, as we do, if told that pauses are none of that.
        return 0, {"dts_delta_threshold": RESTART_S[1]}
    # With -copyts times stay those of the file, and no pause in a TS is closed up behind our back.
    enter_ms = max(0, start_ms - MARGIN_MS)
    options: dict[str, Any] = {"copyts": None, "t": (end_ms - enter_ms) / 1000 + 2}
    if enter_ms and facts.seekable:
        options |= {"ss": enter_ms / 1000, "noaccurate_seek": None}
    return facts.origin_ms, options


def _size(facts: MediaFacts) -> tuple[int, int]:
    """Return an even width and height, as H.264 with 4:2:0 colours needs."""
    scale = min(1.0, MAX_SIDE / max(facts.width, facts.height))
    return max(2, round(facts.width * scale / 2) * 2), max(2, round(facts.height * scale / 2) * 2)


def _check_has_picture(part: Path) -> None:
    try:
        with opened(part) as clip:
            if any(packet.size for packet in clip.demux(video_stream(clip))):
                return
    except FootageRefused as exc:
        raise FFmpegFailed("there is no picture in this part of the recording") from exc
    raise FFmpegFailed("there is no picture in this part of the recording")
