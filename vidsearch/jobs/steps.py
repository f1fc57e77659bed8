"""What is done in each state of a job. Every step may be repeated: a worker may die at any instant in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsearch.cuts import Span, merged
from vidsearch.engine import Engine, Page, RunRequest
from vidsearch.model import ExaminedSpan, Footage, Job, SpanOutcome
from vidsearch.states import JobState
from vidsearch.store import Store


@dataclass(frozen=True, slots=True)
class Work:
    """What the steps need. ``owner`` holds the job's lease."""

    store: Store
    engine: Engine
    owner: str
    check_source: Callable[[Footage], None]
    """Raises SourceUnavailable where a recording is not there or is no longer the same."""
    on_collected: Callable[[Job], None]
    """Called when all results of a job are in the store, before it counts as succeeded."""
    on_event: Callable[[Job], None]
    """Told of every job whose state changed, or that was taken over."""
    active: Callable[[Footage], Sequence[Span]] | None = None
    """Tells the parts of a recording worth searching, where only those are searched."""

    def move(self, job: Job, state: JobState, **changes: str | None) -> Job:
        """Move a job and tell of it. Raises LeaseLost."""
        moved = self.store.jobs.move(job, state, owner=self.owner, **changes)
        self.on_event(moved)
        return moved


def prepare(work: Work, job: Job) -> Job:
    """``preparing``: check that the source is there; cut it where the engine needs that. Raises SourceUnavailable."""
    work.check_source(_footage(work, job))
    if work.engine.capabilities.reads_in_place:
        return work.move(job, JobState.SEARCHING)
    work.engine.prepare(_request(work, job), job.token)
    return work.move(job, JobState.UPLOADING)


def upload(work: Work, job: Job) -> Job:
    """``uploading``: send the source to where the engine reads it, and have it begin. Raises EngineBusy, LeaseLost."""
    request = _request(work, job)
    work.engine.upload(request, job.token)
    # Sending takes hours: what somebody stopped meanwhile must not be begun, which may cost money.
    work.store.jobs.hold(job, owner=work.owner)
    run_ref = work.engine.start(request, job.token)
    return work.move(job, JobState.SEARCHING, run_ref=run_ref)


def search(work: Work, job: Job) -> Job:
    """``searching``: have the engine work, or, where it does so already, learn its reference again.

    The attempt's token makes both the same call.
    """
    run_ref = work.engine.start(_request(work, job), job.token)
    return work.store.jobs.note_run(job, owner=work.owner, run_ref=run_ref)


BEGIN: dict[JobState, Callable[[Work, Job], Job]] = {
    JobState.PREPARING: prepare,
    JobState.UPLOADING: upload,
    JobState.SEARCHING: search,
}
"""Steps up to a running engine; a job taken over goes on with the step of its state."""


def begin(work: Work, job: Job) -> Job:
    """Bring a claimed job to where its engine works (``searching``) or is done (``collecting``)."""
    while True:
        state = JobState(job.state)
        if state is JobState.COLLECTING:
            return job
        job = BEGIN[state](work, job)
        if state is not JobState.PREPARING:
            return job


def found(work: Work, job: Job) -> Job:
    """``searching`` ends: the engine says that it is done."""
    return work.move(job, JobState.COLLECTING)


def collect(work: Work, job: Job) -> Job:
    """``collecting``: page what the engine found into the store, from the first page, and end the job.

    With the last page goes what an earlier search found in the same time and this one did not: the same visits, seen a
    little otherwise, would count twice, and somebody's name stay beside the better one.
    """
    if job.run_ref is None:
        raise ValueError(f"job {job.id} is collecting without a run")
    footage = _footage(work, job)
    spans: list[ExaminedSpan] = []
    found_now: set[str] = set()
    cursor: str | None = None
    while True:
        page = work.engine.results(job.run_ref, cursor)
        spans += page.spans
        found_now.update(track.id for track in page.tracks)
        with work.store.atomic():
            work.store.jobs.hold(job, owner=work.owner)
            _store_page(work, job, footage, page)
            if page.next_cursor is None and not work.engine.capabilities.analysis:
                work.store.tracks.drop_others(job, _looked_at(spans), found_now)
            work.store.tracks.set_spans(job, spans)
        cursor = page.next_cursor
        if cursor is None:
            break
    work.on_collected(job)
    return work.move(job, JobState.SUCCEEDED, error=None)


def fail(work: Work, job: Job, error: str) -> Job:
    """Stop a job with one line that says why; its time range counts as not examined for that reason."""
    with work.store.atomic():
        failed = work.store.jobs.move(job, JobState.FAILED, owner=work.owner, error=error)
        span = ExaminedSpan(job.start_ms, job.end_ms, SpanOutcome.FAILED, error)
        work.store.tracks.set_spans(job, [span])
    work.on_event(failed)
    return failed


def _footage(work: Work, job: Job) -> Footage:
    return work.store.footage.get(job.case_id, job.footage_id)


def _request(work: Work, job: Job) -> RunRequest:
    footage = _footage(work, job)
    spans = None
    if work.active is not None:
        inside = ((max(start, job.start_ms), min(end, job.end_ms)) for start, end in work.active(footage))
        spans = tuple(merged(inside))
    return RunRequest(
        footage_key=footage.key,
        path=Path(footage.path),
        facts=footage.facts,
        start_ms=job.start_ms,
        end_ms=job.end_ms,
        gallery=job.case_id,
        spans=spans,
    )


def _looked_at(spans: Sequence[ExaminedSpan]) -> list[Span]:
    return merged((span.start_ms, span.end_ms) for span in spans if span.outcome is SpanOutcome.EXAMINED)


def _store_page(work: Work, job: Job, footage: Footage, page: Page) -> None:
    store = work.store
    store.tracks.remove(footage.id, page.superseded)
    store.tracks.upsert(footage, job.engine, job.engine_version, page.tracks)
    if not work.engine.capabilities.analysis:
        owners = store.people.owners(job.case_id, job.engine)
        # A face without an owner was forgotten while the engine worked.
        rows = [(match, owners[match.face_id][0]) for match in page.matches if match.face_id in owners]
        revision = store.cases.get(job.case_id).gallery_revision
        track_ids = [track.id for track in page.tracks]
        store.matches.replace(footage, job.engine, job.engine_version, rows, revision, track_ids)
