"""Word of jobs: what messages say, and what becomes of them in the queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws_stack import AwsPlace
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition import listener
from vidsearch.engines.rekognition.calls import Calls
from vidsearch.engines.rekognition.database import Database
from vidsearch.engines.rekognition.inbox import Inbox
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.engines.rekognition.listener import Queue, told_in
from vidsearch.engines.rekognition.runs import Runs
from vidsearch.errors import AwsNotFound

PLAIN = {"JobId": "j1", "Status": "SUCCEEDED", "API": "StartFaceSearch", "Timestamp": 1}


def enveloped(message: Any) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "m", "TopicArn": "arn", "Message": json.dumps(message)})


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [json.dumps(PLAIN), enveloped(PLAIN), json.dumps({"Message": PLAIN})])
def test_a_message_is_read_enveloped_and_raw(body: str) -> None:
    assert told_in(body) == ("j1", "SUCCEEDED")


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ERROR", "failed"])
def test_each_status_is_read(status: str) -> None:
    assert told_in(json.dumps({**PLAIN, "Status": status})) == ("j1", status.upper())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "1",
        '"text"',
        "{}",
        "[" * 100_000,
        json.dumps({"JobId": "j1"}),
        json.dumps({"JobId": 5, "Status": "SUCCEEDED"}),
        json.dumps({"JobId": "", "Status": "SUCCEEDED"}),
        enveloped("the self-test of setup"),
        enveloped(None),
        json.dumps({"Type": "Notification"}),
        json.dumps({"Message": json.dumps({"Message": json.dumps({"Message": json.dumps(PLAIN)})})}),
    ],
)
def test_what_tells_of_no_job_is_nothing(body: str) -> None:
    assert told_in(body) is None


def test_published_messages_are_read(shared_data: Path) -> None:
    folder = shared_data / "aws_json"
    for name in ("guide_api-video__02.json", "guide_video-notification-payload__01.json"):
        message = json.loads((folder / name).read_text())
        assert told_in(json.dumps(message)) == (message["JobId"], "SUCCEEDED")
        assert told_in(enveloped(message)) == (message["JobId"], "SUCCEEDED")
    for path in (folder / "powertools").rglob("*.json"):
        for record in json.loads(path.read_text())["Records"]:
            assert told_in(str(record.get("body"))) is None


# -- the queue -------------------------------------------------------------------------------------------------------


class Desk:
    """A queue, an inbox and the runs it is about; what Amazon would answer is said here."""

    def __init__(self, folder: Path, aws: AwsPlace) -> None:
        self.aws = aws
        self.database = Database(folder / "engine.db")
        self.runs = Runs(self.database)
        self.calls = Calls(aws.clients, Limiter.none())
        self.inbox = Inbox(self.database, self.runs, self.calls)
        self.queue = Queue(aws.clients, aws.queue_url, self.inbox, poll_s=1)
        self.asked: list[str] = []

    def started(self, work: RunRequest, token: str, job_id: str) -> None:
        self.runs.ensure(work, token, 0)
        self.runs.change(token, state="started", job_id=job_id, started_ms=1)
        self.inbox.watch(token)

    def send(self, body: str) -> None:
        self.aws.clients("sqs").send_message(QueueUrl=self.aws.queue_url, MessageBody=body)

    def take(self) -> None:
        self.queue.take(threading.Event())

    def left(self) -> tuple[int, int]:
        """Return how many messages can be received now, and how many later."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.aws.clients("sqs").get_queue_attributes(QueueUrl=self.aws.queue_url, AttributeNames=names)
        return int(told["Attributes"][names[0]]), int(told["Attributes"][names[1]])


@pytest.fixture
def desk(aws: AwsPlace, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, aws)
    yield made
    made.database.close()


@pytest.fixture
def answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sets Amazon's answer to GetFaceSearch."""

    def say(**answer: Any) -> None:
        monkeypatch.setattr(desk.calls, "face_search", lambda job_id, **_: desk.asked.append(job_id) or answer)

    return say


