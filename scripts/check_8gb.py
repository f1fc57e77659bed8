"""Cut a real recording of more than 8 GB with the default limits, and check every piece. Run it as `scripts/check-8gb`.

The recording is generated on the spot: some ten minutes of H.264 in which every picture is another, brought to 120
Mbit/s with filler (a kind of packet that H.264 has for that, and that is copied with the pictures). It is cut into the
pieces that a search would ask for. Of each piece this checks that it is not over the limit, that its first picture is
the recording's at the time it says (by digests of the decoded pictures), and that together they hold every picture, at
its time. It needs 20 GB of disk, which is looked at first, and some minutes; everything made is removed. The figures go
to benchmarks/split_8gb.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from benches.common import save, say
from benches.split import encode
from vidsearch.cuts import Cut, to_source
from vidsearch.media.cutter import Cutter
from vidsearch.media.decoding import Decoder
from vidsearch.media.ffmpeg import binary
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts
from vidsearch.settings import load_settings

MEGABITS, PICTURE = 120, "640x360"
NEEDED_PER_BYTE = 2.2
"""Disk for the recording and its pieces, for each byte of the recording."""


def main() -> None:
    """Parse the words, check the disk, and clean up whatever happens."""
    parser = argparse.ArgumentParser(
        prog="scripts/check-8gb", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=8.6, help="size of the recording")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room")
    parser.add_argument("--ffmpeg", default="", help="the ffmpeg to cut with; by default the system's")
    parser.add_argument("--limit", type=float, help="largest piece in gigabytes; by default the program's")
    given = parser.parse_args()
    needed, free = NEEDED_PER_BYTE * given.gigabytes, shutil.disk_usage(given.folder).free / 1e9
    if free < needed:
        raise SystemExit(f"{needed:.0f} GB of disk are needed in {given.folder}, where {free:.0f} GB are free")
    with tempfile.TemporaryDirectory(prefix="vidsearch-8gb-", dir=given.folder) as folder:
        limit = round(given.limit * 1e9) if given.limit else None
        result = check(Path(folder), round(given.gigabytes * 1e9), limit, given.ffmpeg or binary())
    if limit is None:
        save("split_8gb", result)
    else:
        say(json.dumps(result))


def check(folder: Path, size: int, limit: int | None, program: str) -> dict[str, Any]:
    """Make the recording, cut it, check the pieces, and return the figures. ``limit`` None takes the program's."""
    settings = load_settings("unused", env={})
    limit = limit or settings.rekognition_max_bytes
    longest = round(settings.rekognition_max_hours * 3_600_000)
    path = folder / "recording.mp4"
    say(f"making {size / 1e9:.1f} GB …")
    began = time.perf_counter()
    encode(path, size * 8 / (MEGABITS * 1e6), MEGABITS, PICTURE)
    made_s, facts, there = time.perf_counter() - began, probe(path), path.stat().st_size
    if there <= limit:
        raise SystemExit(f"the recording has {there} bytes, no more than the limit of {limit}")
    count = -(-there // round(0.85 * limit))
    borders = [facts.duration_ms * number // count for number in range(count + 1)]
    say(f"cutting {there / 1e9:.2f} GB into {count} …")
    began = time.perf_counter()
    cuts = [
        Cutter(program).cut(path, facts, there, [span], folder / f"{number}.mp4", max_bytes=limit, max_ms=longest)
        for number, span in enumerate(pairwise(borders))
    ]
    cut_s = time.perf_counter() - began
    say("checking …")
    for cut in cuts:
        if not cut.made or cut.size > limit or cut.size != cut.path.stat().st_size:
            raise SystemExit(f"{cut} is over the limit, or not what it says")
        first_picture(path, facts, cut)
    pictures = every_picture(path, facts, cuts)
    return {
        "bytes": there,
        "limit": limit,
        "pieces": [cut.size for cut in cuts],
        "pictures": pictures,
        "made_s": round(made_s, 1),
        "cut_s": round(cut_s, 1),
        "cut_mb_per_s": round(there / cut_s / 1e6),
    }


def first_picture(path: Path, facts: MediaFacts, cut: Cut) -> None:
    """End with a message where a piece begins with another picture than the recording shows at that time."""
    with av.open(str(cut.path)) as container:
        found = next(container.decode(video=0))
    at = cut.stretches[0].source_ms
    with Decoder(path, facts) as decoder:
        expected = next(frame for ms, frame in decoder.frames(at) if ms == at)
        others = [next(frame for ms, frame in decoder.frames(at + off) if ms == at + off) for off in (40, 2_000)]
    if digest(found) != digest(expected) or digest(found) in map(digest, others):
        raise SystemExit(f"{cut.path.name} does not begin with the picture of {at} ms")


def digest(frame: av.VideoFrame) -> str:
    """Return the SHA-256 of a decoded picture."""
    return hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()


def every_picture(path: Path, facts: MediaFacts, cuts: list[Cut]) -> int:
    """Return the number of pictures of the recording, or end where a piece lacks one or shows one at another time."""
    wanted = {ms - facts.origin_ms: size for ms, size in times(path)}
    held = set()
    for cut in cuts:
        for ms, size in times(cut.path):
            source = to_source(cut.stretches, ms)
            if source is None:
                continue
            if wanted.get(source) != size:
                raise SystemExit(f"{cut.path.name} has at {ms} ms another picture than the recording at {source} ms")
            held.add(source)
    if held != wanted.keys():
        raise SystemExit(f"{len(wanted.keys() - held)} of {len(wanted)} pictures are in no piece")
    return len(wanted)


def times(path: Path) -> list[tuple[int, int]]:
    """Return when each coded picture is shown, in milliseconds of the file's clock, and its bytes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        base = float(stream.time_base) * 1000
        return [(round(packet.pts * base), packet.size) for packet in container.demux(stream) if packet.pts is not None]


if __name__ == "__main__":
    main()
