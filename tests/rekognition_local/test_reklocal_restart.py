"""What a server knows outlives it; and what is too old is forgotten."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import HTTPClientError

from tests.aws_stack import REGION, SERVICES, AwsPlace
from vidsearch.aws.session import Clients
from vidsearch.rekognition_local.faults import Faults
from vidsearch.rekognition_local.server import LocalRekognition

HOUR_MS = 3_600_000


class Clock:
    """The real one, and whatever is added."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


Serve = Callable[..., Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(aws: AwsPlace, models: Path, tmp_path: Path, clock: Clock) -> Serve:
    """Return a function that serves a folder of the test's own, and gives a client and the server."""

    @contextmanager
    def served(**options: Any) -> Iterator[tuple[Any, LocalRekognition]]:
        with ExitStack() as stack:
            server = stack.enter_context(
                LocalRekognition(
                    tmp_path / "own",
                    models,
                    clients=aws.clients,
                    executor=lambda: aws.stack.executor,
                    now=clock,
                    **options,
                )
            )
            endpoints = {**dict.fromkeys(SERVICES, aws.stack.moto_url), "rekognition": server.url}
            clients = Clients(REGION, endpoints=endpoints, attempts=1)
            stack.callback(clients.close)
            yield clients("rekognition"), server
            assert not server.calls.told()["bugs"]

    return served


def test_collections_jobs_and_results_outlive_the_server(
    aws: AwsPlace, serve: Serve, clip: Path, portrait: dict[str, bytes]
) -> None:
    video = aws.upload(clip, "clip.mp4")
    request = {"Video": video, "CollectionId": "people", "NotificationChannel": aws.channel}
    with serve(faults=Faults(job_s=600)) as (client, _):
        client.create_collection(CollectionId="people", Tags={"a": "b"})
        face = client.index_faces(CollectionId="people", Image=portrait)["FaceRecords"][0]["Face"]
        job = client.start_face_search(**request, ClientRequestToken="one")["JobId"]
        assert client.get_face_search(JobId=job)["JobStatus"] == "IN_PROGRESS"
    assert aws.messages(patience=1) == []
    with serve() as (client, _):
        assert [message["JobId"] for message in aws.messages()] == [job]
        before = client.get_face_search(JobId=job, MaxResults=2)
        assert before["Persons"][0]["FaceMatches"][0]["Face"] == face
    with serve(model_version="9.0") as (client, server):
        assert client.get_face_search(JobId=job, MaxResults=2)["Persons"] == before["Persons"]
        rest = client.get_face_search(JobId=job, NextToken=before["NextToken"])["Persons"]
        assert rest[0]["Timestamp"] > before["Persons"][-1]["Timestamp"]
        assert client.start_face_search(**request, ClientRequestToken="one")["JobId"] == job
        assert client.list_faces(CollectionId="people")["Faces"] == [face]
        assert client.describe_collection(CollectionId="people")["FaceModelVersion"] == "7.0"
        assert client.create_collection(CollectionId="newer")["FaceModelVersion"] == "9.0"
        assert server.calls.told()["operations"]["StartFaceSearch"] == 1
    assert aws.messages(patience=1) == []


def test_tokens_last_a_day_and_results_a_week(aws: AwsPlace, serve: Serve, clock: Clock, clip: Path) -> None:
    request = {"Video": aws.upload(clip, "clip.mp4"), "CollectionId": "people", "NotificationChannel": aws.channel}
    with serve() as (client, _):
        client.create_collection(CollectionId="people")
        job = client.start_face_search(**request, ClientRequestToken="one")["JobId"]
        assert aws.messages()
        token = client.get_face_search(JobId=job, MaxResults=1)["NextToken"]
        clock.ahead_ms = 23 * HOUR_MS
        assert client.get_face_search(JobId=job, NextToken=token)["Persons"]
        clock.ahead_ms = 25 * HOUR_MS
        with pytest.raises(client.exceptions.InvalidPaginationTokenException):
            client.get_face_search(JobId=job, NextToken=token)
        assert client.start_face_search(**request, ClientRequestToken="one")["JobId"] == job
        clock.ahead_ms = 8 * 24 * HOUR_MS
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_face_search(JobId=job)
        again = client.start_face_search(**request, ClientRequestToken="one")["JobId"]
        assert again != job
        assert [message["JobId"] for message in aws.messages()] == [again]


def test_a_message_not_yet_sent_is_sent_by_the_next_server(aws: AwsPlace, serve: Serve, clip: Path) -> None:
    video = aws.upload(clip, "clip.mp4")
    with serve(faults=Faults(delay_s=2)) as (client, _):
        client.create_collection(CollectionId="people")
        job = client.start_face_search(Video=video, CollectionId="people", NotificationChannel=aws.channel)["JobId"]
        while client.get_face_search(JobId=job)["JobStatus"] == "IN_PROGRESS":
            time.sleep(0.05)
    assert aws.messages(patience=1) == []
    with serve():
        assert [message["JobId"] for message in aws.messages()] == [job]


def test_faces_of_another_engine_are_not_silently_missed(
    aws: AwsPlace, serve: Serve, portrait: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as (client, _):
        client.create_collection(CollectionId="people")
        face = client.index_faces(CollectionId="people", Image=portrait)["FaceRecords"][0]["Face"]["FaceId"]
    monkeypatch.setattr("vidsearch.engines.local.engine.REVISION", 999)
    with serve() as (client, _):
        for ask in (
            lambda: client.search_faces_by_image(CollectionId="people", Image=portrait),
            lambda: client.index_faces(CollectionId="people", Image=portrait),
            lambda: client.search_faces(CollectionId="people", FaceId=face),
            lambda: client.start_face_search(
                Video={"S3Object": {"Bucket": aws.bucket, "Name": "x"}}, CollectionId="people"
            ),
        ):
            with pytest.raises(client.exceptions.InvalidParameterException, match="another version"):
                ask()
        assert len(client.list_faces(CollectionId="people")["Faces"]) == 1
        client.delete_collection(CollectionId="people")


def test_a_vector_without_its_face_is_swept_up(serve: Serve, portrait: dict[str, bytes]) -> None:
    with serve() as (client, server):
        client.create_collection(CollectionId="people")
        client.index_faces(CollectionId="people", Image=portrait)
        with server._service._state.changing() as db:
            gallery = db.execute("SELECT gallery FROM collections").fetchone()[0]
            db.execute("DELETE FROM faces")
        assert server._service._engine.faces(gallery)
    with serve() as (_, server):
        assert server._service._engine.faces(gallery) == []


def test_a_broken_step_fails_its_job_and_the_next_goes_on(
    aws: AwsPlace, serve: Serve, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.rekognition_local.steady.PAUSE_S", 0.05)
    video = aws.upload(clip, "clip.mp4")
    with serve() as (client, server):
        client.create_collection(CollectionId="people")
        worker = server._service._worker
        real = worker._analysis.of
        monkeypatch.setattr(worker._analysis, "of", lambda job: {}[str(uuid.uuid4())])
        broken = client.start_face_search(Video=video, CollectionId="people", NotificationChannel=aws.channel)["JobId"]
        assert aws.messages()[0]["Status"] == "FAILED"
        monkeypatch.setattr(worker._analysis, "of", real)
        client.start_face_search(Video=video, CollectionId="people", NotificationChannel=aws.channel)
        assert aws.messages()[0]["Status"] == "SUCCEEDED"
        assert client.get_face_search(JobId=broken)["StatusMessage"] == "Internal error"


def test_a_slow_answer_does_not_hold_the_end_up(serve: Serve) -> None:
    def ask(client: Any) -> None:
        with suppress(HTTPClientError):
            client.list_collections()

    with serve(faults=Faults(slow_s=60)) as (client, server):
        asking = threading.Thread(target=ask, args=(client,))
        asking.start()
        while not server.calls.told()["operations"]:
            time.sleep(0.01)
        begun = time.monotonic()
        server.close()
        asking.join()
        assert time.monotonic() - begun < 10
