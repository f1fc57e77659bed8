"""Kill the real program, with its models, in each state of a search: it ends with the appearances of a quiet one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fakes.crash_search import open_with_short_ranges
from tests.footage_maker import crossing
from vidsearch.model import SpanOutcome
from vidsearch.states import JobState
from vidsearch.store import Store

ROOT = Path(__file__).resolve().parents[2]
VISITS = ((4.0, 8.0), (10.5, 13.5))
"""Seconds; both go over a border of the ranges of six seconds."""


@pytest.fixture(scope="module")
def environment(models):
    return {**os.environ, "PYTHONPATH": str(ROOT), "VIDSEARCH_MODELS": str(models)}


@pytest.fixture(scope="module")
def queued(tmp_path_factory, astronaut, models):
    """Return a data folder with a person, a recording and its jobs, nothing of it searched."""
    data = tmp_path_factory.mktemp("queued") / "data"
    recording = crossing(data.parent / "gate.mp4", astronaut, seconds=18, visits=VISITS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDSEARCH_MODELS", str(models))
        with open_with_short_ranges(data) as app:
            assert [photo.usable for photo in app.enrolment.add_photos(app.actor, "default", "Eileen", [astronaut])]
            assert [taken.outcome for taken in app.submission.add(app.actor, "default", [recording])] == ["taken"]
            app.search.submit(app.actor, app.search.plan("default", threshold=app.threshold("default")))
            assert app.store.jobs.counts("default") == {JobState.QUEUED: 3}
    return data


def search(data, environment, stop_at=""):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.crash_search", str(data), stop_at, str(data / "marker")],
        cwd=ROOT,
        env=environment,
    )


def finish(process):
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()


def kill_at(data, environment, state):
    """Kill a search in a state; return the ids of the worker processes it had."""
    process = search(data, environment, state)
    ready = data / "marker.ready"
    try:
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert process.poll() is None, f"the search ended before {state}"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    return [int(pid) for pid in ready.read_text().split()]


def outcome(data):
    with Store(data / "vidsearch.db") as store:
        (footage,) = store.footage.list("default")
        jobs = store.jobs.list("default")
        assert {job.state for job in jobs} == {JobState.SUCCEEDED}
        engine = jobs[0].engine
        return (
            store.appearances.find("default"),
            store.tracks.for_footage(footage.id, engine, jobs[0].engine_version),
            store.tracks.spans(footage.id, engine),
        )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, queued, environment):
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    shutil.copytree(queued, data)
    finish(search(data, environment))
    appearances, tracks, spans = found = outcome(data)
    assert len(appearances) == len(VISITS)
    assert any(track.start_ms < 6_000 < track.end_ms for track in tracks)
    assert {span.outcome for span in spans} == {SpanOutcome.EXAMINED}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("state", ["preparing", "searching", "collecting"])
def test_a_search_killed_and_started_again(tmp_path, queued, undisturbed, environment, state):
    data = tmp_path / "data"
    shutil.copytree(queued, data)
    orphans = kill_at(data, environment, state)
    finish(search(data, environment))
    assert outcome(data) == undisturbed
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in orphans if psutil.pid_exists(pid)], "worker processes outlive their parent"
