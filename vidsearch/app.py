"""Wiring: the one place where adapters meet use cases."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from functools import cached_property
from typing import Any

from vidsearch.engine import Engine
from vidsearch.engines import load_engine
from vidsearch.enrolment import Enrolment
from vidsearch.forgetting import Forgetting
from vidsearch.jobs.manager import JobManager
from vidsearch.matching import Matching
from vidsearch.media import clips, fingerprint, frames, pictures, probe, scan
from vidsearch.model import Actor, Appearance, Job
from vidsearch.pictures import Pictures, PictureTools
from vidsearch.probing import Probing
from vidsearch.renewal import Renewal
from vidsearch.search import Search
from vidsearch.settings import Settings
from vidsearch.store import Store
from vidsearch.submission import MediaTools, Submission
from vidsearch.timeline import Timeline
from vidsearch.worker import Worker


class App:
    """A running vidsearch over one data folder. Close it."""

    def __init__(self, settings: Settings, store: Store, actor: Actor) -> None:
        """Use ``open_app``."""
        self.settings = settings
        self.store = store
        self.actor = actor
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()

    def engine(self) -> Engine:
        """Return the engine of the settings, made on first use. Raises ModelMissing where it cannot work."""
        with self._engine_lock:
            if self._engine is None:
                settings = replace(self.settings, cores=usable_cores(self.settings))
                self._engine = load_engine(settings, frames.FrameReader(), self._executor)
            return self._engine

    @property
    def threshold(self) -> float:
        """The similarity from which a match of the engine in use counts."""
        return self.settings.threshold_local

    @cached_property
    def enrolment(self) -> Enrolment:
        """Add and forget people."""
        return Enrolment(self.store, self.engine, pictures.load_picture, self.settings.photos, self.forgetting.sweep)

    @cached_property
    def forgetting(self) -> Forgetting:
        """Carry out in the engine what was forgotten."""
        return Forgetting(self.store, self.engine, self.settings.clips, self.settings.photos)

    @cached_property
    def renewal(self) -> Renewal:
        """Enrol again after an update of the engine."""
        return Renewal(self.store, self.engine, pictures.load_picture, self.settings.photos, self.forgetting.sweep)

    @cached_property
    def submission(self) -> Submission:
        """Add, find again and remove recordings."""
        media = MediaTools(probe.probe, fingerprint.fingerprint, fingerprint.sha256, scan.recordings_in)
        return Submission(self.store, media, self.settings.copies, self.settings.zone)

    @cached_property
    def matching(self) -> Matching:
        """Make appearances of tracks."""
        return Matching(self.store, self.engine)

    @cached_property
    def search(self) -> Search:
        """Plan, queue and follow searches."""
        return Search(
            self.store,
            self.engine,
            self.matching.match,
            self.matching.pending,
            self.renewal.renew,
            usable_cores(self.settings),
            self.settings.local_engine,
        )

    @cached_property
    def timeline(self) -> Timeline:
        """Read what was found."""
        return Timeline(self.store, lambda: (self.engine().NAME, self.engine().version, self.engine().settings_key))

    @cached_property
    def probe(self) -> Probing:
        """Ask about a face without enrolling it."""
        return Probing(self.store, self.engine, pictures.load_picture)

    @cached_property
    def pictures(self) -> Pictures:
        """Pictures and clips for the screens."""
        media = PictureTools(pictures.load_picture, pictures.encode_jpeg, clips.cut_clip, clips.playable_in_browser)
        return Pictures(self.store, self.engine, media, self.settings.photos, self.settings.clips)

    def worker(
        self,
        *,
        threshold: float | None = None,
        on_event: Callable[[Job], None] | None = None,
        on_found: Callable[[list[Appearance]], None] | None = None,
    ) -> Worker:
        """Return a worker of this process.

        ``on_event`` hears of every job that moves, ``on_found`` of appearances as they are found; both are called
        from the thread the worker runs in.
        """
        limit = self.threshold if threshold is None else threshold
        self.forgetting.sweep_left_over()
        return Worker(
            self.store,
            lambda **hooks: JobManager(
                self.store,
                self.engine(),
                check_source=self.submission.check_source,
                lease_s=self.settings.lease_s,
                **hooks,
            ),
            lambda footage: self.matching.match(footage, limit),
            self.submission.hash_pending,
            engine_name=self.engine().NAME,
            on_event=on_event,
            on_found=on_found,
        )

    def close(self) -> None:
        """Let go of the engine and the database."""
        with self._engine_lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
        self.store.close()

    def __enter__(self) -> App:
        """Return itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Close."""
        self.close()

    def _executor(self) -> Executor:
        from vidsearch.engines.local.worker import WorkerPool

        return WorkerPool(usable_cores(self.settings))


def open_app(settings: Settings, *, actor: Actor) -> App:
    """Open the data folder, making it where it is new, and return the program over it.

    Raises a StoreError where the folder cannot hold the database.
    """
    return App(settings, Store.open(settings.database), actor)


def usable_cores(settings: Settings) -> int:
    """Return how many worker processes to run: as set, but never more than this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(settings.cores, available) if settings.cores else available
