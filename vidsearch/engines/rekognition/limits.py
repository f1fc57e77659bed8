"""Keep to the calls a second that Amazon allows of each operation in a region."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

LARGE: Final = frozenset(("us-east-1", "us-west-2", "eu-west-1"))
"""Regions in which photo operations may be called ten times as often."""

GET_LARGE: Final = LARGE | {"us-gov-west-1"}
"""Regions in which results may be read four times as often."""

PHOTO_OPERATIONS: Final = frozenset(("IndexFaces", "SearchFaces", "SearchFacesByImage", "ListFaces"))

NO_LIMIT: Final = float("inf")


def allowed(operation: str, region: str) -> float:
    """Return how many calls a second of an operation Amazon allows an account in a region, by its published quotas."""
    if operation in PHOTO_OPERATIONS:
        return 50.0 if region in LARGE else 5.0
    if operation == "DetectFaces":
        return 100.0 if region in LARGE else 25.0
    if operation.startswith("Get"):
        return 20.0 if region in GET_LARGE else 5.0
    return 5.0


class Limiter:
    """Lets calls through at the allowed rate. Safe for several threads.

    It knows of this process only: where several together are too fast, Amazon says so and the call is made again.
    """

    def __init__(
        self,
        rate: Callable[[str], float],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``rate`` gives calls a second for the name of an operation."""
        self._rate = rate
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}

    @classmethod
    def of_region(cls, region: str) -> Limiter:
        """Return a limiter with the quotas of a region."""
        return cls(lambda operation: allowed(operation, region))

    @classmethod
    def none(cls) -> Limiter:
        """Return one that holds nobody up."""
        return cls(lambda operation: NO_LIMIT)

    def wait(self, operation: str) -> None:
        """Return when the operation may be called, which is counted as a call."""
        rate = self._rate(operation)
        if rate == NO_LIMIT:
            return
        with self._lock:
            now = self._clock()
            # A second's worth may be called at once, as Amazon's own meter allows; after that, evenly.
            at = max(self._free_at.get(operation, 0.0), now - (rate - 1) / rate)
            self._free_at[operation] = at + 1 / rate
        if at - now > 1e-6:
            self._sleep(at - now)
