"""StartFaceSearch and GetFaceSearch: jobs, and their results page by page."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsError
from vidsearch.rekognition_local.collections import ACCOUNT, Collections
from vidsearch.rekognition_local.faults import Calls, FaultPlan
from vidsearch.rekognition_local.images import object_names
from vidsearch.rekognition_local.pages import Pages
from vidsearch.rekognition_local.refusals import Refusal, invalid_page_token, no_object
from vidsearch.rekognition_local.state import State

MAX_RESULTS = 1000
KEPT_MS = 7 * 24 * 3_600_000
"""Results are kept, and tokens remembered, for a week."""


class Jobs:
    """The operations on jobs."""

    def __init__(
        self,
        state: State,
        clients: Clients,
        collections: Collections,
        pages: Pages,
        plan: FaultPlan,
        calls: Calls,
        now: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """``wake`` tells whoever does the jobs that there is one more."""
        self._state, self._clients, self._collections = state, clients, collections
        self._pages, self._plan, self._calls, self._now, self._wake = pages, plan, calls, now, wake

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StartFaceSearch."""
        self._plan.deny_start()
        token = request.get("ClientRequestToken")
        asked = json.dumps({k: v for k, v in request.items() if k != "ClientRequestToken"}, sort_keys=True)
        known = self._known(token, asked)
        if known is None:
            self._collections.usable(request["CollectionId"])
            names = object_names(request["Video"].get("S3Object", {}))
            facts = self._object(names)
            known = self._open(token, asked, facts)
            new = True
        else:
            new = False
        self._calls.started(request, known, new=new)
        self._wake()
        return {"JobId": known}

    def get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """GetFaceSearch."""
        job = self._job(request["JobId"])
        asked = json.loads(job["request"])
        answer: dict[str, Any] = {"JobStatus": job["status"], "JobId": job["id"], "Video": asked["Video"]}
        if "JobTag" in asked:
            answer["JobTag"] = asked["JobTag"]
        if job["message"]:
            answer["StatusMessage"] = job["message"]
        if job["video"]:
            answer["VideoMetadata"] = json.loads(job["video"])
        if job["status"] == "SUCCEEDED":
            answer.update(self._page(job, request))
        return answer

    # -- starting ------------------------------------------------------------------------------------------------

    def _known(self, token: str | None, asked: str) -> str | None:
        """Return the job that a token stands for. Raises a Refusal where it stands for another request."""
        if token is None:
            return None
        with self._state.reading() as db:
            row = db.execute(
                "SELECT id, request FROM jobs WHERE token = ? AND created_ms > ? ORDER BY number DESC LIMIT 1",
                (token, self._now() - KEPT_MS),
            ).fetchone()
        if row is None:
            return None
        if row["request"] != asked:
            raise Refusal(
                "IdempotentParameterMismatchException",
                "A ClientRequestToken input parameter was reused with an operation, but at least one of the other "
                "input parameters is different from the previous call to the operation.",
            )
        return str(row["id"])

    def _object(self, names: Mapping[str, str]) -> dict[str, Any]:
        try:
            with translated("read the video's metadata"):
                head = self._clients("s3").head_object(**names)
        except AwsError as exc:
            raise no_object() from exc
        if head["ContentLength"] > self._plan.faults.max_video_bytes:
            raise Refusal(
                "VideoTooLargeException",
                "The file size or duration of the supplied media is too large. The maximum "
                "file size is 10GB. The maximum duration is 6 hours.",
            )
        version = names.get("VersionId") or head.get("VersionId")
        return {"etag": head["ETag"], "size": head["ContentLength"], "version": version}

    def _open(self, token: str | None, asked: str, facts: Mapping[str, Any]) -> str:
        """Make a job where a slot is free. Raises a Refusal."""
        name = secrets.token_hex(32)
        with self._state.changing() as db:
            # Two calls with one token may be under way at once.
            known = self._known(token, asked)
            if known is not None:
                return known
            db.execute("DELETE FROM jobs WHERE created_ms <= ?", (self._now() - KEPT_MS,))
            open_jobs = db.execute("SELECT count(*) FROM jobs WHERE status = 'IN_PROGRESS'").fetchone()[0]
            most = self._plan.faults.max_jobs
            if open_jobs >= most:
                user = f"arn:aws:iam::{ACCOUNT}:root"
                raise Refusal("LimitExceededException", f"{open_jobs} open Jobs for User {user} Maximum limit: {most}")
            db.execute(
                "INSERT INTO jobs (id, token, request, etag, size, object_version, created_ms, status) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'IN_PROGRESS')",
                (name, token, asked, facts["etag"], facts["size"], facts["version"], self._now()),
            )
        return name

    # -- results -------------------------------------------------------------------------------------------------

    def _job(self, name: str) -> sqlite3.Row:
        with self._state.reading() as db:
            row = db.execute(
                "SELECT * FROM jobs WHERE id = ? AND created_ms > ?", (name, self._now() - KEPT_MS)
            ).fetchone()
        if row is None:
            raise Refusal("ResourceNotFoundException", f"Could not find JobId {name}")
        found: sqlite3.Row = row
        return found

    def _page(self, job: sqlite3.Row, request: Mapping[str, Any]) -> dict[str, Any]:
        by = request.get("SortBy", "TIMESTAMP")
        listing = f"job/{job['number']}/{by}"
        faults = self._plan.faults
        first, second, number = -1, -1, 0
        if request.get("NextToken"):
            first, second, number = self._pages.place(listing, request["NextToken"])
            self._expire(job, number, faults.expire_after_pages)
        limit = min(request.get("MaxResults", MAX_RESULTS), MAX_RESULTS, faults.page_size or MAX_RESULTS)
        if faults.empty_pages and not number:
            return {"Persons": [], "NextToken": self._pages.token(listing, [first, second, 1])}
        rows = self._sightings(job["number"], by, (first, second), limit + 1)
        page: dict[str, Any] = {"Persons": [_person(row) for row in rows[:limit]]}
        if len(rows) > limit:
            last = rows[limit - 1]
            place = [last["ms"], last["person"]] if by == "TIMESTAMP" else [last["person"], last["ms"]]
            page["NextToken"] = self._pages.token(listing, [*place, number + 1])
        return page

    def _expire(self, job: sqlite3.Row, number: int, after: int) -> None:
        """Refuse the page after ``after`` pages, once for each job."""
        if not after or number < after or job["expired"]:
            return
        with self._state.changing() as db:
            db.execute("UPDATE jobs SET expired = 1 WHERE number = ?", (job["number"],))
        raise invalid_page_token()

    def _sightings(self, job: int, by: str, after: tuple[int, int], limit: int) -> list[sqlite3.Row]:
        order = "s.ms, s.person" if by == "TIMESTAMP" else "s.person, s.ms"
        with self._state.reading() as db:
            return db.execute(
                "SELECT s.ms, s.person, s.box, p.confidence, p.matches FROM sightings AS s "
                "JOIN people AS p ON p.job = s.job AND p.person = s.person "
                f"WHERE s.job = ? AND ({order}) > (?, ?) ORDER BY {order} LIMIT ?",
                (job, *after, limit),
            ).fetchall()


def _person(row: sqlite3.Row) -> dict[str, Any]:
    """Return one entry of the results. FaceMatches is absent where nobody was matched."""
    left, top, width, height = json.loads(row["box"])
    box = {"Left": left, "Top": top, "Width": width, "Height": height}
    face = {"BoundingBox": box, "Confidence": row["confidence"]}
    entry = {"Timestamp": row["ms"], "Person": {"Index": row["person"], "Face": face}}
    matches = json.loads(row["matches"])
    return {**entry, "FaceMatches": matches} if matches else entry