def test_a_message_of_ours_is_filed_and_then_deleted(desk: Desk, work: RunRequest) -> None:
    desk.started(work, "t1", "j1")
    desk.send(enveloped(PLAIN))
    desk.take()
    assert desk.left() == (0, 0)
    assert [(one.run_ref, one.error) for one in desk.inbox.completions(0)] == [("t1", None)]
    assert [(one.run_ref, one.error) for one in desk.inbox.completions(0)] == [("t1", None)]
    desk.inbox.acknowledge("t1")
    assert desk.inbox.completions(0) == []


def test_a_message_that_comes_again_changes_nothing(desk: Desk, work: RunRequest) -> None:
    desk.started(work, "t1", "j1")
    for body in (enveloped(PLAIN), json.dumps(PLAIN), json.dumps({**PLAIN, "Status": "FAILED"})):
        desk.send(body)
        desk.take()
    assert desk.left() == (0, 0)
    assert [one.error for one in desk.inbox.completions(0)] == [None]


def test_a_strangers_message_stays_and_comes_back_later_and_later(
    desk: Desk, work: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []
    change = desk.aws.clients("sqs").change_message_visibility

    def noted(**given: Any) -> Any:
        waits.append(given["VisibilityTimeout"])
        return change(**{**given, "VisibilityTimeout": 0})

    monkeypatch.setattr(desk.aws.clients("sqs"), "change_message_visibility", noted)
    desk.started(work, "t1", "j1")
    desk.send(json.dumps({**PLAIN, "JobId": "of somebody else"}))
    for _ in range(4):
        desk.take()
    assert desk.left() == (1, 0)
    assert waits == [5, 10, 20, 40]
    assert desk.inbox.completions(0) == []


def test_a_message_that_cannot_be_read_stays(desk: Desk) -> None:
    for body in ("no JSON", enveloped("self-test"), "[" * 2000):
        desk.send(body)
    desk.take()
    assert sum(desk.left()) == 3


def test_word_that_comes_before_the_job_is_noted_is_not_lost(
    desk: Desk, work: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LATER_S", 0)
    desk.send(enveloped(PLAIN))
    desk.take()
    desk.started(work, "t1", "j1")
    desk.take()
    assert [one.run_ref for one in desk.inbox.completions(0)] == ["t1"]


@pytest.mark.parametrize("status", ["FAILED", "ERROR"])
def test_why_a_job_failed_is_told_in_one_line(
    desk: Desk, work: RunRequest, answers: Callable[..., None], status: str
) -> None:
    answers(JobStatus="FAILED", StatusMessage="Unsupported codec/format.\nSee the guide.")
    desk.started(work, "t1", "j1")
    desk.send(json.dumps({**PLAIN, "Status": status}))
    desk.take()
    (completion,) = desk.inbox.completions(0)
    assert completion.error is not None
    assert "Unsupported codec/format. See the guide" in completion.error
    assert "H.264" in completion.error
    assert "\n" not in completion.error
    assert desk.left() == (0, 0)


def test_a_job_said_to_have_failed_that_goes_on_is_waited_for(
    desk: Desk, work: RunRequest, answers: Callable[..., None]
) -> None:
    answers(JobStatus="IN_PROGRESS")
    desk.started(work, "t1", "j1")
    desk.send(json.dumps({**PLAIN, "Status": "ERROR"}))
    desk.take()
    assert desk.inbox.completions(0) == []
    assert desk.left() == (0, 1)
    answers(JobStatus="SUCCEEDED")
    assert desk.inbox.file("j1", "ERROR", "queue")
    assert [one.error for one in desk.inbox.completions(0)] == [None]


def test_one_process_files_what_another_one_waits_for(desk: Desk, work: RunRequest, aws: AwsPlace) -> None:
    desk.started(work, "t1", "j1")
    theirs = Inbox(desk.database, desk.runs, desk.calls)
    assert theirs.file("j1", "SUCCEEDED", "queue")
    assert theirs.completions(0) == []
    assert [one.run_ref for one in desk.inbox.completions(5)] == ["t1"]


def test_a_queue_that_is_gone_is_told(desk: Desk) -> None:
    desk.aws.clients("sqs").delete_queue(QueueUrl=desk.aws.queue_url)
    with pytest.raises(AwsNotFound):
        desk.take()
