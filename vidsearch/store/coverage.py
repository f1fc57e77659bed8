"""Put the spans of many jobs together: what of a recording was examined, and what was not, and why."""

from __future__ import annotations

from collections.abc import Iterable

from vidsearch.model import ExaminedSpan, SpanOutcome

_BEST_FIRST = (
    SpanOutcome.EXAMINED,
    SpanOutcome.GAP,
    SpanOutcome.UNDECODABLE,
    SpanOutcome.SKIPPED,
    SpanOutcome.FAILED,
)
"""Where spans overlap (another attempt, another version of the engine), what was achieved counts."""


def merge_spans(spans: Iterable[ExaminedSpan]) -> list[ExaminedSpan]:
    """Return spans in order, without overlaps, with neighbours of the same outcome and reason joined."""
    merged: list[ExaminedSpan] = []
    for span in _without_overlaps(spans):
        last = merged[-1] if merged else None
        if last and (last.end_ms, last.outcome, last.reason) == (span.start_ms, span.outcome, span.reason):
            merged[-1] = ExaminedSpan(last.start_ms, span.end_ms, span.outcome, span.reason)
        else:
            merged.append(span)
    return merged


def _without_overlaps(spans: Iterable[ExaminedSpan]) -> list[ExaminedSpan]:
    """Cut spans so that none overlaps a better one: the best are laid first, the others into what is left."""
    laid: list[ExaminedSpan] = []
    for outcome in _BEST_FIRST:
        mine = sorted((s for s in spans if s.outcome is outcome), key=lambda s: (s.start_ms, s.end_ms, s.reason))
        laid = _fill(laid, mine)
    return laid


def _fill(laid: list[ExaminedSpan], spans: list[ExaminedSpan]) -> list[ExaminedSpan]:
    """Return ``laid`` with ``spans`` in the holes it leaves; both in order of their starts."""
    result = list(laid)
    index, done = 0, 0
    for span in spans:
        start = max(span.start_ms, done)
        while index < len(laid) and laid[index].end_ms <= start:
            index += 1
        at = index
        while start < span.end_ms:
            stop = min(span.end_ms, laid[at].start_ms) if at < len(laid) else span.end_ms
            if start < stop:
                result.append(ExaminedSpan(start, stop, span.outcome, span.reason))
            start = laid[at].end_ms if at < len(laid) else span.end_ms
            at += 1
        done = max(done, span.end_ms)
    return sorted(result, key=lambda s: s.start_ms)
