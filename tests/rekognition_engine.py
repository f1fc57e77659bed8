"""The Rekognition engine over the AWS of ``aws_stack``, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.aws_stack import AwsPlace
from vidsearch.aws.upload import Uploader
from vidsearch.cuts import Cut, Span, Stretch
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.engines.rekognition.ports import Resources
from vidsearch.model import MediaFacts


class WholeCutter:
    """Sends every recording as it is: fine for those that Rekognition takes. Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[Span]] = []

    def cut(self, path: Path, facts: MediaFacts, size: int, spans: Sequence[Span], out: Path, **_: Any) -> Cut:
        self.asked.append(list(spans))
        return Cut(path, (Stretch(0, 0, facts.duration_ms),), size, made=False)


class CopyCutter(WholeCutter):
    """Makes a file of each recording, as a cutter that must."""

    def cut(self, path: Path, facts: MediaFacts, size: int, spans: Sequence[Span], out: Path, **_: Any) -> Cut:
        whole = super().cut(path, facts, size, spans, out)
        out.write_bytes(path.read_bytes())
        return Cut(out, whole.stretches, size, made=True)


def resources_of(place: AwsPlace, **changed: str) -> Resources:
    given = {
        "bucket": place.bucket,
        "queue_url": place.queue_url,
        "topic_arn": place.topic_arn,
        "role_arn": place.role_arn,
        "prefix": "vidsearch",
    }
    return Resources(**{**given, **changed})


def rekognition_engine(folder: Path, place: AwsPlace, cutter: Any = None, **settings: Any) -> RekognitionEngine:
    """Return an engine of its own folder; polls quickly, and is not held to any rate."""
    resources = settings.pop("resources", None) or resources_of(place)
    uploader = settings.pop("uploader", None) or Uploader(place.clients, resources.bucket)
    given = {"poll_s": 1, "limiter": Limiter.none(), **settings}
    return RekognitionEngine(folder, place.clients, cutter or WholeCutter(), uploader, resources, **given)
