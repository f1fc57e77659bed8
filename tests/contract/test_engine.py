"""The conformance suite: what every engine must do, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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

from tests.aws_stack import AwsPlace
from tests.fakes.late_engine import LateEngine
from tests.rekognition_engine import rekognition_engine
from vidsearch.engine import Engine
from vidsearch.errors import (
    EngineRefused,
    FaceTooBlurred,
    FaceTooSmall,
    NoFaceFound,
    PhotoRefused,
    SeveralFaces,
    SourceUnavailable,
    VidsearchError,
)
from vidsearch.matching import make_appearances
from vidsearch.media.cutter import Cutter
from vidsearch.model import Footage, MediaFacts, StartSource, Track, TrackMatch

BLANK = np.full((300, 400, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def executor() -> Iterator[Lasting]:
    lasting = Lasting()
    yield lasting
    lasting.end()


@pytest.fixture(scope="module", params=["local", "late", "rekognition"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


Build = Callable[[Path], Engine]


@pytest.fixture
def build(kind: str, models: Path, executor: Lasting, request: pytest.FixtureRequest) -> Build:
    """Return what makes an engine over a folder; the Rekognition engine talks to servers on this machine."""
    if kind == "rekognition":
        place: AwsPlace = request.getfixturevalue("aws")
        return lambda folder: rekognition_engine(folder, place, Cutter())
    if kind == "late":
        return lambda folder: LateEngine(local_engine(folder, models, executor))
    return lambda folder: local_engine(folder, models, executor)


@pytest.fixture(scope="module")
def shared_folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(kind)


@pytest.fixture
def engine(build: Build, shared_folder: Path) -> Iterator[Engine]:
    """Return an engine over a folder that the tests of photos share; each uses a gallery of its own."""
    made = build(shared_folder)
    yield made
    made.close()


@pytest.fixture
def fresh(build: Build, tmp_path: Path) -> Iterator[Engine]:
    """Return an engine that knows nothing."""
    made = build(tmp_path / "engine")
    yield made
    made.close()


@pytest.fixture
def seeking(fresh: Engine, portrait: np.ndarray) -> Engine:
    """Return an engine that knows one face, in gallery ``g``: one that charges does not look for nobody."""
    fresh.enrol("g", picture(portrait))
    return fresh


@pytest.fixture
def gallery(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> np.ndarray:
    return load(astronaut)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Return a recording of 8 s with a face from 1 to 3 s, and from 5.2 to 7.2 s: two visits, more than 2 s apart."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return crossing(path, astronaut, visits=((1.0, 3.0), (5.2, 7.2)))


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


def test_the_same_cursor_gives_the_same_page(seeking: Engine, clip: Path) -> None:
    ref = seeking.start(request(clip, 0, 8_000, gallery="g"), "t1")
    finish(seeking, ref)
    for cursor in [None, *(page.next_cursor for page in pages(seeking, ref) if page.next_cursor)]:
        assert seeking.results(ref, cursor) == seeking.results(ref, cursor)


def test_the_same_token_is_the_same_run(seeking: Engine, clip: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    ref = seeking.start(work, "t1")
    assert seeking.start(work, "t1") == ref
    finish(seeking, ref)
    assert seeking.start(work, "t1") == ref
    assert finish(seeking, ref)[ref].error is None


def test_a_completion_comes_until_it_is_acknowledged(seeking: Engine, clip: Path) -> None:
    ref = seeking.start(request(clip, 0, 1_000, gallery="g"), "t1")
    told = []
    while not told:
        told = seeking.completions(0.2)
    assert ref in {completion.run_ref for completion in seeking.completions(0)}
    finish(seeking, ref)
    for _ in range(6):
        for completion in seeking.completions(0):
            seeking.acknowledge(completion)
    assert seeking.completions(0) == []


def test_runs_of_a_token_survive_the_process_and_the_source(
    build: Build, tmp_path: Path, clip: Path, portrait: np.ndarray
) -> None:
    moved = tmp_path / "clip.mp4"
    moved.write_bytes(clip.read_bytes())
    work = request(moved, 0, 4_000, gallery="g")
    engine = build(tmp_path / "engine")
    engine.enrol("g", picture(portrait))
    ref = engine.start(work, "t1")
    finish(engine, ref)
    before = pages(engine, ref)
    engine.close()
    moved.unlink()
    again = build(tmp_path / "engine")
    assert again.start(work, "t1") == ref
    assert finish(again, ref)[ref].error is None
    assert pages(again, ref) == before
    again.close()


def test_a_source_that_is_gone_fails_in_one_line(seeking: Engine, clip: Path, tmp_path: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    try:
        ref = seeking.start(type(work)(**{**_fields(work), "path": tmp_path / "gone.mp4"}), "t1")
        error = finish(seeking, ref)[ref].error
    except SourceUnavailable as exc:
        # An engine far away finds out before it has a run: it cannot send what is not there.
        assert not seeking.capabilities.reads_in_place
        error = str(exc)
    assert error
    assert "gone.mp4" in error
    assert "\n" not in error


def test_unknown_runs(fresh: Engine) -> None:
    fresh.cancel("no-such-run")
    with pytest.raises(VidsearchError):
        fresh.results("no-such-run")


def test_a_cancelled_run_can_be_started_again(seeking: Engine, clip: Path) -> None:
    work = request(clip, 0, 2_000, gallery="g")
    ref = seeking.start(work, "t1")
    seeking.cancel(ref)
    assert seeking.start(work, "t2") != ref
    finish(seeking, seeking.start(work, "t2"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_face_at_a_border_is_one_visit_in_whatever_order_the_parts_come(
    seeking: Engine, clip: Path, order: tuple[int, ...]
) -> None:
    borders = [0, 2_000, 6_000, 8_000]  # both visits cross a border
    refs = {}
    known: list[str] = []
    for part in order:
        refs[part] = seeking.start(request(clip, borders[part], borders[part + 1], gallery="g"), f"t{part}")
        finish(seeking, refs[part])
        known.append(refs[part])
    tracks = collected(seeking, known)
    if seeking.capabilities.reads_in_place:
        spans = [(track.start_ms, track.end_ms) for track in tracks.values()]
    else:
        # Amazon knows nothing of a recording's other parts: what it tells of them is joined as an appearance.
        spans = _appearances(seeking, tracks, known)
    assert sorted(spans) == [
        (pytest.approx(1_000, abs=500), pytest.approx(2_900, abs=400)),
        (pytest.approx(5_200, abs=500), pytest.approx(7_100, abs=400)),
    ]


def _appearances(engine: Engine, tracks: dict[str, Track], refs: list[str]) -> list[tuple[int, int]]:
    facts = MediaFacts("mp4", "h264", 640, 360, 8_000, 0, 25.0)
    footage = Footage(1, "g", 1, "clip.mp4", 1, 1, "footage", None, 0, StartSource.USER, facts, 0)
    pairs = [(match, 1) for ref in refs for page in pages(engine, ref) for match in page.matches]
    found = make_appearances(footage, tracks, pairs, engine.default_threshold, engine)
    return [(appearance.start_ms, appearance.end_ms) for appearance in found]


# -- capabilities ----------------------------------------------------------------------------------------------------


def test_what_an_engine_cannot_do_it_refuses(fresh: Engine, portrait: np.ndarray) -> None:
    can = fresh.capabilities
    calls = {
        "tracks": (can.analysis, lambda: fresh.tracks("footage")),
        "match": (can.analysis, lambda: list(fresh.match("g", "footage"))),
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
