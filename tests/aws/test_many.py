"""Very many recordings queued at once: no more jobs open than allowed, and all finish. VIDSEARCH_SOAK=1000 for more."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.aws_stack import REGION, AwsPlace
from tests.footage_maker import crossing
from vidsearch.app import open_app
from vidsearch.model import DEFAULT_CASE, Actor
from vidsearch.rekognition_local.faults import Faults
from vidsearch.settings import load_settings
from vidsearch.states import JobState

COUNT = max(20, int(os.environ.get("VIDSEARCH_SOAK", "0")))
OPEN_JOBS, ACCOUNT_JOBS = (15, 5) if COUNT > 100 else (6, 4)
"""Places we would take, and those that the account has: fewer, so that Amazon says so."""
ME = Actor("tester")


@pytest.fixture
def recordings(tmp_path: Path, astronaut: Path) -> list[Path]:
    """Return recordings that differ by a few bytes behind the video, so each is one of its own."""
    one = crossing(tmp_path / "one.mp4", astronaut, seconds=2.0, visits=((0.2, 1.8),)).read_bytes()
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number:04}.mp4").write_bytes(one + struct.pack(">I4sQ", 16, b"free", number))
    return [folder]


def test_all_of_them_finish(aws: AwsPlace, recordings: list[Path], tmp_path: Path, astronaut: Path) -> None:
    # The account has fewer slots free than we think, every seventh call is throttled, answers and messages get lost.
    aws.server.plan.replace(
        Faults(
            max_jobs=ACCOUNT_JOBS,
            throttle_every=7,
            lost_answer_every={"StartFaceSearch": 9},
            lose_every=11,
            duplicate=2,
            reorder=3,
        )
    )
    settings = load_settings(
        tmp_path / "data",
        engine="rekognition",
        aws_region=REGION,
        aws_bucket=aws.bucket,
        aws_topic_arn=aws.topic_arn,
        aws_queue_url=aws.queue_url,
        aws_role_arn=aws.role_arn,
        rekognition_max_jobs=OPEN_JOBS,
        rekognition_deadline_s=5,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.stack.environment().items():
            patch.setenv(name, value)
        with open_app(settings, actor=ME) as app:
            list(app.enrolment.add_photos(ME, DEFAULT_CASE, "Eileen", [astronaut]))
            taken = [
                result.outcome
                for result in app.submission.add(ME, DEFAULT_CASE, recordings, start="2026-11-02T10:00:00+00:00")
            ]
            assert taken == ["taken"] * COUNT
            ids = app.search.submit(ME, app.search.plan(DEFAULT_CASE, threshold=99.0))
            assert len(ids) == COUNT
            most = 0

            def open_now(_: Any) -> None:
                nonlocal most
                most = max(most, app.store.jobs.counts(DEFAULT_CASE).get(JobState.SEARCHING, 0))

            app.worker(on_event=open_now).run(ids)
            assert app.store.jobs.counts(DEFAULT_CASE) == {JobState.SUCCEEDED: COUNT}
            assert app.store.appearances.count(DEFAULT_CASE) == COUNT
    assert most <= OPEN_JOBS
    told = aws.server.calls.told()
    assert sum(start["new"] for start in told["starts"]) == COUNT, "none is paid for twice"
    assert told["errors"].get("LimitExceededException", 0) > 0
    assert not aws.clients("s3").list_objects_v2(Bucket=aws.bucket).get("Contents")
