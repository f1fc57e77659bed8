"""Read what the Lambda function stored, as JSON in the bucket: word of jobs, and the pages of their results.

What nobody needs any more is removed, for it says who was where.
"""

from __future__ import annotations

import json
import logging
import threading

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.engines.rekognition.calls import Answer
from vidsearch.engines.rekognition.inbox import Inbox
from vidsearch.engines.rekognition.results import Pages
from vidsearch.engines.rekognition.runs import Runs
from vidsearch.errors import AwsError, AwsNotFound, EngineError

log = logging.getLogger(__name__)

DONE = "done.json"
STORED = "stored:"
"""Begins the tokens of stored pages; Amazon's own have no colon."""


class Stored:
    """The JSON objects under ``<prefix>/results/<JobId>/``."""

    def __init__(self, clients: Clients, bucket: str, prefix: str) -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = prefix

    def read(self, job_id: str, name: str) -> Answer | None:
        """Return an object of a job, or None where there is none (yet). Raises EngineError where it is not JSON."""
        key = f"{self._prefix}/results/{job_id}/{name}"
        try:
            with translated(f"read s3://{self._bucket}/{key}"):
                body = self._clients("s3").get_object(Bucket=self._bucket, Key=key)["Body"]
                with body:
                    content = body.read()
        except AwsNotFound as exc:
            if exc.code != "NoSuchKey":
                raise
            return None
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as exc:
            raise EngineError(f"s3://{self._bucket}/{key} is not JSON: {exc}") from exc
        if not isinstance(answer, dict):
            raise EngineError(f"s3://{self._bucket}/{key} is not what the Lambda function writes")
        return answer

    def remove(self, job_id: str) -> None:
        """Remove all that was stored of a job, every version of it. Nothing being there is no error."""
        prefix = f"{self._prefix}/results/{job_id}/"
        with translated(f"remove s3://{self._bucket}/{prefix}"):
            s3 = self._clients("s3")
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
            held = [one for page in pages for kind in ("Versions", "DeleteMarkers") for one in page.get(kind) or []]
            # Where word of the job is gone Amazon is asked instead: it goes first, lest pages be missed after a crash.
            for one in sorted(held, key=lambda one: not one["Key"].endswith(f"/{DONE}")):
                s3.delete_object(Bucket=self._bucket, Key=one["Key"], VersionId=one["VersionId"])


class BucketPost:
    """Word of jobs: the function writes ``done.json`` last, so that all pages are there."""

    def __init__(self, stored: Stored, runs: Runs, inbox: Inbox, *, look_s: float) -> None:
        """``look_s``: seconds between two looks."""
        self._stored = stored
        self._runs = runs
        self._inbox = inbox
        self._look_s = look_s

    def take(self, stop: threading.Event) -> None:
        """Look for word of every open job, then wait a while."""
        for run in self._runs.open_jobs():
            job_id = str(run.job_id)
            try:
                done = self._stored.read(job_id, DONE)
            except AwsError:
                raise
            except EngineError as exc:
                # Amazon is asked about it when its time has come; the others must not wait for that.
                log.warning("%s", exc)
                continue
            if done is not None:
                self._inbox.file(job_id, str(done.get("Status") or "ERROR").upper(), "bucket")
        stop.wait(self._look_s)


class BucketPages:
    """Pages that the function stored; those of a job that it did not store are asked of Amazon."""

    def __init__(self, stored: Stored, otherwise: Pages) -> None:
        self._stored = stored
        self._otherwise = otherwise

    def read(self, job_id: str, number: int, token: str | None) -> tuple[Answer, str | None]:
        """Return a page. The token of a stored one says how many there are."""
        if token is None:
            done = self._stored.read(job_id, DONE)
            if done is None or not done.get("Pages"):
                return self._otherwise.read(job_id, number, None)
            token = f"{STORED}{int(done['Pages'])}"
        if not token.startswith(STORED):
            return self._otherwise.read(job_id, number, token)
        answer = self._stored.read(job_id, f"page-{number + 1:05d}.json")
        if answer is None:
            raise EngineError(f"page {number + 1} of job {job_id} is not in the bucket any more: search again")
        return answer, token if number + 1 < int(token.removeprefix(STORED)) else None
