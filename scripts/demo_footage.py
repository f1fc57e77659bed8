"""Make the demo: recordings of three cameras in which one real person comes by, and a photo to enrol.

    demo_footage.py OUT [--cache DIR] [--wheel FILE]

Writes OUT/footage/CAMERA/CAMERA_YYYYmmdd_HHMMSS.mp4, OUT/photos/*.jpg and OUT/ground_truth.csv (clip,person,start_s,
end_s,kind). A recording that is there already is not made again. The enrolled photo is the portrait as published; in
the recordings it is smaller, softer, in another light, noisy, sometimes mirrored, and compressed as a recorder would.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

import demo_assets
from demo_figures import HEIGHT as TALL
from demo_figures import WIDTH as WIDE
from demo_figures import Figure, enrolled, stranger
from demo_scene import CAMERAS, HEIGHT, WIDTH, Camera, Picture, place

PERSON = "Eileen Collins (demo)"
FPS = 15
STEPS_PER_S = 1.8
_NOISES = 6


@dataclass(frozen=True)
class Visit:
    """Somebody comes by: walks from one place to another, times in seconds of the recording.

    Places are (lateral, scale): a face is about 105 · scale pixels high.
    """

    start_s: float
    seconds: float
    who: int | None
    """Number of a stranger's face, or None for the enrolled person."""
    begin: tuple[float, float]
    end: tuple[float, float]
    mirror: bool = False

    def at(self, second: float) -> tuple[float, float] | None:
        """Return the place at that second, or None while not in the scene."""
        share = (second - self.start_s) / self.seconds
        if not 0 <= share < 1:
            return None
        (x0, s0), (x1, s1) = self.begin, self.end
        depth = 1 / s0 + (1 / s1 - 1 / s0) * share
        return x0 + (x1 - x0) * share, 1 / depth


@dataclass(frozen=True)
class Recording:
    """One file: camera, wall-clock start and who comes by."""

    camera: str
    start: datetime
    seconds: int
    visits: tuple[Visit, ...]

    @property
    def file(self) -> Path:
        """Where it goes under the footage folder."""
        return Path(self.camera) / f"{self.camera.replace(' ', '_')}_{self.start:%Y%m%d_%H%M%S}.mp4"


def across(start_s: float, seconds: float, who: int | None, scale: float, way: int, mirror: bool = False) -> Visit:
    """Return a walk from one edge of the picture to the other."""
    edge = (WIDTH / 2 + WIDE * scale / 2) / scale
    return Visit(start_s, seconds, who, (-way * edge, scale), (way * edge, scale), mirror)


def towards(start_s: float, seconds: float, who: int | None, x: float, mirror: bool = False) -> Visit:
    """Return a walk up to the camera."""
    return Visit(start_s, seconds, who, (x * 0.6, 0.34), (x, 1.05), mirror)


RECORDINGS = (
    Recording("Gate", datetime(2026, 9, 14, 18, 20, 0), 70, (
        across(5, 8, 5, 0.72, 1), across(17, 9, None, 0.78, 1), across(31, 8, 46, 0.70, -1),
        across(33, 9, 21, 0.80, 1), across(58, 8, None, 0.74, -1, mirror=True),
    )),
    Recording("Hall", datetime(2026, 9, 14, 18, 21, 30), 66, (
        towards(4, 9, 13, -260), towards(20, 9, None, 180), towards(37, 9, 26, 240), towards(54, 10, 60, -150),
    )),
    Recording("Gate", datetime(2026, 9, 14, 18, 24, 45), 60, (
        across(6, 8, 31, 0.72, -1), across(21, 9, None, 0.80, -1), across(24, 9, 72, 0.66, 1),
        across(46, 8, 5, 0.74, -1),
    )),
    Recording("Loading bay", datetime(2026, 9, 14, 18, 26, 10), 60, (
        across(9, 9, 43, 0.72, 1), across(30, 10, None, 0.84, 1), across(47, 8, 86, 0.76, -1),
    )),
    Recording("Hall", datetime(2026, 9, 14, 18, 28, 0), 60, (
        towards(6, 9, 60, 200), towards(17, 9, 31, -240), towards(36, 9, None, -200, mirror=True),
    )),
)  # fmt: skip


