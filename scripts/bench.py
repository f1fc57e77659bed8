"""Measure vidsearch: what it finds, how fast, in how much memory. Run it as `scripts/bench`.

Ratios come from one run on the same cores, medians of three. Labelled recordings and the peer's loop are found in the
folder `shared` beside the checkout (or VIDSEARCH_SHARED); long recordings are made once and kept, with the peer's own
environment, in ~/.cache/vidsearch-bench (or VIDSEARCH_BENCH). Results are written to benchmarks/*.json.
"""

from __future__ import annotations

import argparse
import importlib

BENCHES = {
    "accuracy": "recall, false names and appearances a visit, on labelled recordings",
    "speed": "search on one core, against decoding alone and against the peer's loop",
    "memory": "the most memory of the whole process tree, for 10 and for 60 minutes of video",
    "paging": "results of Rekognition into the store: 200 pages of 1,000 persons",
    "split": "cutting a large recording by copying, against `ffmpeg -c copy`",
    "active": "what --active-only and --by-track send, save and miss, on Rekognition on this machine",
    "enrol": "enrolling 1,000 photos, against the peer's face_encodings on a sample of them",
}


def main() -> None:
    """Parse the words and run one bench; each module adds its own options."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, about in BENCHES.items():
        bench = importlib.import_module(f"benches.{name}")
        command = commands.add_parser(name, help=about, description=bench.__doc__)
        bench.add_options(command)
        command.set_defaults(run=bench.run)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
