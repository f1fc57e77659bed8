"""What the timeline's script draws from: columns of numbers, small enough for a hundred thousand appearances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import url_for

from vidsearch.model import Camera, SpanOutcome
from vidsearch.timeline import FootageRow, Points, Timeline
from web.figures import span_tone
from web.filters import Filters
from web.words import SPAN_OUTCOMES, plural

JOIN_MS = 1_500
"""Spans of the same kind this close together are drawn as one: recorders leave a second between files."""

Span = list[Any]
"""[start, end, tone, what, why] on the wall clock."""


def lanes_json(timeline: Timeline, case_id: str, filters: Filters, cameras: Sequence[Camera]) -> dict[str, Any]:
    """Return lanes, coverage and appearances for the chosen filters; times are UTC milliseconds."""
    footage = [row for row in timeline.footage(case_id, filters.shown_engine) if _is_wanted(row, filters)]
    points = timeline.points(case_id, filters.query())
    people = {row.person.id: row.person.name for row in timeline.people(case_id)}
    names = {camera.id: camera.name for camera in cameras}
    lanes = _camera_lanes(footage) if filters.by == "camera" else _person_lanes(people, filters, points.person)
    return {
        "zone": filters.zone,
        "by": filters.by,
        "lanes": lanes,
        "people": people,
        "cameras": names,
        "id": points.id,
        "person": points.person,
        "camera": points.camera,
        "start": points.start_ms,
        "end": points.end_ms,
        "similarity": points.similarity,
        "weak": filters.weak,
        "extent": _extent(footage, points),
        "face": url_for("media.track", appearance_id="ID", kind="face"),
        "page": url_for("timeline.appearance", appearance_id="ID"),
    }


def _is_wanted(row: FootageRow, filters: Filters) -> bool:
    return (not filters.cameras or row.camera.id in filters.cameras) and filters.footage in (None, row.footage.id)


def _extent(footage: Sequence[FootageRow], points: Points) -> list[int]:
    """Return when the first thing to show begins and the last one ends."""
    zeros = [row.footage.start_ms + row.camera.clock_offset_ms for row in footage]
    ends = [zero + row.footage.facts.duration_ms for zero, row in zip(zeros, footage, strict=True)]
    return [min([*zeros, *points.start_ms], default=0), max([*ends, *points.end_ms], default=0)]


def _camera_lanes(footage: Sequence[FootageRow]) -> list[dict[str, Any]]:
    rows: dict[int, list[FootageRow]] = {}
    for row in footage:
        rows.setdefault(row.camera.id, []).append(row)
    return [
        {
            "id": camera_id,
            "name": held[0].camera.name,
            "note": _note(held),
            "spans": _joined(span for row in held for span in _spans(row)),
        }
        for camera_id, held in rows.items()
    ]


def _person_lanes(people: dict[int, str], filters: Filters, seen: Iterable[int]) -> list[dict[str, Any]]:
    counts: dict[int, int] = {}
    for person in seen:
        counts[person] = counts.get(person, 0) + 1
    wanted = filters.people or sorted(people, key=lambda person: people[person])
    return [
        {
            "id": person,
            "name": people[person],
            "note": plural(counts.get(person, 0), "appearance"),
            "spans": [],
        }
        for person in wanted
        if person in people
    ]


def _note(rows: Sequence[FootageRow]) -> str:
    failed = sum(row.state in ("failed", "missing") for row in rows)
    return plural(len(rows), "recording") + (f", {failed} failed" if failed else "")


def _spans(row: FootageRow) -> list[Span]:
    """Return a recording's coverage on the wall clock, what was not looked at yet included."""
    zero = row.footage.start_ms + row.camera.clock_offset_ms
    end = row.footage.facts.duration_ms
    spans: list[Span] = []
    at = 0
    for span in row.spans:
        if span.start_ms > at:
            spans.append([zero + at, zero + span.start_ms, "open", "not searched yet", ""])
        words = "" if span.outcome is SpanOutcome.EXAMINED else SPAN_OUTCOMES[span.outcome]
        spans.append([zero + span.start_ms, zero + span.end_ms, span_tone(span), words, span.reason])
        at = max(at, span.end_ms)
    if at < end:
        failed = ["failed", SPAN_OUTCOMES[SpanOutcome.FAILED], row.errors[0]] if row.errors else None
        spans.append([zero + at, zero + end, *(failed or ["open", "not searched yet", ""])])
    return spans


def _joined(spans: Iterable[Span]) -> list[Span]:
    result: list[Span] = []
    for span in sorted(spans):
        last = result[-1] if result else None
        if last and last[2:] == span[2:] and span[0] - last[1] <= JOIN_MS:
            last[1] = max(last[1], span[1])
        else:
            result.append(span)
    return result