def make(out: Path, cache: Path, recordings: tuple[Recording, ...] = RECORDINGS) -> list[Path]:
    """Make what is missing under `out`; return the recordings' paths."""
    photo = out / "photos" / "portrait.jpg"
    photo.parent.mkdir(parents=True, exist_ok=True)
    if not photo.exists():
        _write(photo, cv2.imencode(".jpg", demo_assets.portrait(cache), [cv2.IMWRITE_JPEG_QUALITY, 94])[1].tobytes())
    missing = [r for r in recordings if not (out / "footage" / r.file).exists()]
    if missing:
        workers = min(len(missing), os.cpu_count() or 1)
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            for name in pool.map(record, missing, [out / "footage"] * len(missing), [cache] * len(missing)):
                print(f"  {name}", flush=True)
    with (out / "ground_truth.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["clip", "person", "start_s", "end_s", "kind"])
        table.writerows(truth(recordings))
    return [out / "footage" / r.file for r in recordings]


def truth(recordings: tuple[Recording, ...]) -> Iterator[tuple[str, str, float, float, str]]:
    """Yield a row for each visit of the enrolled person."""
    for recording in recordings:
        for visit in recording.visits:
            if visit.who is None:
                yield recording.file.as_posix(), PERSON, visit.start_s, visit.start_s + visit.seconds, "face"


def record(recording: Recording, folder: Path, cache: Path) -> str:
    """Write one recording; return its name."""
    cv2.setNumThreads(1)
    path = folder / recording.file
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "crf": "27", "g": str(2 * FPS)}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures(recording, cache):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())
    part.replace(path)
    return path.name


def pictures(recording: Recording, cache: Path) -> Iterator[Picture]:
    """Yield the frames of a recording as I420 planes, (1.5 · HEIGHT, WIDTH)."""
    camera = CAMERAS[recording.camera]
    empty, cover = camera.draw()
    faces = demo_assets.faces(cache)
    cast: dict[int | None, Figure] = {}
    for who in {visit.who for visit in recording.visits}:
        cast[who] = enrolled(demo_assets.portrait(cache)) if who is None else stranger(faces[who], who)
    rng = np.random.default_rng(recording.start.hour * 60 + recording.start.minute)
    noises = [_noise(rng, camera.noise) for _ in range(_NOISES)]
    for number in range(recording.seconds * FPS):
        second = number / FPS
        picture = empty.copy()
        for visit in sorted(recording.visits, key=lambda v: (v.at(second) or (0, 0))[1]):
            where = visit.at(second)
            if where is not None:
                _put(picture, empty, cover, camera, cast[visit.who], where, second, visit.mirror)
        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
        luma = planes[:HEIGHT]
        luma[:] = cv2.add(luma, noises[int(rng.integers(_NOISES))], dtype=cv2.CV_8U)
        _caption(luma, camera.name, recording.start + timedelta(seconds=int(second)))
        yield planes


def _put(
    picture: Picture, empty: Picture, cover: Picture, camera: Camera, figure: Figure,
    where: tuple[float, float], second: float, mirror: bool,
) -> None:  # fmt: skip
    """Draw a figure into the picture in the scene's light, behind what covers it."""
    x, scale = where
    sprite = figure.at(scale, int(second * STEPS_PER_S * 4), mirror, camera.blur)
    left, top = place(camera, x - WIDE / 2, TALL, scale)
    top += round(5 * scale * float(np.sin(second * STEPS_PER_S * 2 * np.pi)))
    tall, wide = sprite.opacity.shape
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + wide), min(HEIGHT, top + tall)
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    spot = (slice(y0, y1), slice(x0, x1))
    light = cv2.multiply(sprite.picture[part], np.array([*camera.gain, 1.0]))
    if camera.infrared:
        light = cv2.cvtColor(cv2.cvtColor(light, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    opacity = np.ascontiguousarray(sprite.opacity[part])
    picture[spot] = cv2.blendLinear(light, np.ascontiguousarray(picture[spot]), opacity, 1 - opacity)
    if cover.any():
        np.copyto(picture[spot], empty[spot], where=cover[spot][..., None] > 127)


def _noise(rng: np.random.Generator, sigma: float) -> NDArray[np.int16]:
    """Return sensor noise for the luma plane, slightly soft."""
    grain = cv2.GaussianBlur(rng.normal(0, sigma * 1.6, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.7)
    return np.asarray(grain.round(), np.int16)


def _caption(luma: Picture, camera: str, now: datetime) -> None:
    """Burn in the clock and the camera's name."""
    for text, spot in ((f"{now:%Y-%m-%d  %H:%M:%S}", (24, 40)), (camera.upper(), (24, HEIGHT - 24))):
        for colour, thick in ((16, 5), (235, 2)):
            cv2.putText(luma, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thick, cv2.LINE_AA)


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("out", type=Path)
    words.add_argument("--cache", type=Path, default=demo_assets.CACHE, help="folder for the two source pictures")
    words.add_argument("--wheel", type=Path, help="a scikit-image wheel that is already here")
    given = words.parse_args()
    demo_assets.fetch(given.cache, given.wheel)
    make(given.out, given.cache)


if __name__ == "__main__":
    main()
