"""Kill workers with `kill -9`, at chosen points and at random ones: what is found is what an undisturbed run finds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.scripted import FACE_ID, ScriptedEngine
from vidsearch.model import BoundingBox, EnrolledFace, FaceDescription, MediaFacts, SpanOutcome, StartSource
from vidsearch.states import JobState
from vidsearch.store import Store

ROOT = Path(__file__).resolve().parents[2]
LENGTH_MS = 60_000
SEGMENT_MS = 5_000
POINTS = ["preparing", "searching", "started", "collecting", "page", "named", "succeeded"]


def prepare(data: Path) -> None:
    """Make a case with a person, two recordings and all their jobs."""
    with Store(data / "vidsearch.db") as store, store.atomic():
        person = store.people.add("default", "Ann")
        face = FaceDescription(BoundingBox(0.1, 0.1, 0.2, 0.2), 99.0, 90, 50.0, 0.9)
        store.people.add_photo(
            person,
            name="ann.jpg",
            sha256="s",
            width=1,
            height=1,
            outcome="enrolled",
            reason="",
            enrolled=EnrolledFace(FACE_ID, ScriptedEngine.NAME, "1", face),
        )
        camera = store.footage.ensure_camera("default", "north", "UTC")
        for key in ("k1", "k2"):
            footage = store.footage.add(
                "default",
                camera.id,
                path=f"/{key}.mp4",
                size=1,
                mtime_ns=1,
                key=key,
                start_ms=0,
                start_source=StartSource.USER,
                facts=MediaFacts("mp4", "h264", 1920, 1080, LENGTH_MS, 0, 25.0),
            )
            for start in range(0, LENGTH_MS, SEGMENT_MS):
                assert store.jobs.create(footage, "scripted", "1", "s", start, start + SEGMENT_MS, "tester")


def worker(data: Path, stop_at: str = "", run_s: float = 0.01) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.crash_worker", str(data), stop_at, str(data / "marker"), str(run_s)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def kill_at(data: Path, point: str) -> None:
    """Start a worker and kill it when it has reached a point."""
    process = worker(data, point)
    try:
        deadline = time.monotonic() + 60
        while not (data / "marker").exists():
            assert process.poll() is None, f"the worker ended before {point}"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
        (data / "marker").unlink(missing_ok=True)


def outcome(data: Path) -> tuple[object, ...]:
    """Return all that users see of the results."""
    with Store(data / "vidsearch.db") as store:
        jobs = store.jobs.list("default")
        assert {job.state for job in jobs} == {JobState.SUCCEEDED}
        assert not store.jobs.owners()
        footage = store.footage.list("default")
        return (
            store.appearances.find("default"),
            [store.tracks.for_footage(f.id, "scripted", "1") for f in footage],
            [store.tracks.spans(f.id, "scripted") for f in footage],
            sorted((job.footage_id, job.start_ms, job.attempt) for job in jobs),
        )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    data = tmp_path_factory.mktemp("undisturbed")
    prepare(data)
    finish(worker(data))
    found = outcome(data)
    appearances, tracks, spans, _ = found
    # The comparison means something: there are appearances, and some tracks were stitched over borders.
    assert len(appearances) >= 8
    assert any(t.start_ms // SEGMENT_MS != t.end_ms // SEGMENT_MS for t in tracks[0])
    assert [(s.start_ms, s.end_ms, s.outcome) for s in spans[0]] == [(0, LENGTH_MS, SpanOutcome.EXAMINED)]
    return found


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_each_state(tmp_path, undisturbed, point):
    prepare(tmp_path)
    kill_at(tmp_path, point)
    finish(worker(tmp_path))
    assert outcome(tmp_path) == undisturbed


def test_killed_again_and_again(tmp_path, undisturbed):
    prepare(tmp_path)
    rng = random.Random(7)
    for _ in range(5):
        process = worker(tmp_path, run_s=0.05)
        time.sleep(0.35 + rng.random() * 0.6)
        process.kill()
        process.wait()
    finish(worker(tmp_path))
    assert outcome(tmp_path) == undisturbed


def test_two_workers_do_each_job_once(tmp_path, undisturbed):
    prepare(tmp_path)
    # Slow enough that the second joins before the first is done.
    both = [worker(tmp_path, run_s=0.3) for _ in range(2)]
    for process in both:
        finish(process)
    assert outcome(tmp_path) == undisturbed
    with Store(tmp_path / "vidsearch.db") as store:
        owners = set()
        for job in store.jobs.list("default"):
            moves = [(event.old, event.new) for event in store.jobs.events(job.id)]
            assert moves == [
                (None, "queued"),
                ("queued", "preparing"),
                ("preparing", "searching"),
                ("searching", "collecting"),
                ("collecting", "succeeded"),
            ]
            owners |= {event.owner for event in store.jobs.events(job.id) if event.owner}
        assert len(owners) == 2


def test_a_worker_takes_over_from_one_that_is_killed_beside_it(tmp_path, undisturbed):
    prepare(tmp_path)
    victim = worker(tmp_path, "collecting")
    survivor = worker(tmp_path, run_s=0.05)
    deadline = time.monotonic() + 60
    while not (tmp_path / "marker").exists() and survivor.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    victim.kill()
    victim.wait()
    finish(survivor)
    assert outcome(tmp_path) == undisturbed
