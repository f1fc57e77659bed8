"""The conformance suite: what every engine must do, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faces import (
    Lasting,
    blurred,
    collected,
    finish,
    load,
    local_engine,
    pages,
    picture,
    request,
    scaled,
)
from footage_maker import crossing

from tests.fakes.late_engine import LateEngine
from vidsearch.engine import Engine
from vidsearch.errors import (
    EngineRefused,
    FaceTooBlurred,
    FaceTooSmall,
    NoFaceFound,
    PhotoRefused,
    SeveralFaces,
    VidsearchError,
)
from vidsearch.model import TrackMatch

BLANK = np.full((300, 400, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def executor() -> Iterator[Lasting]:
    lasting = Lasting()
    yield lasting
    lasting.end()


@pytest.fixture(scope="module", params=["local", "late"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def build(kind: str, folder: Path, models: Path, executor: Lasting) -> Engine:
    local = local_engine(folder, models, executor)
    return LateEngine(local) if kind == "late" else local


@pytest.fixture(scope="module")
def engine(kind: str, tmp_path_factory: pytest.TempPathFactory, models: Path, executor: Lasting) -> Iterator[Engine]:
    """Return an engine that the tests of photos share; each uses a gallery of its own."""
    made = build(kind, tmp_path_factory.mktemp(kind), models, executor)
    yield made
    made.close()


@pytest.fixture
def fresh(kind: str, tmp_path: Path, models: Path, executor: Lasting) -> Iterator[Engine]:
    """Return an engine that knows nothing."""
    made = build(kind, tmp_path / "engine", models, executor)
    yield made
    made.close()


@pytest.fixture
def gallery(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> np.ndarray:
    return load(astronaut)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Return a recording of 8 s with a face from 1 to 3 s, and from 4.8 to 7 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return crossing(path, astronaut, visits=((1.0, 3.0), (4.8, 7.0)))


# -- photos ----------------------------------------------------------------------------------------------------------


def test_faces_are_described_from_left_to_right(engine: Engine, portrait: np.ndarray) -> None:
    two = np.hstack([portrait, scaled(portrait, 0.5).repeat(2, 0).repeat(2, 1)])
    faces = engine.describe(picture(two))
    assert len(faces) == 2
    assert faces[0].box.left < 0.5 < faces[1].box.left
    for face in faces:
        assert 0 <= face.confidence <= 100
        assert 0 <= face.sharpness <= 100
        assert 0 <= face.frontal <= 1
        assert face.face_px == pytest.approx(face.box.width * two.shape[1], abs=2)


def test_a_picture_without_a_face_has_none(engine: Engine) -> None:
    assert engine.describe(picture(BLANK)) == []


def test_a_face_is_enrolled_once_however_often_it_is_given(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    first = engine.enrol(gallery, picture(portrait))
    again = engine.enrol(gallery, picture(portrait))
    assert first.face_id == again.face_id
    assert not first.weak
    assert engine.faces(gallery) == [first.face_id]


def test_galleries_are_separate(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    engine.enrol(gallery, picture(portrait))
    assert engine.faces(f"{gallery}-other") == []
    assert engine.search_probe(f"{gallery}-other", picture(portrait), threshold=50) == []


def test_a_picture_without_a_face_is_refused(engine: Engine, gallery: str) -> None:
    with pytest.raises(NoFaceFound):
        engine.enrol(gallery, picture(BLANK))
    with pytest.raises(NoFaceFound):
        engine.search_probe(gallery, picture(BLANK), threshold=50)


def test_of_several_faces_one_is_named(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    two = picture(np.hstack([portrait, portrait[:, ::-1]]))
    with pytest.raises(SeveralFaces, match="2 faces"):
        engine.enrol(gallery, two)
    with pytest.raises(SeveralFaces):
        engine.search_probe(gallery, two, threshold=50)
    left, right = (engine.enrol(gallery, two, face=index) for index in (0, 1))
    assert left.face_id != right.face_id
    assert left.face.box.left < right.face.box.left
    assert engine.search_probe(gallery, two, face=1, threshold=50)[0].face_id == right.face_id
    with pytest.raises(VidsearchError, match="2 face"):
        engine.enrol(gallery, two, face=2)


def test_a_small_face_is_refused_with_its_width(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    small = picture(scaled(portrait, 0.3))
    with pytest.raises(FaceTooSmall, match=r"\d+ px wide"):
        engine.enrol(gallery, small)
    assert engine.describe(small)[0].refusal == "too_small"
    assert engine.faces(gallery) == []


def test_a_blurred_face_is_refused_with_its_sharpness(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    for sigma in (3.5, 6, 10):
        with pytest.raises(FaceTooBlurred, match=r"sharpness \d"):
            engine.enrol(gallery, picture(blurred(portrait, sigma)))


def test_a_face_below_the_gate_can_be_enrolled_as_weak(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    for poor in (scaled(portrait, 0.3), blurred(portrait, 3)):
        enrolled = engine.enrol(gallery, picture(poor), allow_weak=True)
        assert enrolled.weak
    assert [match.weak for match in engine.search_probe(gallery, picture(portrait), threshold=50)] == [True, True]


def test_a_good_face_is_not_weak_because_weak_ones_are_allowed(
    engine: Engine, gallery: str, portrait: np.ndarray
) -> None:
    assert not engine.enrol(gallery, picture(portrait), allow_weak=True).weak


def test_what_nobody_can_read_is_not_enrolled_even_as_weak(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    with pytest.raises(PhotoRefused) as refused:
        engine.enrol(gallery, picture(blurred(portrait, 16)), allow_weak=True)
    assert "weak" not in str(refused.value)


def test_a_probe_finds_its_like(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    face = engine.enrol(gallery, picture(portrait))
    darker = picture((portrait * 0.7).astype(np.uint8))
    found = engine.search_probe(gallery, darker, threshold=engine.default_threshold)
    assert [match.face_id for match in found] == [face.face_id]
    assert 90 < found[0].similarity <= 100
    assert engine.search_probe(gallery, darker, threshold=100) == []


def test_quality_does_not_refuse_a_probe(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    face = engine.enrol(gallery, picture(portrait))
    found = engine.search_probe(gallery, picture(scaled(portrait, 0.3)), threshold=50)
    assert [match.face_id for match in found] == [face.face_id]


def test_enrolled_faces_are_compared_in_the_order_asked(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    one, two, three = (
        engine.enrol(gallery, picture(pixels)).face_id
        for pixels in (portrait, portrait[:, ::-1], scaled(portrait, 0.6))
    )
    compared = engine.compare(gallery, one, [three, two])
    assert [match.face_id for match in compared] == [three, two]
    assert all(match.similarity > 80 for match in compared)


def test_a_forgotten_face_is_gone(engine: Engine, gallery: str, portrait: np.ndarray) -> None:
    face = engine.enrol(gallery, picture(portrait))
    engine.forget(gallery, [face.face_id, "no-such-face"])
    engine.forget(gallery, [face.face_id])
    assert engine.faces(gallery) == []
    assert engine.search_probe(gallery, picture(portrait), threshold=50) == []
    assert engine.face_picture(gallery, face.face_id) is None


# -- runs ------------------------------------------------------------------------------------------------------------


def test_an_engine_says_what_it_is(engine: Engine) -> None:
    assert re.fullmatch(r"[\w.-]+", engine.version)
    assert engine.settings_key
    assert 0 < engine.floor_similarity < engine.default_threshold <= 100
    assert engine.media_limits.segment_ms > 0
    assert engine.capacity >= 1


def test_a_run_finds_the_face_and_accounts_for_its_time(fresh: Engine, clip: Path, portrait: np.ndarray) -> None:
    face = fresh.enrol("g", picture(portrait))
    ref = fresh.start(request(clip, 0, 8_000, gallery="g"), "t1")
    assert finish(fresh, ref)[ref].error is None
    found = pages(fresh, ref)
    tracks = sorted((track for page in found for track in page.tracks), key=lambda track: track.start_ms)
    assert len({track.id for track in tracks}) == len(tracks) == 2
    assert tracks[0].start_ms == pytest.approx(1_000, abs=500)
    assert tracks[0].end_ms == pytest.approx(2_900, abs=400)
    for track in tracks:
        assert track.start_ms <= track.best_ms <= track.end_ms
        assert track.detections >= 2
        assert track.face_px == pytest.approx(90, abs=25)
    spans = [span for page in found for span in page.spans]
    assert (spans[0].start_ms, spans[-1].end_ms) == (0, 8_000)
    for match in matches_of(fresh, "g", "footage", ref):
        assert match.face_id == face.face_id
        assert match.similarity > fresh.default_threshold
        assert match.agreeing >= 2


def test_the_same_cursor_gives_the_same_page(fresh: Engine, clip: Path) -> None:
    ref = fresh.start(request(clip, 0, 8_000, gallery="g"), "t1")
    finish(fresh, ref)
    for cursor in [None, *(page.next_cursor for page in pages(fresh, ref) if page.next_cursor)]:
        assert fresh.results(ref, cursor) == fresh.results(ref, cursor)


def test_the_same_token_is_the_same_run(fresh: Engine, clip: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    ref = fresh.start(work, "t1")
    assert fresh.start(work, "t1") == ref
    finish(fresh, ref)
    assert fresh.start(work, "t1") == ref
    assert finish(fresh, ref)[ref].error is None


def test_a_completion_comes_until_it_is_acknowledged(fresh: Engine, clip: Path) -> None:
    ref = fresh.start(request(clip, 0, 1_000, gallery="g"), "t1")
    told = []
    while not told:
        told = fresh.completions(0.2)
    assert ref in {completion.run_ref for completion in fresh.completions(0)}
    finish(fresh, ref)
    for _ in range(6):
        for completion in fresh.completions(0):
            fresh.acknowledge(completion)
    assert fresh.completions(0) == []


def test_runs_of_a_token_survive_the_process_and_the_source(
    kind: str, tmp_path: Path, models: Path, executor: Lasting, clip: Path
) -> None:
    moved = tmp_path / "clip.mp4"
    moved.write_bytes(clip.read_bytes())
    work = request(moved, 0, 4_000, gallery="g")
    engine = build(kind, tmp_path / "engine", models, executor)
    ref = engine.start(work, "t1")
    finish(engine, ref)
    before = pages(engine, ref)
    engine.close()
    moved.unlink()
    again = build(kind, tmp_path / "engine", models, executor)
    assert again.start(work, "t1") == ref
    assert finish(again, ref)[ref].error is None
    assert pages(again, ref) == before
    again.close()


def test_a_source_that_is_gone_fails_in_one_line(fresh: Engine, clip: Path, tmp_path: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    ref = fresh.start(type(work)(**{**_fields(work), "path": tmp_path / "gone.mp4"}), "t1")
    error = finish(fresh, ref)[ref].error
    assert error
    assert "gone.mp4" in error
    assert "\n" not in error


def test_unknown_runs(fresh: Engine) -> None:
    fresh.cancel("no-such-run")
    with pytest.raises(VidsearchError):
        fresh.results("no-such-run")


def test_a_cancelled_run_can_be_started_again(fresh: Engine, clip: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    ref = fresh.start(work, "t1")
    fresh.cancel(ref)
    assert fresh.start(work, "t2") != ref
    finish(fresh, fresh.start(work, "t2"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_face_at_a_border_is_one_track_in_whatever_order_the_parts_come(
    fresh: Engine, clip: Path, order: tuple[int, ...]
) -> None:
    borders = [0, 2_000, 6_000, 8_000]  # both visits cross a border
    refs = {}
    known: list[str] = []
    for part in order:
        refs[part] = fresh.start(request(clip, borders[part], borders[part + 1], gallery="g"), f"t{part}")
        finish(fresh, refs[part])
        known.append(refs[part])
    tracks = sorted(collected(fresh, known).values(), key=lambda track: track.start_ms)
    assert [(track.start_ms, track.end_ms) for track in tracks] == [
        (pytest.approx(1_000, abs=500), pytest.approx(2_900, abs=400)),
        (pytest.approx(4_800, abs=500), pytest.approx(6_900, abs=400)),
    ]


# -- capabilities ----------------------------------------------------------------------------------------------------


def test_what_an_engine_cannot_do_it_refuses(fresh: Engine, portrait: np.ndarray) -> None:
    can = fresh.capabilities
    calls = {
        "tracks": (can.analysis, lambda: fresh.tracks("footage")),
        "match": (can.analysis, lambda: list(fresh.match("g", "footage"))),
        "purge": (can.analysis, lambda: fresh.purge_footage("footage")),
        "seen": (can.seen, lambda: list(fresh.seen(picture(portrait), threshold=80))),
        "picture": (can.pictures, lambda: fresh.picture("no-such-track", "face")),
    }
    for has, call in calls.values():
        if has:
            call()
        else:
            with pytest.raises(EngineRefused, match=fresh.NAME):
                call()


def test_analysed_footage_is_searched_for_whoever_comes_later(fresh: Engine, clip: Path, portrait: np.ndarray) -> None:
    if not fresh.capabilities.analysis:
        pytest.skip("this engine has no 'analysis'")
    finish(fresh, fresh.start(request(clip, 0, 8_000), "t1"))
    assert list(fresh.match("g", "footage")) == []
    face = fresh.enrol("g", picture(portrait))
    tracks = {track.id for track in fresh.tracks("footage").tracks}
    matches = list(fresh.match("g", "footage"))
    assert {match.track_id for match in matches} == tracks
    assert {match.face_id for match in matches} == {face.face_id}
    one = sorted(tracks)[0]
    assert {match.track_id for match in fresh.match("g", "footage", track_ids=[one])} == {one}
    fresh.purge_footage("footage")
    assert list(fresh.match("g", "footage")) == []
    assert fresh.tracks("footage").tracks == []


def test_a_weak_face_makes_weak_matches(fresh: Engine, clip: Path, portrait: np.ndarray) -> None:
    fresh.enrol("g", picture(blurred(portrait, 3)), allow_weak=True)
    ref = fresh.start(request(clip, 0, 4_000, gallery="g"), "t1")
    finish(fresh, ref)
    found = matches_of(fresh, "g", "footage", ref)
    assert found
    assert all(match.weak for match in found)


def test_seen_finds_a_face_that_is_not_enrolled(fresh: Engine, clip: Path, portrait: np.ndarray) -> None:
    if not fresh.capabilities.seen:
        pytest.skip("this engine has no 'seen'")
    for key in ("one", "two"):
        finish(fresh, fresh.start(request(clip, 0, 4_000, key=key), key))
    found = list(fresh.seen(picture(portrait), threshold=fresh.default_threshold))
    assert {key for key, _ in found} == {"one", "two"}
    scores = [match.similarity for _, match in found]
    assert scores == sorted(scores, reverse=True)
    assert list(fresh.seen(picture(portrait), threshold=100)) == []


def test_pictures_of_tracks_are_kept(fresh: Engine, clip: Path) -> None:
    if not fresh.capabilities.pictures:
        pytest.skip("this engine has no 'pictures'")
    ref = fresh.start(request(clip, 0, 4_000), "t1")
    finish(fresh, ref)
    (track,) = fresh.results(ref).tracks
    for kind in ("face", "frame"):
        jpeg = fresh.picture(track.id, kind)
        assert jpeg
        assert jpeg.startswith(b"\xff\xd8")
    assert fresh.picture(track.id, "no-such-kind") is None
    fresh.purge_footage("footage")
    assert fresh.picture(track.id, "face") is None


def matches_of(engine: Engine, gallery: str, key: str, ref: str) -> list[TrackMatch]:
    """Return a run's matches, from wherever this kind of engine tells them."""
    if engine.capabilities.analysis:
        return list(engine.match(gallery, key))
    return [match for page in pages(engine, ref) for match in page.matches]


def _fields(work: object) -> dict[str, object]:
    return {name: getattr(work, name) for name in work.__slots__}  # type: ignore[attr-defined]
