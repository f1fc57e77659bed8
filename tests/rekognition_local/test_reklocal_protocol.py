"""Requests and answers against botocore's model, without any server."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from vidsearch.aws.protocol import Malformed, Protocol, plain

FACE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return Protocol("rekognition")


def test_an_operation_is_named_by_its_target(protocol: Protocol) -> None:
    assert protocol.operation_of("RekognitionService.StartFaceSearch") == "StartFaceSearch"
    for target in ("", "StartFaceSearch", "RekognitionService.", "RekognitionService.Nothing", "S3.StartFaceSearch"):
        with pytest.raises(Malformed) as caught:
            protocol.operation_of(target)
        assert caught.value.code == "UnknownOperationException"


def test_a_sound_request_is_decoded(protocol: Protocol) -> None:
    values = protocol.request(
        "IndexFaces", {"CollectionId": "c", "Image": {"Bytes": "AAEC", "S3Object": None}, "MaxFaces": 3}
    )
    assert values == {"CollectionId": "c", "Image": {"Bytes": b"\x00\x01\x02"}, "MaxFaces": 3}


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("CreateCollection", {}, "Value null at 'collectionId' failed to satisfy constraint: Member must not be null"),
        (
            "CreateCollection",
            {"CollectionId": "two words"},
            r"Value 'two words' at 'collectionId' failed to satisfy constraint: Member must satisfy regular expression "
            r"pattern: [a-zA-Z0-9_.\-]+",
        ),
        (
            "CreateCollection",
            {"CollectionId": "x" * 256},
            f"Value '{'x' * 256}' at 'collectionId' failed to satisfy constraint: Member must have length less than or "
            "equal to 255",
        ),
        ("CreateCollection", {"CollectionId": "c\n"}, "pattern"),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": {"S3Object": {"Bucket": "bb", "Name": "k"}}},
            "Value 'bb' at 'image.s3Object.bucket' failed to satisfy constraint: Member must have length greater than "
            "or equal to 3",
        ),
        (
            "IndexFaces",
            {"CollectionId": "c", "Image": {}, "ExternalImageId": "train/1", "MaxFaces": 0, "QualityFilter": "BEST"},
            "3 validation errors detected: ",
        ),
        ("SearchFaces", {"CollectionId": "c", "FaceId": FACE, "FaceMatchThreshold": 100.5}, "value less than or equal"),
        ("SearchFaces", {"CollectionId": "c", "FaceId": FACE.upper() + "G"}, "'faceId'"),
        ("DeleteFaces", {"CollectionId": "c", "FaceIds": []}, "length greater than or equal to 1"),
        ("DeleteFaces", {"CollectionId": "c", "FaceIds": [FACE, "x"]}, "'faceIds.2.member'"),
        ("TagResource", {"ResourceArn": "arn:" + "x" * 30, "Tags": {"aws:x": "y"}}, "'tags.key'"),
    ],
)
def test_a_broken_constraint_is_told_in_the_service_s_words(
    protocol: Protocol, operation: str, body: dict, said: str
) -> None:
    with pytest.raises(Malformed) as caught:
        protocol.request(operation, body)
    assert caught.value.code == "ValidationException"
    assert said in str(caught.value)
    assert "validation error" in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("CreateCollection", {"CollectionId": 7}),
        ("CreateCollection", {"CollectionId": "c", "Colour": "red"}),
        ("DetectFaces", {"Image": {"Bytes": "not base64!"}}),
        ("DetectFaces", {"Image": "a string"}),
        ("DeleteFaces", {"CollectionId": "c", "FaceIds": "one"}),
        ("SearchFaces", {"CollectionId": "c", "FaceId": FACE, "MaxFaces": "3"}),
    ],
)
def test_the_wrong_type_is_refused(protocol: Protocol, operation: str, body: dict) -> None:
    with pytest.raises(Malformed) as caught:
        protocol.request(operation, body)
    assert caught.value.code == "SerializationException"


def test_tags_may_have_letters_of_any_language(protocol: Protocol) -> None:
    assert protocol.request("TagResource", {"ResourceArn": "arn:" + "x" * 30, "Tags": {"Fälle 7": "ü"}})


def test_an_answer_is_held_to_the_model(protocol: Protocol) -> None:
    assert protocol.answer_faults("CreateCollection", {"StatusCode": 200, "FaceModelVersion": "7.0"}) == []
    assert protocol.answer_faults("StartFaceSearch", {"JobId": "a b"})
    assert protocol.answer_faults("StartFaceSearch", {"JobId": "a", "Extra": 1})
    assert protocol.answer_faults("GetFaceSearch", {"JobStatus": "DONE"})
    assert protocol.answer_faults("GetFaceSearch", {"Persons": [{"Timestamp": "1"}]})
    assert protocol.answer_faults("DescribeCollection", {"CreationTimestamp": datetime.now(UTC)}) == []


@pytest.mark.parametrize("seed", range(60))
def test_what_botocore_refuses_is_refused(protocol: Protocol, seed: int) -> None:
    """Whatever botocore's own validator finds in an answer is found by our faster check as well."""
    rng = random.Random(seed)
    person = {"Index": 1, "Face": {"BoundingBox": {"Left": 0.1}, "Confidence": 99.5}}
    answer = {"JobStatus": "SUCCEEDED", "Persons": [{"Timestamp": 1, "Person": person, "FaceMatches": []}]}
    place: Any = answer
    parent, name, wrong = place, "JobStatus", 7
    while isinstance(place, dict) and place and rng.random() < 0.8:
        parent, name = place, rng.choice(list(place))
        place = place[name][0] if isinstance(place[name], list) and place[name] else place[name]
        wrong = rng.choice(["text", 1, 1.5, True, None, [], {}, b"x", {"Odd": 1}])
    parent[name] = wrong
    shape = Session().get_service_model("rekognition").operation_model("GetFaceSearch").output_shape
    refused = ParamValidator().validate(answer, shape).has_errors()
    assert bool(protocol.answer_faults("GetFaceSearch", answer)) >= refused


def test_values_become_json() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    text = json.dumps({"a": [b"\x00", when], "b": 1.5}, default=plain)
    assert json.loads(text) == {"a": ["AA==", when.timestamp()], "b": 1.5}
    with pytest.raises(TypeError):
        json.dumps({"a": object()}, default=plain)


def test_the_errors_of_an_operation_are_known(protocol: Protocol) -> None:
    assert "IdempotentParameterMismatchException" in protocol.errors_of("StartFaceSearch")
