"""A worker: runs jobs, names what they find as it is found, and computes hashes beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from vidsearch.errors import StoreError
from vidsearch.jobs.manager import JobManager
from vidsearch.model import Appearance, Footage, Job
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store

MATCH_EVERY_S = 3.0
"""While a recording is analysed its tracks are matched this often, and once more when its last job is done."""

HASH_EVERY_S = 5.0
"""A running worker looks this often for recordings that have no SHA-256 yet."""


class Worker:
    """One process's share of the work on a data folder. Several may run at once."""

    def __init__(
        self,
        store: Store,
        manager: Callable[..., JobManager],
        match: Callable[[Footage], list[Appearance]],
        pending: Callable[[str], list[Footage]],
        hash_pending: Callable[[Callable[[], bool]], None],
        *,
        engine_name: str,
        at_end: bool,
        on_event: Callable[[Job], None] | None,
        on_found: Callable[[list[Appearance]], None] | None,
    ) -> None:
        """Use ``App.worker``.

        ``at_end``: matching costs something, so it is done for all recordings at once, when no job is open any more.
        """
        self._store = store
        self._match = match
        self._pending = pending
        self._hash = hash_pending
        self._engine_name = engine_name
        self._at_end = at_end
        self._on_event = on_event
        self._on_found = on_found
        self._matched_at: dict[int, float] = {}
        self.manager = manager(on_collected=self._collected, on_event=self._moved)

    def run(self, job_ids: Sequence[int]) -> None:
        """Work until none of these jobs is open, whoever does them. A KeyboardInterrupt passes through."""
        with self._hashing():
            self.manager.run(lambda: not self._store.jobs.any_open(self._engine_name, job_ids), job_ids=job_ids)

    def run_forever(self, stop: threading.Event) -> None:
        """Work on whatever is queued until ``stop`` is set."""
        with self._hashing():
            self.manager.run_forever(stop)

    def _collected(self, job: Job) -> None:
        """Match a recording whose job was just collected, but not so often that matching becomes the work."""
        if self._at_end:
            return
        last = self._matched_at.get(job.footage_id)
        if last is None or time.monotonic() - last >= MATCH_EVERY_S or self._is_last(job):
            self._match_recording(job)

    def _moved(self, job: Job) -> None:
        """Tell of a job that moved, and match its recording once more when that ended its last one.

        Two workers may each have collected one of the last two jobs and left the matching to the other, and a last job
        that fails is collected by nobody.
        """
        if self._on_event:
            self._on_event(job)
        if JobState(job.state) not in (JobState.SUCCEEDED, JobState.FAILED):
            return
        if not self._at_end:
            if self._is_last(job):
                self._match_recording(job)
        elif not self._store.jobs.open_ids(job.case_id, like=job):
            for footage in self._pending(job.case_id):
                self._tell(self._match(footage))

    def _match_recording(self, job: Job) -> None:
        self._matched_at[job.footage_id] = time.monotonic()
        self._tell(self._match(self._store.footage.get(job.case_id, job.footage_id)))

    def _tell(self, new: list[Appearance]) -> None:
        if new and self._on_found:
            self._on_found(new)

    def _is_last(self, job: Job) -> bool:
        jobs = self._store.jobs.for_footage(job.footage_id, job.engine, job.engine_version, job.settings_key)
        return not any(JobState(other.state) in OPEN for other in jobs if other.id != job.id)

    @contextmanager
    def _hashing(self) -> Iterator[None]:
        """Compute hashes of new recordings in a thread while the block runs."""
        left = threading.Event()

        def work() -> None:
            while not left.is_set():
                # The worker meets the same trouble with its next write, and reports it; hashing tries again.
                with suppress(StoreError):
                    self._hash(left.is_set)
                left.wait(HASH_EVERY_S)

        thread = threading.Thread(target=work, name="hashing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()
