"""Enrol, search and score against labels: the reel and two real clips, all labelled clips, and a made recording."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.common import VIDSEARCH, cctv, save, say, scratch, shared

REEL = ("derived/*", "hamilton/*", "intel/one-by-one*")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--only", choices=("reel", "all", "cctv"), action="append", help="may be given again")
    parser.add_argument("--minutes", type=int, default=10, help="length of the made recording")


def run(given: argparse.Namespace) -> None:
    """Score each set of recordings."""
    data = shared() / "data"
    results: dict[str, Any] = {}
    for name in given.only or ("reel", "all", "cctv"):
        say(f"{name} …")
        if name == "cctv":
            results[f"cctv_{given.minutes}_minutes"] = evaluate(cctv(given.minutes))
        else:
            results[name] = evaluate(data, REEL if name == "reel" else ())
    save("accuracy", results)


def evaluate(
    data: Path, clips: Sequence[str] = (), *, home: Path | None = None, program: Sequence[str] = VIDSEARCH
) -> dict[str, Any]:
    """Run the scoring script on a folder of recordings and return what it prints.

    ``home`` is the data folder, by default one that goes afterwards; ``program`` is what is run as vidsearch.
    """
    with scratch() as spare:
        command = [sys.executable, str(shared() / "bench" / "evaluate.py"), "--data", str(data)]
        command += ["--keep", str(home or spare)]
        for clip in clips:
            command += ["--clip", clip]
        done = subprocess.run([*command, "--", *program], capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.startswith("{"):
        raise SystemExit(f"the scoring script failed: {done.stderr.strip()[-600:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
