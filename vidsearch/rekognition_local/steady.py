"""Threads that take one step after another, whatever a step meets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)

PAUSE_S = 2.0
"""After a step that broke, such as on a full disk."""


class Steady:
    """Calls ``step`` until it is stopped; where there is nothing to do, it waits to be woken."""

    def __init__(self, name: str, step: Callable[[], bool], stop: threading.Event, *, idle_s: float) -> None:
        """Prepare.

        Args:
            name: Of the thread.
            step: Does some work and returns whether there was any.
            stop: Ends it after the step under way.
            idle_s: How long it waits at most before it looks for work again.
        """
        self._name, self._step, self._stop, self._idle_s = name, step, stop, idle_s
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is work."""
        self._wake.set()

    def join(self) -> None:
        """Wait until it has stopped."""
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        # Through a pool of one: what a step raises comes back as its outcome and does not end the thread.
        with ThreadPoolExecutor(1, thread_name_prefix=self._name) as pool:
            while not self._stop.is_set():
                self._wake.clear()
                outcome = pool.submit(self._step)
                error = outcome.exception()
                if error is not None:
                    log.error("%s: %s: %s", self._name, type(error).__name__, error, exc_info=error)
                    self._stop.wait(PAUSE_S)
                elif not outcome.result():
                    self._wake.wait(self._idle_s)
