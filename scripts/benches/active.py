"""What a search on Rekognition saves, and misses, when the local engine looks first.

A made recording is searched in fresh data folders on AWS as scripts/aws-local runs it: by the local engine, all of it
by StartFaceSearch, only where a face may be (--active-only, with several paddings), and by the track. For each: what
was sent and asked, what of the labelled visits was found, and how far in time from where all of it has it.

Rekognition on this machine finds faces with the very engine that marks the parts worth sending, and its similarities
are that engine's too, so 80 is the threshold here. What --active-only can find on Amazon's is bounded by what the local
engine sees at all, with whatever name; that is counted on the same recording, on smaller ones, and on real clips.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aws_local
from benches import common
from benches.accuracy import evaluate
from vidsearch.app import open_app
from vidsearch.cuts import merged, padded
from vidsearch.model import DEFAULT_CASE, Actor
from vidsearch.pricing import load_prices
from vidsearch.settings import AWS_FILE, load_settings

SLACK_S = 0.5
"""By how much a labelled boundary may be off before a track counts as lying outside every visit."""

KINDS = ("face", "face_small", "face_profile")
"""Visits in which a face can be seen; the scoring script counts the first two."""

PICTURES = ("DetectFaces", "IndexFaces", "SearchFacesByImage")
"""Operations charged by the picture."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--only", choices=("ways", "seen"), help="measure this part alone")
    parser.add_argument("--minutes", type=int, default=10, help="length of the made recording")
    parser.add_argument("--threshold", type=float, default=80.0, help="similarity from which a match counts")
    parser.add_argument("--pads", type=float, nargs="+", default=[3.0, 1.0, 6.0], help="seconds around a face")
    parser.add_argument(
        "--heights", type=int, nargs="*", default=[720, 540, 360], help="smaller recordings, only looked at"
    )


@dataclass(frozen=True)
class Way:
    """A way of searching."""

    name: str
    engine: str
    words: str
    """For `vidsearch search`."""
    pad_s: float | None = None


def run(given: argparse.Namespace) -> None:
    """Search in every way, compare, and count what the local engine sees."""
    clip, real = common.cctv(given.minutes), common.shared() / "data"
    paid = f"--engine rekognition --threshold {given.threshold:g} --yes"
    ways = [
        Way("local", "local", f"--threshold {given.threshold:g}"),
        Way("all of it", "rekognition", paid),
        *(Way(f"active only, {pad:g} s", "rekognition", f"{paid} --active-only", pad) for pad in given.pads),
        Way("by track", "rekognition", f"{paid} --by-track"),
    ]
    with common.scratch() as folder:
        if given.only != "seen":
            try:
                found = searched(folder, clip, ways)
            except aws_local.Failed as exc:
                raise SystemExit(str(exc)) from exc
            common.save("active", {"minutes": given.minutes, "threshold": given.threshold, "ways": found})
        if given.only != "ways":
            sets = {"made": clip, **{f"made_{height}p": smaller(clip, height) for height in given.heights}}
            looked = {}
            for name, data in {**sets, "real_clips": real}.items():
                common.say(f"what the local engine sees: {name} …")
                looked[name] = seen(folder / name, data, given.pads)
            common.save("active_seen", {"minutes": given.minutes, **looked})


# -- the ways of searching -------------------------------------------------------------------------------------------


def searched(folder: Path, clip: Path, ways: Sequence[Way]) -> dict[str, Any]:
    """Search the recording in each way, and compare with all of it."""
    results: dict[str, Any] = {}
    hits: dict[str, list[dict[str, Any]]] = {}
    with aws_local.running(folder / "stack") as own:
        os.environ.update(aws_local.environment(own))
        for way in ways:
            common.say(f"{way.name} …")
            home = folder / way.name.replace(" ", "-")
            results[way.name] = searched_by(home, clip, way, folder / "stack", own["AWS_ENDPOINT_URL_REKOGNITION"])
            hits[way.name] = [row for row in common.found(home) if row["engine"] == way.engine]
            common.say(json.dumps(results[way.name]))
    whole = results["all of it"]["minutes_sent"]
    for way in ways:
        result = results[way.name]
        result["share_saved"] = round(1 - result["minutes_sent"] / whole, 4) if way.engine == "rekognition" else None
        result["against_all_of_it"] = against(hits["all of it"], hits[way.name])
    return results


