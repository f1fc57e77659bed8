"""Word of jobs: kept in ``engine.db`` first, told to whoever started them until it is acknowledged."""

from __future__ import annotations

import threading
import time

from vidsearch.engine import Completion
from vidsearch.engines.rekognition.calls import Calls
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.engines.rekognition.runs import DONE, FAILED, SUCCEEDED, Run, Runs
from vidsearch.errors import UnknownRecord, VidsearchError

LOOK_S = 0.5
"""How often it is looked whether another process has filed word of one of our runs."""


class Inbox:
    """Files word of jobs of any process, and tells this process of its own. Safe for several threads."""

    def __init__(self, database: Database, runs: Runs, calls: Calls) -> None:
        self._database = database
        self._runs = runs
        self._calls = calls
        self._changed = threading.Condition()
        self._watched: set[str] = set()
        self._trouble: VidsearchError | None = None

    # -- filing --------------------------------------------------------------------------------------------------

    def file(self, job_id: str, status: str, via: str) -> bool:
        """Keep what was said of a job, once; False where it is not one of ours, or has not ended after all.

        Of a job that did not succeed Amazon is asked why, which may raise an AwsError.
        """
        run = self._runs.of_job(job_id)
        if run is None:
            return False
        if run.state == DONE:
            return True
        reason = None
        if status != SUCCEEDED:
            status, reason = self.ask(job_id)
            if status not in (SUCCEEDED, FAILED):
                return False
        self._keep(job_id, status, reason, via)
        return True

    def ask(self, job_id: str) -> tuple[str, str | None]:
        """Ask Amazon itself how a job stands: (JobStatus, one line that says why it failed)."""
        try:
            answer = self._calls.face_search(job_id, most=1)
        except UnknownRecord as exc:
            return FAILED, str(exc)
        status = str(answer.get("JobStatus") or "IN_PROGRESS")
        said = " ".join(str(answer.get("StatusMessage") or "no reason given").split())
        return status, _failure(job_id, said.rstrip(".")) if status == FAILED else None

    def end(self, token: str, outcome: str, reason: str | None) -> None:
        """End a run that Amazon has no job for."""
        self._runs.change(token, state=DONE, outcome=outcome, reason=reason)
        self.poke()

    def _keep(self, job_id: str, status: str, reason: str | None, via: str) -> None:
        with self._database.changing() as db:
            db.execute("INSERT OR IGNORE INTO inbox VALUES (?, ?, ?, ?)", (job_id, status, via, now_ms()))
            db.execute(
                "UPDATE runs SET state = 'done', outcome = ?, reason = ?, touched_ms = ? "
                "WHERE job_id = ? AND state = 'started'",
                (status, reason, now_ms(), job_id),
            )
        self.poke()

    # -- telling -------------------------------------------------------------------------------------------------

    def watch(self, token: str) -> None:
        """Tell this process of a run from now on, again if it was acknowledged before."""
        run = self._runs.get(token)
        if run.acknowledged:
            self._runs.change(token, acknowledged=0)
        with self._changed:
            self._watched.add(token)
            self._changed.notify_all()

    def unwatch(self, token: str) -> None:
        """Do not tell of a run any more."""
        with self._changed:
            self._watched.discard(token)

    def watched(self, token: str) -> bool:
        """Return whether this process is to be told of a run."""
        with self._changed:
            return token in self._watched

    def completions(self, wait_s: float) -> list[Completion]:
        """Return what is to be told, waiting for the first where there is nothing.

        Raises what keeps word from arriving, where somebody must mend it.
        """
        until = time.monotonic() + wait_s
        while True:
            with self._changed:
                watched = set(self._watched)
            ended = self._runs.ended(watched) if watched else []
            if ended:
                return [_completion(run) for run in ended]
            with self._changed:
                if self._trouble is not None:
                    trouble, self._trouble = self._trouble, None
                    raise trouble
                left = until - time.monotonic()
                if left <= 0:
                    return []
                self._changed.wait(min(left, LOOK_S))

    def left_over(self) -> list[Completion]:
        """Return what nobody has acknowledged, whoever is to be told of it."""
        return [_completion(run) for run in self._runs.ended()]

    def acknowledge(self, token: str) -> None:
        """Do not tell of a run again."""
        if self._runs.find(token) is not None:
            self._runs.change(token, acknowledged=1)
        self.unwatch(token)

    def report(self, trouble: VidsearchError) -> None:
        """Have the next call of ``completions`` raise what keeps word from arriving."""
        with self._changed:
            self._trouble = trouble
            self._changed.notify_all()

    def poke(self) -> None:
        """Have ``completions`` look at once."""
        with self._changed:
            self._changed.notify_all()


def _completion(run: Run) -> Completion:
    return Completion(run.token, run.reason if run.outcome == FAILED else None)


def _failure(job_id: str, said: str) -> str:
    if "codec" in said.lower() or "format" in said.lower():
        mend = "convert the recording to H.264 in MP4 and add it again"
    else:
        mend = "search again, which tries once more"
    return f"Amazon could not search this part ({said}; job {job_id}): {mend}"
