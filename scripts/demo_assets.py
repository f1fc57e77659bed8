"""The two pictures that the demo needs, read out of the scikit-image wheel without installing it.

`astronaut.png` is NASA's portrait of Eileen Collins (public domain); `lfw_subset.npy` holds 100 grey faces of
25 x 25 pixels. Both are checked against the SHA-256 sums below before anything reads them.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

REQUIREMENT = "scikit-image==0.26.0"
TARGET = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64")
"""One fixed wheel on every machine: only data files are read from it, so its platform does not matter."""

MEMBERS = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "lfw_subset.npy": "9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c",
}
CACHE = Path(__file__).resolve().parents[1] / "demo-data" / "assets"
"""Where a checkout keeps them."""

FACES = 100
"""The second hundred pictures of `lfw_subset.npy` show no face."""


def fetch(cache: Path, wheel: Path | None = None) -> None:
    """Put both files into `cache`, from `wheel` or from the package index; do nothing where they are there.

    Raises SystemExit with one line where the index cannot be reached or a file is not the one expected.
    """
    if all(_is(cache / name, digest) for name, digest in MEMBERS.items()):
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        archive = wheel or _download(Path(folder))
        with zipfile.ZipFile(archive) as members:
            for name, digest in MEMBERS.items():
                data = members.read(f"skimage/data/{name}")
                if hashlib.sha256(data).hexdigest() != digest:
                    raise SystemExit(f"{archive.name}: {name} is not the expected file; delete it and try again")
                (cache / name).write_bytes(data)


def portrait(cache: Path) -> NDArray[np.uint8]:
    """Return the portrait as BGR, 512 x 512."""
    data = np.frombuffer((cache / "astronaut.png").read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def faces(cache: Path) -> NDArray[np.float64]:
    """Return the faces, (100, 25, 25), grey 0-1."""
    pictures: NDArray[np.float64] = np.load(io.BytesIO((cache / "lfw_subset.npy").read_bytes()), allow_pickle=False)
    return pictures[:FACES]


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *TARGET, "--dest", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise SystemExit(f"{REQUIREMENT} could not be downloaded ({reason}); the demo needs its two pictures once")
    return next(folder.glob("*.whl"))
