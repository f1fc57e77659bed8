"""Results that the Lambda function stored in the bucket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.aws_stack import AwsPlace
from tests.faces import finish, pages, picture
from tests.rekognition.conftest import CASE, told
from vidsearch.aws import lambda_handler
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition.bucket import BucketPages, Stored
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.errors import AwsDenied, AwsRefused, EngineError

PREFIX = "vidsearch"

Open = Callable[..., RekognitionEngine]


def run_function(aws: AwsPlace, job_id: str, status: str = "SUCCEEDED") -> None:
    """Do what Lambda does when the topic tells of a job."""
    message = {"JobId": job_id, "Status": status, "API": "StartFaceSearch"}
    event = {"Records": [{"Sns": {"Message": json.dumps(message)}}]}
    store = lambda_handler.Store(aws.clients("s3"), aws.bucket, PREFIX)
    lambda_handler.collect(event, aws.rekognition, store)


def ended(aws: AwsPlace) -> str:
    """Wait for the only job to end and return its id."""
    job_id: str = aws.server.calls.told()["starts"][0]["job"]
    for _ in range(300):
        if aws.rekognition.get_face_search(JobId=job_id, MaxResults=1)["JobStatus"] != "IN_PROGRESS":
            return job_id
        time.sleep(0.1)
    raise AssertionError("the job does not end")


@pytest.fixture
def lazy(open_engine: Open, pixels: np.ndarray) -> RekognitionEngine:
    """Return an engine that reads what the function stored, and asks Amazon only in a long while."""
    engine = open_engine(results="lambda")
    engine.enrol(CASE, picture(pixels))
    return engine


def put(aws: AwsPlace, job_id: str, name: str, body: bytes) -> None:
    aws.clients("s3").put_object(Bucket=aws.bucket, Key=f"{PREFIX}/results/{job_id}/{name}", Body=body)


def test_what_the_function_stored_is_what_amazon_tells(
    lazy: RekognitionEngine, open_engine: Open, aws: AwsPlace, work: RunRequest, faults: Callable[..., None]
) -> None:
    lazy.start(work, "t1")
    job_id = ended(aws)
    assert lazy.completions(1.5) == []  # nothing is stored yet
    faults(page_size=4)
    run_function(aws, job_id)
    faults()
    assert told(lazy, "t1")["t1"].error is None
    asked = aws.server.calls.told()["operations"]["GetFaceSearch"]
    stored = pages(lazy, "t1")
    assert aws.server.calls.told()["operations"]["GetFaceSearch"] == asked
    assert len(stored) > 2
    (whole,) = pages(open_engine(), "t1")
    assert [track for page in stored for track in page.tracks] == list(whole.tracks)
    assert [match for page in stored for match in page.matches] == list(whole.matches)
    assert whole.matches
    for cursor in [None, *(page.next_cursor for page in stored if page.next_cursor)]:
        assert lazy.results("t1", cursor) == lazy.results("t1", cursor)


def test_a_job_that_failed_says_why(
    lazy: RekognitionEngine, aws: AwsPlace, work: RunRequest, faults: Callable[..., None]
) -> None:
    faults(fail_every=1, fail_message="Video is damaged")
    lazy.start(work, "t1")
    run_function(aws, ended(aws), "FAILED")
    error = finish(lazy, "t1")["t1"].error
    assert error is not None
    assert "Video is damaged" in error


def test_where_the_function_never_ran_amazon_is_asked(
    open_engine: Open, aws: AwsPlace, work: RunRequest, pixels: np.ndarray
) -> None:
    engine = open_engine(results="lambda", deadline_ms=1_000, again_ms=300)
    engine.enrol(CASE, picture(pixels))
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None
    assert [match for page in pages(engine, "t1") for match in page.matches]


class NotAsked:
    """Nobody to ask."""

    def read(self, job_id: str, number: int, token: str | None) -> Any:
        raise AssertionError("asked")


def test_pages_that_are_broken_or_gone_are_told_in_one_line(aws: AwsPlace) -> None:
    read = BucketPages(Stored(aws.clients, aws.bucket, PREFIX), NotAsked()).read
    put(aws, "j1", "done.json", json.dumps({"JobId": "j1", "Status": "SUCCEEDED", "Pages": 3}).encode())
    put(aws, "j1", "page-00001.json", b'{"JobStatus": "SUCCEEDED", "Persons": [ ..... ]}')
    put(aws, "j1", "page-00002.json", b"[]")
    for number, token, said in ((0, None, "is not JSON"), (1, "stored:3", "is not what"), (2, "stored:3", "page 3")):
        with pytest.raises(EngineError, match=said) as refused:
            read("j1", number, token)
        assert "\n" not in str(refused.value)


def test_word_that_cannot_be_read_holds_no_other_job_up(
    open_engine: Open, aws: AwsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, filed, stop = open_engine(results="lambda"), [], threading.Event()
    stop.set()
    post = engine._listener._post
    monkeypatch.setattr(post._runs, "open_jobs", lambda: [SimpleNamespace(job_id=one) for one in ("j1", "j2")])
    monkeypatch.setattr(post._inbox, "file", lambda *told: filed.append(told))
    put(aws, "j1", "done.json", b"{")
    put(aws, "j2", "done.json", b'{"Status": "SUCCEEDED"}')
    post.take(stop)
    assert filed == [("j2", "SUCCEEDED", "bucket")]


def test_a_job_that_amazon_does_not_tell_of_holds_no_other_up(
    open_engine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, filed = open_engine(), []

    def ask(job_id: str) -> tuple[str, None]:
        if job_id == "j1":
            raise AwsRefused("cannot read the results: no such job")
        return "SUCCEEDED", None

    listener = engine._listener
    monkeypatch.setattr(listener._runs, "overdue", lambda *_: [SimpleNamespace(job_id=one) for one in ("j1", "j2")])
    monkeypatch.setattr(listener._inbox, "ask", ask)
    monkeypatch.setattr(listener._inbox, "file", lambda *told: filed.append(told))
    listener._ask_overdue()
    assert filed == [("j2", "SUCCEEDED", "asked")]


def test_looking_into_the_bucket_ends_when_the_engine_does(lazy: RekognitionEngine) -> None:
    stop = threading.Event()
    stop.set()
    begun = time.monotonic()
    lazy._listener._post.take(stop)
    assert time.monotonic() - begun < 1


def stored(aws: AwsPlace) -> list[str]:
    listed = aws.clients("s3").list_object_versions(Bucket=aws.bucket, Prefix=f"{PREFIX}/results/")
    return [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in listed.get(kind, [])]


@pytest.mark.parametrize("keeps_versions", [False, True])
@pytest.mark.parametrize("by", ["acknowledging", "forgetting"])
def test_stored_results_go_when_nobody_needs_them(
    lazy: RekognitionEngine, aws: AwsPlace, work: RunRequest, by: str, *, keeps_versions: bool
) -> None:
    if keeps_versions:
        aws.clients("s3").put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    lazy.start(work, "t1")
    run_function(aws, ended(aws))
    (word,) = told(lazy, "t1").values()
    put(aws, "another", "done.json", b"{}")
    assert len(stored(aws)) > 2
    if by == "acknowledging":
        lazy.acknowledge(word)
    else:
        lazy.purge_footage(work.footage_key)
    assert stored(aws) == [f"{PREFIX}/results/another/done.json"]
    if by == "acknowledging":
        assert [match for page in pages(lazy, "t1") for match in page.matches], "Amazon still has them"


def test_results_that_two_attempts_share_stay_for_the_second(
    lazy: RekognitionEngine, aws: AwsPlace, work: RunRequest
) -> None:
    lazy.start(work, "t1")
    run_function(aws, ended(aws))
    first = told(lazy, "t1")["t1"]
    lazy.start(work, "t2")
    lazy.acknowledge(first)
    assert stored(aws)
    lazy.acknowledge(told(lazy, "t2")["t2"])
    assert stored(aws) == []


def test_results_that_may_not_be_removed_hold_no_other_copy_up(
    lazy: RekognitionEngine, work: RunRequest, aws: AwsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy.start(work, "t1")
    run_function(aws, ended(aws))
    (word,) = told(lazy, "t1").values()
    lazy.upload(replace(work, footage_key="another"), "t2")

    def denied(job_id: str) -> None:
        raise AwsDenied("you may not", code="AccessDenied")

    monkeypatch.setattr(lazy._sending, "_drop_results", denied)
    assert len(footage(aws)) == 2
    lazy._inbox.acknowledge(word.run_ref)
    lazy._runs.change("t2", state="done", cancelled=1)
    lazy._sending.tidy()
    assert footage(aws) == []
    monkeypatch.undo()
    lazy._sending.tidy()
    assert stored(aws) == []


def footage(aws: AwsPlace) -> list[str]:
    listed = aws.clients("s3").list_objects_v2(Bucket=aws.bucket, Prefix=f"{PREFIX}/footage/")
    return [one["Key"] for one in listed.get("Contents", [])]
