"""The job manager over the scripted engine: what goes on, what stops, and what is left behind."""

from __future__ import annotations

import threading
import time

import pytest

from tests.fakes.scripted import ScriptedEngine
from vidsearch.engine import Capabilities, Completion, Page
from vidsearch.errors import DiskFull, EngineError, ModelMissing, SourceUnavailable
from vidsearch.jobs import JobManager, lease, manager
from vidsearch.model import ExaminedSpan, SpanOutcome, TrackMatch
from vidsearch.states import JobState

SEGMENT_MS = 5_000
COUNT = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(manager, "TICK_S", 0.05)
    monkeypatch.setattr(manager, "IDLE_S", 0.05)


@pytest.fixture
def footage(store, add_footage):
    footage = add_footage(duration_ms=COUNT * SEGMENT_MS)
    for start in range(0, COUNT * SEGMENT_MS, SEGMENT_MS):
        store.jobs.create(footage, "scripted", "1", "s", start, start + SEGMENT_MS, "me")
    return footage


@pytest.fixture
def make(store, footage, tmp_path):
    """Return a function that makes a manager; ``events`` of all of them are gathered on it."""

    def make_manager(engine=None, check=lambda footage: None, collected=lambda job: None, lease_s=60, on_event=None):
        def event(job):
            make_manager.events.append((job.id, job.state))
            if on_event:
                on_event(job)

        return JobManager(
            store,
            engine or ScriptedEngine(tmp_path / "engine"),
            check_source=check,
            on_collected=collected,
            lease_s=lease_s,
            on_event=event,
        )

    make_manager.events = []
    return make_manager


def states(store):
    return store.jobs.counts("default")


def never():
    return False


# -- going on ----------------------------------------------------------------------------------------------------


def test_all_jobs_are_done(store, footage, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine")
    collected = []
    make(engine, collected=lambda job: collected.append((job.id, job.state))).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}
    assert sorted(collected) == [(job.id, "collecting") for job in reversed(store.jobs.list("default"))]
    assert store.tracks.spans(footage.id, "scripted") == [ExaminedSpan(0, COUNT * SEGMENT_MS, SpanOutcome.EXAMINED)]
    assert store.jobs.owners() == []
    # Told of every run twice, acknowledged at least once each.
    assert len(set(engine.acknowledged)) == COUNT
    assert len(engine.starts) == COUNT
    first = min(job.id for job in store.jobs.list("default"))
    assert [state for job, state in make.events if job == first] == [
        "preparing",
        "searching",
        "collecting",
        "succeeded",
    ]


def test_only_the_jobs_asked_for(store, make):
    wanted = [job.id for job in store.jobs.list("default")][:2]
    make().run(never, job_ids=wanted)
    assert states(store) == {JobState.SUCCEEDED: 2, JobState.QUEUED: COUNT - 2}


def test_jobs_for_another_version_or_other_settings_are_left_alone(store, footage, make):
    store.jobs.create(footage, "scripted", "2", "s", 0, SEGMENT_MS, "me")
    store.jobs.create(footage, "scripted", "1", "t", 0, SEGMENT_MS, "me")
    make().run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT, JobState.QUEUED: 2}


def test_nothing_to_do_ends_at_once(store, make):
    store.jobs.cancel(store.jobs.open_ids("default"))
    make().run(never)


def test_it_ends_when_told(store, make, tmp_path):
    done = []
    engine = ScriptedEngine(tmp_path / "engine", run_s=0.01, capacity=1)
    make(engine, collected=done.append).run(lambda: len(done) >= 2)
    assert len(done) in (2, 3)
    assert store.jobs.owners() == []
    make(engine).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}
    # What was with the engine went on where it was: no run was started under a second token.
    assert len(set(engine.starts)) == COUNT


