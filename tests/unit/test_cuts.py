"""Pieces cut for an engine, and the way back to the recording's times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.cuts import LATE_MS, Stretch, merged, padded, to_source, without

TWO = (Stretch(0, 10_000, 4_000), Stretch(4_000, 60_000, 2_000))

spans = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)).map(lambda pair: (pair[0], pair[0] + pair[1])))


@pytest.mark.parametrize(
    ("out", "source"),
    [(0, 10_000), (3_999, 13_999), (4_000, 60_000), (5_999.6, 62_000), (6_000 + LATE_MS, 62_000 + LATE_MS)],
)
def test_times_go_back_to_the_recording(out, source):
    assert to_source(TWO, out) == source


@pytest.mark.parametrize("out", [-LATE_MS - 1, 6_000 + LATE_MS + 1, 1_000_000])
def test_a_time_that_the_cut_does_not_have(out):
    assert to_source(TWO, out) is None


def test_a_time_a_little_early_is_the_first():
    assert to_source(TWO, -LATE_MS) == 10_000
    assert to_source((), 0) is None


def test_spans_are_widened_and_stay_inside():
    assert padded([(10, 20), (24, 30), (95, 99)], 3, (0, 100)) == [(7, 33), (92, 100)]
    assert merged([(5, 6), (0, 2), (3, 4)], gap_ms=1) == [(0, 6)]


@given(spans, spans)
def test_what_is_taken_away_is_gone_and_nothing_else(held, taken):
    def cells(of):
        return {cell for start, end in of for cell in range(start, end)}

    left = without(held, taken)
    assert cells(left) == cells(held) - cells(taken)
    assert left == merged(left)
