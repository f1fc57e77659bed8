import numpy as np
import pytest

from vidsearch.engines.local.detect import Found
from vidsearch.engines.local.shots import Shot, Shots
from vidsearch.engines.local.track import GAP_MS, Tracker


def face(x: float, y: float = 100.0, width: float = 60.0, score: float = 0.9) -> Found:
    return Found((x, y, x + width, y + width), score, None)


def walk(tracker: Tracker, places: dict[int, list[Found]]) -> None:
    for ms, faces in places.items():
        tracker.expire(ms)
        tracker.step(ms, faces)


def test_a_face_that_moves_on_is_one_track() -> None:
    tracker = Tracker()
    walk(tracker, {ms: [face(100 + ms / 10)] for ms in range(0, 3_000, 200)})
    assert [len(track.sightings) for track in tracker.live] == [15]


def test_a_fast_face_is_followed_by_its_speed() -> None:
    tracker = Tracker()
    walk(tracker, {ms: [face(ms * 0.4)] for ms in range(0, 2_000, 200)})  # 80 px a sample, 1.3 widths
    assert len(tracker.live) == 1


@pytest.mark.parametrize("step", [40, 90, 130, 150])
def test_a_walker_across_the_picture_is_one_track_from_the_start(step: int) -> None:
    tracker = Tracker()
    walk(tracker, {200 * n: [face(step * n)] for n in range(8)})
    assert [len(track.sightings) for track in tracker.live] == [8]


def test_a_face_far_away_is_another_one_unless_somebody_could_have_walked_there() -> None:
    tracker = Tracker()
    walk(tracker, {0: [face(100)], 200: [face(100 + 3 * 60)]})
    assert len(tracker.live) == 2
    tracker = Tracker()
    walk(tracker, {0: [face(100)], 200: [face(102)], 400: [face(102 + 2 * 60)]})
    assert len(tracker.live) == 2, "who stood still does not leap"
    tracker = Tracker()
    walk(tracker, {0: [face(100)], 800: [face(100 + 2 * 60)]})
    assert len(tracker.live) == 2, "too long ago"


def test_two_faces_that_pass_each_other_keep_their_tracks() -> None:
    tracker = Tracker()
    walk(tracker, {ms: [face(100 + ms / 5, 100), face(700 - ms / 5, 170)] for ms in range(0, 3_200, 200)})
    assert len(tracker.live) == 2
    for track in tracker.live:
        assert len({box[1] for _, box, _ in track.sightings}) == 1


def test_a_face_that_comes_back_in_time_is_the_same_track() -> None:
    tracker = Tracker()
    walk(tracker, {0: [face(100)], 200: [face(100)], 200 + GAP_MS: [face(105)]})
    assert len(tracker.live) == 1
    assert tracker.expire(201 + 2 * GAP_MS)
    assert tracker.live == []


def test_a_face_of_another_size_or_place_is_another_track() -> None:
    tracker = Tracker()
    walk(tracker, {0: [face(100)], 200: [face(100, width=130)], 400: [face(600)]})
    assert len(tracker.live) == 3


def test_a_cut_ends_all_tracks() -> None:
    tracker = Tracker()
    walk(tracker, {0: [face(100), face(500)]})
    assert len(tracker.cut()) == 2
    assert tracker.live == []


def shot(ms: int, quality: float) -> Shot:
    piece = np.zeros((4, 4, 3), np.uint8)
    return Shot(ms, (0, 0, 50, 50), 0.9, 1.0, 30.0, quality, piece, (0, 0, 4, 4))


def test_shots_of_a_long_track_stay_few_and_spread() -> None:
    shots = Shots()
    for ms in range(0, 60_000, 200):
        shots.add(shot(ms, 0.5 + (ms % 7) / 100), lambda: np.zeros((2, 2, 3), np.uint8))
    kept = sorted(one.ms for one in shots.ranked())
    assert 5 <= len(kept) <= 10
    assert kept[0] < 15_000
    assert kept[-1] > 45_000


def test_whole_pictures_are_held_for_the_best_shots_only() -> None:
    shots = Shots()
    made = []
    for ms, quality in [(0, 0.1), (400, 0.9), (800, 0.5), (1_200, 0.2), (1_600, 0.95)]:
        shots.add(shot(ms, quality), lambda: made.append(1) or np.zeros((2, 2, 3), np.uint8))
    assert [(one.quality, one.frame is not None) for one in shots.ranked()] == [
        (0.95, True),
        (0.9, True),
        (0.5, False),
        (0.2, False),
        (0.1, False),
    ]
    assert len(made) == 4


@pytest.mark.parametrize(("first", "second", "kept"), [(0.4, 0.6, 0.6), (0.6, 0.4, 0.6)])
def test_of_two_shots_at_one_time_the_better_stays(first: float, second: float, kept: float) -> None:
    shots = Shots()
    for quality in (first, second):
        shots.add(shot(100, quality), lambda: np.zeros((2, 2, 3), np.uint8))
    assert [one.quality for one in shots.ranked()] == [kept]
