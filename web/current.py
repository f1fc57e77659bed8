"""What belongs to the request at hand."""

from __future__ import annotations

from collections.abc import Callable

from flask import current_app, request

from vidsearch.app import App
from vidsearch.engine import Capabilities
from vidsearch.errors import EngineError
from vidsearch.model import DEFAULT_CASE, Actor, Footage
from vidsearch.planning import Plan
from vidsearch.states import OPEN, JobState
from vidsearch.timeline import Query


def vidsearch() -> App:
    """Return the program this browser UI shows."""
    app: App = current_app.extensions["vidsearch"]
    return app


def case_id() -> str:
    """Return the case being looked at."""
    return DEFAULT_CASE


def actor() -> Actor:
    """Return who acts: until people log in, whoever runs vidsearch."""
    return Actor(vidsearch().actor.name, via="web")


def page_number() -> int:
    """Return the page asked for, from 1."""
    return max(1, min(request.args.get("page", 1, type=int), 1_000_000))


def search_state() -> dict[str, int]:
    """Return how a search is going: jobs open, failed and in all, and how much of the search under way is done.

    Jobs of earlier searches count as ``failed`` and in ``total`` only; ``done_ms`` and ``length_ms`` are of recording.
    """
    jobs = vidsearch().store.jobs
    counts, running = jobs.counts(case_id()), jobs.running_totals(case_id())
    done_ms = sum(running.get(state, (0, 0))[1] for state in (JobState.SUCCEEDED, JobState.FAILED))
    left_ms = sum(running.get(state, (0, 0))[1] for state in OPEN)
    return {
        "open": sum(counts.get(state, 0) for state in OPEN),
        "failed": counts.get(JobState.FAILED, 0),
        "total": sum(counts.values()),
        "percent": 100 * done_ms // (done_ms + left_ms) if left_ms else 100,
        "done_ms": done_ms,
        "length_ms": done_ms + left_ms,
    }


def waits() -> str:
    """Return what the worker in this process waits for, or an empty text."""
    told: Callable[[], str | None] = current_app.extensions["vidsearch_waits"]
    return told() or ""


def capabilities() -> Capabilities:
    """Return what the engine in use can do; of one that cannot work here, what every engine can."""
    try:
        return vidsearch().engine().capabilities
    except EngineError:
        return Capabilities()


def only_matched(plan: Plan) -> list[Footage]:
    """Return the recordings that a search only matches again: nothing of them is gone through."""
    searched = {footage.id for footage, _ in plan.segments}
    searched |= {job.footage_id for job in [*plan.resumed, *plan.waiting]}
    return [footage for footage in plan.rematch if footage.id not in searched]


def usual_engine() -> str | None:
    """Return the engine whose appearances are shown unless others are asked for: the one in use, if it has any.

    None shows those of all engines.
    """
    name = vidsearch().settings.engine
    timeline = vidsearch().timeline
    return name if any(timeline.count(case_id(), Query(engine=name, weak=weak)) for weak in (False, True)) else None
