"""Jobs that an engine could not take at the moment: asked again later, in longer and longer intervals."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from vidsearch.errors import EngineBusy, EngineUnavailable
from vidsearch.model import Job

BUSY_S = 5.0
"""An engine whose places are all taken is asked again after about so long; jobs there take minutes."""

FIRST_S, LONGEST_S = 2.0, 60.0
"""An engine that cannot be reached is asked again after so long; the wait doubles up to the longest."""

TRIES, PATIENCE_S = 12, 480.0
"""Failures in a row, of whichever jobs, and the seconds that they lasted, after which whoever waits is told."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    at: float
    """Monotonic seconds."""
    taken: bool = False


class Later:
    """The jobs of one worker that wait. Not safe for threads, except ``reason``."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the last one waits; None where none does."""
        self._waiting: dict[int, _Waiting] = {}
        self._failures = 0
        self._since = 0.0
        """When the first of them was, in monotonic seconds."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def jobs(self) -> list[Job]:
        """Those that wait."""
        return [waiting.job for waiting in self._waiting.values()]

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask again about one."""
        return self._due() is not None

    def knows(self, job: Job) -> bool:
        """Whether a job waits, or is just being asked about again."""
        return job.id in self._waiting

    def put(self, job: Job, why: EngineBusy | EngineUnavailable) -> None:
        """Let a job wait. Raises ``why`` where the engine could not be reached for too long."""
        if isinstance(why, EngineBusy):
            wait_s = BUSY_S
        else:
            self.failed(why)
            wait_s = min(LONGEST_S, FIRST_S * 2 ** min(10, self._failures - 1))
        self.reason = str(why)
        # Workers that were all turned away at once should not come back at once.
        self._waiting[job.id] = _Waiting(job, time.monotonic() + wait_s * random.uniform(0.5, 1.0))

    def failed(self, why: EngineUnavailable) -> None:
        """Count a failure to reach the engine. Raises it where there were too many in a row."""
        now = time.monotonic()
        self._since = self._since if self._failures else now
        self._failures += 1
        self.reason = str(why)
        if self._failures >= TRIES and now - self._since >= PATIENCE_S:
            raise why

    def reached(self) -> None:
        """Say that the engine answered."""
        self._failures = 0

    def take(self) -> Job | None:
        """Return a job that it is time to ask about again; ``put`` or ``done`` must follow."""
        waiting = self._due()
        if waiting is None:
            return None
        waiting.taken = True
        return waiting.job

    def done(self, job: Job) -> None:
        """Forget about a job: it is with the engine now, or somebody stopped it."""
        self._waiting.pop(job.id, None)
        if not self._waiting:
            self.reason = None

    def _due(self) -> _Waiting | None:
        now = time.monotonic()
        return next((one for one in self._waiting.values() if one.at <= now and not one.taken), None)
