"""The job manager: claim, step, move. Recovery is the ordinary path: a job left behind is claimed like any other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from vidsearch.cuts import Span
from vidsearch.engine import Completion, Engine
from vidsearch.errors import (
    EngineBusy,
    EngineError,
    EngineUnavailable,
    EngineUnusable,
    IllegalTransition,
    LeaseLost,
    StoreError,
    UnknownRecord,
    VidsearchError,
)
from vidsearch.jobs import lease, steps
from vidsearch.jobs.later import Later
from vidsearch.model import Footage, Job
from vidsearch.states import ACTIVE, JobState
from vidsearch.store import Store

TICK_S = 0.5
"""How long to wait for the engine, or for other workers, before looking up: what a stop or a pause takes at most."""

IDLE_S = 1.0
"""How long a worker without jobs waits before it looks for new ones."""


class JobManager:
    """Works off the jobs of one engine, in its version and with its settings.

    Any number may work on one database, in any number of processes.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        check_source: Callable[[Footage], None],
        on_collected: Callable[[Job], None],
        owner: str | None = None,
        lease_s: int,
        on_event: Callable[[Job], None] | None = None,
        active: Callable[[Footage], Sequence[Span]] | None = None,
    ) -> None:
        """Prepare to work; nothing is claimed yet.

        Args:
            store: Where the jobs are.
            engine: Who does them.
            check_source: Raises SourceUnavailable where a recording is not there or is no longer the same.
            on_collected: Called when a job's results are in the store, before it counts as succeeded.
            owner: Name in leases; by default one that tells other processes whether this one still lives.
            lease_s: How long others wait after the last word of this worker before they take its jobs over.
            on_event: Told of every job whose state changed, or that was taken over.
            active: Tells the parts of a recording worth searching, where only those are searched.
        """
        self.owner = owner or lease.new_owner()
        self._store = store
        self._engine = engine
        self._lease_ms = lease_s * 1000
        self._on_event = on_event or (lambda job: None)
        self._work = steps.Work(store, engine, self.owner, check_source, on_collected, self._on_event, active)
        self._away = not engine.capabilities.reads_in_place
        """Whether beginning takes long (footage is sent away) and what was begun goes on without us."""
        self._beginning: Job | None = None
        self._later = Later()
        """Claimed jobs that the engine had no room for, or that it could not be asked about."""
        self._running: dict[int, Job] = {}
        """Jobs with the engine, by id."""
        self._ready: list[tuple[Job, Completion]] = []
        """Jobs in ``collecting``, and what to acknowledge once they are collected."""
        self._runs: set[str] = set()
        """References of runs started here whose completion was not acknowledged yet."""

    # -- doors ---------------------------------------------------------------------------------------------------

    def run(self, until: Callable[[], bool], job_ids: Iterable[int] | None = None) -> None:
        """Work until ``until()``, or until no job (of ``job_ids``) is open; those of other workers are waited for.

        A job that fails does not stop the others. After a KeyboardInterrupt, call ``pause``.

        Raises:
            StoreError: The database cannot be used, such as on a full disk; no job fails for it.
            EngineUnusable: The engine cannot work at all; no job fails for it.
            EngineUnavailable: It could not be reached for minutes; no job fails for it.
        """
        wanted = None if job_ids is None else list(job_ids)

        def rest() -> bool:
            time.sleep(TICK_S)
            return self._store.jobs.any_open(
                self._engine.NAME, wanted, version=self._engine.version, settings_key=self._engine.settings_key
            )

        self._drive(until, wanted, rest)

    def run_forever(self, stop: threading.Event) -> None:
        """Work on whatever is queued until ``stop`` is set. Raises as ``run`` does."""
        self._drive(stop.is_set, None, lambda: not stop.wait(IDLE_S))

    def pause(self) -> None:
        """Stop for now: what this worker has begun is paused and cancelled with the engine.

        What was sent to an engine far away is paid for: it goes on there, and whoever claims its job next collects it.
        """
        begun = [*self._running.values(), *(job for job, _ in self._ready), *self._later.jobs]
        ids = {*self._store.jobs.owned(self.owner), *(job.id for job in begun)}
        if self._away:
            ids -= set(self._store.jobs.with_runs(ids))
        self._store.jobs.pause(ids)
        for job in begun:
            if not self._away:
                self._cancel(job)
        self._forget()

    def progress(self) -> list[tuple[Job, float]]:
        """Return the jobs begun, each with the share that is done, 0 to 1, where the engine knows it."""
        begun = [(job, job.run_ref) for job in list(self._running.values())]
        beginning = self._beginning
        if beginning is not None:
            begun.append((beginning, beginning.token))
        shares = [(job, self._engine.progress(ref)) for job, ref in begun if ref]
        return [(job, share) for job, share in shares if share is not None]

    @property
    def beginning(self) -> Job | None:
        """The job that is being handed to the engine, which takes long where its footage must be sent away."""
        return self._beginning

    @property
    def running(self) -> int:
        """How many jobs are with the engine."""
        return len(self._running)

    @property
    def waits_for(self) -> str | None:
        """Why the engine was last asked to be asked again later, or None where nothing waits for it."""
        return self._later.reason

    # -- the loop ------------------------------------------------------------------------------------------------

    def _drive(self, until: Callable[[], bool], wanted: list[int] | None, rest: Callable[[], bool]) -> None:
        """Take turns until ``until()``; where there is nothing to do ``rest()``, until that is False."""
        self._forget()
        with lease.Heartbeat(self._store, self.owner, self._lease_ms):
            try:
                self._settle_left_over()
                while not until() and (self._turn(wanted) or rest()):
                    pass
            finally:
                # What was begun stays in its state without a lease: the next to claim it goes on from there.
                with suppress(StoreError):
                    self._store.jobs.release(self.owner)

    def _turn(self, wanted: list[int] | None) -> bool:
        """Claim, wait a moment for the engine, collect. Return whether this worker has anything to do."""
        more = self._fill(wanted)
        if (self._running or self._later) and not self._ready:
            self._take_completions(0.0 if more else TICK_S)
            self._drop_lost()
            # Before collecting: the engine should not stand idle meanwhile.
            if not self._away:
                self._fill(wanted)
        worked = bool(self._ready)
        while self._ready:
            job, completion = self._ready[0]
            if self._attempt(steps.collect, job):
                self._acknowledge(completion)
            self._ready.pop(0)
        return worked or more or bool(self._running) or bool(self._later)

    def _fill(self, wanted: list[int] | None) -> bool:
        """Claim jobs and hand them to the engine until it has as many as it takes; return whether it would take more.

        Where beginning means sending footage away, one at a time: completions must not wait for all of them.
        """
        while len(self._running) + len(self._later) < self._engine.capacity or self._later.is_due:
            job = self._again() or self._claim(wanted)
            if job is None:
                return False
            self._begin(job)
            if self._away:
                return True
        return False

    def _again(self) -> Job | None:
        """Return a job that it is time to ask the engine about again, as it is now: it may have come a step further."""
        while job := self._later.take():
            if job.id in self._store.jobs.owned(self.owner):
                return self._store.jobs.get(job.id)
            self._later.done(job)
        return None

    def _begin(self, job: Job) -> None:
        """Hand a claimed job to the engine."""
        if not self._later.knows(job):
            self._on_event(job)
        self._beginning = job
        try:
            begun = self._attempt(steps.begin, job)
        finally:
            self._beginning = None
        if begun is None:
            return
        self._later.done(job)
        run_ref = str(begun.run_ref)
        if JobState(begun.state) is JobState.COLLECTING:
            self._ready.append((begun, Completion(run_ref)))
        else:
            self._running[begun.id] = begun
            self._runs.add(run_ref)

    def _claim(self, wanted: list[int] | None) -> Job | None:
        dead = lease.dead(owner for owner in self._store.jobs.owners() if owner != self.owner)
        return self._store.jobs.claim(
            self.owner,
            self._lease_ms,
            self._engine.NAME,
            version=self._engine.version,
            settings_key=self._engine.settings_key,
            job_ids=wanted,
            dead_owners=dead,
        )

    def _take_completions(self, wait_s: float) -> None:
        """Wait so long for completions and move their jobs on."""
        begun = time.monotonic()
        handled = [self._handle(completion) for completion in self._told(wait_s)]
        if not any(handled):
            # Completions that are not ours to acknowledge come back at once; do not spin on them.
            time.sleep(max(0.0, wait_s - (time.monotonic() - begun)))

    def _told(self, wait_s: float) -> list[Completion]:
        try:
            return self._engine.completions(wait_s)
        except EngineUnavailable as exc:
            self._later.failed(exc)
            return []

    def _handle(self, completion: Completion) -> bool:
        """Move the job of a completion on. False where it is another worker's."""
        job = next((job for job in self._running.values() if job.run_ref == completion.run_ref), None)
        if job is None:
            return self._settle(completion)
        del self._running[job.id]
        if completion.error is not None:
            # Where another worker has taken the job over, the word is that worker's to hear.
            if self._attempt(steps.fail, job, completion.error):
                self._acknowledge(completion)
            return True
        moved = self._attempt(steps.found, job)
        if moved:
            self._ready.append((moved, completion))
        return True

    def _settle(self, completion: Completion) -> bool:
        """Acknowledge a completion nobody waits for any more: delivered twice, or late for a job that was stopped."""
        jobs = self._store.jobs.by_run(self._engine.NAME, completion.run_ref)
        if any(JobState(job.state) in ACTIVE for job in jobs):
            return False
        # A run that no job knows may be one that another worker started a moment ago and has not noted yet.
        if jobs or completion.run_ref in self._runs:
            self._acknowledge(completion)
            return True
        return False

    def _settle_left_over(self) -> None:
        """Acknowledge what a worker has stored that died before it could say so."""
        try:
            for completion in self._engine.left_over():
                self._settle(completion)
        except EngineUnavailable:
            return  # the next worker tries again

    def _acknowledge(self, completion: Completion) -> None:
        self._engine.acknowledge(completion)
        self._runs.discard(completion.run_ref)

    # -- when things go wrong ------------------------------------------------------------------------------------

    def _attempt(self, step: Callable[..., Job], job: Job, *details: str) -> Job | None:
        """Take a step of a job. None where the job failed in it, must wait for the engine, or is no longer ours."""
        try:
            done = step(self._work, job, *details)
        except LeaseLost:
            self._later.done(job)
            self._let_go(job)
            return None
        except (EngineBusy, EngineUnavailable) as exc:
            self._later.put(job, exc)
            return None
        except (StoreError, EngineUnusable):
            # Not the job's fault, and every other job would fail for it too.
            raise
        except VidsearchError as exc:
            self._later.done(job)
            self._fail(job, str(exc))
            return None
        if step in (steps.begin, steps.collect):
            self._later.reached()
        return done

    def _fail(self, job: Job, error: str) -> None:
        # The step may have moved it on, or even ended it, before it failed.
        with suppress(LeaseLost, UnknownRecord, IllegalTransition):
            steps.fail(self._work, self._store.jobs.get(job.id), error)

    def _drop_lost(self) -> None:
        """Let go of running jobs that somebody paused, cancelled, removed or took over."""
        owned = set(self._store.jobs.owned(self.owner))
        for job in [job for job in self._running.values() if job.id not in owned]:
            del self._running[job.id]
            if not self._is_active(job):
                self._cancel(job)
        for job in [job for job in self._later.jobs if job.id not in owned]:
            self._later.done(job)
            self._let_go(job)

    def _let_go(self, job: Job) -> None:
        """Have an engine far away forget what was sent to it for a job that somebody stopped for good meanwhile."""
        state = JobState.CANCELLED
        with suppress(UnknownRecord):  # it went with its recording
            state = JobState(self._store.jobs.get(job.id).state)
        if self._away and state is JobState.CANCELLED:
            # What cannot be removed now goes by itself when it is old.
            with suppress(EngineError):
                self._engine.cancel(job.run_ref or job.token)

    def _is_active(self, job: Job) -> bool:
        """Whether another worker goes on with a job: its run is the same one, and must not be cancelled."""
        try:
            now = self._store.jobs.get(job.id)
        except UnknownRecord:
            return False
        return now.attempt == job.attempt and JobState(now.state) in ACTIVE

    def _cancel(self, job: Job) -> None:
        if job.run_ref:
            self._engine.cancel(job.run_ref)

    def _forget(self) -> None:
        self._later = Later()
        self._running.clear()
        self._ready.clear()