def searched_by(home: Path, clip: Path, way: Way, stack: Path, server: str) -> dict[str, Any]:
    """Enrol, add, search and score in a fresh data folder."""
    home.mkdir()
    shutil.copy(stack / AWS_FILE, home)
    if way.pad_s is not None:
        (home / "settings.toml").write_text(f"active_pad_s = {way.pad_s}\n", encoding="utf-8")
    stand_in = Path(__file__).with_name("as_vidsearch.py")
    _forget_calls(server)
    start = time.perf_counter()
    score = evaluate(clip, home=home, program=(sys.executable, str(stand_in), way.engine, way.words))
    wall = time.perf_counter() - start
    calls: dict[str, int] = json.loads(_read(f"{server}/calls"))["operations"]
    stretches = sent(home)
    minutes = sum(length for _, length in stretches) / 60_000
    return {
        "minutes_sent": round(minutes, 2),
        "parts_sent": len(stretches),
        "calls": dict(sorted(calls.items())),
        "agreed": agreed(home),
        "usd": _price(home, minutes, sum(calls.get(name, 0) for name in PICTURES)),
        "wall_s": round(wall, 1),
        **score,
    }


def sent(home: Path) -> list[tuple[int, int]]:
    """Return (start, length) in milliseconds of each part of the recording in what was uploaded."""
    path = home / "rekognition" / "engine.db"
    if not path.exists():
        return []
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT stretches FROM runs WHERE job_id IS NOT NULL").fetchall()
    finally:
        database.close()
    return [(source_ms, length_ms) for (text,) in rows for _, source_ms, length_ms in json.loads(text)]


def agreed(home: Path) -> str | None:
    """Return the price as it was told before the search."""
    database = sqlite3.connect(f"file:{home / 'vidsearch.db'}?mode=ro", uri=True)
    try:
        row = database.execute("SELECT detail FROM audit WHERE action = 'search' ORDER BY id DESC").fetchone()
    finally:
        database.close()
    said: str | None = json.loads(row[0]).get("agreed")
    return said


