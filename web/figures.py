"""Geometry for the pictures on the screens, as SVG numbers: the policy of ``security`` allows no inline style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vidsearch.model import Appearance, BoundingBox, ExaminedSpan, SpanOutcome
from vidsearch.timeline import FootageRow
from web.words import SPAN_OUTCOMES, recording_time

FACE_MARGIN = 1.9
"""A cut-out face is this many times as large as its box, so that two of them show their faces at the same scale."""

KEPT_REACH = 2.4
"""The local engine keeps a face at its own size with surroundings, as many widths of it across; a test compares."""

KEPT_FACE_PX = 320
"""Wider faces are kept at this width, and with the picture's edge repeated where they stand at it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a coverage bar, in thousandths of its length."""

    x: float
    width: float
    tone: str
    """``seen``, ``gap`` or ``failed``."""
    title: str


def face_view(box: BoundingBox, width: int, height: int) -> str:
    """Return the ``viewBox`` that cuts a face out of a picture of ``width`` × ``height``: a square around its box."""
    side = min(FACE_MARGIN * max(box.width * width, box.height * height), width, height)
    left = (box.left + box.width / 2) * width - side / 2
    top = (box.top + box.height / 2) * height - side / 2
    left, top = min(max(0.0, left), width - side), min(max(0.0, top), height - side)
    return f"{left:.2f} {top:.2f} {side:.2f} {side:.2f}"


def kept_face(item: Appearance, width: int, height: int) -> tuple[float, float, float, float] | None:
    """Return where in its picture of ``width`` × ``height`` the face kept of an appearance was: left, top and sides.

    None where the engine does not say. The kept face is sharper than the kept picture, which is scaled down.
    """
    if item.engine != "local":
        return None
    x0, y0, x1, y1 = item.best_box.to_pixels(width, height)
    around = (x1 - x0) * (KEPT_REACH - 1) / 2
    if x1 - x0 > KEPT_FACE_PX:
        side, middle = (x1 - x0) * KEPT_REACH, (y0 + y1) / 2
        return x0 - around, middle - side / 2, side, side
    left, top = max(0.0, x0 - around), max(0.0, y0 - around)
    return left, top, min(float(width), x1 + around) - left, min(float(height), y1 + around) - top


def coverage(row: FootageRow) -> list[Bar]:
    """Return a recording's coverage as pieces of a bar."""
    total = max(1, row.footage.facts.duration_ms)
    return [_bar(span, total) for span in row.spans if span.end_ms > span.start_ms]


def _bar(span: ExaminedSpan, total: int) -> Bar:
    tone = span_tone(span)
    # A bar is at least as wide as can be seen: a hole of a second in a day must not vanish.
    width = max(1000 * (span.end_ms - span.start_ms) / total, 0 if tone == "seen" else 4)
    return Bar(round(1000 * span.start_ms / total, 2), round(width, 2), tone, span_words(span))


def span_tone(span: ExaminedSpan) -> str:
    """Return the colour of a span: ``seen``, ``gap`` or ``failed``."""
    return {SpanOutcome.EXAMINED: "seen", SpanOutcome.FAILED: "failed"}.get(span.outcome, "gap")


def span_words(span: ExaminedSpan) -> str:
    """Say what became of a span, and why."""
    words = f"{recording_time(span.start_ms)} to {recording_time(span.end_ms)}: {SPAN_OUTCOMES[span.outcome]}"
    return f"{words} ({span.reason})" if span.reason else words


FIGURES: dict[str, Callable[..., Any]] = {
    "face_view": face_view,
    "kept_face": kept_face,
    "coverage": coverage,
    "span_words": span_words,
}
