"""The jobs behind a search: what each does, and stopping or repeating them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.states import OPEN, JobState
from web.current import actor, case_id, page_number, vidsearch, waits
from web.words import plural

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

PAGE_SIZE = 100

STOPPABLE = frozenset({*OPEN, JobState.PAUSED})
WHICH = {
    "pause": OPEN,
    "cancel": STOPPABLE,
    "retry": frozenset({JobState.FAILED}),
    "resume": frozenset({JobState.PAUSED}),
}
"""What can be asked of all jobs at once -> the states it concerns."""


@blueprint.get("/")
def index() -> str:
    """Show the jobs, newest first."""
    state = _state(request.args.get("state"))
    page = page_number()
    rows = vidsearch().timeline.jobs(case_id(), state=state, limit=PAGE_SIZE, offset=PAGE_SIZE * (page - 1))
    counts = vidsearch().store.jobs.counts(case_id())
    total = counts.get(state, 0) if state else sum(counts.values())
    return render_template(
        "jobs/index.html",
        rows=rows,
        counts=counts,
        state=state,
        states=list(JobState),
        stoppable=STOPPABLE,
        page_number=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=sum(counts.values()),
        waits=waits(),
    )


@blueprint.post("/all/<action>")
def change_all(action: str) -> Response:
    """Pause, go on with, cancel or retry all jobs that this concerns."""
    if action not in WHICH:
        raise UsageError("jobs can be paused, resumed, cancelled and retried")
    jobs = vidsearch().store.jobs
    ids = [job.id for state in WHICH[action] for job in jobs.list(case_id(), state=state)]
    return _do(action, ids)


@blueprint.post("/<int:job_id>/<action>")
def change(job_id: int, action: str) -> Response:
    """Pause, go on with, cancel or retry one job."""
    if action not in WHICH:
        raise UsageError("a job can be paused, resumed, cancelled and retried")
    job = vidsearch().store.jobs.get(job_id)
    if job.case_id != case_id():
        raise UnknownRecord(f"there is no job {job_id}")
    return _do(action, [job.id])


def _do(action: str, ids: list[int]) -> Response:
    search = vidsearch().search
    if ids:
        do = {"pause": search.pause, "cancel": search.cancel, "retry": search.retry, "resume": search.resume}[action]
        do(actor(), case_id(), ids)
    done = {"pause": "paused", "cancel": "cancelled", "retry": "queued again", "resume": "queued again"}[action]
    flash(f"{plural(len(ids), 'job')} {done}.", "ok")
    return redirect(url_for("jobs.index"), 303)


def _state(text: str | None) -> JobState | None:
    if not text:
        return None
    try:
        return JobState(text)
    except ValueError as exc:
        raise UsageError(f"jobs have no state '{text}'") from exc
