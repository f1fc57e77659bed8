"""Worker processes: started by spawning, single-threaded inside, gone when their parent is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from vidsearch.engines.local.analyse import AnalyseTask, RangeAnalysis
from vidsearch.engines.local.faces import DETECT_FROM, Faces
from vidsearch.engines.local.piece import RangeResult


def analyse_range(task: AnalyseTask) -> RangeResult:
    """Do one task, in whatever process or thread an executor calls this."""
    faces = _faces(threading.get_ident(), task.models, task.detector, task.embedder)
    return RangeAnalysis(task, faces).run(_stopped())


class WorkerPool(ProcessPoolExecutor):
    """Processes of this machine. Shutting down stops running work at its next picture."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        super().__init__(workers, mp_context=context, initializer=start_worker, initargs=(self._stop,))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand out work; may start a process, which takes over from here that Ctrl-C is not for it."""
        if threading.current_thread() is not threading.main_thread():
            return super().submit(fn, *args, **kwargs)
        # A handler set in the process itself would come too late for a Ctrl-C while it still imports.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.signal(signal.SIGINT, before)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the workers."""
        if cancel_futures:
            self._stop.set()
        super().shutdown(wait, cancel_futures=cancel_futures)


def start_worker(stop: Event | None = None) -> None:
    """Prepare a process for tasks.

    Ctrl-C is the parent's to handle. A worker whose parent was killed ends itself at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2  # a worker uses one core; the parent decides how many workers there are

    cv2.setNumThreads(1)
    _held(stop)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    wait([sentinel])
    os._exit(1)


@cache
def _faces(thread: int, models: Path, detector: str, embedder: str) -> Faces:
    """Return the models of a thread, loaded once."""
    del thread
    return Faces(models, DETECT_FROM, detector, embedder)


def _stopped() -> Callable[[], bool]:
    stop = _held(None)
    return stop.is_set if stop is not None else lambda: False


def _held(stop: Event | None, _box: list[Event] = []) -> Event | None:  # noqa: B006
    """Keep the pool's stop event of this process, and return it."""
    if stop is not None:
        _box[:] = [stop]
    return _box[0] if _box else None
