from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vidsearch.cuts import Stretch
from vidsearch.engines.rekognition.results import Cursor
from vidsearch.engines.rekognition.translate import (
    GAP_MS,
    Place,
    Rows,
    box_of,
    examined,
    external_id,
    face_of,
)
from vidsearch.errors import EngineError
from vidsearch.model import SpanOutcome, Track, TrackMatch

FACE = "0123456789abcdef0123456789abcdef01234567"
BOX = {"Left": 0.2, "Top": 0.3, "Width": 0.1, "Height": 0.2}


def place(*stretches: tuple[int, int, int], start: int = 0, end: int = 600_000, width: int = 1920) -> Place:
    parts = tuple(Stretch(*one) for one in stretches) or (Stretch(0, 0, 600_000),)
    return Place("footage", "fm7.0-1", start, end, parts, width)


def row(ms: int, index: int = 0, *similar: float, box: Any = BOX, weak: bool = False) -> dict[str, Any]:
    seen = {"FaceId": "aws", "ExternalImageId": external_id(FACE, weak=weak)}
    return {
        "Timestamp": ms,
        "Person": {"Index": index, "Face": {"BoundingBox": box, "Confidence": 99.0}},
        **({"FaceMatches": [{"Similarity": one, "Face": seen} for one in similar]} if similar else {}),
    }


def read(where: Place, *pages: list[dict[str, Any]]) -> tuple[list[Track], list[TrackMatch]]:
    """Read pages as the engine does: from cursor to cursor."""
    tracks, matches = [], []
    cursor = Cursor(0, "", None, float(where.width))
    for number, persons in enumerate(pages):
        rows = Rows(where, cursor.person, cursor.width)
        found = rows.page({"Persons": persons}, last=number + 1 == len(pages))
        tracks += found[0]
        matches += found[1]
        cursor = Cursor.of(Cursor(number + 1, "token", rows.unfinished, rows.width).packed())
    return tracks, matches


# -- published examples ----------------------------------------------------------------------------------------------


def test_the_guides_example_has_three_persons_of_whom_one_matches(shared_data: Path) -> None:
    text = (shared_data / "aws_json" / "guide_procedure-person-search-videos__00.repaired.json").read_text()
    tracks, matches = Rows(place()).page(json.loads(text), last=True)
    assert len(tracks) == 3
    assert [match.face_id for match in matches] == ["a2f2e224-bfaa-456c-b360-7c00241e5e2d"]
    assert matches[0].similarity == 98.41
    (named,) = (track for track in tracks if track.id == matches[0].track_id)
    assert named.best_box.left == pytest.approx(0.425)
    assert named.face_px == round(0.12937499582767487 * 1920)


def test_the_command_lines_example_has_boxes_beyond_the_picture(shared_data: Path) -> None:
    answer = json.loads((shared_data / "aws_json" / "awscli" / "get-face-search.json").read_text())
    tracks, _ = Rows(place()).page(answer, last=True)
    assert tracks
    for track in tracks:
        box = track.best_box
        assert 0 <= box.left <= box.left + box.width <= 1
        assert 0 <= box.top <= box.top + box.height <= 1


def test_person_tracking_reads_as_a_search_without_matches(shared_data: Path) -> None:
    text = (shared_data / "aws_json" / "guide_persons__00.repaired.json").read_text()
    tracks, matches = Rows(place()).page(json.loads(text), last=True)
    assert tracks
    assert matches == []


def test_every_published_answer_is_read_or_refused_in_one_line(shared_data: Path) -> None:
    refused = []
    for path in sorted((shared_data / "aws_json").rglob("*.json")):
        try:
            Rows(place()).page(json.loads(path.read_text()), last=True)
        except EngineError as exc:
            refused.append(str(exc))
    assert refused
    assert all("not a page of a face search" in text and "\n" not in text for text in refused)


