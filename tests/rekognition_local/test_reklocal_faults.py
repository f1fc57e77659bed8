"""Faults to order, and what the server tells of how it was used."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from tests.aws_stack import AwsPlace
from vidsearch.errors import UsageError
from vidsearch.rekognition_local.faults import FaultPlan, Faults
from vidsearch.rekognition_local.refusals import ORDERED, Refusal


@pytest.fixture
def once(aws: AwsPlace) -> Any:
    """Return a client that tries everything once."""
    return aws.clients("rekognition", attempts=1)


@pytest.fixture
def video(aws: AwsPlace, clip: Path) -> dict[str, Any]:
    return aws.upload(clip, "clip.mp4")


def outcomes(call: Any, times: int) -> list[str]:
    """Return the error code of each of several calls, or an empty word where it was answered."""
    codes = []
    for _ in range(times):
        try:
            call()
        except ClientError as exc:
            codes.append(exc.response["Error"]["Code"])
        except HTTPClientError:
            codes.append("cut")
        else:
            codes.append("")
    return codes


def start(aws: AwsPlace, client: Any, video: dict[str, Any], collection: str, **options: Any) -> str:
    answer = client.start_face_search(Video=video, CollectionId=collection, NotificationChannel=aws.channel, **options)
    return str(answer["JobId"])


# -- calls -----------------------------------------------------------------------------------------------------------


def test_every_nth_call_is_throttled(aws: AwsPlace, once: Any) -> None:
    aws.server.plan.replace(Faults(throttle_every={"ListCollections": 3}))
    throttled = "ProvisionedThroughputExceededException"
    assert outcomes(once.list_collections, 7) == ["", "", throttled, "", "", throttled, ""]
    assert outcomes(lambda: once.list_faces(CollectionId="nobody"), 3) == ["ResourceNotFoundException"] * 3
    aws.server.plan.replace(Faults(throttle_every=1, throttle_with="ThrottlingException"))
    assert outcomes(once.list_collections, 1) == ["ThrottlingException"]


@pytest.mark.parametrize("code", sorted(ORDERED))
def test_an_ordered_error_keeps_nothing_of_the_call_before(code: str) -> None:
    plan = FaultPlan(Faults(throttle_every=1, throttle_with=code))
    raised = []
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            plan.before("ListFaces")
        assert caught.value.code == code
        assert (caught.value.status == 500) == (code == "InternalServerError")
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_boto3_gets_over_it(aws: AwsPlace) -> None:
    aws.server.plan.replace(Faults(throttle_every=2, error_every=3))
    for _ in range(4):
        aws.rekognition.list_collections()
    told = aws.server.calls.told()
    assert told["operations"]["ListCollections"] > 4
    assert told["errors"] == Counter(told["errors"])
    assert set(told["errors"]) == {"ProvisionedThroughputExceededException", "InternalServerError"}


def test_named_operations_win_over_all(aws: AwsPlace, once: Any) -> None:
    aws.server.plan.replace(Faults(error_every={"*": 1, "ListCollections": 2}))
    assert outcomes(once.list_collections, 2) == ["", "InternalServerError"]
    assert outcomes(lambda: once.create_collection(CollectionId="x"), 1) == ["InternalServerError"]


def test_slow_answers(aws: AwsPlace, once: Any) -> None:
    aws.server.plan.replace(Faults(slow_s=0.3))
    began = time.monotonic()
    once.list_collections()
    assert time.monotonic() - began >= 0.3


def test_a_lost_answer_was_carried_out_and_its_repetition_is_the_same_job(
    aws: AwsPlace, once: Any, video: dict[str, Any], collection: str
) -> None:
    aws.server.plan.replace(Faults(lost_answer_every={"StartFaceSearch": 2}))
    start(aws, once, video, collection)
    assert outcomes(lambda: start(aws, once, video, collection, ClientRequestToken="t-1"), 1) == ["cut"]
    start(aws, once, video, collection, ClientRequestToken="t-1")
    starts = aws.server.calls.told()["starts"]
    assert [entry["new"] for entry in starts] == [True, True, False]
    assert starts[1]["job"] == starts[2]["job"]
    assert len(aws.messages(2)) == 2


def test_a_role_that_is_not_known_yet(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(deny_starts=2))
    begin = lambda: start(aws, once, video, collection)  # noqa: E731
    assert outcomes(begin, 3) == ["AccessDeniedException", "AccessDeniedException", ""]
    aws.server.plan.replace(Faults(deny_starts=1, deny_with="InvalidParameterException"))
    assert outcomes(begin, 2) == ["InvalidParameterException", ""]
    assert len(aws.server.calls.told()["starts"]) == 2
    assert len(aws.messages(2)) == 2


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_no_more_jobs_than_the_limit(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(max_jobs=2, job_s=30))
    first = start(aws, once, video, collection, ClientRequestToken="first")
    start(aws, once, video, collection)
    with pytest.raises(once.exceptions.LimitExceededException) as caught:
        start(aws, once, video, collection)
    assert caught.value.response["Error"]["Message"] == (
        "2 open Jobs for User arn:aws:iam::123456789012:root Maximum limit: 2"
    )
    assert start(aws, once, video, collection, ClientRequestToken="first") == first  # takes no slot
    aws.server.plan.replace(Faults(max_jobs=2))
    assert len(aws.messages(2)) == 2
    start(aws, once, video, collection)
    assert aws.messages()


def test_failed_jobs_and_error_messages(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(fail_every=2, fail_message="Video cannot be read.", error_status=True))
    jobs = []
    said = []
    for _ in range(3):
        jobs.append(start(aws, once, video, collection))
        said += aws.messages()
    assert [message["Status"] for message in said] == ["SUCCEEDED", "ERROR", "SUCCEEDED"]
    answer = once.get_face_search(JobId=jobs[1])
    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", "Video cannot be read.")
    aws.server.plan.replace(Faults(fail_every=1))
    start(aws, once, video, collection)
    assert aws.messages()[0]["Status"] == "FAILED"


# -- messages --------------------------------------------------------------------------------------------------------


def test_messages_twice_and_of_strangers(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(duplicate=2, strangers=1))
    job = start(aws, once, video, collection)
    told = Counter(message["JobId"] for message in aws.messages(3))
    assert told.pop(job) == 2
    assert list(told.values()) == [1]
    with pytest.raises(once.exceptions.ResourceNotFoundException):
        once.get_face_search(JobId=next(iter(told)))


def test_a_lost_message(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(lose_every=2))
    jobs = [start(aws, once, video, collection) for _ in range(3)]
    assert {message["JobId"] for message in aws.messages(3, patience=3)} == {jobs[0], jobs[2]}
    assert once.get_face_search(JobId=jobs[1])["JobStatus"] == "SUCCEEDED"


def test_messages_come_late_and_in_another_order(
    aws: AwsPlace, once: Any, video: dict[str, Any], collection: str
) -> None:
    aws.server.plan.replace(Faults(reorder=3, reorder_wait_s=20))
    jobs = [start(aws, once, video, collection) for _ in range(3)]
    assert [message["JobId"] for message in aws.messages(3)] == jobs[::-1]
    aws.server.plan.replace(Faults(reorder=3, reorder_wait_s=0.3))
    alone = start(aws, once, video, collection)
    assert [message["JobId"] for message in aws.messages()] == [alone]
    aws.server.plan.replace(Faults(delay_s=1.5))
    late = start(aws, once, video, collection)
    assert aws.messages(patience=1) == []
    assert once.get_face_search(JobId=late)["JobStatus"] == "SUCCEEDED"
    assert [message["JobId"] for message in aws.messages()] == [late]


def test_a_topic_that_is_gone_stops_nothing(aws: AwsPlace, once: Any, video: dict[str, Any], collection: str) -> None:
    nowhere = {**aws.channel, "SNSTopicArn": aws.topic_arn + "-gone"}
    once.start_face_search(Video=video, CollectionId=collection, NotificationChannel=nowhere)
    job = start(aws, once, video, collection)
    assert [message["JobId"] for message in aws.messages()] == [job]


# -- pages -----------------------------------------------------------------------------------------------------------


def test_small_pages_empty_pages_and_tokens_that_expire(
    aws: AwsPlace, once: Any, video: dict[str, Any], collection: str
) -> None:
    job = start(aws, once, video, collection)
    assert aws.messages()
    entries = once.get_face_search(JobId=job)["Persons"]
    aws.server.plan.replace(Faults(page_size=4, empty_pages=True, expire_after_pages=2))
    first = once.get_face_search(JobId=job)
    assert first["Persons"] == []
    second = once.get_face_search(JobId=job, NextToken=first["NextToken"])
    assert second["Persons"] == entries[:4]
    with pytest.raises(once.exceptions.InvalidPaginationTokenException):
        once.get_face_search(JobId=job, NextToken=second["NextToken"])
    found: list[Any] = []
    token = once.get_face_search(JobId=job)["NextToken"]
    while token:
        page = once.get_face_search(JobId=job, NextToken=token)
        found += page["Persons"]
        token = page.get("NextToken")
    assert found == entries


# -- how they are ordered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "[]",
        "{",
        '{"no_such_fault": 1}',
        '{"throttle_every": -1}',
        '{"throttle_every": 1.5}',
        '{"throttle_every": {"GetFaceSearch": "3"}}',
        '{"throttle_with": "SomethingElse"}',
        '{"error_status": 1}',
        '{"max_jobs": true}',
        '{"fail_message": 7}',
        "/no/such/file.json",
    ],
)
def test_what_is_no_fault_is_told(given: str) -> None:
    with pytest.raises(UsageError):
        Faults.parse(given)


def test_faults_from_json_or_a_file(tmp_path: Path) -> None:
    values = {"throttle_every": {"GetFaceSearch": 3}, "slow_s": 1, "max_jobs": 5, "empty_pages": True}
    faults = Faults.parse(json.dumps(values))
    assert (faults.throttle_every, faults.slow_s, faults.max_jobs) == ({"GetFaceSearch": 3}, 1, 5)
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(faults.as_json()))
    assert Faults.parse(str(path)) == faults


def test_every_fault_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "rekognition-local.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert set(Faults().as_json()) == {name for name in documented if not name.startswith("-")}
