"""A worker: runs jobs, names what they find as it is found, and computes hashes beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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
        hash_pending: Callable[[Callable[[], bool]], None],
        *,
        engine_name: str,
        on_event: Callable[[Job], None] | None,
        on_found: Callable[[list[Appearance]], None] | None,
    ) -> None:
        """Use ``App.worker``."""
        self._store = store
        self._match = match
        self._hash = hash_pending
        self._engine_name = engine_name
        self._on_found = on_found
        self._matched_at: dict[int, float] = {}
        self.manager = manager(on_collected=self._collected, on_event=on_event)

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
        footage = self._store.footage.get(job.case_id, job.footage_id)
        now = time.monotonic()
        last = self._matched_at.get(footage.id)
        if last is not None and now - last < MATCH_EVERY_S and not self._is_last(job):
            return
        self._matched_at[footage.id] = now
        new = self._match(footage)
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
                self._hash(left.is_set)
                left.wait(HASH_EVERY_S)

        thread = threading.Thread(target=work, name="hashing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()
