"""Splitting by copying, against `ffmpeg -c copy` of the same file to one file, with both ffmpegs.

A recording of some 2 GB is made by copying a generated clip (1080p H.264 with B-frames, 25 a second, a key frame
every two, 12 Mbit/s) one behind the other. It is cut into pieces at times that are no key frames, as the limit of an
engine far away would have it; reading every piece back, as the program does, is included. Both sides run in turn on one
core, with what was written flushed in between; medians of the repeats. Processor seconds stand beside the wall's.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import imageio_ffmpeg

from benches.common import Took, ffmpeg, last_core, save, say, scratch
from vidsearch.media.cutter import Cutter
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts

SECONDS, MEGABITS, FPS = 60, 12, 25
"""Of the clip that is repeated."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the recording")
    parser.add_argument("--pieces", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, default=last_core())


def run(given: argparse.Namespace) -> None:
    """Time splitting with each ffmpeg there is."""
    programs = {"system": shutil.which("ffmpeg"), "bundled": imageio_ffmpeg.get_ffmpeg_exe()}
    results: dict[str, Any] = {"core": given.core, "pieces": given.pieces, "megabits": MEGABITS}
    with scratch() as folder:
        say("making the recording …")
        path = repeated(folder, round(given.gigabytes * 1e9))
        results["bytes"] = path.stat().st_size
        os.sched_setaffinity(0, {given.core})  # what is started from here stays there too
        for name, program in programs.items():
            if program is not None:
                say(f"{name} …")
                results[name] = measure(path, program, given.pieces, given.repeats)
    save("split", results)


def measure(path: Path, program: str, pieces: int, repeats: int) -> dict[str, Any]:
    """Time both ways of copying a recording."""
    out = path.parent / "out"
    facts = probe(path)  # done when a recording is added
    splits, copies = [], []
    for number in range(repeats + 1):
        copied = _timed(out, lambda: _copy(program, path, out / "whole.mp4"))
        split = _timed(out, lambda: _split(program, path, facts, out, pieces))
        if number:  # the first time, the recording may not lie in memory
            copies.append(copied)
            splits.append(split)
            say(f"  copy {copied.wall:.2f} s, split {split.wall:.2f} s")
    copy, cut = median(t.wall for t in copies), median(t.wall for t in splits)
    copy_cpu, cut_cpu = median(t.cpu for t in copies), median(t.cpu for t in splits)
    return {
        "version": _version(program),
        "copy_s": round(copy, 2),
        "copy_raw_s": [round(t.wall, 2) for t in copies],
        "split_s": round(cut, 2),
        "split_raw_s": [round(t.wall, 2) for t in splits],
        "speed_of_copy": round(copy / cut, 2),
        "copy_cpu_s": round(copy_cpu, 2),
        "split_cpu_s": round(cut_cpu, 2),
        "speed_of_copy_by_cpu": round(copy_cpu / cut_cpu, 2),
        "split_mb_per_s": round(path.stat().st_size / cut / 1e6),
    }


def repeated(folder: Path, size: int) -> Path:
    """Make a recording of about so many bytes by copying a clip one behind the other."""
    clip, path = folder / "clip.mp4", folder / "recording.mp4"
    encode(clip, SECONDS, MEGABITS)
    times = max(0, round(size / clip.stat().st_size) - 1)
    _run(ffmpeg(), "-stream_loop", str(times), "-i", str(clip), "-c", "copy", str(path))
    clip.unlink()
    return path


def encode(path: Path, seconds: float, megabits: int, size: str = "1920x1080") -> None:
    """Make a recording whose every picture is another; it is brought to its bit rate with filler, which costs no time.

    H.264 has a kind of packet for that (NAL unit type 12), which is kept when packets are copied.
    """
    rate = f"{megabits}M"
    _run(
        ffmpeg(),
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r={FPS}:d={seconds}", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", str(2 * FPS)),
        *("-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr:filler=1"),
        str(path),
    )


def _copy(program: str, path: Path, out: Path) -> None:
    _run(program, "-i", str(path), "-map", "0:v:0", "-c", "copy", str(out))


def _split(program: str, path: Path, facts: MediaFacts, out: Path, pieces: int) -> None:
    size = path.stat().st_size
    # A third of a second off, so that no border is a key frame.
    inner = (facts.duration_ms * number // pieces + 333 for number in range(1, pieces))
    borders = [0, *inner, facts.duration_ms]
    for number in range(pieces):
        span = (borders[number], borders[number + 1])
        target = out / f"{number}.mp4"
        cut = Cutter(program).cut(path, facts, size, [span], target, max_bytes=size, max_ms=facts.duration_ms)
        if not cut.made or cut.stretches[0].source_ms > span[0]:
            raise SystemExit(f"piece {number} is not what it should be: {cut}")


def _timed(out: Path, work: Callable[[], None]) -> Took:
    """Return what some work took, beginning with an empty folder and a disk at rest."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    os.sync()
    before, start = _processor(), time.perf_counter()
    work()
    return Took(time.perf_counter() - start, _processor() - before)


def _processor() -> float:
    """Return the processor seconds of this process and of those it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _run(program: str, *words: str) -> None:
    subprocess.run([program, "-nostdin", "-v", "error", "-y", *words], check=True)


def _version(program: str) -> str:
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]