def test_a_slow_engine_does_not_hold_a_stop_up(store, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", run_s=600)
    began = time.monotonic()
    make(engine).run(lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 2
    assert store.jobs.owners() == []


def test_it_waits_for_jobs_of_others(store, make):
    theirs = store.jobs.claim("elsewhere:1:2:3", 600, "scripted")
    began = time.monotonic()
    make().run(never)
    # The other worker was not heard of for 0.6 s; then its job was taken over.
    assert time.monotonic() - began >= 0.5
    assert states(store) == {JobState.SUCCEEDED: COUNT}
    assert [event.old for event in store.jobs.events(theirs.id)].count("preparing") == 2


def test_word_of_a_job_that_another_worker_took_over_is_left_to_it(store, make, tmp_path):
    class Taken(ScriptedEngine):
        def completions(self, wait_s):
            store._connection.run("UPDATE jobs SET lease_owner = 'elsewhere:1:2:3' WHERE start_ms = 0")
            return super().completions(wait_s)

    engine = Taken(tmp_path / "engine", broken=[0])
    (job,) = [job for job in store.jobs.list("default") if job.start_ms == 0]
    make(engine).run(lambda: states(store).get(JobState.SUCCEEDED) == COUNT - 1)
    assert store.jobs.get(job.id).state == JobState.SEARCHING
    assert f"run-{job.token}" not in engine.acknowledged


def test_a_worker_goes_on_until_stopped(store, footage, make):
    stop = threading.Event()
    worker = make()
    thread = threading.Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while store.jobs.any_open("scripted") and time.monotonic() < deadline:
            time.sleep(0.02)
        store.jobs.create(footage, "scripted", "1", "s", 1, SEGMENT_MS, "me")
        while store.jobs.any_open("scripted") and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join(10)
    assert states(store) == {JobState.SUCCEEDED: COUNT + 1}
    assert not thread.is_alive()


def test_leases_are_renewed_while_a_step_takes_long(store, make):
    taken = []

    def slow(job):
        if not taken:
            time.sleep(1.6)
            taken.append(store.jobs.claim("other", 60_000, "scripted", job_ids=[job.id]))

    make(collected=slow, lease_s=1).run(never)
    assert taken == [None]
    assert states(store) == {JobState.SUCCEEDED: COUNT}


def test_progress_of_what_runs(store, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", run_s=0.2)
    seen = []
    worker = make(engine)
    worker.run(lambda: seen.append(worker.progress()) or False)
    assert any(len(running) == 2 for running in seen)
    assert {share for running in seen for _, share in running} == {0.5}


# -- failing -----------------------------------------------------------------------------------------------------


def test_a_run_that_fails_does_not_stop_the_others(store, footage, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", broken=[SEGMENT_MS])
    make(engine).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT - 1, JobState.FAILED: 1}
    (failed,) = store.jobs.list("default", state=JobState.FAILED)
    assert failed.error == "the script says no"
    assert ExaminedSpan(SEGMENT_MS, 2 * SEGMENT_MS, SpanOutcome.FAILED, "the script says no") in store.tracks.spans(
        footage.id, "scripted"
    )
    # A retry that succeeds takes the failure's place.
    engine.broken.clear()
    store.jobs.retry([failed.id])
    make(engine).run(never)
    assert store.tracks.spans(footage.id, "scripted") == [ExaminedSpan(0, COUNT * SEGMENT_MS, SpanOutcome.EXAMINED)]
    assert store.jobs.get(failed.id).error is None


def test_a_source_that_is_gone_fails_its_jobs_with_what_to_do(store, make):
    def gone(footage):
        raise SourceUnavailable(f"{footage.path} is not there; attach its drive")

    make(check=gone).run(never)
    assert states(store) == {JobState.FAILED: COUNT}
    assert {job.error for job in store.jobs.list("default")} == {"/recordings/one.mp4 is not there; attach its drive"}


def test_what_fails_after_collecting_fails_the_job(store, make):
    def refuse(job):
        raise EngineError("the index is broken")

    make(collected=refuse).run(never)
    assert states(store) == {JobState.FAILED: COUNT}


@pytest.mark.parametrize("error", [ModelMissing(), DiskFull()])
def test_what_would_fail_every_job_stops_the_worker_instead(store, make, tmp_path, error):
    class Engine(ScriptedEngine):
        def start(self, request, token):
            raise error

    with pytest.raises(type(error)):
        make(Engine(tmp_path / "engine")).run(never)
    assert states(store)[JobState.QUEUED] == COUNT - 1
    assert JobState.FAILED not in states(store)
    assert store.jobs.owners() == []
    make().run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}


def test_a_recording_removed_while_it_is_searched(store, footage, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", run_s=0.1)

    def remove(job):
        if job.state == "searching" and store.jobs.counts("default").get(JobState.SEARCHING, 0) == 2:
            store.footage.remove(footage.id)

    make(engine, on_event=remove).run(never)
    assert states(store) == {}


# -- stopping ----------------------------------------------------------------------------------------------------


def test_pausing_after_an_interrupt(store, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", run_s=600)
    worker = make(engine)

    def interrupt():
        if states(store).get(JobState.SEARCHING, 0) == 2:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        worker.run(interrupt)
    worker.pause()
    assert states(store) == {JobState.PAUSED: 2, JobState.QUEUED: COUNT - 2}
    assert len(engine.cancelled) == 2
    store.jobs.resume([job.id for job in store.jobs.list("default", state=JobState.PAUSED)])
    make(ScriptedEngine(tmp_path / "engine")).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_job_stopped_by_somebody_else_is_let_go(store, make, tmp_path, stop):
    engine = ScriptedEngine(tmp_path / "engine", run_s=0.3)
    stopped = []

    def event(job):
        if job.state == "searching" and not stopped:
            stopped.append(job.id)
            threading.Timer(0.05, lambda: getattr(store.jobs, stop)([job.id])).start()

    make(engine, on_event=event).run(never)
    counts = states(store)
    assert counts.pop(JobState.SUCCEEDED) == COUNT - 1
    assert sum(counts.values()) == 1
    assert len(engine.cancelled) == 1


def test_a_job_taken_over_by_another_worker_is_not_cancelled(store, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", run_s=0.3, capacity=1)
    stolen = []

    def event(job):
        if job.state == "searching" and not stolen:
            stolen.append(job)
            store._connection.run("UPDATE jobs SET lease_owner = 'thief', lease_until_ms = 0 WHERE id = ?", (job.id,))

    make(engine, on_event=event).run(never)
    assert engine.cancelled == []
    # The thief's lease had run out, so the job came back and was done once.
    assert states(store) == {JobState.SUCCEEDED: COUNT}


def test_a_worker_that_lost_its_lease_while_collecting_stores_nothing(store, footage, make, tmp_path):
    class Engine(ScriptedEngine):
        def results(self, run_ref, cursor=None):
            page = super().results(run_ref, cursor)
            store._connection.run("UPDATE jobs SET lease_owner = 'thief', lease_until_ms = 9e15")
            return page

    engine = Engine(tmp_path / "engine", capacity=1)
    worker = make(engine)
    worker.run(lambda: "thief" in store.jobs.owners())
    assert store.tracks.count("default") == 0
    assert store.tracks.spans(footage.id, "scripted") == []


# -- completions -------------------------------------------------------------------------------------------------


def test_completions_of_nobody_do_not_make_it_spin(store, make, tmp_path):
    class Engine(ScriptedEngine):
        asked = 0

        def completions(self, wait_s):
            self.asked += 1
            found = super().completions(0)
            return [*found, Completion("run-of-another-installation")]

    engine = Engine(tmp_path / "engine", run_s=0.5, capacity=COUNT)
    make(engine).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}
    assert engine.asked < 30
    assert "run-of-another-installation" not in engine.acknowledged


def test_the_second_delivery_of_a_completion_is_acknowledged(store, make, tmp_path):
    engine = ScriptedEngine(tmp_path / "engine", capacity=1)
    make(engine).run(never)
    once = [run for run in set(engine.acknowledged) if engine.acknowledged.count(run) < 2]
    # Only the last run's second delivery may still be waiting when the work is done.
    assert len(once) <= 1


# -- other kinds of engines --------------------------------------------------------------------------------------


def test_an_engine_that_uploads_and_matches_while_it_searches(store, footage, make, tmp_path):
    class Uploading(ScriptedEngine):
        def __init__(self, folder):
            super().__init__(folder)
            self.capabilities = Capabilities(reads_in_place=False)
            self.galleries = set()

        def start(self, request, token):
            self.galleries.add(request.gallery)
            return super().start(request, token)

        def results(self, run_ref, cursor=None):
            page = super().results(run_ref, cursor)
            matches = [
                TrackMatch(track.id, face, score, 2)
                for track in page.tracks
                for face, score in (("f1", 80.0), ("f2", 90.0), ("forgotten", 99.0))
            ]
            return Page(page.tracks, matches, page.spans, page.superseded, page.next_cursor)

    person = store.people.add("default", "Ann")
    for face in ("f1", "f2"):
        store._connection.run(
            "INSERT INTO photos (id, case_id, person_id, name, sha256, outcome, created_ms) "
            "VALUES (?, 'default', ?, ?, ?, 'enrolled', 0)",
            (int(face[1]), person.id, face, face),
        )
        store._connection.run(
            "INSERT INTO enrolled_faces (face_id, case_id, person_id, photo_id, engine, engine_version, left, top, "
            "width, height, confidence, face_px, sharpness, frontal) "
            "VALUES (?, 'default', ?, ?, 'scripted', '1', 0, 0, 1, 1, 99, 90, 50, 0.9)",
            (face, person.id, int(face[1])),
        )
    engine = Uploading(tmp_path / "engine")
    make(engine).run(never)
    assert states(store) == {JobState.SUCCEEDED: COUNT}
    assert engine.galleries == {"default"}
    assert "uploading" in {state for _, state in make.events}
    matches = store.matches.for_footage(footage.id, "scripted", "1")
    assert {(m.face_id, m.similarity, owner) for m, owner in matches} == {("f2", 90.0, person.id)}
    tracks = {track.id for track in store.tracks.for_footage(footage.id, "scripted", "1")}
    assert {m.track_id for m, _ in matches} == tracks


# -- owners ------------------------------------------------------------------------------------------------------


def test_this_process_lives_and_workers_in_it_differ():
    mine, other = lease.new_owner(), lease.new_owner()
    assert mine != other
    assert not lease.is_dead(mine)


@pytest.mark.parametrize("owner", ["elsewhere:1:2:3", "me", "", "a:b:c:d", "x:y"])
def test_owners_elsewhere_may_live(owner):
    assert not lease.is_dead(owner)


def test_a_process_that_is_gone_is_dead():
    host, _, started, word = lease.new_owner().rsplit(":", 3)
    assert lease.is_dead(f"{host}:{2**22 + 12345}:{started}:{word}")
    # The pid lives, but it is another process: it began at another time.
    mine = lease.new_owner().rsplit(":", 3)
    assert lease.is_dead(":".join([mine[0], mine[1], "1", mine[3]]))
    assert lease.dead(["elsewhere:1:2:3", ":".join([mine[0], mine[1], "1", mine[3]])]) != []
