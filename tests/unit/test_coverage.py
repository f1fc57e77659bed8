"""Spans of many jobs as one line of time."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from vidsearch.model import ExaminedSpan, SpanOutcome
from vidsearch.store.coverage import merge_spans

E, G, U, S, F = (
    SpanOutcome.EXAMINED,
    SpanOutcome.GAP,
    SpanOutcome.UNDECODABLE,
    SpanOutcome.SKIPPED,
    SpanOutcome.FAILED,
)


def test_neighbours_of_one_kind_are_joined():
    assert merge_spans([ExaminedSpan(10, 20, E), ExaminedSpan(0, 10, E)]) == [ExaminedSpan(0, 20, E)]
    assert len(merge_spans([ExaminedSpan(0, 10, F, "a"), ExaminedSpan(10, 20, F, "b")])) == 2
    assert merge_spans([]) == []


def test_what_was_achieved_counts_where_spans_overlap():
    spans = [ExaminedSpan(0, 100, F, "no decoder"), ExaminedSpan(20, 40, E), ExaminedSpan(30, 60, G)]
    assert merge_spans(spans) == [
        ExaminedSpan(0, 20, F, "no decoder"),
        ExaminedSpan(20, 40, E),
        ExaminedSpan(40, 60, G),
        ExaminedSpan(60, 100, F, "no decoder"),
    ]


@given(
    st.lists(
        st.builds(
            lambda start, length, outcome: ExaminedSpan(start, start + length, outcome),
            st.integers(0, 60),
            st.integers(1, 30),
            st.sampled_from([E, G, U, S, F]),
        ),
        max_size=12,
    )
)
def test_every_instant_has_its_best_outcome(spans):
    merged = merge_spans(spans)
    order = [E, G, U, S, F]
    for instant in range(100):
        there = [span.outcome for span in spans if span.start_ms <= instant < span.end_ms]
        found = [span.outcome for span in merged if span.start_ms <= instant < span.end_ms]
        assert found == ([min(there, key=order.index)] if there else [])
    assert merged == sorted(merged, key=lambda span: span.start_ms)
    for before, after in itertools.pairwise(merged):
        assert before.end_ms <= after.start_ms
        assert (before.end_ms, before.outcome) != (after.start_ms, after.outcome)
