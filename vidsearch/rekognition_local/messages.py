"""Publish what became of jobs to their topics: at least once, and with the faults that were ordered."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsError
from vidsearch.rekognition_local.faults import FaultPlan
from vidsearch.rekognition_local.state import State
from vidsearch.rekognition_local.steady import Steady

log = logging.getLogger(__name__)

_ATTEMPTS = 5
"""Times a message is tried; whoever waits for it must ask GetFaceSearch after a while anyway."""

_RETRY_MS = 1_000
_IDLE_S = 0.25


class Messages:
    """An outbox in the database, and the thread that empties it."""

    def __init__(
        self, state: State, clients: Clients, plan: FaultPlan, now: Callable[[], int], stop: threading.Event
    ) -> None:
        self._state, self._clients, self._plan, self._now = state, clients, plan, now
        self.thread = Steady("messages", self._step, stop, idle_s=_IDLE_S)

    def put(self, db: sqlite3.Connection, job: str, request: Mapping[str, Any], status: str) -> None:
        """Keep the message that a job ended, in the transaction that ends it. Without a channel there is none."""
        channel = request.get("NotificationChannel")
        if channel is None or self._plan.message_lost():
            return
        faults = self._plan.faults
        due = self._now() + round(1000 * faults.delay_s)
        names = [job] * max(1, faults.duplicate) + [secrets.token_hex(32) for _ in range(faults.strangers)]
        for name in names:
            body = json.dumps(_message(name, request, status, self._now()))
            db.execute("INSERT INTO outbox (topic, body, due_ms) VALUES (?, ?, ?)", (channel["SNSTopicArn"], body, due))

    def _step(self) -> bool:
        """Send what is due and return whether there was anything."""
        faults, now = self._plan.faults, self._now()
        with self._state.reading() as db:
            rows = db.execute("SELECT * FROM outbox WHERE due_ms <= ? ORDER BY number LIMIT 100", (now,)).fetchall()
        if faults.reorder > 1:
            waited = bool(rows) and now - rows[0]["due_ms"] >= 1000 * faults.reorder_wait_s
            if len(rows) < faults.reorder and not waited:
                return False
            rows.reverse()
        for row in rows:
            self._send(row)
        return bool(rows)

    def _send(self, row: sqlite3.Row) -> None:
        try:
            with translated("publish that a job ended"):
                self._clients("sns").publish(TopicArn=row["topic"], Message=row["body"])
        except AwsError as exc:
            log.warning("%s (attempt %d of %d)", exc, row["attempts"] + 1, _ATTEMPTS)
            self._postpone(row)
            return
        with self._state.changing() as db:
            db.execute("DELETE FROM outbox WHERE number = ?", (row["number"],))

    def _postpone(self, row: sqlite3.Row) -> None:
        tried = row["attempts"] + 1
        with self._state.changing() as db:
            if tried >= _ATTEMPTS:
                db.execute("DELETE FROM outbox WHERE number = ?", (row["number"],))
            else:
                due = self._now() + _RETRY_MS * 2 ** row["attempts"]
                db.execute("UPDATE outbox SET attempts = ?, due_ms = ? WHERE number = ?", (tried, due, row["number"]))


def _message(job: str, request: Mapping[str, Any], status: str, now: int) -> dict[str, Any]:
    """Return the message as the service documents it."""
    where = request["Video"]["S3Object"]
    message = {
        "JobId": job,
        "Status": status,
        "API": "StartFaceSearch",
        "Timestamp": now,
        "Video": {"S3ObjectName": where["Name"], "S3Bucket": where["Bucket"]},
    }
    return {**message, "JobTag": request["JobTag"]} if "JobTag" in request else message
