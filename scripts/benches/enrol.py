"""Enrol 1,000 photos and time it; the peer's `face_encodings` is timed on some of the same photos.

The photos are variants (cropped, scaled, lighter or darker) of the labelled ones, with one in fifty spoilt. The peer is
timed on one variant of each, because a few are so large that a sample without them, or with too many, says nothing.
Both run on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benches.common import VIDSEARCH, last_core, on_core, peer_python, save, say, scratch, shared, vidsearch

SPOILT_EVERY = 50


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--sample", type=int, help="photos the peer is timed on (default: one variant of each)")
    parser.add_argument("--core", type=int, default=last_core())


def run(given: argparse.Namespace) -> None:
    """Make the photos, enrol them, time the peer."""
    with scratch() as folder:
        say(f"making {given.photos} photos …")
        photos, sources = make_photos(folder, given.photos)
        table = folder / "people.csv"
        with table.open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            rows.writerow(["name", "path"])
            rows.writerows((name, str(path)) for name, path in photos)
        took = vidsearch(folder / "data", "person", "import", str(table), core=given.core)
        enrolled = _enrolled(folder / "data")
        peer = _peer([path for _, path in photos[: given.sample or sources]], given.core)
    each, each_cpu = took.wall / len(photos), took.cpu / len(photos)
    peer_each, peer_cpu = peer["wall_s"] / peer["photos"], peer["cpu_s"] / peer["photos"]
    save("enrol", {
        "photos": len(photos), "enrolled": enrolled, "seconds": round(took.wall, 1),
        "ms_a_photo": round(each * 1e3, 1), "cpu_ms_a_photo": round(each_cpu * 1e3, 1),
        "peer_photos_timed": peer["photos"], "peer_photos_with_a_face": peer["with_a_face"],
        "peer_ms_a_photo": round(peer_each * 1e3, 1), "peer_cpu_ms_a_photo": round(peer_cpu * 1e3, 1),
        "times_faster": round(peer_each / each, 1), "times_faster_by_cpu": round(peer_cpu / each_cpu, 1),
    })  # fmt: skip


def make_photos(folder: Path, count: int) -> tuple[list[tuple[str, Path]], int]:
    """Write `count` photos; return (person, path) of each, and how many different ones they are variants of."""
    data = shared() / "data"
    with (data / "identities.csv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if not r["person"].startswith(("GROUP", "COUNT", "MISLABELLED"))]
    sources = [(r["person"], cv2.imread(str(data / r["path"]))) for r in rows if (data / r["path"]).is_file()]
    usable = [(person, picture) for person, picture in sources if picture is not None]
    rng = np.random.default_rng(7)
    photos = []
    for number in range(count):
        person, picture = usable[number % len(usable)]
        path = folder / f"{number:04d}.jpg"
        if number % SPOILT_EVERY == SPOILT_EVERY - 1:
            path.write_text("this is not a picture", encoding="utf-8")
        else:
            cv2.imwrite(str(path), _variant(picture, rng))
        photos.append((person, path))
    return photos, len(usable)


def _variant(picture: Any, rng: np.random.Generator) -> Any:
    height, width = picture.shape[:2]
    top, left = (int(rng.uniform(0, 0.04) * side) for side in (height, width))
    part = picture[top : height - top or None, left : width - left or None]
    part = cv2.resize(part, None, fx=(scale := rng.uniform(0.85, 1.15)), fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(part, alpha=rng.uniform(0.85, 1.15), beta=rng.uniform(-12, 12))


def _enrolled(data: Path) -> int:
    done = subprocess.run(
        [*VIDSEARCH, "--data", str(data), "person", "list", "--json"], capture_output=True, text=True, check=True
    )
    return sum(photo["outcome"] == "enrolled" for person in json.loads(done.stdout) for photo in person["photos"])


def _peer(photos: list[Path], core: int) -> dict[str, Any]:
    script = Path(__file__).with_name("peer_encodings.py")
    command = [*on_core(core), str(peer_python()), "-W", "ignore", str(script), *map(str, photos)]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return result
