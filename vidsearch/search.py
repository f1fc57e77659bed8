"""Search what is not yet searched: queue what is planned, follow it, stop it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vidsearch.engine import Engine
from vidsearch.errors import UsageError
from vidsearch.model import Actor, Appearance, Footage
from vidsearch.planning import Plan, Planner
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs of a case, or some of them, have come."""

    done_ms: float
    """Length of recording nothing more will be done about, whether it went well or not."""
    searched_ms: int
    """Length of recording searched."""
    total_ms: int
    counts: dict[JobState, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done_ms / self.total_ms) if self.total_ms else 1.0

    @property
    def open(self) -> int:
        """Jobs that go on without anybody doing anything."""
        return sum(self.counts.get(state, 0) for state in OPEN)


class Search:
    """The search use case. ``engine`` is asked for on first use."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[], Engine],
        planner: Planner,
        match: Callable[..., list[Appearance]],
        pending: Callable[[str, float | None], list[Footage]],
        renew: Callable[[Actor, str], object],
    ) -> None:
        """``match`` and ``pending`` are Matching's, ``renew`` is Renewal's."""
        self._store = store
        self._engine = engine
        self._planner = planner
        self._match = match
        self._pending = pending
        self._renew = renew

    def plan(
        self,
        case_id: str,
        *,
        threshold: float,
        cameras: Sequence[str] = (),
        from_: str | None = None,
        to: str | None = None,
    ) -> Plan:
        """Return what is to be done in a case. Arguments and errors are Planner's."""
        return self._planner.plan(case_id, threshold=threshold, cameras=cameras, from_=from_, to=to)

    def submit(self, actor: Actor, plan: Plan, *, agreed: str | None = None) -> list[int]:
        """Queue what a plan names; return the ids of all its jobs, those already waiting included.

        ``agreed`` is the price that somebody has agreed to, in words, where the engine charges; the audit keeps it.

        Raises UsageError where an engine would be paid for looking for nobody, or for more than the plan tells.
        """
        engine = self._engine()
        self._renew(actor, plan.case_id)
        plan, revision = self._current(plan)
        jobs = self._store.jobs
        with self._store.atomic():
            jobs.cancel(self._nobodys(plan.case_id))
            for footage in plan.unavailable:
                self._store.footage.set_missing(footage.id, True)
            for footage, pieces in plan.segments:
                if footage.missing:
                    self._store.footage.set_missing(footage.id, False)
                for piece in pieces:
                    jobs.create(
                        footage,
                        engine.NAME,
                        engine.version,
                        engine.settings_key,
                        piece.start_ms,
                        piece.end_ms,
                        actor.name,
                        revision,
                    )
            paused = [job.id for job in plan.resumed if job.state == JobState.PAUSED]
            self._go_on(paused)
            jobs.retry([job.id for job in plan.resumed if job.state != JobState.PAUSED])
            self._record(actor, plan, agreed)
        mine = {(footage.id, piece.start_ms) for footage, pieces in plan.segments for piece in pieces}
        queued = [
            job.id
            for footage, _ in plan.segments
            for job in self._planner.jobs(footage)
            if (footage.id, job.start_ms) in mine
        ]
        return sorted({*queued, *(job.id for job in plan.resumed), *(job.id for job in plan.waiting)})

    def rematch(self, case_id: str, threshold: float | None, *, ask: bool = False) -> list[Appearance]:
        """Bring all appearances of a case up to date with its gallery; return those not there before.

        With None, each recording keeps the threshold that it was matched at before. ``ask`` lets an engine that
        charges be asked: only where somebody has agreed to the price.
        """
        pending = self._pending(case_id, threshold)
        return [new for footage in pending for new in self._match(footage, threshold, ask=ask)]

    def progress(self, case_id: str, job_ids: Sequence[int] | None = None) -> Progress:
        """Return how far all jobs of a case, or those given, have come."""
        totals = self._store.jobs.totals(case_id, job_ids)
        return Progress(
            done_ms=sum(length for state, (_, length) in totals.items() if state not in OPEN),
            searched_ms=totals.get(JobState.SUCCEEDED, (0, 0))[1],
            total_ms=sum(length for _, length in totals.values()),
            counts={state: jobs for state, (jobs, _) in totals.items()},
            errors=self._store.jobs.errors(case_id, job_ids),
        )

    def pause(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Stop jobs for now; the next search goes on with them.

        What an engine far away works on already goes on there, and is collected by the next search.
        """
        away = set() if self._engine().capabilities.reads_in_place else set(self._store.jobs.with_runs(job_ids))
        self._stop(actor, case_id, "job.pause", [i for i in job_ids if i not in away], self._store.jobs.pause)

    def cancel(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Stop jobs until somebody searches again."""
        self._stop(actor, case_id, "job.cancel", job_ids, self._store.jobs.cancel)

    def retry(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Queue failed or cancelled jobs again."""
        self._stop(actor, case_id, "job.retry", job_ids, self._store.jobs.retry)

    def resume(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Queue paused jobs again."""
        self._stop(actor, case_id, "job.resume", job_ids, self._go_on)

    def _current(self, plan: Plan) -> tuple[Plan, int]:
        """Return the plan as it is for the gallery as it is now, and the revision its new jobs ask about.

        Enrolling photos with this engine has changed the gallery since the plan was made: what waited to ask about the
        older one is dropped, and what was done before must be done again.
        """
        engine, case_id = self._engine(), plan.case_id
        if engine.capabilities.analysis:
            return plan, 0
        newest = self._store.people.newest_face(case_id, engine.NAME)
        if not newest:
            raise UsageError("nobody is enrolled: add photos of who is looked for with `vidsearch person add`")
        now = self._planner.again(plan)
        if engine.capabilities.priced and now.searched_ms > plan.searched_ms:
            raise UsageError("there is more to search than a moment ago, as somebody was just enrolled: search again")
        self._store.jobs.cancel(self._store.jobs.unasked(case_id, engine.NAME, newest))
        return now, self._store.cases.get(case_id).gallery_revision

    def _record(self, actor: Actor, plan: Plan, agreed: str | None) -> None:
        engine = self._engine()
        self._store.audit.record(
            actor,
            "search",
            plan.case_id,
            case_id=plan.case_id,
            engine=engine.NAME,
            engine_version=engine.version,
            settings=engine.settings_key,
            agreed=agreed,
            threshold=plan.threshold,
            gallery_revision=self._store.cases.get(plan.case_id).gallery_revision,
            recordings=[footage.id for footage, _ in plan.segments],
            rematched=[footage.id for footage in plan.rematch],
            duration_ms=plan.total_ms,
        )

    def _nobodys(self, case_id: str) -> list[int]:
        """Return open jobs that no worker of today takes: the engine was updated, or its settings changed, since then.

        What an engine far away works on is paid for: whoever searches with the settings of then collects it.
        """
        engine, jobs = self._engine(), self._store.jobs
        left = jobs.outdated(case_id, engine.NAME, engine.version, engine.settings_key)
        if engine.capabilities.reads_in_place:
            return left
        paid = {job_id for job_id in jobs.with_runs(left) if jobs.get(job_id).engine_version == engine.version}
        return [job_id for job_id in left if job_id not in paid]

    def _go_on(self, job_ids: Sequence[int]) -> None:
        # What an engine far away has begun under a token must be found again, or it would be paid for twice.
        self._store.jobs.resume(job_ids, same_attempt=not self._engine().capabilities.reads_in_place)

    def _stop(
        self, actor: Actor, case_id: str, action: str, job_ids: Sequence[int], do: Callable[[Sequence[int]], object]
    ) -> None:
        with self._store.atomic():
            do(job_ids)
            self._store.audit.record(actor, action, ",".join(map(str, job_ids)), case_id=case_id)
