"""From setup_aws.py to appearances, in separate processes, over HTTP, with real faces."""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.aws.program import Program
from tests.aws_stack import REGION, AwsStack
from tests.footage_maker import crossing

TOLERANCE_S = 0.6
"""Pictures are looked at every 0.2 s by both; a cut may shift the grid."""


@pytest.fixture(scope="module")
def stack(aws_stack: AwsStack) -> AwsStack:
    from vidsearch.rekognition_local.faults import Faults

    aws_stack.server.plan.replace(Faults())
    return aws_stack


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> list[Path]:
    """Return a recording that is sent whole, and one that is split in two, with a visit at the border."""
    folder = tmp_path_factory.mktemp("clips")
    short = crossing(folder / "short.mp4", astronaut, seconds=20, visits=((2.0, 5.0), (12.0, 15.0)))
    long = crossing(folder / "long.mp4", astronaut, seconds=60, visits=((4.0, 7.0), (28.0, 32.0), (50.0, 53.0)))
    return [short, long]


@pytest.fixture(scope="module")
def set_up(stack: AwsStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder in which setup_aws.py has written what it made."""
    data = tmp_path_factory.mktemp("data")
    program = Program(data, stack.environment())
    told = program.python(
        "setup_aws.py", "--region", REGION, "--prefix", "endtoend", "--data", data, "--acknowledge-terms", "--yes"
    )
    assert "Traceback" not in told.stderr
    return data


@pytest.fixture(scope="module")
def enrolled(stack: AwsStack, set_up: Path, clips: list[Path], astronaut: Path, tmp_path_factory: Any) -> Program:
    """Return the program with a person, two recordings, and what the local engine found in them."""
    program = Program(set_up, stack.environment())
    # Recordings of more than 36 s are split.
    (set_up / "settings.toml").write_text("rekognition_max_hours = 0.01\n")
    program("person", "add", "Eileen", astronaut)
    for number, clip in enumerate(clips):
        program("footage", "add", clip, "--camera", f"Gate {number}", "--start", f"2026-11-02T1{number}:00:00+00:00")
    program("search")
    assert len(program.matches("local")) == 5
    return program


@pytest.fixture
def program(enrolled: Program, tmp_path: Path) -> Program:
    """Return a copy to change; the resources are shared."""
    data = tmp_path / "data"
    shutil.copytree(enrolled.data, data)
    return Program(data, enrolled.variables)


@pytest.fixture
def starts(stack: AwsStack):
    """Return a function that tells how many jobs were begun since the test did."""
    stack.server.calls.clear()
    yield lambda: sum(start["new"] for start in stack.server.calls.told()["starts"])
    assert not stack.server.calls.told()["bugs"]


def operations(stack: AwsStack) -> dict[str, int]:
    return stack.server.calls.told()["operations"]


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Assert that two engines found the same visits at the same times."""
    by_time = lambda row: (row["camera"], row["start_s"])  # noqa: E731
    found, expected = sorted(found, key=by_time), sorted(expected, key=by_time)
    assert [(row["person"], row["camera"]) for row in found] == [(row["person"], row["camera"]) for row in expected]
    for one, other in zip(found, expected, strict=True):
        for side in ("start_s", "end_s"):
            assert one[side] == pytest.approx(other[side], abs=TOLERANCE_S), (one, other)


def left_in_bucket(stack: AwsStack, program: Program) -> list[str]:
    bucket = tomllib.loads((program.data / "aws.toml").read_text())["aws_bucket"]
    return [item["Key"] for item in stack.clients("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_all_of_it(stack, program, starts):
    asked = program("search", "--engine", "rekognition", code=2)
    assert "say --yes" in asked.stderr
    assert "$" in asked.stdout
    assert starts() == 0, "nothing is paid for before somebody has agreed"
    program("search", "--engine", "rekognition", "--yes")
    same(program.matches("rekognition"), program.matches("local"))
    assert starts() == 3, "one whole and two pieces"
    assert left_in_bucket(stack, program) == []
    # What is searched is not searched again, and another threshold costs nothing.
    before = operations(stack)
    program("search", "--engine", "rekognition", "--yes")
    assert "searched" not in program("search", "--engine", "rekognition", "--threshold", "75").stdout
    assert starts() == 3
    after = operations(stack)
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}.keys() <= {
        "ListFaces"
    }
    assert program("doctor").returncode == 0


def test_only_where_a_face_may_be(program, starts, stack):
    program("search", "--engine", "rekognition", "--active-only", "--yes")
    same(program.matches("rekognition"), program.matches("local"))
    sent = [start["request"]["Video"]["S3Object"]["Name"] for start in stack.server.calls.told()["starts"]]
    assert len(set(sent)) == starts() == 3
    with closing(sqlite3.connect(program.data / "vidsearch.db")) as db:
        rows = db.execute(
            "SELECT outcome, sum(end_ms - start_ms) FROM examined WHERE engine = 'rekognition' GROUP BY outcome"
        )
        spans = dict(rows.fetchall())
    assert sum(spans.values()) == pytest.approx(80_000, abs=200), "all of it is accounted for"
    assert spans["skipped"] > 20_000


def test_by_the_track(program, starts, stack, clips, astronaut, tmp_path):
    program("search", "--engine", "rekognition", "--by-track", "--yes")
    assert starts() == 0, "no footage leaves the machine"
    same(program.matches("rekognition"), program.matches("local"))
    calls = operations(stack)
    tracks = len(program.matches("local"))
    assert calls["IndexFaces"] <= tracks + 1 + 2, "each track once, and the photo"
    assert calls["SearchFacesByImage"] == 1, "one question for the one face enrolled"
    # Searching again asks nothing.
    program("search", "--engine", "rekognition", "--by-track", "--yes")
    assert operations(stack)["SearchFacesByImage"] == 1
    assert operations(stack)["IndexFaces"] == calls["IndexFaces"]
    # A later suspect costs one question, and no recording is needed.
    for clip in clips:
        clip.rename(clip.with_suffix(".away"))
    try:
        program("--data", program.data, "person", "forget", "Eileen", "--yes")
        assert program.matches("rekognition") == []
        program("person", "add", "Collins", astronaut)
        program("search", "--engine", "rekognition", "--by-track", "--yes")
    finally:
        for clip in clips:
            clip.with_suffix(".away").rename(clip)
    assert {row["person"] for row in program.matches("rekognition")} == {"Collins"}
    assert operations(stack)["SearchFacesByImage"] == 2


def test_forgetting_reaches_amazon(program, stack, starts):
    program("search", "--engine", "rekognition", "--yes")
    program("person", "forget", "Eileen", "--yes")
    assert program.matches("rekognition") == []
    assert operations(stack).get("DeleteFaces", 0) >= 1


def test_a_collection_deleted_behind_our_back(program, stack, starts):
    program("search", "--engine", "rekognition", "--yes")
    with closing(sqlite3.connect(program.data / "rekognition" / "engine.db")) as db:
        ((name,),) = db.execute("SELECT name FROM collections").fetchall()
    stack.clients("rekognition").delete_collection(CollectionId=name)
    told = program("doctor", code=1)
    assert "reindex" in told.stdout
    assert "1 face" in program("person", "reindex", "--engine", "rekognition", "--yes").stdout
    assert program("doctor").returncode == 0
