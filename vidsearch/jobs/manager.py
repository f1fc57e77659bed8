"""The job manager: claim, step, move. Recovery is the ordinary path: a job left behind is claimed like any other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from vidsearch.engine import Completion, Engine
from vidsearch.errors import IllegalTransition, LeaseLost, ModelMissing, StoreError, UnknownRecord, VidsearchError
from vidsearch.jobs import lease, steps
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
        """
        self.owner = owner or lease.new_owner()
        self._store = store
        self._engine = engine
        self._lease_ms = lease_s * 1000
        self._on_event = on_event or (lambda job: None)
        self._work = steps.Work(store, engine, self.owner, check_source, on_collected, self._on_event)
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
            ModelMissing: The engine cannot work at all; no job fails for it.
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
        """Stop for now: what this worker has begun is paused and cancelled with the engine."""
        begun = [*self._running.values(), *(job for job, _ in self._ready)]
        self._store.jobs.pause([*self._store.jobs.owned(self.owner), *(job.id for job in begun)])
        for job in begun:
            self._cancel(job)
        self._forget()

    def progress(self) -> list[tuple[Job, float]]:
        """Return the jobs with the engine, each with the share that is done, 0 to 1, where the engine knows it."""
        shares = [(job, self._engine.progress(job.run_ref)) for job in list(self._running.values()) if job.run_ref]
        return [(job, share) for job, share in shares if share is not None]

    # -- the loop ------------------------------------------------------------------------------------------------

    def _drive(self, until: Callable[[], bool], wanted: list[int] | None, rest: Callable[[], bool]) -> None:
        """Take turns until ``until()``; where there is nothing to do ``rest()``, until that is False."""
        self._forget()
        with lease.Heartbeat(self._store, self.owner, self._lease_ms):
            try:
                while not until() and (self._turn(wanted) or rest()):
                    pass
            finally:
                # What was begun stays in its state without a lease: the next to claim it goes on from there.
                with suppress(StoreError):
                    self._store.jobs.release(self.owner)

    def _turn(self, wanted: list[int] | None) -> bool:
        """Claim, wait a moment for the engine, collect. Return whether this worker has anything to do."""
        self._fill(wanted)
        if self._running and not self._ready:
            self._take_completions()
            self._drop_lost()
            # Before collecting: the engine should not stand idle meanwhile.
            self._fill(wanted)
        worked = bool(self._ready)
        while self._ready:
            job, completion = self._ready[0]
            if self._attempt(steps.collect, job):
                self._acknowledge(completion)
            self._ready.pop(0)
        return worked or bool(self._running)

    def _fill(self, wanted: list[int] | None) -> None:
        """Claim jobs and hand them to the engine until it has as many as it takes."""
        while len(self._running) < self._engine.capacity:
            job = self._claim(wanted)
            if job is None:
                return
            self._on_event(job)
            begun = self._attempt(steps.begin, job)
            if begun is None:
                continue
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

    def _take_completions(self) -> None:
        """Wait a tick for completions and move their jobs on."""
        begun = time.monotonic()
        handled = [self._handle(completion) for completion in self._engine.completions(TICK_S)]
        if not any(handled):
            # Completions that are not ours to acknowledge come back at once; do not spin on them.
            time.sleep(max(0.0, TICK_S - (time.monotonic() - begun)))

    def _handle(self, completion: Completion) -> bool:
        """Move the job of a completion on. False where it is another worker's."""
        job = next((job for job in self._running.values() if job.run_ref == completion.run_ref), None)
        if job is None:
            return self._settle(completion)
        del self._running[job.id]
        if completion.error is not None:
            self._attempt(steps.fail, job, completion.error)
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

    def _acknowledge(self, completion: Completion) -> None:
        self._engine.acknowledge(completion)
        self._runs.discard(completion.run_ref)

    # -- when things go wrong ------------------------------------------------------------------------------------

    def _attempt(self, step: Callable[..., Job], job: Job, *details: str) -> Job | None:
        """Take a step of a job. None where the job failed in it, or is no longer ours."""
        try:
            return step(self._work, job, *details)
        except LeaseLost:
            return None
        except (StoreError, ModelMissing):
            # Not the job's fault, and every other job would fail for it too.
            raise
        except VidsearchError as exc:
            self._fail(job, str(exc))
            return None

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
        self._running.clear()
        self._ready.clear()
