"""Ctrl-C while a recording is encoded to be sent: the search is paused, and nothing is paid for."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.aws.program import ROOT, Program
from tests.aws_stack import REGION, AwsPlace
from tests.footage_maker import crossing
from vidsearch.media import ffmpeg

SETTINGS = """
aws_region = "{region}"
aws_bucket = "{place.bucket}"
aws_topic_arn = "{place.topic_arn}"
aws_queue_url = "{place.queue_url}"
aws_role_arn = "{place.role_arn}"
aws_prefix = "ctrlc"
engine = "rekognition"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_while_encoding_pauses_the_search(aws: AwsPlace, tmp_path: Path, astronaut: Path) -> None:
    clip = crossing(tmp_path / "clip.mp4", astronaut, seconds=10, visits=((2.0, 5.0),))
    short, long = tmp_path / "short.avi", tmp_path / "long.avi"
    ffmpeg.run(["-y", "-i", str(clip), "-an", "-c:v", "mpeg4", "-q:v", "6", str(short)])
    ffmpeg.run(["-y", "-stream_loop", "59", "-i", str(short), "-c", "copy", str(long)])
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.toml").write_text(SETTINGS.format(region=REGION, place=aws))
    program = Program(data, aws.stack.environment())
    program("person", "add", "Eileen", astronaut)
    program("footage", "add", long, "--camera", "Gate", "--start", "2026-11-02T10:00:00+00:00")
    search = subprocess.Popen(
        [sys.executable, "-m", "vidsearch", "search", "--yes"],
        env=program.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    encoder = _encoder(search)
    time.sleep(0.3)
    os.killpg(search.pid, signal.SIGINT)
    said, complained = search.communicate(timeout=60)
    assert "paused; nothing is lost" in complained, said + complained
    assert "ignored" not in complained
    assert "Traceback" not in complained
    assert not encoder.is_running()
    assert not list(data.rglob("*.part.mp4"))
    assert not aws.server.calls.told()["starts"]
    with closing(sqlite3.connect(data / "vidsearch.db")) as db:
        states = {state for (state,) in db.execute("SELECT state FROM jobs")}
    assert states == {"paused"}


def _encoder(search: subprocess.Popen[str]) -> psutil.Process:
    """Wait for the ffmpeg that makes the cut, and return it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert search.poll() is None, search.communicate()
        for child in psutil.Process(search.pid).children(recursive=True):
            if "pipe:0" in child.cmdline():
                return child
        time.sleep(0.05)
    raise AssertionError("nothing was encoded")
