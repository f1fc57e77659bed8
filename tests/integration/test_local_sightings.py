"""The local engine's paths of a real recording, and what it tells of faces in photos beyond the port."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces import Lasting, finish, load, local_engine, picture, request
from tests.footage_maker import crossing
from vidsearch.engines.local.engine import LocalEngine


@pytest.fixture(scope="module")
def executor() -> Iterator[Lasting]:
    lasting = Lasting()
    yield lasting
    lasting.end()


@pytest.fixture
def engine(tmp_path: Path, models: Path, executor: Lasting) -> Iterator[LocalEngine]:
    opened = local_engine(tmp_path / "engine", models, executor)
    yield opened
    opened.close()


def analyse(engine: LocalEngine, path: Path, borders: list[int], key: str) -> None:
    refs = [
        engine.start(request(path, start, end, key=key), f"{key}-{start}") for start, end in itertools.pairwise(borders)
    ]
    assert all(completion.error is None for completion in finish(engine, *refs).values())


def test_paths_are_those_of_the_tracks_however_the_work_was_cut(
    engine: LocalEngine, astronaut: Path, tmp_path: Path
) -> None:
    clip = crossing(tmp_path / "clip.mp4", astronaut, seconds=5, visits=((0.5, 2.0), (2.6, 4.4)))
    analyse(engine, clip, [0, 5_000], "whole")
    analyse(engine, clip, [0, 3_400, 5_000], "cut")
    for key in ("whole", "cut"):
        tracks = {track.id: track for track in engine.tracks(key).tracks}
        paths = {name: path for name, path in engine.paths(key) if name in tracks}
        assert set(paths) == set(tracks)
        for name, path in paths.items():
            track = tracks[name]
            times = [ms for ms, _ in path]
            assert (times[0], times[-1], len(times)) == (track.start_ms, track.end_ms, track.detections)
            at_best = dict(path)[track.best_ms]
            assert at_best.left == pytest.approx(track.best_box.left, abs=1e-4)
            assert at_best.height == pytest.approx(track.best_box.height, abs=1e-4)
    whole, cut = (sorted((ms, box) for _, path in engine.paths(key) for ms, box in path) for key in ("whole", "cut"))
    assert [ms for ms, _ in whole] == [ms for ms, _ in cut]
    for (_, one), (_, other) in zip(whole, cut, strict=True):
        assert one.left == pytest.approx(other.left, abs=0.02)


def test_points_and_likeness_go_with_the_faces(engine: LocalEngine, astronaut: Path) -> None:
    portrait = load(astronaut)
    face, mirrored = picture(portrait), picture(portrait[:, ::-1])
    (where,) = engine.points(face)
    (described,) = engine.describe(face)
    assert where is not None
    assert described.box.left < where.right_eye[0] < where.nose[0] < where.left_eye[0]
    assert described.box.top < where.left_eye[1] < where.nose[1]
    (same,) = engine.likeness(face, 0, face)
    (alike,) = engine.likeness(face, 0, mirrored)
    assert same > 99.9
    assert same > alike > 90
    assert engine.likeness(face, 0, picture(portrait[400:, :])) == []
