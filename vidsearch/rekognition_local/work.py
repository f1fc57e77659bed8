"""Do the jobs, one after the other, in a thread of their own."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from vidsearch.engines.local.engine import LocalEngine
from vidsearch.errors import VidsearchError
from vidsearch.model import ProbeMatch, Track
from vidsearch.rekognition_local.analysis import Analysis, Content, JobFailed, Stopped
from vidsearch.rekognition_local.collections import Collections
from vidsearch.rekognition_local.faces import Faces
from vidsearch.rekognition_local.faults import FaultPlan
from vidsearch.rekognition_local.messages import Messages
from vidsearch.rekognition_local.refusals import Refusal
from vidsearch.rekognition_local.state import State
from vidsearch.rekognition_local.steady import Steady

_IDLE_S = 0.5
"""How often it is looked for work that no call has told of: jobs that were to take a while."""


class JobWorker:
    """Takes the oldest open job, finds who is in its video, keeps that and has it told."""

    def __init__(
        self,
        state: State,
        engine: LocalEngine,
        analysis: Analysis,
        collections: Collections,
        faces: Faces,
        messages: Messages,
        plan: FaultPlan,
        now: Callable[[], int],
        stop: threading.Event,
    ) -> None:
        """``stop`` ends the work at the next picture; what was not finished is done after the next start."""
        self._state, self._engine, self._analysis = state, engine, analysis
        self._collections, self._faces, self._messages = collections, faces, messages
        self._plan, self._now = plan, now
        self._broken: sqlite3.Row | None = None
        self.thread = Steady("jobs", self._step, stop, idle_s=_IDLE_S)

    def _step(self) -> bool:
        """Do one job and return whether there was any. One that broke the step before ends as FAILED."""
        broken, self._broken = self._broken, None
        if broken is not None:
            self._finish(broken, None, "Internal error")
            return True
        job = self._next()
        if job is None:
            return False
        self._broken = job
        self._do(job)
        self._broken = None
        return True

    def _next(self) -> sqlite3.Row | None:
        until = self._now() - round(1000 * self._plan.faults.job_s)
        with self._state.reading() as db:
            row: sqlite3.Row | None = db.execute(
                "SELECT * FROM jobs WHERE status = 'IN_PROGRESS' AND created_ms <= ? ORDER BY number LIMIT 1", (until,)
            ).fetchone()
        return row

    def _do(self, job: sqlite3.Row) -> None:
        if self._plan.job_fails():
            self._finish(job, None, self._plan.faults.fail_message, forced=True)
            return
        try:
            content = self._analysis.of(job)
            self._finish(job, content, None)
        except (JobFailed, Refusal) as exc:
            self._finish(job, None, str(exc))
        except Stopped:
            return
        except VidsearchError as exc:
            self._finish(job, None, f"Internal error: {exc}")

    def _finish(self, job: sqlite3.Row, content: Content | None, failed: str | None, *, forced: bool = False) -> None:
        """Keep a job's outcome, its results and the message that tells of it, all of it or nothing."""
        request = json.loads(job["request"])
        people = [] if content is None else list(self._people(content, request))
        status = "FAILED" if failed else "SUCCEEDED"
        with self._state.changing() as db:
            for person, (confidence, matches, path) in enumerate(people):
                db.execute(
                    "INSERT INTO people VALUES (?, ?, ?, ?)", (job["number"], person, confidence, json.dumps(matches))
                )
                db.executemany(
                    "INSERT OR IGNORE INTO sightings VALUES (?, ?, ?, ?)",
                    [(job["number"], ms, person, json.dumps(box)) for ms, box in path],
                )
            video = None if content is None else json.dumps(content.metadata())
            db.execute(
                "UPDATE jobs SET status = ?, message = ?, video = ? WHERE number = ?",
                (status, failed, video, job["number"]),
            )
            told = "ERROR" if forced and self._plan.faults.error_status else status
            self._messages.put(db, job["id"], request, told)
        self._messages.thread.wake()

    def _people(self, content: Content, request: dict[str, Any]) -> Iterator[tuple[float, list[Any], list[Any]]]:
        """Yield (confidence, FaceMatches, [(ms, box)]) of everybody in a video, in order of their first sighting."""
        collection = self._collections.usable(request["CollectionId"])
        found: dict[str, list[ProbeMatch]] = defaultdict(list)
        for match in self._engine.match(collection["gallery"], content.key):
            # A name needs as many shots that agree as the local engine asks for.
            if match.agreeing >= self._engine.agreeing_shots:
                found[match.track_id].append(ProbeMatch(match.face_id, match.similarity, match.weak))
        paths = dict(self._engine.paths(content.key))
        for track in sorted(self._tracks(content.key), key=lambda track: (track.start_ms, track.id)):
            path = [(ms, [box.left, box.top, box.width, box.height]) for ms, box in paths[track.id]]
            yield track.confidence, self._faces.matches(collection, found[track.id], request), path

    def _tracks(self, key: str) -> Iterator[Track]:
        page = self._engine.tracks(key)
        yield from page.tracks
        while page.next_cursor is not None:
            page = self._engine.tracks(key, page.next_cursor)
            yield from page.tracks
