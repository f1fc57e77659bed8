"""What is forgotten is gone: at Amazon, in the bucket and here, also where a crash came between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.aws_stack import AwsPlace
from tests.faces import finish, picture
from tests.rekognition.conftest import CASE
from tests.rekognition_engine import CopyCutter
from vidsearch.engine import Engine, Page, RunRequest
from vidsearch.engines.rekognition import photos
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.engines.rekognition.seen import Seen, SeenFace
from vidsearch.engines.rekognition.tracks import TracksEngine
from vidsearch.errors import AwsNotFound, ModelMissing, UnknownRecord
from vidsearch.model import BoundingBox, Track

Open = Callable[..., RekognitionEngine]
TRACK = "0123456789abcdef"


def keys(aws: AwsPlace) -> list[str]:
    listed = aws.clients("s3").list_objects_v2(Bucket=aws.bucket)
    return [found["Key"] for found in listed.get("Contents", [])]


# -- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["prepare", "upload", "start", "finish"])
def test_a_recording_that_is_forgotten_leaves_no_copy(
    open_engine: Open, work: RunRequest, pixels: np.ndarray, aws: AwsPlace, tmp_path: Path, until: str
) -> None:
    engine = open_engine(cutter=CopyCutter(), keep_segments=True)
    engine.enrol(CASE, picture(pixels))
    if until == "finish":
        engine.start(work, "t1")
        finish(engine, "t1")
    else:
        getattr(engine, until)(work, "t1")
    assert keys(aws) or list((tmp_path / "engine" / "cuts").iterdir())
    engine.purge_footage(work.footage_key)
    assert keys(aws) == []
    assert list((tmp_path / "engine" / "cuts").iterdir()) == []
    if until != "start":
        with pytest.raises(UnknownRecord):
            engine.results("t1")


def test_another_recording_keeps_its_copies(
    open_engine: Open, work: RunRequest, pixels: np.ndarray, aws: AwsPlace
) -> None:
    engine = open_engine()
    engine.enrol(CASE, picture(pixels))
    engine.upload(work, "t1")
    engine.purge_footage("another")
    assert len(keys(aws)) == 1


# -- faces seen ------------------------------------------------------------------------------------------------------


@pytest.fixture
def seen(engine: RekognitionEngine) -> Seen:
    return engine.seen_faces


@pytest.fixture
def face(pixels: np.ndarray) -> Callable[..., SeenFace]:
    jpeg = photos.whole(picture(pixels)).jpeg
    return lambda track=TRACK, footage="f1", before=lambda: None: SeenFace(track, footage, lambda: before() or jpeg)


@pytest.fixture
def listed(aws: AwsPlace, seen: Seen) -> Callable[[], list[str]]:
    """Return what lists the collection of faces seen."""

    def list_() -> list[str]:
        answer = aws.rekognition.list_faces(CollectionId=seen._name(CASE))
        return [one["ExternalImageId"] for one in answer["Faces"]]

    return list_


def test_a_face_indexed_by_a_process_that_died_goes_with_its_recording(
    seen: Seen, face: Callable[..., SeenFace], listed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = seen._calls.index_face

    def killed(*given: Any, **also: Any) -> None:
        index(*given, **also)
        raise KeyboardInterrupt

    monkeypatch.setattr(seen._calls, "index_face", killed)
    with pytest.raises(KeyboardInterrupt):
        seen.index(CASE, [face()])
    assert listed() == [f"t-{TRACK}"]
    assert seen.known(CASE, "f1") == set()
    assert seen.count(CASE) == 0
    seen.purge("f1")
    assert listed() == []


def test_a_recording_forgotten_while_its_faces_are_sent_leaves_none(
    seen: Seen, face: Callable[..., SeenFace], listed: Callable[[], list[str]]
) -> None:
    seen.index(CASE, [face(before=lambda: seen.purge("f1"))])
    assert listed() == []
    assert seen.known(CASE, "f1") == set()


def test_faces_seen_are_sent_again_where_their_collection_was_deleted(
    engine: RekognitionEngine, seen: Seen, face: Callable[..., SeenFace], listed: Callable[[], list[str]], aws: AwsPlace
) -> None:
    seen.want(CASE, "f1")
    seen.index(CASE, [face()])
    seen.set_sent(CASE, "f1")
    engine.restore(CASE)
    assert seen.known(CASE, "f1") == {TRACK}, "nothing was lost"
    aws.rekognition.delete_collection(CollectionId=seen._name(CASE))
    with pytest.raises(AwsNotFound, match="reindex"):
        seen.index(CASE, [face("ab" * 8)])
    engine.restore(CASE)
    assert (seen.known(CASE, "f1"), seen.unsent(CASE)) == (set(), ["f1"])
    seen.index(CASE, [face()])
    assert listed() == [f"t-{TRACK}"]


def test_a_newer_model_gets_a_collection_of_faces_seen_of_its_own(
    engine: RekognitionEngine, seen: Seen, face: Callable[..., SeenFace], listed: Callable[[], list[str]], aws: AwsPlace
) -> None:
    (known,) = engine.faces(CASE)
    jpeg = engine.face_picture(CASE, known)
    assert jpeg is not None
    seen.want(CASE, "f1")
    seen.index(CASE, [face()])
    seen.set_sent(CASE, "f1")
    assert seen.of_face(CASE, known, jpeg, 70.0)
    old = seen._name(CASE)
    engine.adopt("9.0")
    assert old not in aws.rekognition.list_collections()["CollectionIds"]
    assert (seen.known(CASE, "f1"), seen.unsent(CASE), seen.questions(CASE, [known], more=False)) == (set(), ["f1"], 0)
    assert seen.of_face(CASE, known, jpeg, 70.0) == []
    seen.index(CASE, [face()])
    assert seen._name(CASE) != old
    assert listed() == [f"t-{TRACK}"]
    assert seen.of_face(CASE, known, jpeg, 70.0)


def test_the_older_collection_of_faces_seen_goes_also_after_a_crash(
    engine: RekognitionEngine,
    seen: Seen,
    face: Callable[..., SeenFace],
    aws: AwsPlace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen.index(CASE, [face()])
    old = seen._name(CASE)
    with monkeypatch.context() as crash:
        crash.setattr(seen, "drop_outdated", _killed)
        with pytest.raises(KeyboardInterrupt):
            engine.adopt("9.0")
    assert old in aws.rekognition.list_collections()["CollectionIds"]
    seen.purge("f1")
    assert old not in aws.rekognition.list_collections()["CollectionIds"]


def _killed() -> None:
    raise KeyboardInterrupt


def test_a_track_that_two_processes_sent_goes_whole(
    seen: Seen, face: Callable[..., SeenFace], listed: Callable[[], list[str]], pixels: np.ndarray
) -> None:
    seen.index(CASE, [face()])
    # By another process, which was first to ask and last to write down.
    seen._calls.index_face(seen._name(CASE), photos.whole(picture(pixels[:, ::-1])).jpeg, f"t-{TRACK}", gate=False)
    assert listed() == 2 * [f"t-{TRACK}"]
    seen.purge("f1")
    assert listed() == []


class Finder:
    """An engine that has found a track in each recording."""

    version, settings_key, media_limits = "1", "s", None

    def tracks(self, footage: str, cursor: str | None = None) -> Page:
        return Page(tracks=[Track(footage * 8, 0, 1, 0, BoundingBox(0, 0, 1, 1), 80, 1, 99.0)])


@pytest.fixture
def by_track(engine: RekognitionEngine) -> TracksEngine:
    return TracksEngine(engine, Finder)  # type: ignore[arg-type]


def test_all_that_matching_would_send_is_counted(engine: RekognitionEngine, by_track: TracksEngine) -> None:
    engine.seen_faces.want(CASE, "b1")
    assert by_track.unsent(CASE, ["a1"]) == 2


def test_without_a_finder_all_can_be_forgotten_and_enrolled(
    engine: RekognitionEngine, face: Callable[..., SeenFace], listed: Callable[[], list[str]], pixels: np.ndarray
) -> None:
    def no_models() -> Engine:
        raise ModelMissing("the models are not installed")

    by_track = TracksEngine(engine, no_models)
    (known,) = by_track.faces(CASE)
    engine.seen_faces.index(CASE, [face()])
    by_track.purge_footage("f1")
    assert listed() == []
    by_track.forget(CASE, [known])
    assert by_track.faces(CASE) == []
    assert by_track.enrol(CASE, picture(pixels)).engine_version == by_track.gallery_version
    assert by_track.capabilities.seen
    for wanted in ("settings_key", "version", "media_limits"):
        with pytest.raises(ModelMissing):
            getattr(by_track, wanted)


# -- people ----------------------------------------------------------------------------------------------------------


def test_a_picture_kept_of_a_face_that_was_never_indexed_is_swept_up(engine: RekognitionEngine, tmp_path: Path) -> None:
    (known,) = engine.faces(CASE)
    engine._collections.keep_picture(CASE, "ab" * 20, b"a face")
    assert engine.faces(CASE, older_than_s=3600) == []
    assert engine.faces(CASE) == sorted([known, "ab" * 20])
    engine.forget(CASE, ["ab" * 20])
    assert engine.faces(CASE) == [known]
    assert [path.stem for path in (tmp_path / "engine" / "faces").rglob("*.*")] == [known]


def test_what_was_answered_about_a_face_is_not_left_in_the_log(
    engine: RekognitionEngine, seen: Seen, face: Callable[..., SeenFace], tmp_path: Path
) -> None:
    (known,) = engine.faces(CASE)
    seen.index(CASE, [face()])
    jpeg = engine.face_picture(CASE, known)
    assert jpeg is not None
    assert seen.of_face(CASE, known, jpeg, 70.0)
    engine.forget(CASE, [known])
    for path in (tmp_path / "engine").glob("engine.db*"):
        assert b'[["' + TRACK.encode() not in path.read_bytes(), path
