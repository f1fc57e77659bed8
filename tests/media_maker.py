"""Tiny recordings whose every picture carries its number, made with the bundled ffmpeg: everywhere the same bytes."""

from __future__ import annotations

import random
import struct
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from vidsearch.media import ffmpeg

WIDTH, HEIGHT, BLOCK, BITS = 160, 96, 16, 10
NO_B = {"preset": "veryfast", "g": "25", "bf": "0"}
"""As cameras record: no B-frames, a key frame a second."""

DEFAULT = {"preset": "veryfast", "g": "25", "sc_threshold": "0"}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a grey picture with ``number`` in its top row as black and white blocks, most significant first."""
    pixels = np.full((height, width, 3), 110, np.uint8)
    pixels[BLOCK * 2 :, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)
    for bit in range(BITS):
        value = 235 if number >> (BITS - 1 - bit) & 1 else 20
        pixels[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = value
    return pixels


def number_in(pixels: np.ndarray) -> int:
    """Return the number that a picture carries, from its luma or its RGB."""
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 1]
    middle = grey[BLOCK // 2 - 2 : BLOCK // 2 + 2]
    bits = [middle[:, bit * BLOCK + 4 : (bit + 1) * BLOCK - 4].mean() > 128 for bit in range(BITS)]
    return sum(int(bit) << (BITS - 1 - at) for at, bit in enumerate(bits))


def numbered(
    path: Path,
    *,
    frames: int = 150,
    fps: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    times_ms: list[int] | None = None,
) -> Path:
    """Write a recording of numbered pictures; ``times_ms`` sets their times where the rate is not constant."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps, options=DEFAULT if options is None else options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            if times_ms is not None:
                frame.time_base, frame.pts = stream.codec_context.time_base, times_ms[number]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def remux(source: Path, target: Path, *options: str, begin: float = 0.0) -> Path:
    """Copy the streams of a recording into another container, from ``begin`` seconds on."""
    entrance = ["-ss", str(begin)] if begin else []
    ffmpeg.run(["-y", *entrance, "-i", str(source), "-c", "copy", *options, str(target)], program=bundled())
    return target


def bundled() -> str:
    """Return the ffmpeg that comes with imageio-ffmpeg, or nothing where there is none: the system's is taken then."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return ""


def transcode(source: Path, target: Path, *options: str) -> Path:
    """Encode a recording anew."""
    ffmpeg.run(["-y", "-i", str(source), *options, str(target)], program=bundled())
    return target


def dahua(source: Path, target: Path, begin: datetime, fps: int = 25) -> Path:
    """Wrap a raw H.264 stream as Dahua's recorders export it (as libav's dhav.c reads it)."""
    content = bytearray()
    with av.open(str(source), format="h264") as container:
        pictures = [(packet.is_keyframe, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    for number, (is_key, picture) in enumerate(pictures):
        ms = number * 1000 // fps
        at = begin + timedelta(milliseconds=ms)
        clock = (at.year - 2000) << 26 | at.month << 22 | at.day << 17 | at.hour << 12 | at.minute << 6 | at.second
        extras = bytes([0x81, 0, 4, fps]) + struct.pack("<B3xHH", 0x82, WIDTH, HEIGHT)
        length = 24 + len(extras) + len(picture) + 8
        kind = 0xFD if is_key else 0xFC
        content += b"DHAV" + struct.pack(
            "<BBBBIIIHBB", kind, 0, 1, 0, number, length, clock, ms % 65536, len(extras), 0
        )
        content += extras + picture + b"dhav" + struct.pack("<I", length)
    target.write_bytes(content)
    return target


def truncate(source: Path, target: Path, share: float) -> Path:
    """Keep the first part of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def damage(source: Path, target: Path, start: float, end: float) -> Path:
    """Overwrite a stretch of a file with noise."""
    content = bytearray(source.read_bytes())
    first, last = int(len(content) * start), int(len(content) * end)
    content[first:last] = random.Random(1).randbytes(last - first)
    target.write_bytes(content)
    return target
