"""Having a free engine look first: what it finds, what it could not see, and going on after a stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.scripted import SCRIPT, ScriptedEngine
from vidsearch.engine import Page
from vidsearch.errors import SourceUnavailable
from vidsearch.marking import Marking
from vidsearch.model import ExaminedSpan, Segment, SpanOutcome

SEGMENT_MS, COUNT, PAD_MS = 5_000, 6, 500
LENGTH_MS = SEGMENT_MS * COUNT


class Finder(ScriptedEngine):
    """Scripted, and it tells of what it has looked at."""

    def tracks(self, footage_key, cursor=None):
        done = self._done(footage_key)
        tracks = {track.id: track for start, end in done for track in self._tracks(footage_key, start, end)}
        return Page(list(tracks.values()), spans=[ExaminedSpan(*span, SpanOutcome.EXAMINED) for span in done])

    def _tracks(self, key, start, end):
        (run,) = self._read("SELECT token FROM runs WHERE key = ? AND start_ms = ? LIMIT 1", (key, start))
        cursor, found = None, []
        while True:
            page = self.results(f"run-{run[0]}", cursor)
            found += page.tracks
            cursor = page.next_cursor
            if cursor is None:
                return found


@pytest.fixture
def footage(add_footage):
    return add_footage(duration_ms=LENGTH_MS)


@pytest.fixture
def make(tmp_path, footage):
    def make_marking(check=lambda footage: None, **settings):
        engine = Finder(tmp_path / "engine", **settings)
        pieces = [Segment(footage.id, start, start + SEGMENT_MS) for start in range(0, LENGTH_MS, SEGMENT_MS)]
        marking = Marking(lambda: engine, lambda footage: pieces, check, PAD_MS)
        marking.engine = engine
        return marking

    return make_marking


EVERYTHING = (float("-inf"), float("inf"))


def covered(spans):
    return {ms // 100 for start, end in spans for ms in range(start, end, 100)}


def test_faces_are_active_and_nothing_else(make, footage):
    marking, told = make(), []
    assert marking.mark([(footage, EVERYTHING)], lambda done, total: told.append((done, total))) == []
    assert told[0] == (0, LENGTH_MS)
    assert told[-1] == (LENGTH_MS, LENGTH_MS)
    active = marking.active(footage)
    for start, end in SCRIPT:
        if start < LENGTH_MS:
            assert any(a <= max(0, start - PAD_MS) and min(LENGTH_MS, end) <= b for a, b in active)
    assert sum(b - a for a, b in active) < LENGTH_MS


def test_what_was_looked_at_takes_no_time_again(make, footage):
    marking = make()
    marking.mark([(footage, EVERYTHING)])
    starts = len(set(marking.engine.starts))
    marking.mark([(footage, EVERYTHING)])
    assert len(set(marking.engine.starts)) == starts


def test_only_the_period_asked_for_is_looked_at_and_the_rest_counts_as_active(make, footage):
    marking = make()
    marking.mark([(footage, (0, 2 * SEGMENT_MS))])
    assert len(set(marking.engine.starts)) == 2
    assert (2 * SEGMENT_MS, LENGTH_MS) in [(max(a, 2 * SEGMENT_MS), b) for a, b in marking.active(footage)]


def test_what_could_not_be_looked_at_is_told_and_counts_as_active(make, footage):
    marking = make(broken=[SEGMENT_MS])
    assert marking.mark([(footage, EVERYTHING)]) == [(footage, "the script says no")]
    assert covered([(SEGMENT_MS, 2 * SEGMENT_MS)]) <= covered(marking.active(footage))


@pytest.mark.parametrize("outcome", SpanOutcome)
def test_where_nobody_could_be_seen_somebody_may_be(make, footage, monkeypatch, outcome):
    marking = make()
    spans = [ExaminedSpan(0, 4_000, SpanOutcome.EXAMINED), ExaminedSpan(4_000, LENGTH_MS, outcome)]
    monkeypatch.setattr(marking.engine, "tracks", lambda key, cursor=None: Page(spans=spans))
    empty = outcome in (SpanOutcome.EXAMINED, SpanOutcome.GAP)
    assert marking.active(footage) == ([] if empty else [(4_000, LENGTH_MS)])


def test_a_recording_that_is_gone_does_not_stop_the_others(make, footage):
    gone = replace(footage, id=99, key="gone")

    def check(one):
        if one.key == "gone":
            raise SourceUnavailable("it is not there")

    marking = make(check)
    assert marking.mark([(gone, EVERYTHING), (footage, EVERYTHING)]) == [(gone, "it is not there")]
    assert marking.active(footage) != [(0, LENGTH_MS)]
    assert marking.active(gone) == [(0, LENGTH_MS)]


def test_it_stops_when_told_and_goes_on(make, footage):
    marking, told = make(), []
    marking.mark([(footage, EVERYTHING)], lambda done, total: told.append(done), lambda: len(told) > 1)
    assert told[-1] < LENGTH_MS
    marking.mark([(footage, EVERYTHING)], lambda done, total: told.append(done))
    assert told[-1] == LENGTH_MS
