"""A collection and a recording that several tests share."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.aws_stack import AwsPlace
from tests.footage_maker import crossing


@pytest.fixture(scope="session")
def clip(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of five seconds in which the portrait's face crosses the picture from 1 to 4 s."""
    return crossing(tmp_path_factory.mktemp("clip") / "crossing.mp4", astronaut, seconds=5)


@pytest.fixture
def portrait(astronaut: Path) -> dict[str, bytes]:
    """Return the portrait as an ``Image``."""
    return {"Bytes": astronaut.read_bytes()}


@pytest.fixture
def collection(aws: AwsPlace) -> str:
    """Return an empty collection."""
    name = f"people-{uuid.uuid4().hex[:8]}"
    aws.rekognition.create_collection(CollectionId=name)
    return name


@pytest.fixture
def known(aws: AwsPlace, collection: str, portrait: dict[str, bytes]) -> dict[str, Any]:
    """Index the portrait into the collection as ``eileen`` and return the Face."""
    answer = aws.rekognition.index_faces(CollectionId=collection, Image=portrait, ExternalImageId="eileen")
    face: dict[str, Any] = answer["FaceRecords"][0]["Face"]
    return face
