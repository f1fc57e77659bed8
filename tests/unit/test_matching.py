"""What follows from matches: one name a track, one row a visit, weak photos apart."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from vidsearch.matching import best_per_person, make_appearances
from vidsearch.model import BoundingBox, Footage, MediaFacts, StartSource, Track, TrackMatch

FACTS = MediaFacts("mp4", "h264", 1280, 720, 60_000, 0, 15.0)
FOOTAGE = Footage(1, "default", 7, "/x.mp4", 1, 1, "k", None, 0, StartSource.USER, FACTS, 0)
ENGINE = SimpleNamespace(NAME="local", version="1", agreeing_shots=2)
ANN, BOB = 1, 2


def track(name: str, start: int, end: int, detections: int = 5) -> Track:
    return Track(name, start, end, start, BoundingBox(0.1, 0.1, 0.1, 0.1), 60, detections, 90.0)


def appearances(tracks, pairs, threshold=80.0):
    return make_appearances(FOOTAGE, {t.id: t for t in tracks}, pairs, threshold, ENGINE)


def match(track_id: str, similarity: float, *, agreeing: int = 3, weak: bool = False) -> TrackMatch:
    return TrackMatch(track_id, "face", similarity, agreeing, weak)


def test_tracks_at_most_two_seconds_apart_are_one_visit():
    tracks = [track("a", 0, 4_000), track("b", 6_000, 9_000, 7), track("c", 11_001, 12_000)]
    rows = appearances(tracks, [(match("a", 85), ANN), (match("b", 92), ANN), (match("c", 90), ANN)])
    assert [(row.start_ms, row.end_ms, row.detections, row.tracks) for row in rows] == [
        (0, 9_000, 12, ("a", "b")),
        (11_001, 12_000, 5, ("c",)),
    ]
    assert rows[0].similarity == 92
    assert rows[0].best_track == "b"


def test_a_long_track_bridges_what_lies_within_it():
    tracks = [track("long", 0, 30_000), track("inside", 1_000, 2_000), track("after", 31_000, 32_000)]
    pairs = [(match(t.id, 90), ANN) for t in tracks]
    assert len(appearances(tracks, pairs)) == 1


def test_a_track_gets_the_name_it_resembles_most():
    rows = appearances([track("a", 0, 1_000)], [(match("a", 84), ANN), (match("a", 91), BOB)])
    assert [row.person_id for row in rows] == [BOB]


@pytest.mark.parametrize("weaker", [{"similarity": 79.9}, {"agreeing": 1}])
def test_no_name_below_the_threshold_or_on_one_shot(weaker):
    pair = (replace(match("a", 95), **weaker), ANN)
    assert appearances([track("a", 0, 1_000)], [pair]) == []


def test_weak_matches_stand_apart_and_never_beat_a_name():
    tracks = [track("a", 0, 1_000), track("b", 9_000, 9_500)]
    rows = appearances(
        tracks, [(match("a", 81), ANN), (match("a", 99, weak=True), BOB), (match("b", 90, weak=True), BOB)]
    )
    assert [(row.person_id, row.weak) for row in rows] == [(ANN, False), (BOB, True)]


def test_ids_are_stable_over_rematching_and_differ_between_people():
    tracks = [track("a", 0, 1_000)]
    first = appearances(tracks, [(match("a", 85), ANN)])[0]
    again = appearances(tracks, [(match("a", 97), ANN)])[0]
    other = appearances(tracks, [(match("a", 97), BOB)])[0]
    assert first.id == again.id != other.id


def test_best_face_of_each_person_counts_and_forgotten_faces_do_not():
    owners = {"f1": (ANN, 1, False), "f2": (ANN, 2, False)}
    found = best_per_person(
        [
            TrackMatch("a", "f1", 97, 1),
            TrackMatch("a", "f2", 88, 2),
            TrackMatch("a", "gone", 99, 5),
        ],
        owners,
        2,
    )
    assert found == [(TrackMatch("a", "f2", 88, 2), ANN)]
