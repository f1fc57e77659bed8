"""`kill -9` in every state of a job on Amazon, then a restart: nothing lost, nothing paid twice, the same found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.aws.program import ROOT, Program
from tests.aws_stack import REGION, AwsPlace
from tests.footage_maker import crossing

EVERYWHERE = ("preparing", "uploading", "asked", "searching", "collecting", "stored", "succeeded")
STATES = EVERYWHERE if os.environ.get("CI") or os.environ.get("VIDSEARCH_SOAK") else ("asked", "stored")
"""Where it is killed: in CI, or with VIDSEARCH_SOAK=1, in every state; else where most could be lost."""

SETTINGS = """
aws_region = "{region}"
aws_bucket = "{place.bucket}"
aws_topic_arn = "{place.topic_arn}"
aws_queue_url = "{place.queue_url}"
aws_role_arn = "{place.role_arn}"
aws_prefix = "crash"
engine = "rekognition"
rekognition_max_hours = 0.01
rekognition_deadline_s = 20
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Return a recording that becomes three jobs."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return crossing(path, astronaut, seconds=75, visits=((2.0, 5.0), (24.0, 28.0), (60.0, 63.0)))


@pytest.fixture
def program(aws: AwsPlace, tmp_path: Path, clip: Path, astronaut: Path) -> Program:
    """Return the program with three jobs queued."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.toml").write_text(SETTINGS.format(region=REGION, place=aws))
    program = Program(data, aws.stack.environment())
    program("person", "add", "Eileen", astronaut)
    program("footage", "add", clip, "--camera", "Gate", "--start", "2026-11-02T10:00:00+00:00")
    program("search", "--no-wait", "--yes")
    return program


def work(program: Program, stop_at: str, marker: Path) -> subprocess.Popen[str]:
    script = ROOT / "tests/fakes/crash_amazon.py"
    return subprocess.Popen(
        [sys.executable, str(script), str(program.data), stop_at, str(marker)],
        env={**program.environment, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(program: Program, marker: Path) -> None:
    with work(program, "", marker) as worker:
        said = worker.communicate(timeout=180)[1]
    assert worker.returncode == 0, said


def found(program: Program) -> list[dict[str, Any]]:
    return [
        {name: row[name] for name in ("person", "camera", "start_s", "end_s", "similarity", "best_s", "detections")}
        for row in program.matches("rekognition")
    ]


def test_killed_anywhere_and_started_again(aws: AwsPlace, program: Program, tmp_path: Path) -> None:
    untouched = tmp_path / "untouched"
    shutil.copytree(program.data, untouched)
    finish(program, tmp_path / "none")
    expected = found(program)
    assert len(expected) == 3
    for stop_at in STATES:
        copy = Program(tmp_path / stop_at, program.variables)
        shutil.copytree(untouched, copy.data)
        # A data folder of its own has tokens of its own, as it would have in another place.
        copy.python("-c", RENAMED)
        aws.server.calls.clear()
        marker = tmp_path / f"{stop_at}.marker"
        worker = work(copy, stop_at, marker)
        try:
            deadline = time.monotonic() + 120
            while not marker.with_suffix(".ready").exists():
                assert worker.poll() is None, worker.stderr and worker.stderr.read()
                assert time.monotonic() < deadline, f"never came to {stop_at}"
                time.sleep(0.05)
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            worker.communicate()
        finish(copy, marker)
        assert found(copy) == expected, stop_at
        starts = aws.server.calls.told()["starts"]
        assert len({start["job"] for start in starts}) == sum(start["new"] for start in starts) == 3, stop_at
        assert not aws.clients("s3").list_objects_v2(Bucket=aws.bucket).get("Contents"), stop_at


RENAMED = """
import os, sqlite3, secrets, contextlib
with contextlib.closing(sqlite3.connect(os.environ["VIDSEARCH_DATA"] + "/rekognition/engine.db")) as db, db:
    db.execute("UPDATE facts SET value = ? WHERE name = 'folder'", (secrets.token_hex(4),))
"""