def against(whole: Sequence[Mapping[str, Any]], part: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return by how many seconds, at most, hits begin and end elsewhere on the wall clock than in all of it."""
    left = list(whole)
    starts, ends, alone = [0.0], [0.0], []
    for hit in part:
        same = [one for one in left if one["person"] == hit["person"] and _apart(one, hit) < 0]
        if not same:
            alone.append([hit["person"], hit["start_s"], hit["end_s"]])
            continue
        twin = min(same, key=lambda one: _apart(one, hit))
        left.remove(twin)
        starts.append(abs(_clock(twin["start_time"]) - _clock(hit["start_time"])))
        ends.append(abs(_clock(twin["end_time"]) - _clock(hit["end_time"])))
    return {
        "same": len(starts) - 1,
        "start_off_s": round(max(starts), 3),
        "end_off_s": round(max(ends), 3),
        "only_here": alone,
        "only_there": [[one["person"], one["start_s"], one["end_s"]] for one in left],
    }


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the seconds between two hits, negative where they overlap."""
    later = max(_clock(one["start_time"]), _clock(other["start_time"]))
    return later - min(_clock(one["end_time"]), _clock(other["end_time"]))


def _clock(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _price(home: Path, minutes: float, pictures: int) -> float:
    prices = load_prices(home)
    return round(minutes * float(prices["video_minute"].first) + pictures * float(prices["image"].first), 4)


def _forget_calls(server: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{server}/calls", method="DELETE"), timeout=30).close()


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: bytes = answer.read()
        return text


# -- what the local engine sees --------------------------------------------------------------------------------------


def seen(home: Path, data: Path, pads: Sequence[float]) -> dict[str, Any]:
    """Count the labelled visits, of anybody, in which the local engine followed a face, with whatever name."""
    with (data / "ground_truth.csv").open(encoding="utf-8") as stream:
        visits = [row for row in csv.DictReader(stream) if row["kind"] in KINDS]
    for clip in sorted({visit["clip"] for visit in visits}):
        common.vidsearch(home, "footage", "add", str(data / clip), "--camera", clip)
    took = common.vidsearch(home, "search", "--engine", "local")
    tracks, length_ms = _tracks(home)
    tally = {kind: [0, 0] for kind in KINDS}
    missed, sizes = [], []
    for visit in visits:
        over = [px for start, end, px in tracks.get(visit["clip"], []) if _apart_s(visit, start, end) < 0]
        tally[visit["kind"]][0] += bool(over)
        tally[visit["kind"]][1] += 1
        sizes += over
        if not over:
            missed.append([visit["clip"], visit["person"], float(visit["start_s"]), visit["kind"], visit["note"]])
    stray = [
        [clip, start, end]
        for clip, found in tracks.items()
        for start, end, _ in found
        if not any(visit["clip"] == clip and _apart_s(visit, start, end) < SLACK_S for visit in visits)
    ]
    return {
        "by_kind": tally,
        "missed": missed,
        "tracks": sum(len(found) for found in tracks.values()),
        "tracks_outside_visits": stray,
        "face_px": [min(sizes, default=0), max(sizes, default=0)],
        "minutes": round(sum(length_ms.values()) / 60_000, 2),
        "active_share": {f"{pad:g}": _active_share(tracks, length_ms, round(1000 * pad)) for pad in pads},
        "search_s": round(took.wall, 1),
    }


def _apart_s(visit: Mapping[str, str], start_s: float, end_s: float) -> float:
    """Return the seconds between a visit and a track, negative where they overlap."""
    return max(start_s, float(visit["start_s"])) - min(end_s, float(visit["end_s"]))


def _tracks(home: Path) -> tuple[dict[str, list[tuple[float, float, int]]], dict[str, int]]:
    """Return by camera the tracks (start, end in seconds; width of the face in pixels) and the length in ms."""
    found: dict[str, list[tuple[float, float, int]]] = {}
    length: dict[str, int] = {}
    with open_app(load_settings(home), actor=Actor("bench")) as app:
        for footage in app.store.footage.list(DEFAULT_CASE):
            name = app.store.footage.camera(DEFAULT_CASE, footage.camera_id).name
            tracks, _ = app.marking.found(footage)
            found[name] = [(one.start_ms / 1000, one.end_ms / 1000, one.face_px) for one in tracks]
            length[name] = footage.facts.duration_ms
    return found, length


def _active_share(
    tracks: Mapping[str, Sequence[tuple[float, float, int]]], length_ms: Mapping[str, int], pad_ms: int
) -> float:
    """Return the share that --active-only would ask about, before cuts are widened to key frames."""
    active = 0
    for clip, whole in length_ms.items():
        spans = ((round(1000 * start), round(1000 * end)) for start, end, _ in tracks[clip])
        active += sum(end - start for start, end in merged(padded(spans, pad_ms, (0, whole))))
    return round(active / max(1, sum(length_ms.values())), 4)


def smaller(clip: Path, height: int) -> Path:
    """Return the recording at a smaller size, with its labels: every face is smaller in proportion."""
    folder = clip.with_name(f"{clip.name}-{height}p")
    if not (folder / "ground_truth.csv").is_file():
        folder.mkdir(exist_ok=True)
        quiet = [common.ffmpeg(), "-v", "error", "-y", "-i", str(clip / "cctv.mp4"), "-vf", f"scale=-2:{height}"]
        common.timed([*quiet, "-preset", "veryfast", "-crf", "20", str(folder / "cctv.mp4")])
        shutil.copy(clip / "identities.csv", folder)
        shutil.copy(clip / "ground_truth.csv", folder)
    return folder
