"""Recordings: what there is of them, adding more, searching them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, current_app, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from vidsearch.clock import local_zone
from vidsearch.errors import UsageError
from vidsearch.planning import Plan
from vidsearch.states import JobState
from vidsearch.timeline import FootageRow
from web.current import actor, case_id, only_matched, page_number, search_state, vidsearch, waits
from web.folders import listing, recordings, roots
from web.words import length, plural

blueprint = Blueprint("footage", __name__)

PAGE_SIZE = 200


@blueprint.get("/footage/")
def index() -> str:
    """Show the recordings."""
    rows = vidsearch().timeline.footage(case_id())
    page = page_number()
    plan = _plan()
    return render_template(
        "footage/index.html",
        rows=_on_page(rows, page),
        count=len(rows),
        length_ms=sum(row.footage.facts.duration_ms for row in rows),
        page_number=page,
        pages=max(1, -(-len(rows) // PAGE_SIZE)),
        plan=plan,
        matched=only_matched(plan),
        waits=waits(),
        cost=_cost(plan),
        notice=vidsearch().threshold_notice(case_id())[1],
    )


@blueprint.get("/progress.json")
def progress() -> Response:
    """Return how the search is going; with ``rows=1`` the cells that change of each recording on a page."""
    answer: dict[str, Any] = {**search_state(), "waits": waits()}
    if request.args.get("rows") == "1":
        rows = vidsearch().timeline.footage(case_id())
        answer["rows"] = {row.footage.id: _cells(row) for row in _on_page(rows, page_number())}
    return jsonify(answer)


@blueprint.post("/search")
def search() -> AnyResponse:
    """Queue what is not yet searched, and match what is."""
    plan = _plan()
    queues = bool(plan.segments or plan.resumed)
    # Where jobs are queued, the worker asks when they are done, and a page need not wait for that.
    asks = _asks(plan) and not queues
    if queues or asks:
        cost = _cost(plan)
        if cost and request.form.get("agreed") != cost[0]:
            flash("Nothing was searched: the price has changed since it was shown. Look at it once more.", "no")
            return redirect(url_for("footage.index"), 303)
        try:
            vidsearch().search.submit(actor(), plan, agreed=cost[0] if cost else None)
        except UsageError as exc:  # nobody is enrolled, and looking for nobody would be paid for
            flash(f"Nothing was searched: {exc}.", "no")
            return redirect(url_for("footage.index"), 303)
        if queues:
            flash(f"{plural(plan.recordings, 'recording')} queued: {length(plan.total_ms)} to search.", "ok")
    if plan.rematch:
        new = vidsearch().search.rematch(case_id(), plan.threshold, ask=asks)
        if new or only_matched(plan):
            flash(f"{plural(len(new), 'new appearance')} in footage analysed before.", "ok")
    if plan.unavailable:
        flash(f"{plural(len(plan.unavailable), 'recording')} cannot be read now: attach the drive, search again.", "no")
    if not (plan.segments or plan.resumed or plan.rematch or plan.unavailable):
        flash("Everything is searched already.", "ok")
    return redirect(url_for("footage.index"), 303)


@blueprint.get("/footage/add")
def browse() -> str:
    """Show the folders recordings may be added from."""
    return _add_page()


@blueprint.post("/footage/add")
def add() -> AnyResponse | tuple[str, int]:
    """Add the chosen recordings."""
    form = {name: request.form.get(name, "").strip() for name in ("camera", "start", "zone", "typed")}
    chosen = [text for text in [*request.form.getlist("path"), form["typed"]] if text]
    folders = vidsearch().settings.footage_folders
    try:
        if not chosen:
            raise UsageError("choose a recording")
        paths = [path for text in chosen for path in recordings(folders, text)]
        if not paths:
            raise UsageError("there are no recordings in this folder")
        results = list(
            vidsearch().submission.add(
                actor(),
                case_id(),
                paths,
                camera=form["camera"] or None,
                start=form["start"] or None,
                zone=form["zone"] or None,
            )
        )
    except UsageError as refused:
        return _add_page(form=form, problem=str(refused), chosen=chosen), 400
    return Response(render_template("footage/added.html", results=results))


@blueprint.get("/footage/<int:footage_id>")
def recording(footage_id: int) -> str:
    """Show one recording: facts, coverage with reasons."""
    return render_template("footage/recording.html", row=vidsearch().timeline.one_footage(case_id(), footage_id))


@blueprint.post("/footage/<int:footage_id>/retry")
def retry(footage_id: int) -> AnyResponse:
    """Queue the failed parts of a recording again."""
    jobs = vidsearch().store.jobs.list(case_id(), state=JobState.FAILED, footage_id=footage_id)
    vidsearch().search.retry(actor(), case_id(), [job.id for job in jobs])
    return redirect(url_for("footage.index"), 303)


@blueprint.get("/footage/<int:footage_id>/remove")
def ask_remove(footage_id: int) -> str:
    """Ask before a recording is removed from the case."""
    return render_template("footage/remove.html", row=vidsearch().timeline.one_footage(case_id(), footage_id))


@blueprint.post("/footage/<int:footage_id>/remove")
def remove(footage_id: int) -> AnyResponse:
    """Remove a recording from the case; the file stays."""
    app = vidsearch()
    app.submission.remove(actor(), case_id(), footage_id, app.forgetting.sweep)
    flash("The recording is removed from the case. The file was not touched.", "ok")
    return redirect(url_for("footage.index"), 303)


def _on_page(rows: list[FootageRow], page: int) -> list[FootageRow]:
    return rows[PAGE_SIZE * (page - 1) : PAGE_SIZE * page]


def _plan() -> Plan:
    return vidsearch().search.plan(case_id(), threshold=vidsearch().threshold(case_id()))


def _asks(plan: Plan) -> bool:
    """Return whether matching again asks an engine that charges for it."""
    can = vidsearch().engine().capabilities
    return can.priced and can.analysis and bool(plan.rematch)


def _cost(plan: Plan) -> list[str]:
    """Return what is to be said before a search is paid for, the price first; nothing where it costs nothing."""
    app = vidsearch()
    if not app.engine().capabilities.priced or not (plan.segments or plan.resumed or _asks(plan)):
        return []
    found = app.estimating.of_search(plan)
    return found.lines_without_flags if found.costs else []


def _add_page(form: dict[str, str] | None = None, problem: str | None = None, chosen: Sequence[str] = ()) -> str:
    app = vidsearch()
    folders = app.settings.footage_folders
    here = request.values.get("folder") or (str(roots(folders)[0]) if len(roots(folders)) == 1 else "")
    return render_template(
        "footage/add.html",
        roots=roots(folders),
        listing=listing(folders, here) if here else None,
        cameras=app.store.footage.cameras(case_id()),
        zones=sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
        zone=app.settings.zone or local_zone(),
        known={footage.path for footage in app.store.footage.list(case_id())},
        settings_file=app.settings.data / "settings.toml",
        form=form or {},
        problem=problem,
        chosen=chosen,
    )


def _cells(row: FootageRow) -> dict[str, str]:
    # Without render_template, which would ask for the case and the search's state once for each cell.
    render = current_app.jinja_env.get_template
    return {name: render(f"footage/_{name}.html").render(row=row) for name in ("state", "coverage", "found")}
