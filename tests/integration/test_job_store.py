"""Jobs in the store: claims, moves by compare-and-set, leases, attempts, history."""

from __future__ import annotations

import threading

import pytest

from vidsearch.errors import IllegalTransition, LeaseLost, UnknownRecord
from vidsearch.states import ACTIVE, OPEN, TRANSITIONS, JobState
from vidsearch.store import Store

MINUTE = 60_000
LEASE = 30_000


@pytest.fixture
def footage(add_footage):
    return add_footage(duration_ms=10 * MINUTE)


@pytest.fixture
def queue(store, footage):
    def make(count=1, engine="local", **more):
        for number in range(count):
            store.jobs.create(footage, engine, "1", "s", number * MINUTE, (number + 1) * MINUTE, "me", **more)
        return store.jobs.for_footage(footage.id, engine, "1", "s")

    return make


@pytest.fixture
def claimed(store, queue):
    queue()
    return store.jobs.claim("me", LEASE, "local")


def bring_to(store, job, state):
    """Move a claimed job on to a state."""
    path = {
        JobState.PREPARING: [],
        JobState.UPLOADING: [JobState.UPLOADING],
        JobState.SEARCHING: [JobState.SEARCHING],
        JobState.COLLECTING: [JobState.SEARCHING, JobState.COLLECTING],
        JobState.SUCCEEDED: [JobState.SEARCHING, JobState.COLLECTING, JobState.SUCCEEDED],
    }.get(state, [state])
    for step in path:
        job = store.jobs.move(job, step, owner="me")
    return job


# -- queueing ----------------------------------------------------------------------------------------------------


def test_a_job_is_queued_once(store, footage, queue):
    (job,) = queue()
    assert (job.state, job.attempt, job.run_ref, job.lease_owner) == ("queued", 1, None, None)
    assert len(job.token) == 64
    assert not store.jobs.create(footage, "local", "1", "s", 0, MINUTE, "me")
    assert store.jobs.create(footage, "local", "2", "s", 0, MINUTE, "me")
    assert store.jobs.create(footage, "local", "1", "t", 0, MINUTE, "me")
    assert store.jobs.create(footage, "local", "1", "s", 0, MINUTE, "me", gallery_revision=2)
    tokens = {each.token for each in store.jobs.list("default")}
    assert len(tokens) == 4


def test_a_job_of_a_recording_added_again_has_another_token(store, add_footage, queue):
    (old,) = queue()
    store.footage.remove(old.footage_id)
    with pytest.raises(UnknownRecord):
        store.jobs.get(old.id)
    again = add_footage(duration_ms=10 * MINUTE)
    store.jobs.create(again, "local", "1", "s", 0, MINUTE, "me")
    assert store.jobs.list("default")[0].token != old.token


# -- claims ------------------------------------------------------------------------------------------------------


def test_claims_are_oldest_first_and_of_one_engine(store, queue):
    jobs = queue(3)
    queue(1, engine="other")
    assert [store.jobs.claim("me", LEASE, "local").id for _ in range(3)] == [job.id for job in jobs]
    assert store.jobs.claim("me", LEASE, "local") is None
    assert store.jobs.claim("me", LEASE, "other").engine == "other"


def test_a_claim_can_be_limited_to_some_jobs(store, queue):
    jobs = queue(3)
    assert store.jobs.claim("me", LEASE, "local", job_ids=[jobs[2].id]).id == jobs[2].id
    assert store.jobs.claim("me", LEASE, "local", job_ids=[jobs[2].id]) is None
    assert store.jobs.claim("me", LEASE, "local", job_ids=[]) is None
    assert store.jobs.any_open("local", [jobs[2].id])
    assert not store.jobs.any_open("local", [])
    assert not store.jobs.any_open("other")


def test_a_claimed_job_is_preparing_and_leased(claimed):
    assert claimed.state == JobState.PREPARING
    assert claimed.lease_owner == "me"
    assert claimed.lease_until_ms - claimed.updated_ms == LEASE


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_a_job_left_behind_keeps_its_state(store, claimed, state):
    job = bring_to(store, claimed, state)
    assert store.jobs.claim("other", LEASE, "local") is None
    # The lease runs out ...
    store.jobs.renew("me", -1)
    taken = store.jobs.claim("other", LEASE, "local")
    assert (taken.id, taken.state, taken.attempt, taken.token) == (job.id, state, 1, job.token)
    assert taken.lease_owner == "other"
    # ... or its owner is known to be dead ...
    assert store.jobs.claim("third", LEASE, "local", dead_owners=["me"]) is None
    assert store.jobs.claim("third", LEASE, "local", dead_owners=["other"]).lease_owner == "third"
    # ... or gave it back.
    assert store.jobs.release("third") == 1
    assert store.jobs.claim("fourth", LEASE, "local").lease_owner == "fourth"
    takeovers = [event for event in store.jobs.events(job.id) if event.old == event.new]
    assert [event.owner for event in takeovers] == ["other", "third", "fourth"]


