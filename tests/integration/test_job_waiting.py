"""Jobs of an engine far away: it has no room, cannot be reached, charges, and goes on without us."""

from __future__ import annotations

import pytest

from tests.fakes.scripted import ScriptedEngine
from vidsearch.engine import Capabilities
from vidsearch.errors import AwsDenied, AwsThrottled, AwsUnreachable, EngineBusy
from vidsearch.jobs import JobManager, later, manager
from vidsearch.states import JobState

SEGMENT_MS = 5_000
COUNT = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(manager, "TICK_S", 0.02)
    monkeypatch.setattr(manager, "IDLE_S", 0.02)
    monkeypatch.setattr(later, "BUSY_S", 0.02)
    monkeypatch.setattr(later, "FIRST_S", 0.005)
    monkeypatch.setattr(later, "LONGEST_S", 0.05)
    monkeypatch.setattr(later, "PATIENCE_S", 0.1)


@pytest.fixture(autouse=True)
def footage(store, add_footage):
    footage = add_footage(duration_ms=COUNT * SEGMENT_MS)
    for start in range(0, COUNT * SEGMENT_MS, SEGMENT_MS):
        store.jobs.create(footage, "scripted", "1", "s", start, start + SEGMENT_MS, "me", 1)
    return footage


class FarEngine(ScriptedEngine):
    """Scripted, but it must be sent footage. ``says`` maps the name of a call to errors it raises first."""

    def __init__(self, folder, run_s=0.02, **says):
        super().__init__(folder, capacity=4, run_s=run_s)
        self.capabilities = Capabilities(analysis=True, reads_in_place=False)
        self.says = says
        self.calls: list[tuple[str, str]] = []
        self.most_open = 0

    def _call(self, name, token):
        self.calls.append((name, token))
        if self.says.get(name):
            raise self.says[name].pop(0)

    def prepare(self, request, token):
        self._call("prepare", token)

    def upload(self, request, token):
        self._call("upload", token)

    def start(self, request, token):
        self._call("start", token)
        return super().start(request, token)

    def results(self, run_ref, cursor=None):
        self._call("results", run_ref)
        return super().results(run_ref, cursor)


@pytest.fixture
def make(store):
    def make_manager(engine, **hooks):
        return JobManager(
            store, engine, check_source=lambda footage: None, on_collected=lambda job: None, lease_s=60, **hooks
        )

    return make_manager


def never():
    return False


def counts(store):
    return store.jobs.counts("default")


