"""Stitching over the borders of ranges, with made-up pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vidsearch.engines.local.database import Database
from vidsearch.engines.local.piece import Piece, RangeResult
from vidsearch.engines.local.stitch import agreement, links
from vidsearch.engines.local.vectors import Range, Vectors
from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, EngineError, UnknownRecord
from vidsearch.model import BoundingBox, ExaminedSpan, SpanOutcome, Track

HERE, THERE = (0.1, 0.1, 0.1, 0.1), (0.6, 0.1, 0.1, 0.1)


def piece(
    name: str, start: int, end: int, *, lead: list = (), tail: list = (), shots: int = 2, detections: int = 5
) -> Piece:
    return Piece(
        id=name,
        start_ms=start,
        end_ms=end,
        best_ms=start,
        best_box=BoundingBox(*HERE),
        face_px=60,
        quality=0.5,
        detections=detections,
        confidence=90.0,
        lead=tuple(lead),
        tail=tuple(tail),
        shot_ms=np.arange(shots, dtype=np.int64),
        shot_px=np.full(shots, 60, np.float32),
        shot_quality=np.full(shots, 0.5, np.float32),
        vectors=np.full((shots, 128), 0.1, np.float32),
    )


def span(of: Range) -> tuple[ExaminedSpan, ...]:
    return (ExaminedSpan(of.start_ms, of.end_ms, SpanOutcome.EXAMINED),)


RANGES = [Range("f", "v", start, start + 1_000) for start in (0, 1_000, 2_000)]
PIECES = [
    [piece("a", 500, 900, tail=[(800, HERE), (900, HERE)]), piece("b", 300, 600)],
    [piece("c", 1_000, 1_900, lead=[(800, HERE), (900, HERE)], tail=[(1_800, THERE), (1_900, THERE)])],
    [piece("d", 2_000, 2_500, lead=[(1_900, THERE)]), piece("e", 2_200, 2_600)],
]


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    database = Database(tmp_path / "engine.db")
    yield Vectors(database, "v")
    database.close()


def known(vectors: Vectors) -> dict[str, Track]:
    return {track.id: track for track, _ in vectors.tracks("f").tracks}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_order_of_ranges_makes_no_difference(vectors: Vectors, order: tuple[int, ...]) -> None:
    for part in order:
        vectors.store(RANGES[part], RangeResult(tuple(PIECES[part]), span(RANGES[part])))
    tracks = known(vectors)
    assert sorted(tracks) == ["a", "b", "e"]
    assert (tracks["a"].start_ms, tracks["a"].end_ms, tracks["a"].detections) == (500, 2_500, 15)


def test_pieces_of_a_longer_track_are_told_as_superseded(vectors: Vectors) -> None:
    for part in (2, 1, 0):
        vectors.store(RANGES[part], RangeResult(tuple(PIECES[part]), span(RANGES[part])))
    (track, pieces) = next(pair for pair in vectors.tracks("f", RANGES[2]).tracks if pair[0].id == "a")
    assert track.end_ms == 2_500
    assert sorted(pieces) == ["a", "c", "d"]


def test_a_range_stored_again_replaces_itself(vectors: Vectors) -> None:
    for part in (0, 1, 2, 1, 0):
        vectors.store(RANGES[part], RangeResult(tuple(PIECES[part]), span(RANGES[part])))
    assert sorted(known(vectors)) == ["a", "b", "e"]
    vectors.store(RANGES[0], RangeResult((), span(RANGES[0])))
    assert sorted(known(vectors)) == ["c", "e"]


def test_pages_hold_every_track_once(vectors: Vectors) -> None:
    many = tuple(piece(f"{number:04}", number, number + 10) for number in range(700))
    vectors.store(RANGES[0], RangeResult(many, span(RANGES[0])))
    first = vectors.tracks("f", limit=300)
    second = vectors.tracks("f", after=first.last or "", limit=300)
    third = vectors.tracks("f", after=second.last or "", limit=300)
    ids = [track.id for page in (first, second, third) for track, _ in page.tracks]
    assert len(ids) == len(set(ids)) == 700
    assert third.last is None


def test_what_nobody_confirmed_or_was_seen_once_is_no_track(vectors: Vectors) -> None:
    doubtful = (piece("x", 100, 200, shots=0, tail=[(900, HERE)]), piece("y", 300, 300, detections=1))
    vectors.store(RANGES[0], RangeResult(doubtful, span(RANGES[0])))
    assert known(vectors) == {}
    after = piece("z", 1_000, 1_500, lead=[(900, HERE)])
    vectors.store(RANGES[1], RangeResult((after,), span(RANGES[1])))
    assert known(vectors)["x"].end_ms == 1_500  # confirmed by its other part


def test_shots_come_by_track_and_in_blocks(vectors: Vectors) -> None:
    for part in range(3):
        vectors.store(RANGES[part], RangeResult(tuple(PIECES[part]), span(RANGES[part])))
    shots = {one.track_id: one for block in vectors.shots("f") for one in block}
    assert {name: len(one.vectors) for name, one in shots.items()} == {"a": 6, "b": 2, "e": 2}
    assert [one.track_id for block in vectors.shots() for one in block] == sorted(shots)


def test_tokens_and_spans(vectors: Vectors) -> None:
    assert not vectors.note_run("t", RANGES[0])
    assert vectors.run("t") == RANGES[0]
    with pytest.raises(UnknownRecord):
        vectors.run("u")
    with pytest.raises(UnknownRecord):
        vectors.spans(RANGES[0])
    vectors.store(RANGES[0], RangeResult((), span(RANGES[0])))
    assert vectors.note_run("t2", RANGES[0])
    assert vectors.spans(RANGES[0]) == list(span(RANGES[0]))


def test_purging_leaves_other_recordings(vectors: Vectors) -> None:
    other = Range("g", "v", 0, 1_000)
    vectors.store(RANGES[0], RangeResult(tuple(PIECES[0]), span(RANGES[0])))
    vectors.store(other, RangeResult((piece("o", 1, 2),), span(other)))
    assert sorted(vectors.purge("f")) == ["a", "b"]
    assert known(vectors) == {}
    assert [track.id for track, _ in vectors.tracks("g").tracks] == ["o"]


def test_deleted_vectors_are_not_left_in_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "engine.db")
    vectors = Vectors(database, "v")
    mark = np.frombuffer(b"find me in here!" * 32, "<f4").reshape(1, 128)
    one = piece("a", 0, 10, shots=1)
    vectors.store(RANGES[0], RangeResult((type(one)(**{**_fields(one), "vectors": mark}),), span(RANGES[0])))
    database.forget_log()
    assert b"find me in here!" in (tmp_path / "engine.db").read_bytes()
    vectors.purge("f")
    for path in tmp_path.iterdir():
        assert b"find me in here!" not in path.read_bytes()
    database.close()


def test_a_lead_goes_on_from_the_piece_that_was_in_its_place() -> None:
    before = {"a": [(800, HERE), (900, HERE)], "b": [(800, THERE), (900, THERE)]}
    after = {"c": [(800, THERE), (900, THERE)], "d": [(900, HERE)], "e": [(900, (0.3, 0.7, 0.1, 0.1))]}
    assert links(before, after) == {"c": "b", "d": "a"}
    assert agreement(before["a"], after["c"]) == 0


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    database = Database(path)
    with database.changing() as db:
        db.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(DatabaseTooNew):
        Database(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(EngineError, match="damaged"):
        Database(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseUnusable):
        Database(tmp_path / "file" / "engine.db")


def _fields(one: Piece) -> dict:
    return {name: getattr(one, name) for name in one.__slots__}


def test_reading_needs_no_sorting_however_much_there_is(tmp_path: Path) -> None:
    """A block or a page of a million tracks must be read by index: sorting them for every block takes hours."""
    database = Database(tmp_path / "engine.db")
    vectors = Vectors(database, "v")
    vectors.store(RANGES[0], RangeResult(tuple(PIECES[0]), span(RANGES[0])))
    asked: list[str] = []
    with database.reading() as db:
        db.set_trace_callback(asked.append)
        assert len(list(vectors.shots())) == 1
        assert len(vectors.tracks("f", RANGES[0]).tracks) == 2
        db.set_trace_callback(None)
        plans = [row[3] for query in asked for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    database.close()
    assert any("pieces_by_root" in step for step in plans)
    assert not [step for step in plans if "RIGHT PART OF ORDER BY" in step or step.startswith("SCAN pieces")]
