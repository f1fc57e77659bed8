"""Store what a finished face search found in the bucket. Runs on AWS Lambda, told by the topic; one file, nothing else.

For every completion it pages GetFaceSearch to the end and leaves, under ``PREFIX/results/JOB/``,
``page-00001.json``, ``page-00002.json`` … and last ``done.json``, whose being there means that all pages are. The
same message may come twice and a run may be cut short at any moment: pages are written again under the same names, and
a long job goes on where it stopped. ``setup_aws.py --lambda`` installs it with the environment BUCKET and PREFIX.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TIME_TO_STOP_MS = 20_000
"""A run that has less time than this left stops at a page and lets Lambda start it again."""

ALL_PAGES_MS = 900_000
"""Time there is where nobody says: Lambda's own limit."""

KEPT = ("JobStatus", "StatusMessage", "VideoMetadata", "Persons", "NextToken", "JobId", "Video", "JobTag")
"""What of an answer is stored: all of it but the transport's own data."""

log = logging.getLogger(__name__)


class NotFinishedError(Exception):
    """The job's results are not all stored yet; Lambda calls again."""


def handler(event: Mapping[str, Any], context: Any = None) -> dict[str, Any]:
    """Store the results of every completion in an event of SNS, or of SQS with SNS messages in it.

    Raises NotFinishedError where time runs out: Lambda then runs it again, and after the last time hands the event to
    the dead-letter queue.
    """
    # Many jobs can end at once, and outside the largest regions five pages a second are all there are.
    config = Config(retries={"mode": "standard", "total_max_attempts": 8})
    store = Store(boto3.client("s3", config=config), os.environ["BUCKET"], os.environ["PREFIX"])
    return collect(event, boto3.client("rekognition", config=config), store, context)


def collect(event: Mapping[str, Any], rekognition: Any, store: Store, context: Any = None) -> dict[str, Any]:
    """Do what ``handler`` does, with the clients handed in."""
    stored = [
        _store_job(message, rekognition, store, context)
        for message in map(completion, event.get("Records", []))
        if message is not None
    ]
    return {"stored": stored}


def completion(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the completion in a record of an event, or None where it is something else, such as a test message."""
    said: Any = record["Sns"].get("Message") if "Sns" in record else record.get("body")
    message = _parsed(said)
    if message and message.get("Type") == "Notification":
        message = _parsed(message.get("Message"))
    if not message or not isinstance(message.get("JobId"), str) or not message["JobId"]:
        return None
    # Documents disagree on how the operation is spelt; where it is left out it must be ours.
    api = str(message.get("API") or "facesearch").lower().replace("_", "")
    return message if "facesearch" in api else None


def _parsed(said: Any) -> dict[str, Any] | None:
    try:
        value = json.loads(said)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Store:
    """Where results go: JSON objects in the bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def key(self, job: str, name: str) -> str:
        """Return the key of a file of a job."""
        return f"{self._prefix}/results/{job}/{name}"

    def read(self, job: str, name: str) -> dict[str, Any] | None:
        """Return a file of a job, or None where there is none."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self.key(job, name))
        except ClientError as exc:
            if exc.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        with answer["Body"] as body:
            return _parsed(body.read())

    def write(self, job: str, name: str, value: Mapping[str, Any]) -> None:
        """Write a file of a job, whole or not at all."""
        data = json.dumps(value, separators=(",", ":")).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self.key(job, name), Body=data, ContentType="application/json")


def _store_job(message: dict[str, Any], rekognition: Any, store: Store, context: Any) -> dict[str, Any]:
    """Store the results of a job and return what ``done.json`` says."""
    job = message["JobId"]
    done = store.read(job, "done.json")
    if done is not None:
        log.info("job %s: stored before", job)
        return done
    status, pages, said = str(message.get("Status", "")), 0, ""
    if status == "SUCCEEDED":
        pages = _store_pages(job, rekognition, store, context)
    else:
        said = _reason(job, rekognition)
    done = {
        "JobId": job,
        "Status": status or "ERROR",
        "Pages": pages,
        "API": message.get("API", "StartFaceSearch"),
        "JobTag": message.get("JobTag", ""),
        "StatusMessage": said,
    }
    store.write(job, "done.json", done)
    log.info("job %s: %s, %d pages", job, done["Status"], pages)
    return done


def _store_pages(job: str, rekognition: Any, store: Store, context: Any) -> int:
    """Store every page of a job and return how many there are."""
    left = getattr(context, "get_remaining_time_in_millis", lambda: ALL_PAGES_MS)
    begun = store.read(job, "progress.json") or {}
    pages, token = int(begun.get("Pages", 0)), str(begun.get("NextToken", ""))
    while True:
        if pages and left() < TIME_TO_STOP_MS:
            store.write(job, "progress.json", {"Pages": pages, "NextToken": token})
            raise NotFinishedError(f"job {job}: {pages} pages are stored, more to come")
        try:
            asked = {"JobId": job, "MaxResults": 1000, "SortBy": "INDEX", **({"NextToken": token} if token else {})}
            answer = rekognition.get_face_search(**asked)
        except ClientError as exc:
            if token and exc.response["Error"]["Code"] == "InvalidPaginationTokenException":
                # A token lives for a day. The pages are the same when read again from the first.
                pages, token = 0, ""
                continue
            raise
        if answer.get("JobStatus") == "IN_PROGRESS":
            raise NotFinishedError(f"job {job}: still in progress, although its end was told")
        pages += 1
        store.write(job, f"page-{pages:05}.json", {name: answer[name] for name in KEPT if name in answer})
        # An empty token is no token, and an empty page is not the last one.
        token = answer.get("NextToken") or ""
        if not token:
            return pages


def _reason(job: str, rekognition: Any) -> str:
    """Return what Rekognition says of a job that failed, or nothing where it says nothing."""
    try:
        return str(rekognition.get_face_search(JobId=job, MaxResults=1).get("StatusMessage", ""))
    except ClientError as exc:
        return str(exc.response["Error"].get("Message", ""))
