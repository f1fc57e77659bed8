"""A later search of the same time takes the place of the earlier one, for engines that search for somebody."""

from __future__ import annotations

import pytest

from tests.fakes.scripted import ScriptedEngine
from vidsearch.engine import Capabilities, Page
from vidsearch.jobs import JobManager, manager
from vidsearch.matching import Matching
from vidsearch.model import BoundingBox, ExaminedSpan, SpanOutcome, Track, TrackMatch

LENGTH_MS = 20_000
ALL = [ExaminedSpan(0, LENGTH_MS, SpanOutcome.EXAMINED)]


def track(name, start_ms, end_ms=None, detections=5):
    box = BoundingBox(0.1, 0.1, 0.2, 0.2)
    return Track(name, start_ms, end_ms or start_ms + 1_000, start_ms, box, 90, detections, 99.0)


class Told(ScriptedEngine):
    """An engine that searches for somebody, and finds what it is told to, a track to a page."""

    def __init__(self, folder):
        super().__init__(folder)
        self.capabilities = Capabilities(reads_in_place=False)
        self.agreeing_shots = 1
        self.tracks_found, self.spans, self.dies_at = [], ALL, None

    def results(self, run_ref, cursor=None):
        number = int(cursor or 0)
        if number == self.dies_at:
            raise KeyboardInterrupt
        found = self.tracks_found[number : number + 1]
        matches = [TrackMatch(one.id, face, 90.0, 1) for one, face in found]
        more = str(number + 1) if number + 1 < len(self.tracks_found) else None
        return Page([one for one, _ in found], matches, self.spans if cursor is None else [], (), more)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(manager, "TICK_S", 0.05)
    monkeypatch.setattr(manager, "IDLE_S", 0.05)


@pytest.fixture
def engine(tmp_path):
    return Told(tmp_path / "engine")


@pytest.fixture
def footage(add_footage):
    return add_footage(duration_ms=LENGTH_MS)


@pytest.fixture
def people(store):
    """Return two people whose faces are f1 and f2."""
    found = [store.people.add("default", name) for name in ("Ann", "Bob")]
    for number, person in enumerate(found, start=1):
        store._connection.run(
            "INSERT INTO photos (id, case_id, person_id, name, sha256, outcome, created_ms) "
            "VALUES (?, 'default', ?, 'photo', ?, 'enrolled', 0)",
            (number, person.id, f"f{number}"),
        )
        store._connection.run(
            "INSERT INTO enrolled_faces (face_id, case_id, person_id, photo_id, engine, engine_version, left, top, "
            "width, height, confidence, face_px, sharpness, frontal) "
            "VALUES (?, 'default', ?, ?, 'scripted', '1', 0, 0, 1, 1, 99, 90, 50, 0.9)",
            (f"f{number}", person.id, number),
        )
    return found


@pytest.fixture
def search(store, footage, engine):
    matching = Matching(store, lambda: engine)

    def search_(tracks, revision, *, key="s", spans=ALL):
        engine.tracks_found, engine.spans, engine.settings_key = tracks, spans, key
        store.jobs.create(footage, "scripted", "1", key, 0, LENGTH_MS, "me", gallery_revision=revision)
        collected = lambda job: matching.match(footage, 80.0)  # noqa: E731
        JobManager(store, engine, check_source=lambda footage: None, on_collected=collected, lease_s=60).run(
            lambda: False
        )

    return search_


@pytest.fixture
def held(store, footage):
    return lambda: [one.id for one in store.tracks.for_footage(footage.id, "scripted", "1")]


def test_what_is_not_found_again_goes_with_its_name(store, footage, search, held, people):
    search([(track("a1", 1_000), "f1"), (track("b", 9_000), "f1")], 1)
    search([(track("a2", 1_040), "f2"), (track("b", 9_000), "f1")], 2)
    assert held() == ["a2", "b"]
    assert {match.track_id for match, _ in store.matches.for_footage(footage.id, "scripted", "1")} == {"a2", "b"}
    names = [(one.start_ms, one.person_id) for one in store.appearances.find("default")]
    assert names == [(1_040, people[1].id), (9_000, people[0].id)]
    # It may come back.
    search([(track("a1", 1_000), "f1")], 3)
    assert held() == ["a1"]


def test_what_was_not_looked_at_stays(search, held, people):
    search([(track("a", 1_000), "f1"), (track("over", 4_500), "f1"), (track("c", 9_000), "f1")], 1)
    part = [ExaminedSpan(0, 5_000, SpanOutcome.EXAMINED), ExaminedSpan(5_000, LENGTH_MS, SpanOutcome.SKIPPED, "x")]
    search([(track("a2", 1_040), "f1")], 2, spans=part)
    assert held() == ["a2", "over", "c"]
    search([], 3, spans=[ExaminedSpan(0, LENGTH_MS, SpanOutcome.SKIPPED, "x")])
    assert held() == ["a2", "over", "c"]


def test_an_older_question_takes_nothing_away_from_a_newer_one(search, held, people):
    search([(track("new", 1_000), "f2")], 5)
    search([(track("old", 3_000), "f1")], 4, key="other")
    assert held() == ["new", "old"]


def test_a_crash_between_pages_takes_nothing_away_that_is_found_again(store, engine, search, held, people):
    search([(track("a1", 1_000), "f1"), (track("b", 9_000), "f1")], 1)
    engine.dies_at = 1
    again = [(track("a2", 1_040), "f1"), (track("b", 9_000), "f1")]
    with pytest.raises(KeyboardInterrupt):
        search(again, 2)
    assert held() == ["a1", "a2", "b"]
    engine.dies_at = None
    store._connection.run("UPDATE jobs SET lease_until_ms = 0")
    search(again, 2)
    assert held() == ["a2", "b"]


def test_a_verdict_stays_where_the_visit_is_the_same(store, search, people):
    search([(track("a", 1_000), "f1"), (track("b", 9_000), "f1")], 1)
    first, second = store.appearances.find("default")
    store.appearances.review("default", first.id, "confirmed")
    store.appearances.review("default", second.id, "rejected")
    search([(track("a", 1_000, 1_800, detections=4), "f1"), (track("b", 9_000, detections=7), "f1")], 2)
    assert [one.review for one in store.appearances.find("default")] == ["confirmed", "rejected"]


def test_a_verdict_goes_on_to_the_same_visit_seen_a_little_otherwise(store, search, people):
    search([(track("a", 1_000), "f1"), (track("b", 9_000), "f1"), (track("c", 15_000), "f1")], 1)
    for item, verdict in zip(store.appearances.find("default"), ("confirmed", "rejected", "unsure"), strict=True):
        store.appearances.review("default", item.id, verdict)
    search([(track("a2", 1_040), "f1"), (track("b2", 8_000, 9_500), "f1"), (track("c2", 15_000), "f2")], 2)
    found = [(one.person_id, one.review) for one in store.appearances.find("default")]
    assert found == [(people[0].id, "confirmed"), (people[0].id, "rejected"), (people[1].id, None)]
    # And back, where the earlier is found again.
    search([(track("a", 1_000), "f1")], 3)
    assert [one.review for one in store.appearances.find("default")] == ["confirmed"]
