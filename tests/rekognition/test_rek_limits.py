from __future__ import annotations

import pytest

from vidsearch.engines.rekognition.limits import Limiter, allowed


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("operation", "region", "rate"),
    [
        ("StartFaceSearch", "us-east-1", 5),
        ("GetFaceSearch", "us-east-1", 20),
        ("GetFaceSearch", "us-gov-west-1", 20),
        ("GetFaceSearch", "eu-central-1", 5),
        ("IndexFaces", "eu-west-1", 50),
        ("SearchFacesByImage", "eu-central-1", 5),
        ("ListFaces", "us-gov-west-1", 5),
        ("DetectFaces", "us-west-2", 100),
        ("DetectFaces", "eu-central-1", 25),
        ("CreateCollection", "us-east-1", 5),
    ],
)
def test_quotas_are_those_of_the_region(operation: str, region: str, rate: float) -> None:
    assert allowed(operation, region) == rate


def test_a_seconds_worth_goes_at_once_and_the_rest_evenly() -> None:
    clock = Clock()
    limiter = Limiter(lambda operation: 5.0, clock=clock, sleep=clock.sleep)
    for _ in range(5):
        limiter.wait("GetFaceSearch")
    assert clock.slept == []
    for _ in range(10):
        limiter.wait("GetFaceSearch")
    assert clock.now == pytest.approx(102.0)
    assert clock.slept == pytest.approx([0.2] * 10)


def test_operations_do_not_hold_each_other_up() -> None:
    clock = Clock()
    limiter = Limiter(lambda operation: 1.0, clock=clock, sleep=clock.sleep)
    limiter.wait("GetFaceSearch")
    limiter.wait("StartFaceSearch")
    assert clock.slept == []


def test_a_rest_makes_up_for_no_more_than_a_second() -> None:
    clock = Clock()
    limiter = Limiter(lambda operation: 2.0, clock=clock, sleep=clock.sleep)
    clock.now += 1000
    for _ in range(4):
        limiter.wait("x")
    assert clock.now == pytest.approx(1101.0)
