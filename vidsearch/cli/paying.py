"""Before money is spent: have the free engine look first, show the price, ask."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidsearch.cli.show import SearchProgress, plain
from vidsearch.errors import UsageError, VidsearchError

if TYPE_CHECKING:
    from vidsearch.app import App
    from vidsearch.planning import Plan


def mark(app: App, case_id: str, cameras: Sequence[str], from_: str | None, to: str | None) -> None:
    """Have the local engine find the tracks, where an engine that charges is to see only those."""
    if not app.looks_first:
        return
    asked = app.planner.wanted(case_id, cameras, from_, to)
    stop = threading.Event()
    bar: SearchProgress | None = None

    def show(done_ms: int, total_ms: int) -> None:
        nonlocal bar
        if bar is None:
            bar = SearchProgress(total_ms, 0.0, "looking for faces on this machine")
            bar.__enter__()
        bar.update(done_ms)

    try:
        troubles = app.marking.mark(asked, show, stop.is_set)
    except KeyboardInterrupt:
        raise VidsearchError("stopped; what was looked at is kept, and nothing was paid for") from None
    finally:
        if bar is not None:
            bar.__exit__()
    for footage, error in troubles:
        click.echo(f"recording {footage.id} could not be looked at everywhere: {plain(error)}", err=True)


def agree(app: App, plan: Plan, yes: bool) -> str | None:
    """Show what a search will cost and ask; return what was agreed to, or None where it costs nothing.

    Raises UsageError where nobody can be asked.
    """
    if not app.engine().capabilities.priced:
        return None
    notice = app.threshold_notice(plan.case_id, plan.threshold)[1]
    if notice and (plan.pieces or plan.rematch):
        click.echo(notice)
    estimate = app.estimating.of_search(plan)
    if not estimate.costs:
        if plan.segments or plan.resumed:
            click.echo(estimate.lines[0])
        return None
    for line in estimate.lines:
        click.echo(line)
    agreed = estimate.lines[0]
    if yes:
        return agreed
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked whether to pay: say --yes")
    if not click.confirm("search and pay?"):
        raise VidsearchError("nothing was searched and nothing paid")
    return agreed
