"""Search on one core: wall seconds of a search less those of a search with nothing to do.

They are divided by the seconds in which `ffmpeg -threads 1` decodes the same recordings to nowhere, and the peer's loop
(every frame, upsampled once) is timed on a slice and extrapolated by frames. The slice is the recording's beginning,
where few or no faces are to be described, which flatters the peer. Medians of the repeats, all on one core. Processor
seconds stand beside the wall's: on a machine that does other things too, their ratio is the steadier one.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import av

from benches.accuracy import REEL
from benches.common import (
    Took,
    cctv,
    ffmpeg,
    found,
    last_core,
    on_core,
    peer_python,
    save,
    say,
    scratch,
    shared,
    timed,
    vidsearch,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--only", choices=("cctv", "reel"), action="append", help="may be given again")
    parser.add_argument("--minutes", type=int, default=10, help="length of the made recording")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--peer-frames", type=int, default=30, help="frames of each recording the peer is timed on")
    parser.add_argument("--no-peer", action="store_true")


def run(given: argparse.Namespace) -> None:
    """Time each set of recordings."""
    results: dict[str, Any] = {"core": given.core, "ffmpeg": _version(ffmpeg())}
    for name in given.only or ("cctv", "reel"):
        say(f"{name} …")
        folder = cctv(given.minutes) if name == "cctv" else shared() / "data"
        clips = [folder / "cctv.mp4"] if name == "cctv" else sorted(p for g in REEL for p in _labelled(folder, g))
        results[name] = measure(folder / "identities.csv", clips, given)
    save("speed", results)


def measure(identities: Path, clips: list[Path], given: argparse.Namespace) -> dict[str, Any]:
    """Time search, decoding and the peer on some recordings."""
    frames = {clip: _frames(clip) for clip in clips}
    searches, nothing, decodes = [], [], []
    with scratch() as folder:
        ready = folder / "ready"
        prepare(ready, identities, clips)
        for number in range(given.repeats):
            data = folder / f"run-{number}"
            shutil.copytree(ready, data)
            searches.append(vidsearch(data, "search", core=given.core))
            nothing.append(vidsearch(data, "search", core=given.core))
            decodes.append([_decode(clip, given.core) for clip in clips])
            say(f"  search {searches[-1].wall:.2f} s ({searches[-1].cpu:.2f} of processor)")
        appearances = len(found(data))
    search = median(t.wall for t in searches) - median(t.wall for t in nothing)
    search_cpu = median(t.cpu for t in searches) - median(t.cpu for t in nothing)
    decode = median(sum(t.wall for t in each) for each in decodes)
    decode_cpu = median(sum(t.cpu for t in each) for each in decodes)
    result: dict[str, Any] = {
        "recordings": len(clips),
        "frames": sum(frames.values()),
        "appearances": appearances,
        "search_s": round(search, 2),
        "search_raw_s": [round(t.wall, 2) for t in searches],
        "search_cpu_s": round(search_cpu, 2),
        "nothing_to_do_s": round(median(t.wall for t in nothing), 2),
        "ffmpeg_null_s": round(decode, 2),
        "ffmpeg_null_cpu_s": round(decode_cpu, 2),
        "search_over_ffmpeg": round(search / decode, 2),
        "search_over_ffmpeg_by_cpu": round(search_cpu / decode_cpu, 2),
    }
    if not given.no_peer:
        each = {clip: _peer(clip, identities, given) for clip in clips}
        peer = sum(each[clip].wall * count for clip, count in frames.items())
        peer_cpu = sum(each[clip].cpu * count for clip, count in frames.items())
        result |= {"peer_extrapolated_s": round(peer, 1), "peer_over_search": round(peer / search, 1)}
        result["peer_over_search_by_cpu"] = round(peer_cpu / search_cpu, 1)
        result["peer_frames_timed"] = sum(min(given.peer_frames, count) for count in frames.values())
    return result


def prepare(data: Path, identities: Path, clips: list[Path]) -> None:
    """Enrol everyone and add the recordings, so that only the search is left to do."""
    photos: dict[str, list[str]] = {}
    with identities.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            skip = row["person"].startswith(("GROUP", "COUNT", "MISLABELLED", "unknown")) or row["role"] == "probe"
            if not skip:
                photos.setdefault(row["person"], []).append(str(identities.parent / row["path"]))
    for person, files in photos.items():
        vidsearch(data, "person", "add", person, *files)
    for clip in clips:
        vidsearch(data, "footage", "add", str(clip), "--camera", clip.stem)


def _decode(clip: Path, core: int) -> Took:
    command = [*on_core(core), ffmpeg(), "-v", "error", "-nostdin", "-threads", "1", "-i", str(clip)]
    return timed([*command, "-map", "0:v:0", "-f", "null", "-"])


def _peer(clip: Path, identities: Path, given: argparse.Namespace) -> Took:
    """Return the peer's seconds for one frame."""
    script = shared() / "bench" / "peer_face_recognition.py"
    # Who is enrolled hardly matters for the peer's time, and enrolling is not timed: two photos are enough.
    with scratch() as folder:
        few = folder / "identities.csv"
        rows = list(csv.reader(identities.open(encoding="utf-8")))
        place = rows[0].index("path")
        with few.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(rows[0])
            table.writerows([*r[:place], str(identities.parent / r[place]), *r[place + 1 :]] for r in rows[1:3])
        command = [*on_core(given.core), str(peer_python()), "-W", "ignore", str(script), str(clip), str(few)]
        done = subprocess.run(
            [*command, "--frames", str(given.peer_frames)], capture_output=True, text=True, check=True
        )
    result = json.loads(done.stdout)
    looked = int(result["frames_looked_at"])
    return Took(float(result["wall_s"]) / looked, float(result["cpu_s"]) / looked)


def _frames(clip: Path) -> int:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        return stream.frames or sum(packet.size > 0 for packet in container.demux(stream))


def _labelled(data: Path, pattern: str) -> list[Path]:
    with (data / "ground_truth.csv").open(encoding="utf-8") as stream:
        clips = {row["clip"] for row in csv.DictReader(stream)}
    return [data / clip for clip in clips if Path(clip).match(pattern) or clip.startswith(pattern.rstrip("*"))]


def _version(binary: str) -> str:
    return subprocess.run([binary, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
