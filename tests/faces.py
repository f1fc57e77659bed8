"""Pictures, recordings and engines for tests of engines."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidsearch.engine import Completion, Engine, Page, RunRequest
from vidsearch.engines.local.engine import LocalEngine
from vidsearch.media.frames import FrameReader
from vidsearch.media.probe import probe
from vidsearch.model import Picture, Track


class Lasting(Executor):
    """An executor that outlives the engines that use it, so that models are loaded once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass

    def end(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def local_engine(folder: Path, models: Path, executor: Executor, **settings: Any) -> LocalEngine:
    return LocalEngine(folder, models, FrameReader(), lambda: executor, **{"cores": 1, "sample_fps": 5.0, **settings})


def picture(pixels: np.ndarray, name: str = "photo.png") -> Picture:
    pixels = np.ascontiguousarray(pixels, np.uint8)
    return Picture(name, pixels, b"", hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest())


def load(path: Path) -> np.ndarray:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))


def request(path: Path, start_ms: int, end_ms: int, *, key: str = "footage", gallery: str | None = None) -> RunRequest:
    return RunRequest(key, path, probe(path), start_ms, end_ms, gallery)


def finish(engine: Engine, *refs: str, patience_s: float = 60) -> dict[str, Completion]:
    """Wait for runs, acknowledge whatever comes, and return each run's last completion."""
    seen: dict[str, Completion] = {}
    for _ in range(int(patience_s * 10)):
        for completion in engine.completions(0.1):
            seen[completion.run_ref] = completion
            engine.acknowledge(completion)
        if set(refs) <= set(seen):
            return seen
    raise AssertionError(f"no completion of {set(refs) - set(seen)}")


def pages(engine: Engine, run_ref: str) -> list[Page]:
    found = [engine.results(run_ref)]
    while found[-1].next_cursor is not None:
        found.append(engine.results(run_ref, found[-1].next_cursor))
    return found


def collected(engine: Engine, run_refs: list[str]) -> dict[str, Track]:
    """Return the tracks that an application knows after it collected runs in this order."""
    known: dict[str, Track] = {}
    for ref in run_refs:
        for page in pages(engine, ref):
            for gone in page.superseded:
                known.pop(gone, None)
            known.update({track.id: track for track in page.tracks})
    return known
