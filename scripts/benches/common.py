"""What the benches share: where things are, running vidsearch, and writing results down."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks"
VIDSEARCH = (sys.executable, "-m", "vidsearch")
PEER = {
    "face_recognition": "1.3.0",
    "face_recognition_models": "0.3.0",
    "dlib-bin": "20.0.1.post1",
    "numpy": "2.4.6",
    "pillow": "13.0.0",
    "opencv-python-headless": "4.14.0.94",
}
"""The peer and what it needs; installed without its own wish for a dlib that must be compiled."""


def shared() -> Path:
    """Return the folder with labelled recordings and the scoring script, or end saying that it is not there."""
    folder = Path(os.environ.get("VIDSEARCH_SHARED") or ROOT.parent / "shared")
    if not (folder / "bench" / "evaluate.py").is_file():
        raise SystemExit(f"{folder} has no labelled recordings; set VIDSEARCH_SHARED to the folder that has")
    return folder


def kept() -> Path:
    """Return the folder for what is made once and used by later runs."""
    given = os.environ.get("VIDSEARCH_BENCH")
    folder = Path(given) if given else Path.home() / ".cache" / "vidsearch-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ffmpeg() -> str:
    """Return the system's ffmpeg, or the bundled one."""
    return shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


def with_ffmpeg() -> dict[str, str]:
    """Return an environment in which `ffmpeg` is a command, as the recording maker expects."""
    folder = kept() / "bin"
    folder.mkdir(exist_ok=True)
    link = folder / "ffmpeg"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(ffmpeg())
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}{os.pathsep}{folder}"}


def cctv(minutes: int) -> Path:
    """Return the folder of a made recording with its labels; ten minutes are drawn, longer ones repeat them."""
    folder = kept() / f"cctv-{minutes}"
    if (folder / "ground_truth.csv").is_file():
        return folder
    if minutes <= 10:
        say(f"making {minutes} minutes of CCTV, once …")
        script = shared() / "bench" / "make_cctv.py"
        subprocess.run(
            [sys.executable, str(script), str(folder), "--minutes", str(minutes)], env=with_ffmpeg(), check=True
        )
        return folder
    ten = cctv(10)
    folder.mkdir(exist_ok=True)
    parts = folder / "parts.txt"
    parts.write_text(f"file '{ten / 'cctv.mp4'}'\n" * (minutes // 10), encoding="utf-8")
    quiet = [ffmpeg(), "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", str(parts), "-c", "copy"]
    subprocess.run([*quiet, str(folder / "cctv.mp4")], check=True)
    shutil.copy(ten / "identities.csv", folder)
    shutil.copy(ten / "ground_truth.csv", folder)
    return folder


def peer_python() -> Path:
    """Return the Python of the peer's environment, made outside the checkout."""
    folder = kept() / "peer-venv"
    python = folder / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", "import face_recognition"], capture_output=True).returncode:
        say("making the peer's environment, once …")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pins = [f"{name}=={version}" for name, version in PEER.items()]
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-deps", *pins, "setuptools<81", "click"], check=True
        )
    return python


def on_core(core: int | None) -> list[str]:
    """Return the words that keep a command on one core, or none."""
    return [] if core is None else ["taskset", "-c", str(core)]


def last_core() -> int:
    """Return the highest core this process may use."""
    return max(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Took:
    """What a command took: wall seconds, and processor seconds with all its processes."""

    wall: float
    cpu: float


def timed(command: Sequence[str]) -> Took:
    """Run a command; end with its message where it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:160]}: {done.stderr.strip()[-500:]}")
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def vidsearch(data: Path, *words: str, core: int | None = None) -> Took:
    """Run the command line on a data folder."""
    return timed([*on_core(core), *VIDSEARCH, "--data", str(data), *words])


def found(data: Path) -> list[dict[str, Any]]:
    """Return the appearances."""
    command = [*VIDSEARCH, "--data", str(data), "matches", "--json"]
    rows: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return rows


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="vidsearch-bench-") as folder:
        yield Path(folder)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result with commit, machine and date, and print it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    whole = {"bench": name, "commit": _commit(), "date": date, "machine": machine(), **result}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(json.dumps(result, indent=1, ensure_ascii=False))
    say(f"written to {path.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    """Describe this machine in a few words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version(), "system": platform.platform()}


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    code = ["vidsearch", "web", "constraints.txt"]
    changed = subprocess.run([*git, "status", "--porcelain", "--", *code], capture_output=True, text=True, check=False)
    return (head.stdout.strip() or "unknown") + ("+changes" if changed.stdout.strip() else "")
