"""A recording, a face, and engines over the AWS of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.aws_stack import AwsPlace
from tests.faces import load, picture, request
from tests.footage_maker import crossing
from tests.rekognition_engine import rekognition_engine
from vidsearch.engine import Completion, RunRequest
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.rekognition_local.faults import Faults

CASE = "case/1 ä"
"""A gallery whose name no collection may have."""


@pytest.fixture(scope="session")
def recording(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of five seconds in which the portrait's face crosses the picture from 1 to 4 s."""
    return crossing(tmp_path_factory.mktemp("recording") / "crossing.mp4", astronaut, seconds=5)


@pytest.fixture(scope="session")
def pixels(astronaut: Path) -> np.ndarray:
    return load(astronaut)


@pytest.fixture
def work(recording: Path) -> RunRequest:
    return request(recording, 0, 5_000, gallery=CASE)


@pytest.fixture
def open_engine(aws: AwsPlace, tmp_path: Path) -> Iterator[Callable[..., RekognitionEngine]]:
    """Return what opens the engine of one folder, again and again, as after a crash."""
    opened: list[RekognitionEngine] = []

    def open_(name: str = "engine", **settings: Any) -> RekognitionEngine:
        opened.append(rekognition_engine(tmp_path / name, aws, **settings))
        return opened[-1]

    yield open_
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(open_engine: Callable[..., RekognitionEngine], pixels: np.ndarray) -> RekognitionEngine:
    """Return an engine that knows the portrait."""
    made = open_engine()
    made.enrol(CASE, picture(pixels))
    return made


@pytest.fixture
def faults(aws: AwsPlace) -> Callable[..., None]:
    """Return what makes Rekognition misbehave."""
    return lambda **values: aws.server.plan.replace(Faults(**values))


@pytest.fixture
def starts(aws: AwsPlace) -> Callable[[], list[bool]]:
    """Return what tells of each StartFaceSearch that was taken whether it made a job, and so costs money."""
    return lambda: [start["new"] for start in aws.server.calls.told()["starts"]]


def told(engine: RekognitionEngine, *tokens: str, patience_s: float = 30.0) -> dict[str, Completion]:
    """Wait for completions without acknowledging them."""
    found: dict[str, Completion] = {}
    for _ in range(int(patience_s / 0.2)):
        found.update({one.run_ref: one for one in engine.completions(0.2)})
        if set(tokens) <= set(found):
            return found
    raise AssertionError(f"no word of {set(tokens) - set(found)}")
