"""Faces of pictures over HTTP, with boto3 and a real face."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.aws_stack import AwsPlace
from vidsearch.rekognition_local.faults import Faults


def jpeg(pixels: np.ndarray, **options: Any) -> dict[str, bytes]:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, **options)
    return {"Bytes": out.getvalue()}


@pytest.fixture(scope="module")
def pixels(astronaut: Path) -> np.ndarray:
    with Image.open(astronaut) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def two_sizes(pixels: np.ndarray) -> dict[str, bytes]:
    """Return a picture with the face twice: small on the left, large on the right."""
    face = pixels[0:300, 90:360]
    small = np.asarray(Image.fromarray(face).resize((135, 150)))
    canvas = np.full((400, 700, 3), 128, np.uint8)
    canvas[100:250, 60:195], canvas[50:350, 360:630] = small, face
    return jpeg(canvas)


EMPTY = jpeg(np.full((200, 200, 3), 90, np.uint8))


# -- DetectFaces -----------------------------------------------------------------------------------------------------


def test_a_face_is_described_by_what_is_known_of_it(aws: AwsPlace, portrait: dict[str, bytes]) -> None:
    (face,) = aws.rekognition.detect_faces(Image=portrait)["FaceDetails"]
    assert set(face) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    box = face["BoundingBox"]
    points = {point["Type"]: (point["X"], point["Y"]) for point in face["Landmarks"]}
    assert set(points) == {"eyeLeft", "eyeRight", "nose"}
    assert box["Left"] < points["eyeLeft"][0] < points["nose"][0] < points["eyeRight"][0] < box["Left"] + box["Width"]
    assert points["nose"][1] > points["eyeLeft"][1]
    assert set(face["Pose"]) == {"Roll", "Yaw"}
    assert all(abs(angle) < 20 for angle in face["Pose"].values())
    assert 40 < face["Quality"]["Brightness"] < 80
    assert face["Quality"]["Sharpness"] > 5


def test_roll_and_yaw_change_sides_in_the_mirror(aws: AwsPlace, pixels: np.ndarray) -> None:
    turned = np.asarray(Image.fromarray(pixels[0:300, 60:390]).rotate(15, Image.Resampling.BICUBIC))
    (one,) = aws.rekognition.detect_faces(Image=jpeg(turned))["FaceDetails"]
    (other,) = aws.rekognition.detect_faces(Image=jpeg(np.ascontiguousarray(turned[:, ::-1])))["FaceDetails"]
    assert one["Pose"]["Roll"] < -5 < 5 < other["Pose"]["Roll"]
    assert one["Pose"]["Yaw"] == pytest.approx(-other["Pose"]["Yaw"], abs=6)


def test_boxes_are_those_of_the_upright_picture(aws: AwsPlace, pixels: np.ndarray, portrait: dict[str, bytes]) -> None:
    lying = np.ascontiguousarray(np.rot90(pixels))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise to stand upright
    (face,) = aws.rekognition.detect_faces(Image=jpeg(lying, exif=exif))["FaceDetails"]
    (upright,) = aws.rekognition.detect_faces(Image=portrait)["FaceDetails"]
    for side, value in upright["BoundingBox"].items():
        assert face["BoundingBox"][side] == pytest.approx(value, abs=0.02)


def test_faces_come_largest_first(aws: AwsPlace, two_sizes: dict[str, bytes]) -> None:
    faces = aws.rekognition.detect_faces(Image=two_sizes)["FaceDetails"]
    assert len(faces) == 2
    assert faces[0]["BoundingBox"]["Width"] > 1.5 * faces[1]["BoundingBox"]["Width"]


def test_no_face_is_no_error(aws: AwsPlace) -> None:
    assert aws.rekognition.detect_faces(Image=EMPTY)["FaceDetails"] == []


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ({"Bytes": b"GIF89a..."}, "InvalidImageFormatException"),
        ({"Bytes": b"\xff\xd8\xff\xe0 cut off"}, "InvalidImageFormatException"),
        ({"Bytes": b"\xff\xd8\xff" + bytes(5 << 20)}, "ImageTooLargeException"),
        (jpeg(np.zeros((79, 200, 3), np.uint8)), "InvalidParameterException"),
        ({}, "InvalidParameterException"),
        ({**EMPTY, "S3Object": {"Bucket": "bucket", "Name": "key"}}, "InvalidParameterException"),
        ({"S3Object": {"Bucket": "bucket"}}, "InvalidParameterException"),
        ({"S3Object": {"Bucket": "no-such-bucket-anywhere", "Name": "key"}}, "InvalidS3ObjectException"),
    ],
)
def test_a_picture_that_cannot_be_used(aws: AwsPlace, image: dict[str, Any], error: str) -> None:
    with pytest.raises(getattr(aws.rekognition.exceptions, error)):
        aws.rekognition.detect_faces(Image=image)


def test_a_picture_in_s3(aws: AwsPlace, astronaut: Path, tmp_path: Path) -> None:
    assert len(aws.rekognition.detect_faces(Image=aws.upload(astronaut, "photos/a b.png"))["FaceDetails"]) == 1
    large = tmp_path / "large.jpg"
    large.write_bytes(b"\xff\xd8\xff" + bytes(15 << 20))
    with pytest.raises(aws.rekognition.exceptions.ImageTooLargeException):
        aws.rekognition.detect_faces(Image=aws.upload(large, "large.jpg"))


# -- CompareFaces ----------------------------------------------------------------------------------------------------


def test_the_largest_face_is_compared_with_all(
    aws: AwsPlace, portrait: dict[str, bytes], two_sizes: dict[str, bytes]
) -> None:
    answer = aws.rekognition.compare_faces(SourceImage=portrait, TargetImage=two_sizes)
    assert len(answer["FaceMatches"]) == 2
    assert answer["UnmatchedFaces"] == []
    assert answer["FaceMatches"][0]["Similarity"] >= answer["FaceMatches"][1]["Similarity"] >= 80
    assert answer["SourceImageFace"]["Confidence"] > 50
    strict = aws.rekognition.compare_faces(SourceImage=portrait, TargetImage=two_sizes, SimilarityThreshold=100)
    assert len(strict["FaceMatches"]) + len(strict["UnmatchedFaces"]) == 2
    with pytest.raises(aws.rekognition.exceptions.InvalidParameterException):
        aws.rekognition.compare_faces(SourceImage=EMPTY, TargetImage=portrait)
    empty = aws.rekognition.compare_faces(SourceImage=portrait, TargetImage=EMPTY)
    assert empty["FaceMatches"] == empty["UnmatchedFaces"] == []


# -- IndexFaces ------------------------------------------------------------------------------------------------------


def test_a_face_is_indexed_once(
    aws: AwsPlace, collection: str, portrait: dict[str, bytes], known: dict[str, Any]
) -> None:
    again = aws.rekognition.index_faces(CollectionId=collection, Image=portrait, ExternalImageId="eileen")
    assert again["FaceRecords"][0]["Face"] == known
    assert again["FaceModelVersion"] == "7.0"
    assert known["ExternalImageId"] == "eileen"
    for name in ("FaceId", "ImageId"):
        assert str(uuid.UUID(known[name])) == known[name]
    other = aws.rekognition.index_faces(CollectionId=collection, Image=portrait)["FaceRecords"][0]["Face"]
    assert other["FaceId"] != known["FaceId"]
    assert "ExternalImageId" not in other
    assert other["ImageId"] == known["ImageId"]
    assert aws.rekognition.describe_collection(CollectionId=collection)["FaceCount"] == 2


def test_all_faces_of_a_picture_get_its_name(aws: AwsPlace, collection: str, two_sizes: dict[str, bytes]) -> None:
    both = aws.rekognition.index_faces(CollectionId=collection, Image=two_sizes, ExternalImageId="crowd")
    assert [record["Face"]["ExternalImageId"] for record in both["FaceRecords"]] == ["crowd", "crowd"]
    assert both["UnindexedFaces"] == []
    detail = both["FaceRecords"][0]["FaceDetail"]
    assert detail["BoundingBox"] == both["FaceRecords"][0]["Face"]["BoundingBox"]


def test_the_largest_are_kept(aws: AwsPlace, collection: str, two_sizes: dict[str, bytes]) -> None:
    one = aws.rekognition.index_faces(CollectionId=collection, Image=two_sizes, MaxFaces=1)
    (record,), (left_out,) = one["FaceRecords"], one["UnindexedFaces"]
    assert left_out["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert record["FaceDetail"]["BoundingBox"]["Width"] > left_out["FaceDetail"]["BoundingBox"]["Width"]


def test_the_quality_filter_leaves_out_what_is_small_or_blurred(
    aws: AwsPlace, collection: str, pixels: np.ndarray
) -> None:
    def reasons(image: dict[str, bytes], quality: str) -> list[str]:
        answer = aws.rekognition.index_faces(CollectionId=collection, Image=image, QualityFilter=quality)
        assert len(answer["FaceRecords"]) + len(answer["UnindexedFaces"]) == 1
        return [reason for face in answer["UnindexedFaces"] for reason in face["Reasons"]]

    face = Image.fromarray(pixels[0:300, 60:390])
    small = jpeg(np.asarray(face.resize((110, 100))))
    assert reasons(small, "AUTO") == ["SMALL_BOUNDING_BOX"]
    assert reasons(small, "NONE") == []
    middling = jpeg(np.asarray(face.resize((176, 160))))
    assert reasons(middling, "AUTO") == reasons(middling, "LOW") == []
    assert reasons(middling, "HIGH") == ["SMALL_BOUNDING_BOX"]
    soft = jpeg(np.asarray(face.resize((60, 54)).resize((330, 300), Image.Resampling.BICUBIC)))
    assert reasons(soft, "HIGH") == reasons(soft, "AUTO") == ["LOW_SHARPNESS"]


def test_no_face_indexes_nothing(aws: AwsPlace, collection: str) -> None:
    answer = aws.rekognition.index_faces(CollectionId=collection, Image=EMPTY)
    assert answer["FaceRecords"] == answer["UnindexedFaces"] == []


# -- SearchFaces, SearchFacesByImage -----------------------------------------------------------------------------------


def test_a_picture_finds_the_indexed_face(
    aws: AwsPlace, collection: str, two_sizes: dict[str, bytes], known: dict[str, Any]
) -> None:
    answer = aws.rekognition.search_faces_by_image(CollectionId=collection, Image=two_sizes)
    (match,) = answer["FaceMatches"]
    assert match["Face"] == known
    assert match["Similarity"] > 90
    assert answer["SearchedFaceBoundingBox"]["Left"] > 0.5  # the larger of the two
    assert answer["FaceModelVersion"] == "7.0"
    assert answer["SearchedFaceConfidence"] > 50
    none = aws.rekognition.search_faces_by_image(CollectionId=collection, Image=two_sizes, FaceMatchThreshold=100)
    assert none["FaceMatches"] == []


def test_a_picture_without_a_face_is_an_invalid_parameter(aws: AwsPlace, collection: str, pixels: np.ndarray) -> None:
    with pytest.raises(aws.rekognition.exceptions.InvalidParameterException) as caught:
        aws.rekognition.search_faces_by_image(CollectionId=collection, Image=EMPTY)
    assert "no faces" in caught.value.response["Error"]["Message"]
    small = jpeg(np.asarray(Image.fromarray(pixels[0:300, 60:390]).resize((110, 100))))
    aws.rekognition.search_faces_by_image(CollectionId=collection, Image=small)
    with pytest.raises(aws.rekognition.exceptions.InvalidParameterException):
        aws.rekognition.search_faces_by_image(CollectionId=collection, Image=small, QualityFilter="HIGH")


def test_a_face_finds_the_others_and_not_itself(
    aws: AwsPlace, collection: str, two_sizes: dict[str, bytes], known: dict[str, Any]
) -> None:
    aws.rekognition.index_faces(CollectionId=collection, Image=two_sizes, ExternalImageId="crowd")
    answer = aws.rekognition.search_faces(CollectionId=collection, FaceId=known["FaceId"])
    assert answer["SearchedFaceId"] == known["FaceId"]
    assert [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]] == ["crowd", "crowd"]
    scores = [match["Similarity"] for match in answer["FaceMatches"]]
    assert scores == sorted(scores, reverse=True)
    first = aws.rekognition.search_faces(CollectionId=collection, FaceId=known["FaceId"], MaxFaces=1)
    assert first["FaceMatches"] == answer["FaceMatches"][:1]
    with pytest.raises(aws.rekognition.exceptions.InvalidParameterException) as caught:
        aws.rekognition.search_faces(CollectionId=collection, FaceId=str(uuid.uuid4()))
    assert "was not found in the collection" in str(caught.value)


# -- ListFaces, DeleteFaces ------------------------------------------------------------------------------------------


def test_faces_are_listed_in_pages(aws: AwsPlace, collection: str, portrait: dict[str, bytes]) -> None:
    for number in range(5):
        aws.rekognition.index_faces(CollectionId=collection, Image=portrait, ExternalImageId=f"n{number}")
    aws.server.plan.replace(Faults(page_size=2))
    pages = list(aws.rekognition.get_paginator("list_faces").paginate(CollectionId=collection))
    assert [len(page["Faces"]) for page in pages] == [2, 2, 1]
    listed = [face for page in pages for face in page["Faces"]]
    assert [face["ExternalImageId"] for face in listed] == [f"n{number}" for number in range(5)]
    some = aws.rekognition.list_faces(CollectionId=collection, FaceIds=[listed[3]["FaceId"], str(uuid.uuid4())])
    assert some["Faces"] == [listed[3]]


def test_a_deleted_face_is_found_no_more(
    aws: AwsPlace, collection: str, portrait: dict[str, bytes], known: dict[str, Any]
) -> None:
    twin = aws.rekognition.index_faces(CollectionId=collection, Image=portrait, ExternalImageId="twin")
    stranger = str(uuid.uuid4())
    gone = aws.rekognition.delete_faces(CollectionId=collection, FaceIds=[known["FaceId"], stranger])
    assert gone["DeletedFaces"] == [known["FaceId"]]
    assert gone["UnsuccessfulFaceDeletions"] == [{"FaceId": stranger, "Reasons": ["FACE_NOT_FOUND"]}]
    left = aws.rekognition.search_faces_by_image(CollectionId=collection, Image=portrait)["FaceMatches"]
    assert [match["Face"]["ExternalImageId"] for match in left] == ["twin"]
    aws.rekognition.delete_faces(CollectionId=collection, FaceIds=[twin["FaceRecords"][0]["Face"]["FaceId"]])
    assert aws.rekognition.search_faces_by_image(CollectionId=collection, Image=portrait)["FaceMatches"] == []


def test_a_collection_made_again_is_empty(
    aws: AwsPlace, collection: str, portrait: dict[str, bytes], known: dict[str, Any]
) -> None:
    aws.rekognition.delete_collection(CollectionId=collection)
    aws.rekognition.create_collection(CollectionId=collection)
    assert aws.rekognition.list_faces(CollectionId=collection)["Faces"] == []
    assert aws.rekognition.search_faces_by_image(CollectionId=collection, Image=portrait)["FaceMatches"] == []