def test_an_engine_without_room_is_asked_again_and_no_job_fails(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", start=[EngineBusy("all taken") for _ in range(7)])
    make(engine).run(never)
    assert counts(store) == {JobState.SUCCEEDED: COUNT}
    for token in {token for _, token in engine.calls if not token.startswith("run-")}:
        # What was done before it was turned away is not done again.
        assert engine.calls.count(("prepare", token)) == 1


@pytest.mark.parametrize("error", [AwsUnreachable, AwsThrottled])
@pytest.mark.parametrize("call", ["prepare", "upload", "start", "results"])
def test_an_engine_that_cannot_be_reached_is_asked_again(store, make, tmp_path, error, call):
    engine = FarEngine(tmp_path / "e", **{call: [error() for _ in range(4)]})
    make(engine).run(never)
    assert counts(store) == {JobState.SUCCEEDED: COUNT}
    assert len(engine.starts) == COUNT
    assert {job.attempt for job in store.jobs.list("default")} == {1}


def test_after_too_many_failures_in_a_row_somebody_is_told(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", upload=[AwsUnreachable("no network") for _ in range(500)])
    with pytest.raises(AwsUnreachable, match="no network"):
        make(engine).run(never)
    assert JobState.FAILED not in counts(store)
    engine.says.clear()
    make(engine).run(never)
    assert counts(store) == {JobState.SUCCEEDED: COUNT}
    assert {job.attempt for job in store.jobs.list("default")} == {1}


def test_what_waits_is_said(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", start=[EngineBusy("all taken") for _ in range(1_000)])
    seen = []
    worker = make(engine)
    worker.run(lambda: bool(seen.append(worker.waits_for) or len(engine.calls) > 20))
    assert seen[0] is None
    assert "all taken" in seen


def test_refused_credentials_stop_the_worker_and_no_job_fails(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", start=[AwsDenied("the log-in has ended")])
    with pytest.raises(AwsDenied):
        make(engine).run(never)
    assert JobState.FAILED not in counts(store)
    make(engine).run(never)
    assert counts(store) == {JobState.SUCCEEDED: COUNT}


def test_a_pause_leaves_what_is_paid_for_and_the_next_search_collects_it(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", run_s=0.5)
    worker = make(engine)
    with pytest.raises(KeyboardInterrupt):
        worker.run(lambda: _interrupt_after(len(engine.starts), 3))
    worker.pause()
    jobs = store.jobs.list("default")
    gone_on = {job.id for job in jobs if job.state == JobState.SEARCHING}
    assert gone_on
    assert engine.cancelled == []
    assert {job.state for job in jobs if job.id not in gone_on} <= {
        JobState.SUCCEEDED,
        JobState.PAUSED,
        JobState.QUEUED,
    }
    store.jobs.resume([job.id for job in jobs if job.state == JobState.PAUSED], same_attempt=True)
    make(engine).run(never)
    assert counts(store) == {JobState.SUCCEEDED: COUNT}
    assert sorted(set(engine.starts)) == sorted(job.token for job in store.jobs.list("default"))


def test_a_job_stopped_by_somebody_while_it_waits_is_let_go(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", start=[EngineBusy() for _ in range(10_000)])
    worker = make(engine)

    def stop():
        if len(engine.calls) > 15:
            store.jobs.cancel([job.id for job in store.jobs.list("default")])
        return False

    worker.run(stop)
    assert counts(store) == {JobState.CANCELLED: COUNT}
    assert worker.waits_for is None


def test_a_job_stopped_while_it_is_sent_is_not_begun(store, make, tmp_path):
    class Stopped(FarEngine):
        def upload(self, request, token):
            store.jobs.cancel(store.jobs.open_ids("default"))

    engine = Stopped(tmp_path / "e")
    make(engine).run(never)
    assert engine.starts == []
    assert counts(store) == {JobState.CANCELLED: COUNT}
    assert len(engine.cancelled) == 1, "what was sent of it is not left there"


def test_only_the_active_parts_are_asked_about(store, make, tmp_path, footage):
    asked = {}
    engine = FarEngine(tmp_path / "e")
    prepare = engine.prepare
    engine.prepare = lambda request, token: (asked.setdefault(request.start_ms, request.spans), prepare(request, token))
    make(engine, active=lambda footage: [(1_000, 7_000), (12_000, 13_000)]).run(never)
    assert asked[0] == ((1_000, 5_000),)
    assert asked[5_000] == ((5_000, 7_000),)
    assert asked[10_000] == ((12_000, 13_000),)
    assert asked[15_000] == ()


def _interrupt_after(number, most):
    if number >= most:
        raise KeyboardInterrupt
    return False


def test_what_is_begun_and_what_is_away_is_told(store, make, tmp_path):
    engine = FarEngine(tmp_path / "e", run_s=0.2)
    worker, seen = make(engine), []
    upload = engine.upload
    engine.upload = lambda request, token: (
        seen.append((worker.beginning.token, worker.running)),
        upload(request, token),
    )
    worker.run(never)
    assert sorted(token for token, _ in seen) == sorted(job.token for job in store.jobs.list("default"))
    assert max(away for _, away in seen) > 0
    assert (worker.beginning, worker.running) == (None, 0)
    assert store.jobs.left_of_engines("default") == {}
