"""Photos and galleries, against Rekognition on this machine."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.aws_stack import AwsPlace
from tests.faces import picture, scaled
from tests.rekognition.conftest import CASE
from vidsearch.engines.rekognition import photos
from vidsearch.engines.rekognition.collections import collection_name
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.errors import AwsNotFound, FaceTooSmall, ImageTooLarge, NotAnImage, UnknownRecord
from vidsearch.media.pictures import load_picture
from vidsearch.model import BoundingBox, FaceDescription

Open = Callable[..., RekognitionEngine]
LEGAL = re.compile(r"[a-zA-Z0-9_.\-]{1,255}")


def size_of(jpeg: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.size


def operations(aws: AwsPlace) -> dict[str, int]:
    return dict(aws.server.calls.told()["operations"])


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["default", "", "ä/ö", "x" * 400, "../../etc", "a b", "a-b", "\n"])
def test_every_case_has_a_legal_collection(case: str) -> None:
    assert LEGAL.fullmatch(collection_name("vidsearch", "f0", case, 1))
    assert LEGAL.fullmatch(collection_name("vidsearch", "f0", case, 12))


def test_no_two_cases_folders_or_generations_share_a_collection() -> None:
    names = {
        collection_name("vidsearch", folder, case, generation)
        for folder in ("f0", "f1")
        for case in ("default", "a/b", "a-b", "a b", "a-b-g2")
        for generation in (1, 2, 3)
    }
    assert len(names) == 2 * 5 * 3


def test_a_face_at_amazon_has_no_name(aws: AwsPlace, engine: RekognitionEngine, open_engine: Open) -> None:
    (collection,) = [
        name for name in aws.rekognition.list_collections()["CollectionIds"] if name.startswith("vidsearch-case")
    ][-1:]
    (face,) = aws.rekognition.list_faces(CollectionId=collection)["Faces"]
    assert re.fullmatch(r"s-[0-9a-f]{40}", face["ExternalImageId"])
    assert engine.faces(CASE) == [face["ExternalImageId"][2:]]


# -- pictures that are sent ------------------------------------------------------------------------------------------


def test_a_large_photo_is_scaled_and_recoded(pixels: np.ndarray) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (4000, 6000, 3), np.uint8)
    sent = photos.whole(picture(noise))
    assert len(sent.jpeg) <= photos.MAX_BYTES
    assert max(size_of(sent.jpeg)) <= photos.MAX_SIDE
    assert (sent.width, sent.height) == (6000, 4000)


def test_a_photo_on_its_side_is_sent_upright_and_without_its_data(pixels: np.ndarray) -> None:
    turned = Image.fromarray(np.rot90(pixels, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Camera of somebody"
    stream = io.BytesIO()
    turned.save(stream, "JPEG", exif=exif, quality=95)
    photo = load_picture(stream.getvalue(), "turned.jpg")
    sent = photos.whole(photo)
    assert b"Camera of somebody" in photo.original
    assert b"Camera" not in sent.jpeg
    assert b"Exif" not in sent.jpeg
    shown = cv2.imdecode(np.frombuffer(sent.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(shown.astype(int) - pixels).mean() < 10


@pytest.mark.parametrize("shape", [(30, 40), (1, 1), (79, 500), (300, 20)])
def test_a_small_picture_gets_a_border(shape: tuple[int, int]) -> None:
    photo = picture(np.full((*shape, 3), 200, np.uint8))
    sent = photos.whole(photo)
    assert min(size_of(sent.jpeg)) >= photos.LEAST_SIDE
    box = sent.to_photo(BoundingBox(0.0, 0.0, 1.0, 1.0), photo)
    assert (box.left, box.top, box.width, box.height) == pytest.approx((0, 0, 1, 1))


def test_other_faces_are_painted_over() -> None:
    pixels = np.full((200, 400, 3), 255, np.uint8)
    pixels[50:100, 50:100] = (255, 0, 0)
    pixels[50:100, 110:160] = (0, 0, 255)
    faces = [FaceDescription(BoundingBox(x / 400, 0.25, 50 / 400, 0.25), 99.0, 50, 50.0, 1.0) for x in (50, 110)]
    sent = photos.crop(picture(pixels), faces, 0)
    shown = cv2.imdecode(np.frombuffer(sent.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    blue = (shown[..., 2] > 200) & (shown[..., 0] < 80)
    assert not blue.any()
    assert size_of(sent.jpeg) == (150, 150)


def test_each_refusal_of_a_picture_is_ours(engine: RekognitionEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Any = engine._galleries._calls
    monkeypatch.setattr(photos, "_jpeg", lambda *_: b"no picture")
    with pytest.raises(NotAnImage):
        engine.describe(picture(np.zeros((100, 100, 3), np.uint8), "odd"))
    with pytest.raises(ImageTooLarge):
        calls.detect_faces(b"\xff\xd8" + b"x" * (6 << 20))


# -- what is paid for ------------------------------------------------------------------------------------------------


def test_a_photo_is_looked_at_once(aws: AwsPlace, open_engine: Open, pixels: np.ndarray) -> None:
    engine = open_engine()
    photo = picture(pixels)
    engine.describe(photo)
    first = engine.enrol(CASE, photo)
    again = engine.enrol(CASE, photo)
    assert again == first
    assert operations(aws)["DetectFaces"] == 1
    assert operations(aws)["IndexFaces"] == 1


def test_a_face_that_is_too_small_is_not_paid_for(aws: AwsPlace, open_engine: Open, pixels: np.ndarray) -> None:
    with pytest.raises(FaceTooSmall, match="as weak"):
        open_engine().enrol(CASE, picture(scaled(pixels, 0.3)))
    assert "IndexFaces" not in operations(aws)


def test_a_face_enrolled_by_a_process_that_died_is_found_again(
    aws: AwsPlace, open_engine: Open, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine._collections, "add", die)
        with pytest.raises(KeyboardInterrupt):
            engine.enrol(CASE, picture(pixels))
    assert len(engine.faces(CASE)) == 1
    assert engine.faces(CASE, older_than_s=3600) == engine.faces(CASE)  # nobody noted when: it counts as old
    held = open_engine().enrol(CASE, picture(pixels))
    assert engine.faces(CASE) == [held.face_id]
    assert engine.faces(CASE, older_than_s=3600) == []


def test_a_stray_face_can_be_forgotten(open_engine: Open, pixels: np.ndarray, aws: AwsPlace) -> None:
    engine = open_engine()
    held = engine.enrol(CASE, picture(pixels))
    with engine._database.changing() as db:
        db.execute("DELETE FROM faces")
    assert engine.faces(CASE) == [held.face_id]
    engine.forget(CASE, [held.face_id])
    assert engine.faces(CASE) == []


def test_a_sound_face_takes_the_place_of_a_weak_one(
    aws: AwsPlace, open_engine: Open, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine()
    photo = picture(pixels)
    index = engine._collections._calls.index_face
    with monkeypatch.context() as patch:
        patch.setattr(
            engine._galleries._calls,
            "index_face",
            lambda *given, gate: (
                {"UnindexedFaces": [{"Reasons": ["LOW_SHARPNESS"]}]} if gate else index(*given, gate=gate)
            ),
        )
        weak = engine.enrol(CASE, photo, allow_weak=True)
    assert weak.weak
    assert engine.enrol(CASE, photo, allow_weak=True) == weak
    sound = engine.enrol(CASE, photo)
    assert (sound.face_id, sound.weak) == (weak.face_id, False)
    assert engine.faces(CASE) == [sound.face_id]
    assert [match.weak for match in engine.search_probe(CASE, photo, threshold=90)] == [False]


def test_faces_are_listed_over_pages(open_engine: Open, pixels: np.ndarray, faults: Callable[..., None]) -> None:
    engine = open_engine()
    held = {engine.enrol(CASE, picture(each)).face_id for each in (pixels, pixels[:, ::-1], scaled(pixels, 0.8))}
    faults(page_size=1, empty_pages=True)
    assert set(engine.faces(CASE)) == held


# -- comparing -------------------------------------------------------------------------------------------------------


def test_a_face_indexed_a_moment_ago_is_asked_for_again(
    open_engine: Open, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine()
    one, two = (engine.enrol(CASE, picture(each)).face_id for each in (pixels, pixels[:, ::-1]))
    monkeypatch.setattr("vidsearch.engines.rekognition.calls.INDEXED_WAIT_S", 0.0)
    client = engine._galleries._calls._clients("rekognition")
    search, late = client.search_faces, [True, True]

    def not_yet(**asked: Any) -> Any:
        if late and late.pop():
            return search(**{**asked, "FaceId": "00000000-0000-4000-8000-000000000000"})
        return search(**asked)

    monkeypatch.setattr(client, "search_faces", not_yet)
    (match,) = engine.compare(CASE, one, [two])
    assert match.similarity > 80
    assert not late


def test_unknown_faces_are_told_apart_from_unlike_ones(engine: RekognitionEngine) -> None:
    (face,) = engine.faces(CASE)
    assert [match.similarity for match in engine.compare(CASE, face, ["unknown", face])] == [0.0, 100.0]
    with pytest.raises(UnknownRecord):
        engine.compare(CASE, "unknown", [face])
    with pytest.raises(UnknownRecord):
        engine.compare("no such case", face, [face])


# -- lost collections, newer models ----------------------------------------------------------------------------------


def collection_of(engine: RekognitionEngine) -> str:
    name = engine._collections.find(CASE)
    assert name is not None
    return name


def test_a_collection_deleted_behind_our_back_is_told_and_made_again(
    aws: AwsPlace, engine: RekognitionEngine, pixels: np.ndarray
) -> None:
    (face,) = engine.faces(CASE)
    lost = collection_of(engine)
    aws.rekognition.delete_collection(CollectionId=lost)
    for call in (
        lambda: engine.faces(CASE),
        lambda: engine.search_probe(CASE, picture(pixels), threshold=90),
        lambda: engine.enrol(CASE, picture(pixels[:, ::-1])),
    ):
        with pytest.raises(AwsNotFound, match=f"{lost} was deleted behind our back; run") as refused:
            call()
        assert "\n" not in str(refused.value)
    version = engine.version
    assert engine.restore(CASE) == 1
    assert engine.version == version
    assert collection_of(engine) != lost
    assert engine.faces(CASE) == [face]
    assert [match.face_id for match in engine.search_probe(CASE, picture(pixels), threshold=90)] == [face]
    assert engine.restore(CASE) == 1
    assert engine.faces(CASE) == [face]


def test_a_newer_model_is_taken_only_when_somebody_says_so(
    aws: AwsPlace, engine: RekognitionEngine, faults: Callable[..., None], pixels: np.ndarray
) -> None:
    before, old = engine.version, collection_of(engine)
    assert engine.newer_model() is None
    faults(model_version="99.0")
    other = engine.enrol("another case", picture(pixels))
    assert other.engine_version == engine.version == before
    assert engine.newer_model() == "99.0"
    assert engine.newer_model() == "99.0"  # nothing is left of looking
    (face,) = engine.faces(CASE)

    engine.adopt("99.0")
    assert engine.version == "fm99.0-1"
    assert engine.gallery_version != before
    again = engine.enrol(CASE, picture(pixels), allow_weak=True)
    assert again.face_id == face
    assert collection_of(engine) != old
    assert engine.faces(CASE) == [face]
    left = aws.rekognition.list_collections()["CollectionIds"]
    assert old not in left
    assert not [name for name in left if "look" in name]


def test_pictures_of_faces_go_when_they_are_forgotten(engine: RekognitionEngine, pixels: np.ndarray) -> None:
    (face,) = engine.faces(CASE)
    other = engine.enrol("another case", picture(pixels))
    kept = engine.face_picture(CASE, face)
    assert kept is not None
    assert max(size_of(kept)) <= photos.CROP_SIDE
    engine.forget(CASE, [face])
    assert engine.face_picture(CASE, face) is None
    assert engine.face_picture("another case", other.face_id) == kept
