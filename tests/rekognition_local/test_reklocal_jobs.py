"""StartFaceSearch and GetFaceSearch over HTTP: real faces in a real recording, read from S3 and told of through SNS."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.aws_stack import AwsPlace
from tests.footage_maker import crossing
from vidsearch.media.ffmpeg import binary
from vidsearch.rekognition_local.faults import Faults


@pytest.fixture
def video(aws: AwsPlace, clip: Path) -> dict[str, Any]:
    return aws.upload(clip, "clips/crossing.mp4")


def finished(aws: AwsPlace, video: dict[str, Any], collection: str, **options: Any) -> dict[str, Any]:
    """Run a job to its end and return its results, whole."""
    job = aws.rekognition.start_face_search(
        Video=video, CollectionId=collection, NotificationChannel=aws.channel, **options
    )["JobId"]
    assert [message["JobId"] for message in aws.messages()] == [job]
    return whole(aws, job)


def whole(aws: AwsPlace, job: str, **options: Any) -> dict[str, Any]:
    answer = aws.rekognition.get_face_search(JobId=job, **options)
    answer.pop("ResponseMetadata")
    token = answer.pop("NextToken", None)
    while token:
        page = aws.rekognition.get_face_search(JobId=job, NextToken=token, **options)
        assert page["VideoMetadata"] == answer["VideoMetadata"]
        answer["Persons"] += page["Persons"]
        token = page.get("NextToken")
    return answer


def test_somebody_known_is_found_at_every_sighting(
    aws: AwsPlace, video: dict[str, Any], collection: str, known: dict[str, Any]
) -> None:
    job = aws.rekognition.start_face_search(
        Video=video, CollectionId=collection, NotificationChannel=aws.channel, JobTag="case:7/north"
    )["JobId"]
    (message,) = aws.messages()
    assert set(message) == {"JobId", "Status", "API", "JobTag", "Timestamp", "Video"}
    assert (message["JobId"], message["Status"], message["API"]) == (job, "SUCCEEDED", "StartFaceSearch")
    assert message["JobTag"] == "case:7/north"
    assert message["Video"] == {"S3ObjectName": "clips/crossing.mp4", "S3Bucket": aws.bucket}
    assert message["Timestamp"] > 1_700_000_000_000

    answer = whole(aws, job)
    assert (answer["JobStatus"], answer["JobId"], answer["JobTag"]) == ("SUCCEEDED", job, "case:7/north")
    assert answer["Video"] == video
    assert answer["VideoMetadata"] == {
        "Codec": "h264",
        "DurationMillis": 5000,
        "Format": "QuickTime / MOV",
        "FrameRate": 10.0,
        "FrameHeight": 540,
        "FrameWidth": 960,
        "ColorRange": "LIMITED",
    }
    times = [entry["Timestamp"] for entry in answer["Persons"]]
    assert times == sorted(set(times))
    assert len(times) >= 12  # of three seconds at five a second
    assert times[0] >= 1000
    assert times[-1] < 4000
    lefts = [entry["Person"]["Face"]["BoundingBox"]["Left"] for entry in answer["Persons"]]
    assert lefts == sorted(lefts)  # it crosses from left to right
    for entry in answer["Persons"]:
        assert entry["Person"]["Index"] == 0
        (match,) = entry["FaceMatches"]
        assert match["Face"] == known
        assert match["Similarity"] >= 95


def test_nobody_known_has_no_matches(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    answer = finished(aws, video, collection)
    assert answer["Persons"]
    assert not any("FaceMatches" in entry for entry in answer["Persons"])
    assert "JobTag" not in answer


@pytest.mark.usefixtures("known")
def test_the_threshold_cuts_off(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    answer = finished(aws, video, collection, FaceMatchThreshold=100)
    assert not any("FaceMatches" in entry for entry in answer["Persons"])


def test_pages_and_orders_tell_the_same(aws: AwsPlace, collection: str, astronaut: Path, tmp_path: Path) -> None:
    two = crossing(tmp_path / "two.mp4", astronaut, seconds=6, visits=((0.0, 1.6), (4.0, 5.8)))
    answer = finished(aws, aws.upload(two, "two.mp4"), collection)
    key = lambda entry: (entry["Timestamp"], entry["Person"]["Index"])  # noqa: E731
    assert {entry["Person"]["Index"] for entry in answer["Persons"]} == {0, 1}
    job = answer["JobId"]
    assert whole(aws, job, MaxResults=3) == answer
    assert whole(aws, job, MaxResults=5000) == answer
    by_index = whole(aws, job, MaxResults=4, SortBy="INDEX")["Persons"]
    assert [key(entry)[::-1] for entry in by_index] == sorted(key(entry)[::-1] for entry in answer["Persons"])
    token = aws.rekognition.get_face_search(JobId=job, MaxResults=1)["NextToken"]
    assert len(token) <= 255
    with pytest.raises(aws.rekognition.exceptions.InvalidPaginationTokenException):
        aws.rekognition.get_face_search(JobId=job, NextToken=token, SortBy="INDEX")
    with pytest.raises(aws.rekognition.exceptions.InvalidPaginationTokenException):
        aws.rekognition.get_face_search(JobId=job, NextToken="A" * 80)


def test_a_token_gives_the_same_job_and_no_second_message(
    aws: AwsPlace, video: dict[str, Any], collection: str
) -> None:
    token = uuid.uuid4().hex
    request = {"Video": video, "CollectionId": collection, "NotificationChannel": aws.channel}
    job = aws.rekognition.start_face_search(**request, ClientRequestToken=token)["JobId"]
    assert len(aws.messages()) == 1
    assert aws.rekognition.start_face_search(**request, ClientRequestToken=token)["JobId"] == job
    assert aws.messages(patience=1) == []
    with pytest.raises(aws.rekognition.exceptions.IdempotentParameterMismatchException):
        aws.rekognition.start_face_search(**request, ClientRequestToken=token, FaceMatchThreshold=70)
    assert aws.rekognition.start_face_search(**request)["JobId"] != job
    starts = aws.server.calls.told()["starts"]
    assert [start["new"] for start in starts] == [True, False, True]
    assert starts[0]["request"]["ClientRequestToken"] == token
    assert aws.messages()


def test_the_same_content_is_analysed_once(aws: AwsPlace, clip: Path, collection: str) -> None:
    first = finished(aws, aws.upload(clip, "one.mp4"), collection)
    aws.server.plan.replace(Faults())
    again = aws.upload(clip, "again.mp4")
    # Gone before the job begins: what is known of the content is enough.
    aws.server.plan.replace(Faults(job_s=1.0))
    job = aws.rekognition.start_face_search(Video=again, CollectionId=collection, NotificationChannel=aws.channel)
    aws.clients("s3").delete_object(Bucket=aws.bucket, Key="again.mp4")
    assert aws.messages()[0]["Status"] == "SUCCEEDED"
    assert whole(aws, job["JobId"])["Persons"] == first["Persons"]


def test_an_object_that_went_away_fails_the_job(
    aws: AwsPlace, collection: str, astronaut: Path, tmp_path: Path
) -> None:
    video = aws.upload(crossing(tmp_path / "gone.mp4", astronaut, seconds=1, visits=()), "gone.mp4")
    aws.server.plan.replace(Faults(job_s=1.0))
    job = aws.rekognition.start_face_search(Video=video, CollectionId=collection, NotificationChannel=aws.channel)
    assert aws.rekognition.get_face_search(JobId=job["JobId"])["JobStatus"] == "IN_PROGRESS"
    aws.clients("s3").delete_object(Bucket=aws.bucket, Key="gone.mp4")
    assert aws.messages()[0]["Status"] == "FAILED"
    answer = aws.rekognition.get_face_search(JobId=job["JobId"])
    assert answer["JobStatus"] == "FAILED"
    assert "Unable to get object metadata from S3" in answer["StatusMessage"]
    assert "Persons" not in answer


def test_a_collection_that_went_away_fails_the_job(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    aws.server.plan.replace(Faults(job_s=1.0))
    job = aws.rekognition.start_face_search(Video=video, CollectionId=collection, NotificationChannel=aws.channel)
    aws.rekognition.delete_collection(CollectionId=collection)
    assert aws.messages()[0]["Status"] == "FAILED"
    answer = aws.rekognition.get_face_search(JobId=job["JobId"])
    assert answer["StatusMessage"] == f"The collection id: {collection} does not exist"


@pytest.mark.parametrize("kind", ["mpeg4.mp4", "h264.mkv", "text.mp4"])
def test_only_h264_in_mp4_or_mov_is_taken(
    aws: AwsPlace, collection: str, clip: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "text.mp4":
        path.write_text("no video at all")
    else:
        codec = ["-c:v", "mpeg4"] if kind.startswith("mpeg4") else ["-c", "copy"]
        subprocess.run([binary(), "-v", "error", "-t", "1", "-i", str(clip), *codec, str(path)], check=True)
    answer = finished(aws, aws.upload(path, kind), collection)
    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", "Unsupported codec/format.")
    assert finished(aws, aws.upload(path, f"again-{kind}"), collection)["JobStatus"] == "FAILED"


def test_mov_is_taken(aws: AwsPlace, collection: str, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    subprocess.run([binary(), "-v", "error", "-t", "2", "-i", str(clip), "-c", "copy", str(path)], check=True)
    assert finished(aws, aws.upload(path, "clip.mov"), collection)["JobStatus"] == "SUCCEEDED"


def test_what_cannot_be_started(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    refused = aws.rekognition.exceptions
    start = aws.rekognition.start_face_search
    with pytest.raises(refused.ResourceNotFoundException):
        start(Video=video, CollectionId="nobody")
    with pytest.raises(refused.InvalidS3ObjectException) as caught:
        start(Video={"S3Object": {"Bucket": aws.bucket, "Name": "nothing.mp4"}}, CollectionId=collection)
    assert caught.value.response["Error"]["Message"].startswith("Unable to get object metadata from S3.")
    with pytest.raises(refused.InvalidParameterException):
        start(Video={}, CollectionId=collection)
    aws.server.plan.replace(Faults(max_video_bytes=1000))
    with pytest.raises(refused.VideoTooLargeException):
        start(Video=video, CollectionId=collection)
    with pytest.raises(refused.ResourceNotFoundException):
        aws.rekognition.get_face_search(JobId="0" * 64)
    assert aws.server.calls.told()["starts"] == []


def test_a_video_that_is_too_long_fails(aws: AwsPlace, collection: str, astronaut: Path, tmp_path: Path) -> None:
    path = crossing(tmp_path / "long.mp4", astronaut, seconds=3, visits=())
    aws.server.plan.replace(Faults(max_video_s=2.5))
    answer = finished(aws, aws.upload(path, "long.mp4"), collection)
    assert answer["JobStatus"] == "FAILED"
    assert "duration" in answer["StatusMessage"]
    for most, status in ((10.0, "SUCCEEDED"), (2.5, "FAILED")):  # what holds is what is ordered now
        aws.server.plan.replace(Faults(max_video_s=most))
        assert finished(aws, aws.upload(path, "long.mp4"), collection)["JobStatus"] == status


@pytest.mark.usefixtures("known")
def test_a_version_of_an_object_is_what_is_searched(
    aws: AwsPlace, collection: str, clip: Path, astronaut: Path, tmp_path: Path
) -> None:
    s3 = aws.clients("s3")
    s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    aws.upload(clip, "v.mp4")
    first = s3.head_object(Bucket=aws.bucket, Key="v.mp4")["VersionId"]
    empty = crossing(tmp_path / "empty.mp4", astronaut, seconds=1, visits=())
    now = finished(aws, aws.upload(empty, "v.mp4"), collection)
    assert now["Persons"] == []
    then = {"S3Object": {"Bucket": aws.bucket, "Name": "v.mp4", "Version": first}}
    assert finished(aws, then, collection)["Persons"]


def test_without_a_channel_there_is_no_message(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    job = aws.rekognition.start_face_search(Video=video, CollectionId=collection)["JobId"]
    assert aws.messages(patience=2) == []
    assert whole(aws, job)["JobStatus"] == "SUCCEEDED"


def test_nothing_of_a_video_is_left(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    finished(aws, video, collection)
    assert list((aws.stack.folder / "incoming").iterdir()) == []


def test_many_jobs_all_end(aws: AwsPlace, video: dict[str, Any], collection: str) -> None:
    """More than a page of messages, and more than the limit in all; each is told of once."""
    once = aws.clients("rekognition", attempts=1)
    jobs = []
    while len(jobs) < 30:
        try:
            jobs.append(
                once.start_face_search(Video=video, CollectionId=collection, NotificationChannel=aws.channel)["JobId"]
            )
        except once.exceptions.LimitExceededException:
            continue
    assert sorted(message["JobId"] for message in aws.messages(30)) == sorted(jobs)
