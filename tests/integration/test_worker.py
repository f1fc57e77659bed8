"""What a worker does beside the jobs: naming what they find, and hashing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from vidsearch import worker
from vidsearch.errors import StoreError
from vidsearch.model import Footage, Job
from vidsearch.states import JobState
from vidsearch.store import Store
from vidsearch.worker import Worker


def make(
    store: Store,
    match: Callable[[Footage], list],
    hash_pending: Callable = lambda stop: None,
    *,
    at_end: bool = False,
    pending: Callable[[str], list[Footage]] = lambda case_id: [],
) -> Worker:
    return Worker(
        store,
        lambda **hooks: SimpleNamespace(**hooks, run_forever=lambda stop: stop.wait(5)),
        match,
        pending,
        hash_pending,
        engine_name="e",
        at_end=at_end,
        on_event=None,
        on_found=None,
    )


def claimed(store: Store, footage: Footage, count: int) -> list[Job]:
    """Return jobs that two workers in turn have brought to collecting."""
    jobs = []
    for number in range(count):
        store.jobs.create(footage, "e", "1", "s", number * 1000, number * 1000 + 1000, "tester")
        job = store.jobs.claim(f"w{number % 2}", 60_000, "e")
        assert job is not None
        for state in (JobState.SEARCHING, JobState.COLLECTING):
            job = store.jobs.move(job, state, owner=f"w{number % 2}")
        jobs.append(job)
    return jobs


def end(store: Store, by: Worker, job: Job, state: JobState) -> None:
    by.manager.on_event(store.jobs.move(job, state, owner=str(job.lease_owner)))


@pytest.mark.parametrize("last", [JobState.SUCCEEDED, JobState.FAILED])
def test_a_recording_is_matched_after_its_last_job_whoever_does_it(store, add_footage, last) -> None:
    footage = add_footage()
    done: list[int] = []
    workers = [make(store, lambda footage: done.append(store.jobs.done(footage.id, "e", "1", "s")) or []) for _ in "ab"]
    jobs = claimed(store, footage, 4)
    for job, by in zip(jobs[:2], workers, strict=True):
        by.manager.on_collected(job)
        end(store, by, job, JobState.SUCCEEDED)
    # Each of the last two sees the other still open, and has matched a moment ago.
    workers[0].manager.on_collected(jobs[2])
    if last is JobState.SUCCEEDED:
        workers[1].manager.on_collected(jobs[3])
    end(store, workers[0], jobs[2], JobState.SUCCEEDED)
    end(store, workers[1], jobs[3], last)
    assert done[-1] == (4 if last is JobState.SUCCEEDED else 3)


@pytest.mark.parametrize("other", [("local", "1", "s"), ("e", "0", "s"), ("e", "1", "t")])
def test_what_is_matched_at_the_end_does_not_wait_for_jobs_of_another_kind(store, add_footage, other) -> None:
    footage = add_footage()
    done: list[int] = []
    by = make(store, lambda one: done.append(one.id) or [], at_end=True, pending=lambda case_id: [footage])
    jobs = claimed(store, footage, 2)
    store.jobs.create(footage, *other, 0, 1000, "tester")
    end(store, by, jobs[0], JobState.SUCCEEDED)
    assert done == []
    end(store, by, jobs[1], JobState.SUCCEEDED)
    assert done == [footage.id]


def test_hashing_goes_on_after_trouble_with_the_database(store, monkeypatch) -> None:
    monkeypatch.setattr(worker, "HASH_EVERY_S", 0.01)
    stop = threading.Event()
    tries: list[int] = []

    def hash_pending(_: Callable[[], bool]) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise StoreError("held by another process")
        stop.set()

    make(store, lambda footage: [], hash_pending).run_forever(stop)
    assert len(tries) >= 2