def test_threads_never_claim_the_same_job(store, queue):
    queue(10)
    taken = []

    def work(name):
        while job := store.jobs.claim(name, LEASE, "local"):
            taken.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 10


def test_claims_are_by_index(store, queue):
    queue(3)
    seen = []
    store._connection.raw().set_trace_callback(seen.append)
    store.jobs.claim("me", LEASE, "local", dead_owners=["x"])
    store.jobs.any_open("local")
    store.jobs.owners()
    store.jobs.owned("me")
    store.jobs.renew("me", LEASE)
    store.jobs.by_run("local", "r")
    store._connection.raw().set_trace_callback(None)
    plans = [
        row["detail"]
        for statement in seen
        if "jobs" in statement and not statement.startswith("--")
        for row in store._connection.all(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert plans
    assert not [step for step in plans if step.startswith("SCAN jobs") and "INDEX" not in step], plans
    assert any("jobs_open" in step for step in plans)


# -- moves -------------------------------------------------------------------------------------------------------


def test_the_whole_way(store, claimed):
    job = store.jobs.move(claimed, JobState.SEARCHING, owner="me")
    job = store.jobs.note_run(job, owner="me", run_ref="r1")
    assert job.run_ref == "r1"
    assert store.jobs.by_run("local", "r1") == [job]
    job = store.jobs.move(job, JobState.COLLECTING, owner="me")
    store.jobs.hold(job, owner="me")
    job = store.jobs.move(job, JobState.SUCCEEDED, owner="me")
    assert (job.state, job.lease_owner, job.lease_until_ms) == ("succeeded", None, None)
    events = store.jobs.events(job.id)
    assert [event.new for event in events] == ["queued", "preparing", "searching", "collecting", "succeeded"]
    assert [event.owner for event in events] == [None, "me", "me", "me", "me"]
    assert store.jobs.counts("default") == {JobState.SUCCEEDED: 1}


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.QUEUED}))
@pytest.mark.parametrize("target", sorted(JobState))
def test_only_moves_of_the_table_are_made(store, claimed, state, target):
    job = bring_to(store, claimed, state)
    if (state, target) not in TRANSITIONS:
        with pytest.raises(IllegalTransition, match=f"{state} to {target}"):
            store.jobs.move(job, target, owner="me")
    elif state in ACTIVE:
        assert store.jobs.move(job, target, owner="me").state == target
    else:
        # A stopped job is nobody's: people move it with resume, retry and cancel.
        with pytest.raises(LeaseLost):
            store.jobs.move(job, target, owner="me")


