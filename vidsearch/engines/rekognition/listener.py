"""Listen for word of jobs in a thread: from the queue or the bucket, and by asking where none comes."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.engines.rekognition.inbox import Inbox
from vidsearch.engines.rekognition.runs import FAILED, SUCCEEDED, Runs
from vidsearch.errors import (
    AwsNotFound,
    AwsNotSetUp,
    AwsRefused,
    EngineUnavailable,
    EngineUnusable,
    StoreError,
    VidsearchError,
)

log = logging.getLogger(__name__)

LATER_S, LATEST_S = 5, 3600
"""A message that is not ours is shown again after so long; with each time that it was received the time doubles, up to
the latest."""

VISIBLE_S = 60
"""A message received and not deleted, for its receiver died, comes again after so long."""

TROUBLE_S, TROUBLE_MOST_S = 2.0, 60.0
"""Where nothing can be received it is tried again after so long; the time doubles, up to the most."""

ASK_AGAIN_MS = 300_000
"""A job that went on when it was asked about is asked about again after so long."""


class Post(Protocol):
    """Where word of jobs arrives."""

    def take(self, stop: threading.Event) -> None:
        """Wait a while for word and file it; ``stop`` may end the waiting. Raises an AwsError."""
        ...


def told_in(body: str) -> tuple[str, str] | None:
    """Return (JobId, Status) told in the body of a message, enveloped by SNS or raw; None where it tells no such."""
    told: Any = body
    for _ in range(3):
        if isinstance(told, str):
            try:
                told = json.loads(told)
            except (ValueError, RecursionError):
                return None
        if not isinstance(told, dict):
            return None
        job_id, status = told.get("JobId"), told.get("Status")
        if isinstance(job_id, str) and isinstance(status, str) and job_id and status:
            return job_id, status.upper()
        told = told.get("Message")
    return None


class Queue:
    """The SQS queue. A message is deleted when what it says is in the inbox, and never if it is not ours."""

    def __init__(self, clients: Clients, url: str, inbox: Inbox, *, poll_s: int) -> None:
        """``poll_s``: seconds that one question waits for a message, at most 20."""
        self._clients = clients
        self._url = url
        self._inbox = inbox
        self._poll_s = poll_s

    def take(self, stop: threading.Event) -> None:
        """Wait for messages and file those that are ours. A question on its way is not cut short by ``stop``."""
        with translated("read the queue"):
            answer = self._clients("sqs").receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=self._poll_s,
                VisibilityTimeout=VISIBLE_S,
                AttributeNames=["ApproximateReceiveCount"],
            )
        for message in answer.get("Messages") or []:
            if stop.is_set():
                return  # they come again, to the next who listens
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        told = told_in(str(message.get("Body") or ""))
        handle = {"QueueUrl": self._url, "ReceiptHandle": message["ReceiptHandle"]}
        if told is None:
            log.warning("message %s in the queue is none of Rekognition's; it is left there", message.get("MessageId"))
        try:
            ours = told is not None and self._inbox.file(*told, via="queue")
        except EngineUnavailable as exc:
            log.warning("%s", exc)
            ours = False
        if ours:
            with translated("delete a message"):
                self._clients("sqs").delete_message(**handle)
            return
        times = int((message.get("Attributes") or {}).get("ApproximateReceiveCount") or 1)
        with translated("leave a message for later"):
            self._clients("sqs").change_message_visibility(
                **handle, VisibilityTimeout=min(LATEST_S, LATER_S * 2 ** min(times - 1, 16))
            )


class Listener:
    """Runs a thread for as long as jobs are open. Safe for several threads."""

    def __init__(
        self,
        runs: Runs,
        inbox: Inbox,
        post: Post,
        tidy: Callable[[], None],
        *,
        deadline_ms: int,
        again_ms: int = ASK_AGAIN_MS,
    ) -> None:
        """Prepare; the thread is started by ``wake``.

        Args:
            runs: The runs.
            inbox: Where word is filed.
            post: Where it arrives.
            tidy: Removes copies that nobody needs any more; called now and then.
            deadline_ms: A job of which no word came for so long, and for as long as its footage lasts, is asked about.
            again_ms: And again after so long.
        """
        self._runs, self._inbox, self._post, self._tidy = runs, inbox, post, tidy
        self._deadline_ms, self._again_ms = deadline_ms, again_ms
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Listen, if that is not done already: a job was started."""
        with self._lock:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._listen, name="rekognition-listener", daemon=True)
            self._thread.start()

    def close(self, patience_s: float) -> None:
        """Stop listening. A question that waits for messages ends by itself; it is waited for so long."""
        with self._lock:
            self._stop.set()
            thread = self._thread
        if thread is not None:
            thread.join(patience_s)

    def _listen(self) -> None:
        trouble_s = TROUBLE_S
        while not self._stop.is_set():
            try:
                with self._lock:
                    if not self._runs.open_jobs():
                        self._thread = None
                        return
                self._ask_overdue()
                self._post.take(self._stop)
                self._tidy()
                trouble_s = TROUBLE_S
            except VidsearchError as exc:
                if self._stop.is_set():
                    return
                self._tell(exc, lasting=trouble_s >= TROUBLE_MOST_S)
                self._stop.wait(trouble_s)
                trouble_s = min(TROUBLE_MOST_S, 2 * trouble_s)

    def _ask_overdue(self) -> None:
        for run in self._runs.overdue(self._deadline_ms, self._again_ms):
            job_id = str(run.job_id)
            try:
                status, _ = self._inbox.ask(job_id)
                log.info("no word came of job %s; asked, Amazon says %s", job_id, status)
                if status in (SUCCEEDED, FAILED):
                    self._inbox.file(job_id, status, "asked")
            except AwsRefused as exc:
                # Of this job it does not tell; the others must not wait for that.
                log.warning("%s", exc)

    def _tell(self, exc: VidsearchError, *, lasting: bool) -> None:
        """Say what keeps word from arriving. Where somebody must mend it, whoever waits for completions is told."""
        log.warning("%s", exc)
        if isinstance(exc, AwsNotFound):
            exc = AwsNotSetUp(str(exc))
        if isinstance(exc, (EngineUnusable, StoreError)) or (lasting and isinstance(exc, EngineUnavailable)):
            self._inbox.report(exc)
