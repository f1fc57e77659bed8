"""The most memory a search takes: PSS of the whole process tree, sampled while two workers search.

PSS counts a page shared by n processes as 1/n in each, so the sum over the tree is what the machine really gives.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from benches.common import VIDSEARCH, cctv, save, say, scratch
from benches.speed import prepare

INTERVAL_S = 0.2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--minutes", type=int, nargs="+", default=[10, 60], help="the longer ones repeat the ten")
    parser.add_argument("--cores", type=int, default=2)


def run(given: argparse.Namespace) -> None:
    """Measure each length."""
    results: dict[str, Any] = {"workers": given.cores, "sampled_every_s": INTERVAL_S}
    for minutes in given.minutes:
        say(f"{minutes} minutes …")
        results[f"{minutes}_minutes"] = measure(cctv(minutes), given.cores)
        say(f"  {results[f'{minutes}_minutes']}")
    save("memory", results)


def measure(folder: Path, cores: int) -> dict[str, Any]:
    """Search a recording and return the highest memory seen."""
    with scratch() as data:
        prepare(data, folder / "identities.csv", [folder / "cctv.mp4"])
        log = data / "search.log"
        with log.open("wb") as stream:
            start = time.perf_counter()
            search = subprocess.Popen(
                [*VIDSEARCH, "--data", str(data), "search", "--cores", str(cores)], stdout=stream, stderr=stream
            )
            most, processes = 0, 0
            while search.poll() is None:
                used, count = tree_pss(search.pid)
                most, processes = max(most, used), max(processes, count)
                time.sleep(INTERVAL_S)
            seconds = time.perf_counter() - start
        if search.returncode:
            raise SystemExit(f"the search failed: {log.read_text(errors='replace')[-500:]}")
    return {"peak_mb": round(most / 1e6, 1), "processes": processes, "search_s": round(seconds, 1)}


def tree_pss(pid: int) -> tuple[int, int]:
    """Return bytes of PSS and the number of processes under and with a process."""
    total = count = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for process in tree:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        count += 1
    return total, count
