"""Send ranges to workers and store what comes back, so that repeating anything is harmless."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.engine import Completion, RunRequest
from vidsearch.engines.local.crops import Crops
from vidsearch.engines.local.piece import RangeResult
from vidsearch.engines.local.reading import Reader
from vidsearch.engines.local.vectors import Range, Vectors
from vidsearch.errors import VidsearchError

if TYPE_CHECKING:
    from vidsearch.engines.local.analyse import AnalyseTask

_ATTEMPTS = 2
"""Times a range is tried when workers die of it: the first time another range may have been to blame."""


@dataclass(slots=True)
class _Open:
    """A run that is being worked on."""

    of: Range
    task: AnalyseTask
    future: Future[RangeResult]
    attempts: int = 1


class Runs:
    """The runs of this process. Safe for several threads."""

    def __init__(
        self,
        vectors: Vectors,
        crops: Crops,
        executor: Callable[[], Executor],
        version: str,
        sample_ms: int,
        reader: Reader,
        models: Path,
        own: tuple[str, str],
    ) -> None:
        """``own``: a site's own detector and embedder, or empty words. The executor is made on the first run."""
        self._vectors, self._crops = vectors, crops
        self._make_executor = executor
        self._executor: Executor | None = None
        self._version, self._sample_ms = version, sample_ms
        self._reader, self._models, self._own = reader, models, own
        self._lock = threading.RLock()
        self._open: dict[str, _Open] = {}
        self._done: dict[str, Completion] = {}

    def start(self, request: RunRequest, token: str) -> str:
        """Start a run, or find it again; its reference is its token."""
        of = Range(request.footage_key, self._version, request.start_ms, request.end_ms)
        with self._lock:
            if token in self._open or token in self._done:
                return token
            if self._vectors.note_run(token, of):
                self._done[token] = Completion(token)
                return token
            task = self._task(request)
            self._open[token] = _Open(of, task, self._submit(task))
        return token

    def completions(self, wait_s: float) -> list[Completion]:
        """Return the completions not acknowledged, waiting for the first where there is none."""
        with self._lock:
            waiting = [run.future for run in self._open.values()]
            patience = 0.0 if self._done else wait_s
        if waiting:
            wait(waiting, patience, return_when=FIRST_COMPLETED)
        elif patience:
            threading.Event().wait(patience)
        with self._lock:
            for token, run in list(self._open.items()):
                if run.future.done():
                    self._collect(token, run)
            return list(self._done.values())

    def acknowledge(self, completion: Completion) -> None:
        """Forget a completion."""
        with self._lock:
            self._done.pop(completion.run_ref, None)

    def cancel(self, run_ref: str) -> None:
        """Stop a run that waits; what a running one finds is thrown away."""
        with self._lock:
            run = self._open.pop(run_ref, None)
            self._done.pop(run_ref, None)
        if run is not None:
            run.future.cancel()

    def close(self) -> None:
        """Cancel all runs and stop the workers."""
        with self._lock:
            for token in list(self._open):
                self.cancel(token)
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def _task(self, request: RunRequest) -> AnalyseTask:
        from vidsearch.engines.local.analyse import AnalyseTask

        return AnalyseTask(
            footage_key=request.footage_key,
            version=self._version,
            path=request.path,
            facts=request.facts,
            start_ms=request.start_ms,
            end_ms=request.end_ms,
            sample_ms=self._sample_ms,
            reader=self._reader,
            models=self._models,
            detector=self._own[0],
            embedder=self._own[1],
        )

    def _submit(self, task: AnalyseTask) -> Future[RangeResult]:
        from vidsearch.engines.local.worker import analyse_range

        if self._executor is None:
            self._executor = self._make_executor()
        try:
            return self._executor.submit(analyse_range, task)
        except BrokenExecutor:
            self._executor.shutdown(wait=False)
            self._executor = self._make_executor()
            return self._executor.submit(analyse_range, task)

    def _collect(self, token: str, run: _Open) -> None:
        """Store a finished run's result, then tell of it.

        A StoreError, such as a full disk, is not the run's: it passes to the caller and the result is kept for the next
        time. Whatever else a worker met is this run's failure, and stops no other.
        """
        if run.future.cancelled():
            self._open.pop(token, None)
            return
        error = run.future.exception()
        if isinstance(error, BrokenExecutor) and run.attempts < _ATTEMPTS:
            run.attempts += 1
            run.future = self._submit(run.task)
        elif isinstance(error, BrokenExecutor):
            self._finish(token, "a worker process died twice on this part; is there enough memory?")
        elif isinstance(error, VidsearchError):
            self._finish(token, str(error))
        elif error is not None:
            self._finish(token, f"the analysis failed: {type(error).__name__}: {error}")
        else:
            self._keep(run.of, run.future.result())
            self._finish(token, None)

    def _keep(self, of: Range, result: RangeResult) -> None:
        """Keep the pictures first: a track that the database knows has them."""
        for piece in result.pieces:
            self._crops.write(piece.id, {"face": piece.face_jpeg, "frame": piece.frame_jpeg})
        self._vectors.store(of, result)

    def _finish(self, token: str, error: str | None) -> None:
        self._open.pop(token, None)
        self._done[token] = Completion(token, error.splitlines()[0] if error else None)
