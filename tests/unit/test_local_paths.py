"""Where a face was each time it was seen: packed, read over the borders of ranges, and absent in older databases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from vidsearch.engines.local.database import SCHEMA_VERSION, Database
from vidsearch.engines.local.paths import packed, unpacked
from vidsearch.engines.local.piece import Piece, RangeResult, Sighting
from vidsearch.engines.local.vectors import Range, Vectors
from vidsearch.model import BoundingBox

HERE = (0.1, 0.1, 0.1, 0.1)


def piece(name: str, path: list[Sighting], **more: tuple[Sighting, ...]) -> Piece:
    return Piece(
        id=name,
        start_ms=path[0][0],
        end_ms=path[-1][0],
        best_ms=path[0][0],
        best_box=BoundingBox(*HERE),
        face_px=60,
        quality=0.5,
        detections=len(path),
        confidence=90.0,
        lead=more.get("lead", ()),
        tail=more.get("tail", ()),
        shot_ms=np.arange(1, dtype=np.int64),
        shot_px=np.full(1, 60, np.float32),
        shot_quality=np.full(1, 0.5, np.float32),
        vectors=np.full((1, 128), 0.1, np.float32),
        path=tuple(path),
    )


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    database = Database(tmp_path / "engine.db")
    yield Vectors(database, "v")
    database.close()


def test_threads_that_are_gone_leave_no_file_open(tmp_path: Path) -> None:
    def look() -> None:
        with database.reading() as db:
            assert db.execute("SELECT count(*) FROM pieces").fetchone()[0] == 0

    def files() -> int:
        return sum(one.path.startswith(str(tmp_path.resolve())) for one in psutil.Process().open_files())

    database = Database(tmp_path / "engine.db")
    look()
    before = files()
    for _ in range(10):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert files() <= 2 * before
    look()
    database.close()
    assert files() == 0


def test_sightings_are_packed_into_twelve_bytes_each() -> None:
    rng = np.random.default_rng(7)
    path = [(60_000 + 200 * i, tuple(rng.random(4).round(4).tolist())) for i in range(300)]
    blob = packed(path, 60_000)  # type: ignore[arg-type]
    assert len(blob) == 12 * 300
    for (ms, box), (ms_again, again) in zip(path, unpacked(blob, 60_000), strict=True):
        assert ms == ms_again
        assert (again.left, again.top, again.width, again.height) == pytest.approx(box, abs=2e-5)
    assert unpacked(packed([], 0), 0) == []
    whole = unpacked(packed([(5, (0.0, 0.0, 1.0, 1.0))], 0), 0)
    assert whole == [(5, BoundingBox(0.0, 0.0, 1.0, 1.0))]


def test_a_path_goes_on_over_the_border_of_ranges(vectors: Vectors) -> None:
    first, second = Range("f", "v", 0, 1_000), Range("f", "v", 1_000, 2_000)
    tail = ((800, HERE), (900, HERE))
    before = piece("b", [(700, HERE), *tail], tail=tail)
    after = piece("a", [(1_000, HERE), (1_200, HERE)], lead=tail)
    # The later range first: the order makes no difference.
    vectors.store(second, RangeResult((after,), ()))
    assert [(name, [ms for ms, _ in path]) for name, path in vectors.paths("f")] == [("a", [1_000, 1_200])]
    vectors.store(first, RangeResult((before, piece("c", [(100, HERE)])), ()))
    assert [(name, [ms for ms, _ in path]) for name, path in vectors.paths("f")] == [
        ("b", [700, 800, 900, 1_000, 1_200]),
        ("c", [100]),
    ]
    assert list(vectors.paths("another")) == []


def test_every_track_of_a_long_recording_is_told_once(vectors: Vectors) -> None:
    many = tuple(piece(f"{number:04}", [(number, HERE), (number + 10, HERE)]) for number in range(650))
    vectors.store(Range("f", "v", 0, 1_000), RangeResult(many, ()))
    assert [name for name, _ in vectors.paths("f")] == [one.id for one in many]


def test_a_piece_without_a_path_tells_of_its_best(vectors: Vectors) -> None:
    vectors.store(Range("f", "v", 0, 1_000), RangeResult((replace(piece("a", [(300, HERE)]), path=()),), ()))
    assert list(vectors.paths("f")) == [("a", [(300, BoundingBox(*HERE))])]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_database_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "engine.db"
    Database(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE pieces DROP COLUMN path")
        if version == 1:
            db.execute("ALTER TABLE faces DROP COLUMN created_ms")
        db.execute(
            "INSERT INTO pieces VALUES ('a', 'f', 'v', 0, 1000, 300, 400, 300, '[0.1, 0.1, 0.1, 0.1]', 60, 0.5, 2, 90, "
            "'[]', '[]', NULL, 'a', x'', x'')"
        )
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()
    database = Database(path)
    assert list(Vectors(database, "v").paths("f")) == [("a", [(300, BoundingBox(*HERE))])]
    Vectors(database, "v").store(
        Range("f", "v", 1_000, 2_000), RangeResult((piece("b", [(1_500, HERE), (1_700, HERE)]),), ())
    )
    assert [len(seen) for _, seen in Vectors(database, "v").paths("f")] == [1, 2]
    database.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