# -- what may be missing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        {"Timestamp": None, "Person": None, "FaceMatches": None},
        {"Timestamp": 5, "Person": {"Index": None, "Face": None}},
        {"Timestamp": 5, "Person": {"Index": 3, "Face": {"BoundingBox": None}}},
        {"Timestamp": 5, "Person": {"Index": 3, "Face": {"BoundingBox": {"Left": 2.0, "Width": 1.0}}}},
        {"Timestamp": 5, "Person": {"Index": 3}, "FaceMatches": [None, {}, {"Similarity": 90}, {"Face": {}}]},
        {"Timestamp": float("nan"), "Person": {"Index": 3}},
    ],
)
def test_rows_that_show_nothing_are_no_tracks(odd: Any) -> None:
    assert Rows(place()).page({"Persons": [odd]}, last=True) == ([], [])


@pytest.mark.parametrize("answer", [{}, {"Persons": None}, {"Persons": [], "VideoMetadata": None, "NextToken": ""}])
def test_an_answer_without_persons_has_no_tracks(answer: dict[str, Any]) -> None:
    assert Rows(place()).page(answer, last=True) == ([], [])


@pytest.mark.parametrize("answer", [None, [], "text", {"Persons": "text"}, {"Persons": {"Index": 1}}])
def test_what_is_no_answer_is_an_error(answer: Any) -> None:
    with pytest.raises(EngineError, match="not a page"):
        Rows(place()).page(answer, last=True)


def test_a_match_without_a_face_box_is_not_lost() -> None:
    only_body = {**row(0, 0, 95.0), "Person": {"Index": 0, "BoundingBox": BOX}}
    neither = {**row(0, 1, 96.0), "Person": {"Index": 1}}
    tracks, matches = read(place(), [only_body, neither])
    assert [match.similarity for match in matches] == [95.0, 96.0]
    assert tracks[0].best_box.left == 0.2
    assert tracks[1].best_box.width == 1.0
    assert tracks[0].face_px == 0


def test_a_box_is_clamped_and_one_outside_is_none() -> None:
    box = box_of({"Left": -0.1, "Top": 0.9, "Width": 0.3, "Height": 0.3})
    assert box is not None
    assert (box.left, box.top) == (0.0, 0.9)
    assert (box.width, box.height) == (pytest.approx(0.2), pytest.approx(0.1))
    assert box_of({"Left": 1.2, "Top": 0, "Width": 0.1, "Height": 0.1}) is None
    assert box_of({"Left": 0.2, "Top": 0.2, "Width": 0.0, "Height": 0.1}) is None
    assert box_of({}) is None


def test_whose_face_it_is_is_read_from_its_external_id() -> None:
    assert face_of({"FaceId": "aws", "ExternalImageId": f"w-{FACE}"}) == (FACE, True)
    assert face_of({"FaceId": "aws", "ExternalImageId": f"s-{FACE}"}) == (FACE, False)
    assert face_of({"FaceId": "aws", "ExternalImageId": "somebody"}) == ("aws", False)
    assert face_of({"FaceId": "aws"}) == ("aws", False)
    assert face_of({}) is None


# -- tracks ----------------------------------------------------------------------------------------------------------


def test_the_rows_of_a_person_are_one_track() -> None:
    big = {**BOX, "Width": 0.3}
    tracks, matches = read(place(), [row(0, 4), row(500, 4, 91.0), row(1000, 4, 97.0, box=big), row(1500, 4, 93.0)])
    (track,) = tracks
    assert (track.start_ms, track.end_ms, track.best_ms, track.detections) == (0, 1500, 1000, 4)
    assert track.face_px == round(0.3 * 1920)
    assert [(match.similarity, match.agreeing) for match in matches] == [(97.0, 3)]


def test_without_a_match_the_largest_face_is_the_best_shot() -> None:
    (track,), _ = read(place(), [row(0), row(500, box={**BOX, "Width": 0.4}), row(1000)])
    assert track.best_ms == 500


def test_a_person_goes_on_over_pages_in_whatever_order_the_rows_come() -> None:
    rows = [row(ms, 0, 90 + ms / 1000) for ms in range(0, 6_000, 500)] + [row(0, 1)]
    whole = read(place(), rows)
    for cut in range(1, len(rows)):
        assert read(place(), rows[:cut], rows[cut:]) == whole
    shuffled = [*rows[5:12], *rows[:5], rows[12]]
    assert read(place(), shuffled[:3], [], shuffled[3:7], shuffled[7:]) == whole


