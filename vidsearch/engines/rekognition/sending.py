"""Bring a piece of a recording to Amazon and have it searched: cut, upload, StartFaceSearch. Each may be repeated.

What is about to be asked is in ``engine.db`` before it is asked, so that a process that died at any instant asks the
very same again, which Amazon answers with the very same job.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidsearch.cuts import Cut, merged
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition import runs as states
from vidsearch.engines.rekognition.calls import Calls, lost_collection
from vidsearch.engines.rekognition.collections import Collections
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.engines.rekognition.inbox import Inbox
from vidsearch.engines.rekognition.ports import Bounds, Cutter, Resources, Uploader
from vidsearch.engines.rekognition.runs import Run, Runs
from vidsearch.engines.rekognition.translate import UNWANTED
from vidsearch.errors import (
    AwsDenied,
    AwsError,
    AwsNotFound,
    AwsRefused,
    DatabaseUnusable,
    EngineBusy,
    EngineUnavailable,
    FFmpegFailed,
    SourceUnavailable,
)

log = logging.getLogger(__name__)

NOBODY = "nobody is enrolled in this case"
"""Why a piece is not searched at all."""

ROLE_MS = 90_000
"""Amazon takes a minute to know a new role everywhere; for so long after the first try a refusal is no answer."""

TOUCH_MS, TOUCH_BYTES = 10_000, 8 << 20
"""A cut says that it lives after so long, an upload after so many bytes."""

CUTTING = 0.3
"""Share of the way to the bucket that cutting is taken for, where something is cut."""


class Sending:
    """Takes runs from their request to a job of Amazon's. Safe for several threads and processes."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        runs: Runs,
        inbox: Inbox,
        calls: Calls,
        collections: Collections,
        cutter: Cutter,
        uploader: Uploader,
        resources: Resources,
        bounds: Bounds,
        stop: Callable[[], bool],
        drop_results: Callable[[str], None] | None = None,
    ) -> None:
        """``folder`` holds cuts on their way; ``stop`` is asked during uploads.

        ``drop_results`` removes what is stored in the bucket of a job's results, where something is.
        """
        self._folder = folder
        self._database = database
        self._runs, self._inbox = runs, inbox
        self._calls, self._collections = calls, collections
        self._cutter, self._uploader = cutter, uploader
        self._resources, self._bounds = resources, bounds
        self._stop = stop
        self._drop_results = drop_results
        self._shares: dict[str, float] = {}
        self._make_room()

    # -- steps ---------------------------------------------------------------------------------------------------

    def prepare(self, request: RunRequest, token: str) -> Run:
        """Make the file that is sent. A run that has nothing to look at, or for nobody, ends here."""
        self._resources.require()
        run = self._runs.ensure(request, token, self._changed_ms(request.gallery))
        if run.state == states.CUT and not _still_there(run):
            run = self._runs.change(token, state=states.NEW)
        if run.state != states.NEW:
            return run
        reason = self._why_not(request)
        if reason:
            self._inbox.end(token, states.SKIPPED, reason)
            return self._runs.get(token)
        cut = self._cut(request, run)
        if not cut.stretches:
            self._inbox.end(token, states.SKIPPED, "the recording has no pictures there")
            return self._runs.get(token)
        return self._runs.note_cut(token, cut)

    def _cut(self, request: RunRequest, run: Run) -> Cut:
        touched = now_ms()

        def on_progress(share: float) -> None:
            nonlocal touched
            self._shares[run.token] = CUTTING * share
            if now_ms() - touched >= TOUCH_MS:
                touched = now_ms()
                self._runs.change(run.token, state=states.NEW)

        try:
            return self._cutter.cut(
                request.path,
                request.facts,
                _size(request.path),
                merged(request.spans or [(request.start_ms, request.end_ms)]),
                self._folder / f"{run.name}.mp4",
                max_bytes=self._bounds.max_bytes,
                max_ms=self._bounds.max_ms,
                on_progress=on_progress,
                stop=self._stop,
            )
        except FFmpegFailed as exc:
            if self._stop():
                raise EngineBusy("the cut was stopped; the next start makes it again") from exc
            raise
        finally:
            self._shares.pop(run.token, None)

    def upload(self, request: RunRequest, token: str) -> Run:
        """Send the file to the bucket. A file made for it goes from this machine then."""
        run = self.prepare(request, token)
        if run.state != states.CUT or run.source is None:
            return run
        suffix = run.source.suffix.lower() if run.source.suffix.lower() in (".mp4", ".mov") else ".mp4"
        key = f"{self._resources.prefix}/footage/{self._database.folder}/{run.name}{suffix}"
        self._runs.change(token, object_key=key)
        touched, before = 0, CUTTING if run.made else 0.0

        def on_bytes(done: int, total: int) -> None:
            nonlocal touched
            self._shares[token] = before + (1 - before) * done / max(1, total)
            if done - touched >= TOUCH_BYTES:
                touched = done
                self._runs.change(token, object_key=key)

        try:
            sent = self._uploader.put(run.source, key, state=self._state(run), on_bytes=on_bytes, stop=self._stop)
        finally:
            self._shares.pop(token, None)
        run = self._runs.change(token, state=states.SENT, version_id=sent.version_id or "")
        self._drop_cut(run)
        return run

    def start(self, request: RunRequest, token: str) -> Run:
        """Have Amazon search. Raises EngineBusy where no job slot is free."""
        run = self.upload(request, token)
        if run.state in (states.STARTED, states.DONE):
            return run
        taken = self._runs.take_slot(token, json.dumps(self._request(run)), self._bounds.max_jobs)
        if taken is None:
            raise EngineBusy(f"{self._bounds.max_jobs} searches are running at Amazon already, as many as are allowed")
        if taken.state in (states.STARTED, states.DONE):
            return taken
        try:
            job_id = self._calls.start_face_search(json.loads(taken.request or "{}"))
        except EngineUnavailable:
            # The job may have been started, with the answer lost: the slot stays taken, and the same is asked again.
            raise
        except EngineBusy:
            self._runs.back(token, states.SENT)
            raise
        except AwsError as exc:
            raise self._refused(taken, exc) from exc
        self._database.set_fact(f"role/{self._resources.role_arn}", "known")
        return self._runs.started(token, job_id)

    def share(self, token: str) -> float | None:
        """Return how much of cutting and uploading is done, 0 to 1, or None where neither is going on."""
        return self._shares.get(token)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def cancel(self, token: str) -> None:
        """Forget a run. A job cannot be stopped: it takes up its slot until it ends, then its copies go."""
        run = self._runs.find(token)
        if run is None:
            return
        if run.state in (states.STARTING, states.STARTED, states.DONE):
            self._runs.change(token, cancelled=1)
            self.tidy()
        else:
            self._clean(run)
            self._runs.remove(token)

    def purge(self, footage: str) -> None:
        """Forget the runs of a recording: its copies go at once, here and in the bucket, also those to be kept.

        A job begun goes on at Amazon, in its slot, as far as it can without them.
        """
        for run in self._runs.of_footage(footage):
            for path in self._folder.glob(f"{run.name}.mp4*"):
                path.unlink(missing_ok=True)
            if run.object_key:
                self._uploader.remove(run.object_key, state=self._state(run), version_id=run.version_id)
            if run.job_id and self._drop_results is not None:
                self._drop_results(run.job_id)
            if run.state in (states.STARTING, states.STARTED):
                self._runs.change(run.token, cancelled=1, object_key=None)
            else:
                self._runs.remove(run.token)

    def tidy(self) -> None:
        """Remove the copies of runs that nobody needs any more. What cannot be removed now is tried again later."""
        denied: AwsDenied | None = None
        for run in self._runs.to_clean():
            try:
                self._clean(run)
            except AwsDenied as exc:
                denied = exc  # as by a policy of before: what may be removed of the others goes
                continue
            except (AwsError, EngineBusy) as exc:
                log.warning("%s", exc)
                return
            if run.state == states.DONE:
                self._runs.cleaned(run.token, kept=self._keeps(run))
            else:
                self._runs.remove(run.token)
        if denied is not None:
            log.warning("%s", denied)

    # -- inside --------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Make the folder, and remove what crashes left in it: cuts and notes of uploads that no run needs."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # In this order: a run is written down before its file is made.
            there = list(self._folder.iterdir())
            needed = self._runs.names_in_use()
            for path in there:
                if path.is_file() and path.name.split(".")[0] not in needed:
                    path.unlink(missing_ok=True)
        except OSError as exc:
            raise DatabaseUnusable(f"{self._folder} cannot be used: {exc.strerror or exc}") from exc

    def _changed_ms(self, gallery: str | None) -> int:
        """Return when the last face was enrolled: what was asked before is no answer for the gallery as it is."""
        collection = self._collections.find(gallery or "")
        return self._collections.changed_ms(collection) if collection else 0

    def _why_not(self, request: RunRequest) -> str | None:
        """Return why there is nothing to search for, or None. Nobody should pay to look for nobody."""
        if request.spans is not None and not merged(request.spans):
            return UNWANTED
        collection = self._collections.find(request.gallery or "")
        if collection is None or not self._calls.has_faces(collection):
            return NOBODY
        return None

    def _request(self, run: Run) -> dict[str, Any]:
        """Return what StartFaceSearch is asked."""
        stored = {"Bucket": self._resources.bucket, "Name": run.object_key}
        if run.version_id:
            stored["Version"] = run.version_id
        return {
            "Video": {"S3Object": stored},
            "CollectionId": self._collections.of(run.gallery),
            "FaceMatchThreshold": self._bounds.threshold,
            # Tokens of two data folders may be the same, and Amazon knows only one account.
            "ClientRequestToken": hashlib.sha256(f"{self._database.folder}/{run.token}".encode()).hexdigest(),
            "NotificationChannel": {"SNSTopicArn": self._resources.topic_arn, "RoleArn": self._resources.role_arn},
            "JobTag": f"vidsearch:{re.sub(r'[^a-zA-Z0-9_.-]', '-', run.token)[:16]}",
        }

    def _refused(self, run: Run, exc: AwsError) -> Exception:
        """Return the error for a start that Amazon refused; the slot is free again."""
        request = json.loads(run.request or "{}")
        self._runs.back(run.token, states.SENT)
        if exc.code == "IdempotentParameterMismatchException":
            return AwsRefused(
                "Amazon was asked for something else under this job's token before, as after engine.db was restored "
                "from a copy: search again, which asks under a new one",
                code=exc.code,
            )
        if isinstance(exc, AwsNotFound):
            return lost_collection(request.get("CollectionId", ""))
        if exc.code == "InvalidS3ObjectException":
            return self._unseen(run, exc)
        if exc.code == "VideoTooLargeException":
            return AwsRefused(f"{exc}: set rekognition_max_bytes or rekognition_max_hours lower", code=exc.code)
        if exc.code.startswith("AccessDenied") or exc.code == "InvalidParameterException":
            return self._new_role(exc)
        return exc

    def _unseen(self, run: Run, exc: AwsError) -> Exception:
        """Return the error for an object that Rekognition does not see; one that is gone is uploaded again."""
        key = str(run.object_key)
        if self._uploader.exists(key) is None:
            self._runs.back(run.token, states.NEW)
            return EngineBusy(f"s3://{self._resources.bucket}/{key} is gone; it is uploaded again")
        return AwsRefused(
            f"Rekognition cannot read s3://{self._resources.bucket}/{key}: the bucket must be in the region aws_region "
            f"names, and you need s3:GetObject on it, and kms:Decrypt on its key; `vidsearch doctor` looks ({exc})",
            code=exc.code,
        )

    def _new_role(self, exc: AwsError) -> Exception:
        """Return EngineBusy while Amazon may not know the role yet: it worked never, and was tried not long ago."""
        role = self._resources.role_arn
        if self._database.fact(f"role/{role}") == "known":
            return exc
        tried = int(self._database.fact(f"tried/{role}") or 0)
        if not tried:
            tried = now_ms()
            self._database.set_fact(f"tried/{role}", str(tried))
        if now_ms() - tried < ROLE_MS:
            return EngineBusy(f"Amazon does not know the new role yet ({exc})")
        self._database.set_fact(f"tried/{role}", "0")
        return exc

    def _state(self, run: Run) -> Path:
        return self._folder / f"{run.name}.upload.json"

    def _clean(self, run: Run) -> None:
        """Remove a run's cut, its stored results where no other run has them to read, and the object not to be kept."""
        self._drop_cut(run)
        if run.object_key and not self._keeps(run):
            self._uploader.remove(run.object_key, state=self._state(run), version_id=run.version_id)
        if run.job_id and self._drop_results is not None and not self._runs.is_shared(run):
            self._drop_results(run.job_id)

    def _keeps(self, run: Run) -> bool:
        return self._bounds.keep and run.state == states.DONE

    def _drop_cut(self, run: Run) -> None:
        if run.made and run.source is not None:
            try:
                run.source.unlink(missing_ok=True)
            except OSError as exc:
                log.warning("%s cannot be removed: %s", run.source, exc)


def _still_there(run: Run) -> bool:
    return run.source is not None and run.source.exists()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as exc:
        raise SourceUnavailable(
            f"{path} is not where it was ({exc.strerror or exc}); attach its drive, or run "
            "`vidsearch footage relink FOLDER`"
        ) from exc
