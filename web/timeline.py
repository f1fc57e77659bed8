"""The timeline of appearances, and the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from vidsearch.errors import UnknownRecord
from vidsearch.model import Camera
from vidsearch.timeline import AppearancePage, AppearanceRow, Query
from web.current import case_id, page_number, usual_engine, vidsearch
from web.filters import PAGE_SIZE, Filters
from web.lanes import lanes_json

blueprint = Blueprint("timeline", __name__)

PILLS = 4
"""People shown as buttons; the others are in a list."""


@blueprint.get("/")
def index() -> str:
    """Show the timeline."""
    timeline = vidsearch().timeline
    cameras = vidsearch().store.footage.cameras(case_id())
    filters = _filters(cameras)
    people = sorted(
        timeline.people(case_id(), filters.shown_engine), key=lambda row: (-row.appearances, row.person.name)
    )
    shown = [row for i, row in enumerate(people) if i < PILLS or row.person.id in filters.people]
    table = _table(filters)
    total = timeline.count(case_id(), Query(engine=filters.shown_engine, weak=filters.weak))
    weak = timeline.count(case_id(), Query(engine=filters.shown_engine, weak=True))
    return render_template(
        "timeline/index.html",
        filters=filters,
        people=people,
        pills=shown,
        cameras=cameras,
        engines=timeline.engines(case_id()),
        recording=vidsearch().store.footage.get(case_id(), filters.footage) if filters.footage else None,
        zone=filters.zone,
        total=total,
        weak=weak,
        empty=not (total or weak or filters.narrowed),
        selected=_selected(request.args.get("sel"), table["rows"]),
        photos=sum(row.usable for row in people),
        **table,
    )


@blueprint.get("/timeline.json")
def data() -> Response:
    """Return what the lanes are drawn from."""
    cameras = vidsearch().store.footage.cameras(case_id())
    filters = _filters(cameras)
    return jsonify(lanes_json(vidsearch().timeline, case_id(), filters, cameras))


@blueprint.get("/timeline/rows")
def rows() -> str:
    """Return the table alone, for the period the lanes show."""
    filters = _filters(vidsearch().store.footage.cameras(case_id()))
    return render_template("timeline/_rows.html", filters=filters, selected=None, **_table(filters))


@blueprint.get("/appearances/<appearance_id>")
def appearance(appearance_id: str) -> str:
    """Show one appearance: frame, faces, times, video."""
    found = vidsearch().timeline.appearance(case_id(), appearance_id)
    return render_template("timeline/appearance.html", page=found, **_beside(found))


@blueprint.get("/appearances/<appearance_id>/panel")
def panel(appearance_id: str) -> str:
    """Return one appearance as it stands beside the timeline."""
    found = vidsearch().timeline.appearance(case_id(), appearance_id)
    return render_template("timeline/_panel.html", page=found, **_beside(found))


def display_zone(cameras: list[Camera]) -> str:
    """Return the zone of the shared time axis: that of most cameras."""
    zones = [camera.zone for camera in cameras]
    return max(sorted(set(zones)), key=zones.count) if zones else "UTC"


def _filters(cameras: list[Camera]) -> Filters:
    return Filters.parse(request.args, display_zone(cameras), usual_engine())


def _table(filters: Filters) -> dict[str, Any]:
    page = page_number()
    timeline = vidsearch().timeline
    count = timeline.count(case_id(), filters.query())
    return {
        "rows": timeline.appearances(case_id(), filters.query(page)),
        "count": count,
        "page_number": page,
        "pages": max(1, -(-count // PAGE_SIZE)),
    }


def _selected(wanted: str | None, rows: Sequence[AppearanceRow]) -> dict[str, Any]:
    """Return the appearance asked for, or the first one shown where there is none, or it is gone."""
    for appearance_id in [wanted, *(row.appearance.id for row in rows[:1])]:
        try:
            found = vidsearch().timeline.appearance(case_id(), appearance_id or "")
        except UnknownRecord:
            continue
        return {"page": found, **_beside(found)}
    return {"page": None}


def _beside(found: AppearancePage) -> dict[str, Any]:
    """Return what a page shows beside an appearance: its photo among the person's, and what there is to play."""
    item = found.row.appearance
    photos = [photo for photo in vidsearch().store.people.photos(item.person_id) if photo.usable]
    numbers = {photo.id: number for number, photo in enumerate(photos, 1)}
    return {
        "photo_number": numbers.get(found.photo.id, 0) if found.photo else 0,
        "photo_count": len(photos),
        "playback": vidsearch().pictures.playable(item),
        # For links to the timeline: what they lead to must be among what it shows.
        "engine": item.engine if usual_engine() not in (None, item.engine) else None,
        "here": url_for("timeline.appearance", appearance_id=item.id),
    }