def test_the_persons_of_one_page_may_be_mixed() -> None:
    tracks, _ = read(place(), [row(ms, index) for ms in (0, 500, 1000) for index in (0, 1)])
    assert [track.detections for track in tracks] == [3, 3]


def test_a_person_who_was_away_for_long_is_another_track() -> None:
    rows = [row(0), row(500), row(500 + GAP_MS + 1), row(30_000)]
    whole = read(place(), rows)
    assert [(track.start_ms, track.end_ms) for track in whole[0]] == [
        (0, 500),
        (500 + GAP_MS + 1, 500 + GAP_MS + 1),
        (30_000, 30_000),
    ]
    bridged = [*rows, row(20_500)]
    assert [(track.start_ms, track.end_ms) for track in read(place(), bridged[:2], bridged[2:])[0]] == [
        (0, 500),
        (10_501, 30_000),
    ]


def test_a_track_has_the_same_id_whoever_else_is_there() -> None:
    alone = read(place(), [row(1000, 0)])[0][0]
    among = read(place(), [row(0, 0), row(1000, 7)])[0][1]
    assert alone.id == among.id
    assert read(place(), [row(1040, 0)])[0][0].id != alone.id


def test_similarity_belongs_to_each_face_of_a_track() -> None:
    other = {"FaceId": "aws-2", "ExternalImageId": external_id("f" * 40, weak=True)}
    both = row(0, 0, 95.0)
    both["FaceMatches"].append({"Similarity": 80.0, "Face": other})
    _, matches = read(place(), [both, row(500, 0, 96.0)])
    assert [(m.face_id, m.similarity, m.agreeing, m.weak) for m in matches] == [
        (FACE, 96.0, 2, False),
        ("f" * 40, 80.0, 1, True),
    ]


# -- times -----------------------------------------------------------------------------------------------------------


def test_times_are_those_of_the_recording_and_the_overlap_is_left_out() -> None:
    where = place((0, 98_000, 12_000), start=100_000, end=110_000)
    tracks, _ = read(where, [row(1_000, 0), row(2_000, 1), row(11_999, 2), row(12_050, 3)])
    assert [track.start_ms for track in tracks] == [100_000, 109_999]


def test_a_person_does_not_go_on_over_a_part_that_was_left_out() -> None:
    where = place((0, 10_000, 5_000), (5_000, 300_000, 5_000))
    tracks, _ = read(where, [row(4_900, 0, 99.0), row(5_100, 0, 99.0), row(7_000, 0, 99.0)])
    assert [(track.start_ms, track.end_ms) for track in tracks] == [(14_900, 14_900), (300_100, 302_000)]


def test_parts_that_touch_are_one() -> None:
    where = place((0, 10_000, 5_000), (5_000, 15_000, 5_000))
    tracks, _ = read(where, [row(4_900), row(5_100)])
    assert [(track.start_ms, track.end_ms) for track in tracks] == [(14_900, 15_100)]


def test_a_piece_is_accounted_for() -> None:
    where = place((0, 9_000, 6_000), (6_000, 30_000, 10_000), start=10_000, end=60_000)
    spans = examined(where, [(10_000, 15_000), (30_000, 60_000)])
    assert [(span.start_ms, span.end_ms, span.outcome) for span in spans] == [
        (10_000, 15_000, SpanOutcome.EXAMINED),
        (15_000, 30_000, SpanOutcome.SKIPPED),
        (30_000, 40_000, SpanOutcome.EXAMINED),
        (40_000, 60_000, SpanOutcome.GAP),
    ]
    assert all(span.reason for span in spans if span.outcome is not SpanOutcome.EXAMINED)


def test_a_moment_at_either_end_is_no_gap() -> None:
    spans = examined(place((0, 40, 9_900), start=0, end=10_000), None)
    assert [(span.start_ms, span.end_ms, span.outcome) for span in spans] == [(0, 10_000, SpanOutcome.EXAMINED)]
