"""Look at a video: fetch it, judge whether it is taken, and have the local engine analyse it, once for each content."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.engine import RunRequest
from vidsearch.engines.local.engine import LocalEngine
from vidsearch.errors import AwsError, FootageRefused
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts
from vidsearch.rekognition_local.faults import FaultPlan
from vidsearch.rekognition_local.images import object_names
from vidsearch.rekognition_local.refusals import NO_OBJECT, UNSUPPORTED
from vidsearch.rekognition_local.state import State

TOO_LONG = "The duration of the supplied media is too large. The maximum duration is 6 hours."

_CHUNK = 1 << 20
_WAIT_S = 0.25
"""How long completions are waited for before it is asked whether to stop."""


class JobFailed(Exception):
    """The job ends as FAILED, with this StatusMessage."""


class Stopped(Exception):
    """The server stops; the job is done after the next start."""


class Content:
    """A video that has been analysed."""

    def __init__(self, key: str, facts: MediaFacts) -> None:
        """``key`` names its footage to the engine."""
        self.key = key
        self.facts = facts

    def metadata(self) -> dict[str, Any]:
        """Return it as VideoMetadata."""
        facts = self.facts
        return {
            "Codec": facts.codec,
            "DurationMillis": facts.duration_ms,
            "Format": "QuickTime / MOV",
            "FrameRate": round(facts.fps, 3),
            "FrameHeight": facts.height,
            "FrameWidth": facts.width,
            "ColorRange": "FULL" if facts.pixel_format.startswith("yuvj") else "LIMITED",
        }


class Analysis:
    """Turns objects of S3 into analysed footage."""

    def __init__(
        self,
        state: State,
        clients: Clients,
        engine: LocalEngine,
        folder: Path,
        plan: FaultPlan,
        stopped: Callable[[], bool],
    ) -> None:
        """``folder`` holds videos while they are looked at; what an earlier server left there goes."""
        self._state, self._clients, self._engine = state, clients, engine
        self._plan, self._stopped = plan, stopped
        self._version = f"{engine.version}/{engine.settings_key}"
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    def of(self, job: sqlite3.Row) -> Content:
        """Return a job's video, analysed. Raises JobFailed, Stopped."""
        with self._state.reading() as db:
            known = db.execute(
                "SELECT sha256, facts, message FROM contents WHERE etag = ? AND size = ? AND engine = ?",
                (job["etag"], job["size"], self._version),
            ).fetchone()
        if known is not None:
            if known["facts"] is None:
                raise JobFailed(known["message"])
            facts = MediaFacts(**json.loads(known["facts"]))
            self._refuse_long(facts)
            return Content(known["sha256"], facts)
        path = self._folder / f"{job['id']}.video"
        try:
            return self._analysed(job, path)
        finally:
            path.unlink(missing_ok=True)

    def _analysed(self, job: sqlite3.Row, path: Path) -> Content:
        sha = self._fetch(job, path)
        try:
            facts = _accepted(path)
        except JobFailed as exc:
            self._note(job, sha, None, str(exc))
            raise
        self._refuse_long(facts)
        self._run(sha, path, facts)
        self._note(job, sha, facts, None)
        return Content(sha, facts)

    def _refuse_long(self, facts: MediaFacts) -> None:
        """Raise JobFailed for a video longer than is taken now: another time it may be more."""
        if facts.duration_ms > 1000 * self._plan.faults.max_video_s:
            raise JobFailed(TOO_LONG)

    def _fetch(self, job: sqlite3.Row, path: Path) -> str:
        """Copy the object to a file and return its SHA-256."""
        names = object_names(json.loads(job["request"])["Video"]["S3Object"])
        if job["object_version"]:
            names["VersionId"] = job["object_version"]
        sha = hashlib.sha256()
        try:
            with translated("read the video"):
                # The object that the job was started for, and no later one under the same key.
                body = self._clients("s3").get_object(**names, IfMatch=job["etag"])["Body"]
                with body, path.open("wb") as out:
                    for chunk in body.iter_chunks(_CHUNK):
                        if self._stopped():
                            raise Stopped
                        sha.update(chunk)
                        out.write(chunk)
        except AwsError as exc:
            raise JobFailed(NO_OBJECT) from exc
        return sha.hexdigest()

    def _run(self, key: str, path: Path, facts: MediaFacts) -> None:
        """Have the engine look at all of it."""
        step = self._engine.media_limits.segment_ms
        waiting = deque((start, min(start + step, facts.duration_ms)) for start in range(0, facts.duration_ms, step))
        running: set[str] = set()
        try:
            while waiting or running:
                while waiting and len(running) < self._engine.capacity:
                    start, end = waiting.popleft()
                    request = RunRequest(key, path, facts, start, end)
                    running.add(self._engine.start(request, f"{key}/{start}/{end}"))
                for completion in self._engine.completions(_WAIT_S):
                    self._engine.acknowledge(completion)
                    running.discard(completion.run_ref)
                    if completion.error:
                        raise JobFailed(f"Internal error: {completion.error}")
                if self._stopped():
                    raise Stopped
        finally:
            for ref in running:
                self._engine.cancel(ref)

    def _note(self, job: sqlite3.Row, sha: str, facts: MediaFacts | None, message: str | None) -> None:
        told = None if facts is None else json.dumps(asdict(facts))
        with self._state.changing() as db:
            db.execute(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?, ?)",
                (job["etag"], job["size"], self._version, sha, told, message),
            )


def _accepted(path: Path) -> MediaFacts:
    """Return what a video is, where it is one that is taken. Raises JobFailed."""
    try:
        facts = probe(path)
    except FootageRefused as exc:
        raise JobFailed(UNSUPPORTED) from exc
    if facts.codec != "h264" or facts.container not in ("mp4", "mov"):
        raise JobFailed(UNSUPPORTED)
    return facts