def test_a_stale_worker_cannot_move_a_job(store, claimed):
    searching = store.jobs.move(claimed, JobState.SEARCHING, owner="me")
    with pytest.raises(LeaseLost):
        store.jobs.move(claimed, JobState.SEARCHING, owner="me")
    with pytest.raises(LeaseLost):
        store.jobs.move(searching, JobState.COLLECTING, owner="other")
    store.jobs.renew("me", -1)
    store.jobs.claim("other", LEASE, "local")
    for attempt in (
        lambda: store.jobs.move(searching, JobState.COLLECTING, owner="me"),
        lambda: store.jobs.note_run(searching, owner="me", run_ref="r"),
        lambda: store.jobs.hold(searching, owner="me"),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert store.jobs.get(claimed.id).state == "searching"


def test_a_lease_that_ran_out_unnoticed_is_still_its_owner_s(store, claimed):
    store.jobs.renew("me", -1)
    assert store.jobs.move(claimed, JobState.SEARCHING, owner="me").state == "searching"


def test_the_same_owner_in_a_later_attempt_does_not_accept_the_earlier_one(store, claimed):
    store.jobs.pause([claimed.id])
    store.jobs.resume([claimed.id])
    again = store.jobs.claim("me", LEASE, "local")
    assert again.state == claimed.state
    with pytest.raises(LeaseLost):
        store.jobs.move(claimed, JobState.SEARCHING, owner="me")


def test_a_move_sets_only_what_it_may(store, claimed):
    with pytest.raises(ValueError, match="token"):
        store.jobs.move(claimed, JobState.SEARCHING, owner="me", token="x")


def test_renewing(store, claimed):
    assert store.jobs.renew("me", LEASE * 2) == 1
    assert store.jobs.get(claimed.id).lease_until_ms > claimed.lease_until_ms
    assert store.jobs.renew("other", LEASE) == 0
    assert store.jobs.owners() == ["me"]
    assert store.jobs.owned("me") == [claimed.id]


# -- stops and returns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(OPEN))
def test_pausing_takes_an_open_job_from_whoever_has_it(store, queue, state):
    (job,) = queue()
    if state in ACTIVE:
        job = bring_to(store, store.jobs.claim("me", LEASE, "local"), state)
    assert store.jobs.pause([job.id]) == 1
    paused = store.jobs.get(job.id)
    assert (paused.state, paused.lease_owner) == ("paused", None)
    assert store.jobs.claim("other", LEASE, "local") is None
    if state in ACTIVE:
        with pytest.raises(LeaseLost):
            store.jobs.move(job, JobState.FAILED, owner="me", error="x")
    assert store.jobs.pause([job.id]) == 0
    assert store.jobs.resume([job.id]) == 1
    again = store.jobs.get(job.id)
    assert (again.state, again.attempt, again.run_ref) == ("queued", 2, None)
    assert again.token != job.token


def test_a_failed_job_is_retried_as_a_new_attempt(store, claimed):
    failed = store.jobs.move(claimed, JobState.FAILED, owner="me", error="no decoder")
    assert failed.error == "no decoder"
    assert store.jobs.claim("me", LEASE, "local") is None
    assert store.jobs.resume([failed.id]) == 0
    assert store.jobs.retry([failed.id, 999]) == 1
    again = store.jobs.claim("me", LEASE, "local")
    assert (again.attempt, again.error, again.run_ref) == (2, None, None)
    assert [e.error for e in store.jobs.events(failed.id)] == [None, None, "no decoder", None, None]


def test_cancelling_and_starting_over(store, queue):
    jobs = queue(3)
    store.jobs.pause([jobs[0].id])
    assert store.jobs.cancel([job.id for job in jobs]) == 3
    assert store.jobs.open_ids("default") == []
    assert store.jobs.cancel([jobs[0].id]) == 0
    assert store.jobs.retry([job.id for job in jobs]) == 3
    assert store.jobs.open_ids("default") == [job.id for job in jobs]
    assert len({job.token for job in store.jobs.list("default")} | {job.token for job in jobs}) == 6


# -- reading -----------------------------------------------------------------------------------------------------


def test_lists(store, queue, add_footage):
    jobs = queue(4)
    other = add_footage("k2")
    store.jobs.create(other, "local", "1", "s", 0, MINUTE, "me")
    store.jobs.pause([jobs[1].id])
    ids = [job.id for job in store.jobs.list("default")]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    assert [job.id for job in store.jobs.list("default", state=JobState.PAUSED)] == [jobs[1].id]
    assert len(store.jobs.list("default", footage_id=other.id)) == 1
    assert [job.id for job in store.jobs.list("default", limit=2, offset=1)] == ids[1:3]
    assert store.jobs.list("none") == []
    assert store.jobs.counts("default") == {JobState.QUEUED: 4, JobState.PAUSED: 1}
    assert jobs[1].id not in store.jobs.open_ids("default")


def test_speed_is_learnt_from_the_history(store, claimed):
    assert store.jobs.speed("local") is None
    bring_to(store, claimed, JobState.SUCCEEDED)
    # As if the engine had worked for 4 seconds on the minute.
    store._connection.run("UPDATE job_events SET at_ms = at_ms + 4000 WHERE new IN ('collecting', 'succeeded')")
    assert store.jobs.done(claimed.footage_id, "local", "1", "s") == 1
    assert store.jobs.done(claimed.footage_id, "local", "2", "s") == 0
    assert store.jobs.speed("local") == pytest.approx(15, rel=0.05)


def test_two_stores_on_one_file_see_each_other(store, queue):
    queue(2)
    with Store(store.path) as other:
        mine = store.jobs.claim("me", LEASE, "local")
        theirs = other.jobs.claim("they", LEASE, "local")
        assert mine.id != theirs.id
        assert store.jobs.owners() == ["me", "they"]
