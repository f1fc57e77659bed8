"""What belongs to the request at hand."""

from __future__ import annotations

from flask import current_app, request

from vidsearch.app import App
from vidsearch.model import DEFAULT_CASE, Actor
from vidsearch.states import OPEN, JobState


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
    """Return how a search is going: open jobs, failed ones, all of them, and the share done in percent."""
    counts = vidsearch().store.jobs.counts(case_id())
    waiting = sum(counts.get(state, 0) for state in OPEN)
    done = counts.get(JobState.SUCCEEDED, 0)
    return {
        "open": waiting,
        "failed": counts.get(JobState.FAILED, 0),
        "total": sum(counts.values()),
        "percent": 100 * done // max(1, done + waiting),
    }
