"""Pieces of recordings cut for an engine, and the way back from their times to the recording's. Pure.

An engine that gets a file of its own knows only that file's clock. A cut is made of stretches of the recording, one
after the other; each stretch says where in the file it lies and which part of the recording it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Span = tuple[int, int]
"""[start, end) in milliseconds of a recording."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a cut that shows a part of the recording without a break. All times in milliseconds."""

    out_ms: int
    """Where it begins in the cut, counted as a player shows it: the cut's first picture is at 0."""
    source_ms: int
    """The time in the recording of the picture at ``out_ms``."""
    length_ms: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A file made of a recording, or the recording itself where an engine takes it as it is."""

    path: Path
    stretches: tuple[Stretch, ...]
    size: int
    """Bytes."""
    made: bool
    """Whether the file was made for the engine and is ours to delete."""

    @property
    def length_ms(self) -> int:
        """How long the file plays: what an engine that charges by the minute charges for."""
        return sum(stretch.length_ms for stretch in self.stretches)


def to_source(stretches: Sequence[Stretch], out_ms: float) -> int | None:
    """Return the time in the recording of a time in a cut, or None where the cut has nothing there.

    A time up to a frame after the last stretch still belongs to it, because engines round.
    """
    for stretch in reversed(stretches):
        if out_ms >= stretch.out_ms:
            into = out_ms - stretch.out_ms
            return stretch.source_ms + round(into) if into <= stretch.length_ms + LATE_MS else None
    first = stretches[0] if stretches else None
    return first.source_ms if first and out_ms >= first.out_ms - LATE_MS else None


LATE_MS = 100
"""How far beyond a stretch a time may lie and still be taken for its end: one frame at 10 pictures a second."""


def merged(spans: Iterable[Span], *, gap_ms: int = 0) -> list[Span]:
    """Return spans in order, those that touch or are at most ``gap_ms`` apart joined."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if result and start - result[-1][1] <= gap_ms:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def padded(spans: Iterable[Span], pad_ms: int, within: Span) -> list[Span]:
    """Return spans widened on both sides, clamped to ``within`` and joined where they now touch."""
    low, high = within
    return merged((max(low, start - pad_ms), min(high, end + pad_ms)) for start, end in spans)


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Return what is left of spans when ``taken`` is taken away."""
    left = merged(spans)
    for low, high in merged(taken):
        left = [
            part
            for start, end in left
            for part in ((start, min(end, low)), (max(start, high), end))
            if part[0] < part[1]
        ]
    return left
