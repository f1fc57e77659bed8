"""The scripts around the program: the demo recording, the pinned versions, the shell."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import av
import numpy as np
import pytest

import demo_assets
import demo_footage
from demo_scene import CAMERAS, HEIGHT, WIDTH
from vidsearch import clock

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [
    ROOT / "scripts" / name
    for name in ("demo", "test", "bundle", "bench", "check-8gb", "aws-local", "lib.sh", "bundle_install.sh")
]


@pytest.fixture(scope="module")
def short_demo(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, demo_footage.Recording]:
    """Return the folder of a demo of three seconds in which the person comes by, and its plan."""
    visit = demo_footage.across(0.5, 2.0, None, 0.8, 1)
    recording = replace(demo_footage.RECORDINGS[0], seconds=3, visits=(visit,))
    out = tmp_path_factory.mktemp("demo")
    demo_footage.make(out, astronaut.parent, (recording,))
    return out, recording


def test_the_demo_recording_is_what_it_says(short_demo):
    out, recording = short_demo
    with av.open(str(out / "footage" / recording.file)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert len(frames) == 3 * demo_footage.FPS
    # Nobody at first and in the end, somebody in the middle: much more changes than noise does.
    still = np.abs(frames[0][60:-60].astype(int) - frames[-1][60:-60]).mean()
    moving = np.abs(frames[0][60:-60].astype(int) - frames[22][60:-60]).mean()
    assert moving > 2 * still


def test_the_demo_says_when_the_person_comes_by(short_demo):
    out, recording = short_demo
    with (out / "ground_truth.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["clip"], row["person"], float(row["start_s"]), float(row["end_s"])) for row in rows] == [
        (recording.file.as_posix(), demo_footage.PERSON, 0.5, 2.5)
    ]


def test_the_enrolled_photo_is_not_what_is_shown(short_demo, astronaut: Path):
    out, recording = short_demo
    photo = out / "photos" / "portrait.jpg"
    assert photo.stat().st_size > 10_000
    assert recording.visits[0].begin[1] < 1


def test_a_demo_recording_is_made_only_once(short_demo, astronaut: Path):
    out, recording = short_demo
    path = out / "footage" / recording.file
    before = path.stat().st_mtime_ns
    demo_footage.make(out, astronaut.parent, (recording,))
    assert path.stat().st_mtime_ns == before


def test_start_times_can_be_read_from_the_names():
    for recording in demo_footage.RECORDINGS:
        assert clock.from_file_name(recording.file.name) == recording.start


def test_the_demo_has_several_visits_and_strangers():
    visits = [visit for recording in demo_footage.RECORDINGS for visit in recording.visits]
    assert sum(visit.who is None for visit in visits) == 6
    assert len({visit.who for visit in visits if visit.who is not None}) >= 6
    for recording in demo_footage.RECORDINGS:
        assert recording.camera in CAMERAS
        assert all(visit.start_s + visit.seconds < recording.seconds for visit in recording.visits)


def test_a_wrong_source_picture_is_refused(tmp_path: Path):
    import zipfile

    wheel = tmp_path / "scikit_image.whl"
    with zipfile.ZipFile(wheel, "w") as members:
        for name in demo_assets.MEMBERS:
            members.writestr(f"skimage/data/{name}", b"something else")
    with pytest.raises(SystemExit, match="not the expected file"):
        demo_assets.fetch(tmp_path / "cache", wheel)
    assert not list((tmp_path / "cache").glob("*.png"))


def test_source_pictures_are_the_published_ones(astronaut: Path):
    for name, digest in demo_assets.MEMBERS.items():
        assert hashlib.sha256((astronaut.parent / name).read_bytes()).hexdigest() == digest


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    words = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version.strip() for name, version in words}


def requirements() -> list[tuple[str, str]]:
    """Return (name, environment marker) of every direct and indirect requirement that is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    todo = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    seen: dict[str, str] = {}
    while todo:
        requirement, _, marker = todo.pop().partition(";")
        name = normal(re.match(r"[\w.-]+", requirement.strip())[0])
        if name in seen or "extra" in marker:
            continue
        seen[name] = marker
        try:
            todo += metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
    return sorted(seen.items())


def test_every_dependency_is_pinned():
    installed = {normal(dist.metadata["Name"]) for dist in metadata.distributions()}
    known = pins()
    lacking = [name for name, marker in requirements() if name in installed and name not in known and name != "pip"]
    assert not lacking, f"constraints.txt lacks {', '.join(lacking)}"


def test_pins_are_what_the_tests_run_with():
    installed = {normal(dist.metadata["Name"]): dist.version for dist in metadata.distributions()}
    different = {name: (pin, installed[name]) for name, pin in pins().items() if installed.get(name, pin) != pin}
    different.pop("setuptools", None)
    assert not different, "the environment is not the pinned one; run scripts/test"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_shell_understands_the_script(script: Path):
    subprocess.run(["bash", "-n", str(script)], check=True)
    if not script.suffix:
        assert script.stat().st_mode & 0o100, f"{script.name} cannot be run"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_unknown_words_are_refused():
    for name in ("demo", "bundle"):
        done = subprocess.run(["bash", str(ROOT / "scripts" / name), "--nonsense"], capture_output=True, text=True)
        assert done.returncode == 2
        assert "usage:" in done.stderr
