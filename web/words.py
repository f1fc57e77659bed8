"""How things are said on the screens: dates, lengths, states and outcomes in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby
from pathlib import PurePath
from typing import Any

from vidsearch import clock
from vidsearch.model import Camera, Footage, SpanOutcome, StartSource
from vidsearch.timeline import AppearanceRow

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

FOOTAGE_STATES = {
    "new": ("not searched", "soft"),
    "outdated": ("to be searched again", "ask"),
    "waiting": ("waiting", "soft"),
    "searching": ("searching", "accent"),
    "searched": ("searched", "ok"),
    "partly": ("partly searched", "ask"),
    "paused": ("paused", "ask"),
    "failed": ("failed", "no"),
    "missing": ("not there", "no"),
}
"""A recording's state -> the word and its tone."""

JOB_STATES = {
    "queued": ("waiting", "soft"),
    "preparing": ("preparing", "accent"),
    "uploading": ("uploading", "accent"),
    "searching": ("searching", "accent"),
    "collecting": ("collecting", "accent"),
    "succeeded": ("done", "ok"),
    "failed": ("failed", "no"),
    "cancelled": ("cancelled", "soft"),
    "paused": ("paused", "ask"),
}

PHOTO_OUTCOMES = {
    "enrolled": ("enrolled", "ok"),
    "weak": ("enrolled as weak", "ask"),
    "duplicate": ("there already", "soft"),
    "not_an_image": ("not a picture", "no"),
    "too_large": ("too large", "no"),
    "no_face": ("no face found", "no"),
    "several_faces": ("several faces", "ask"),
    "too_small": ("face too small", "no"),
    "too_blurred": ("face too blurred", "no"),
    "other_person": ("enrolled as somebody else", "no"),
}

START_SOURCES = {
    StartSource.USER: "given by hand",
    StartSource.CONTAINER: "written by the recorder",
    StartSource.FILE_NAME: "from the file name",
    StartSource.FILE_DATE: "from the file's date, a guess",
}

SPAN_OUTCOMES = {
    SpanOutcome.EXAMINED: "examined",
    SpanOutcome.UNDECODABLE: "cannot be decoded",
    SpanOutcome.GAP: "no pictures",
    SpanOutcome.SKIPPED: "skipped",
    SpanOutcome.FAILED: "search failed",
}


def clock_time(iso: str) -> str:
    """Return ``21:24:09`` of an ISO 8601 time."""
    return datetime.fromisoformat(iso).strftime("%H:%M:%S")


def day(iso: str) -> str:
    """Return ``Monday, 2 November 2026``."""
    at = datetime.fromisoformat(iso)
    return f"{DAYS[at.weekday()]}, {at.day} {MONTHS[at.month - 1]} {at.year}"


def when(iso: str) -> str:
    """Return ``2 Nov 2026, 21:24:09 +05:30``."""
    at = datetime.fromisoformat(iso)
    return f"{at.day} {MONTHS[at.month - 1][:3]} {at.year}, {at:%H:%M:%S} {offset(iso)}".rstrip()


def period(row: AppearanceRow) -> str:
    """Return when an appearance was, the end without what it shares with the start."""
    start, end = datetime.fromisoformat(row.start_time), datetime.fromisoformat(row.end_time)
    same = start.date() == end.date() and start.utcoffset() == end.utcoffset()
    if not same:
        return f"{when(row.start_time)} to {when(row.end_time)}"
    date = f"{start.day} {MONTHS[start.month - 1][:3]} {start.year}"
    return f"{date}, {start:%H:%M:%S} to {end:%H:%M:%S} {offset(row.start_time)}"


def offset(iso: str) -> str:
    """Return ``+05:30``, or ``UTC`` where there is none."""
    text = datetime.fromisoformat(iso).strftime("%z")
    return "UTC" if text in ("", "+0000") else f"{text[:3]}:{text[3:5]}"


def tenths(iso: str) -> str:
    """Return ``21:24:09.4``."""
    at = datetime.fromisoformat(iso)
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


def recording_time(ms: float) -> str:
    """Return where in a recording: ``1:02:09`` or ``2:09``."""
    seconds = int(ms // 1000)
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def length(ms: float) -> str:
    """Return how long, in words."""
    return clock.duration_text(round(ms))


def file_name(path: str) -> str:
    """Return the last part of a path."""
    return PurePath(path).name or path


def similarity(value: float) -> str:
    """Return a similarity with one decimal, cut and not rounded: 99.97 is not 100."""
    return f"{int(value * 10) / 10:.1f}"


def size(count: float) -> str:
    """Return bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, one: str, many: str = "") -> str:
    """Return ``1 photo``, ``2 photos``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def start_source(footage: Footage) -> str:
    """Say where a recording's start time came from."""
    return START_SOURCES[footage.start_source]


def is_estimated(footage: Footage) -> bool:
    """Whether the times of a recording are a guess."""
    return footage.facts.estimated_times or footage.start_source is StartSource.FILE_DATE


def clock_words(footage: Footage, camera: Camera) -> str:
    """Say where the clock times of a recording come from."""
    words = [START_SOURCES[footage.start_source]]
    if camera.clock_offset_ms:
        sign = "+" if camera.clock_offset_ms > 0 else "−"
        words.append(f"camera {sign}{clock.duration_text(abs(camera.clock_offset_ms))}")
    if footage.facts.estimated_times:
        words.append("no timestamps in the file, times follow the frame rate")
    return ", ".join(words)


def by_day(rows: Iterable[AppearanceRow]) -> list[tuple[str, list[AppearanceRow]]]:
    """Group appearances under the day each began, on its camera's clock."""
    return [(name, list(group)) for name, group in groupby(rows, key=lambda row: day(row.start_time))]


FILTERS: dict[str, Callable[..., Any]] = {
    "clock_time": clock_time,
    "day": day,
    "when": when,
    "period": period,
    "offset": offset,
    "tenths": tenths,
    "recording_time": recording_time,
    "lasting": length,
    "file_name": file_name,
    "similarity": similarity,
    "size": size,
    "plural": plural,
    "zone": lambda name: name.removeprefix("Etc/"),
    "grouped": lambda count: f"{count:,}",
    "start_source": start_source,
    "clock_words": clock_words,
    "is_estimated": is_estimated,
    "by_day": by_day,
    "footage_state": lambda value: FOOTAGE_STATES.get(value, (value, "soft")),
    "job_state": lambda value: JOB_STATES.get(str(value), (str(value), "soft")),
    "photo_outcome": lambda value: PHOTO_OUTCOMES.get(value, (value.replace("_", " "), "soft")),
    "capitalize_first": lambda text: text[:1].upper() + text[1:],
    "span_outcome": lambda value: SPAN_OUTCOMES[value],
}
