"""Wiring: the one place where adapters meet use cases."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from functools import cached_property
from typing import Any

from vidsearch.cuts import Span
from vidsearch.engine import Engine
from vidsearch.engines import LOCAL, REKOGNITION, EngineTools, load_engine
from vidsearch.enrolment import Enrolment
from vidsearch.estimating import Estimating
from vidsearch.forgetting import Forgetting
from vidsearch.guidance import notice_of, threshold_for
from vidsearch.jobs.manager import JobManager
from vidsearch.marking import Marking
from vidsearch.matching import Matching
from vidsearch.media import clips, fingerprint, frames, pictures, probe, scan, still
from vidsearch.media.acceptance import encoding_reasons
from vidsearch.model import Actor, Appearance, Footage, Job
from vidsearch.pictures import Pictures, PictureTools
from vidsearch.planning import Planner
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
        self._engines: dict[str, Engine] = {}
        self._engine_lock = threading.RLock()

    def engine(self) -> Engine:
        """Return the engine of the settings, made on first use. Raises EngineUnusable where it cannot work."""
        return self._engine_called(self.settings.engine)

    def local_engine(self) -> Engine:
        """Return the engine that needs nothing but this machine, whichever the settings name."""
        return self._engine_called(LOCAL)

    def _engine_called(self, name: str | None) -> Engine:
        name = name or self.settings.engine
        with self._engine_lock:
            if name not in self._engines:
                settings = replace(self.settings, engine=name, cores=usable_cores(self.settings))
                tools = EngineTools(frames.FrameReader(), self._executor, _cutter, self.local_engine)
                self._engines[name] = load_engine(settings, tools)
            return self._engines[name]

    def threshold(self, case_id: str) -> float:
        """Return the similarity from which a match of the engine in use counts in a case."""
        return self.threshold_notice(case_id)[0]

    def threshold_notice(self, case_id: str, given: float | None = None) -> tuple[float, str]:
        """Return the threshold of a case, or the one given, and what should be said of it, or an empty text."""
        if self.settings.engine == LOCAL:
            return self.settings.threshold_local if given is None else given, ""
        purpose = self.store.cases.get(case_id).purpose
        return threshold_for(self.settings, purpose) if given is None else (given, notice_of(given, purpose))

    @cached_property
    def enrolment(self) -> Enrolment:
        """Add and forget people."""
        return Enrolment(self.store, self.engine, pictures.load_picture, self.settings.photos, self.forgetting.sweep)

    @cached_property
    def forgetting(self) -> Forgetting:
        """Carry out in the engine what was forgotten."""
        return Forgetting(self.store, self._engine_called, self._keeping, self.settings.clips, self.settings.photos)

    @cached_property
    def renewal(self) -> Renewal:
        """Enrol again after an update of the engine."""
        sweep = self.forgetting.try_to_sweep
        return Renewal(self.store, self.engine, pictures.load_picture, self.settings.photos, sweep)

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
    def planner(self) -> Planner:
        """Find out what is not yet searched."""
        return self._planner(self.engine, self._active)

    @cached_property
    def marking(self) -> Marking:
        """Have the local engine look at footage before an engine that charges is asked about it."""
        pieces = self._planner(self.local_engine, None).pieces
        pad_ms = round(1000 * self.settings.active_pad_s)
        return Marking(self.local_engine, pieces, self.submission.check_source, pad_ms)

    @cached_property
    def search(self) -> Search:
        """Queue and follow searches."""
        return Search(
            self.store, self.engine, self.planner, self.matching.match, self.matching.pending, self.renewal.renew
        )

    @cached_property
    def estimating(self) -> Estimating:
        """Say what searching on Rekognition would cost."""
        return Estimating(self.store, self.settings, self.planner.wanted, self.marking.found, self.engine)

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
        media = PictureTools(
            pictures.load_picture,
            pictures.encode_jpeg,
            clips.cut_clip,
            clips.playable_in_browser,
            still.still,
            still.face_of,
        )
        return Pictures(self.store, self._engine_called, media, self.settings.photos, self.settings.clips)

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
        engine = self.engine()
        self.forgetting.sweep_left_over()

        def limit(case_id: str) -> float:
            return self.threshold(case_id) if threshold is None else threshold

        return Worker(
            self.store,
            lambda **hooks: JobManager(
                self.store,
                engine,
                check_source=self.submission.check_source,
                lease_s=self.settings.lease_s,
                active=self._active,
                **hooks,
            ),
            lambda footage: self.matching.match(footage, limit(footage.case_id)),
            lambda case_id: self.matching.pending(case_id, limit(case_id)),
            self.submission.hash_pending,
            engine_name=engine.NAME,
            at_end=engine.capabilities.priced and engine.capabilities.analysis,
            on_event=on_event,
            on_found=on_found,
        )

    def close(self) -> None:
        """Let go of the engine and the database."""
        with self._engine_lock:
            for name in reversed(list(self._engines)):
                self._engines.pop(name).close()
        self.store.close()

    def __enter__(self) -> App:
        """Return itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Close."""
        self.close()

    def _keeping(self) -> list[str]:
        """Return the names of the engines that may keep something of this data folder."""
        folders = {LOCAL: self.settings.local_engine, REKOGNITION: self.settings.rekognition}
        return [name for name, folder in folders.items() if folder.exists()]

    @property
    def _active(self) -> Callable[[Footage], list[Span]] | None:
        """What tells the parts of a recording worth searching, where only those are searched."""
        only = self.settings.engine != LOCAL and self.settings.rekognition_mode == "active"
        return self.marking.active if only else None

    def _planner(self, engine: Callable[[], Engine], active: Callable[[Footage], list[Span]] | None) -> Planner:
        cores, folder = usable_cores(self.settings), self.settings.local_engine
        return Planner(self.store, engine, self.matching.pending, active, cores, folder, encoding_reasons)

    @property
    def looks_first(self) -> bool:
        """Whether the local engine must have looked at footage before the engine in use is asked about it."""
        return self.settings.engine != LOCAL and self.settings.rekognition_mode in ("active", "tracks")

    def _executor(self) -> Executor:
        from vidsearch.engines.local.worker import WorkerPool

        return WorkerPool(usable_cores(self.settings))


def _cutter() -> Any:
    from vidsearch.media.cutter import Cutter

    return Cutter()


def open_app(settings: Settings, *, actor: Actor) -> App:
    """Open the data folder, making it where it is new, and return the program over it.

    Raises a StoreError where the folder cannot hold the database.
    """
    return App(settings, Store.open(settings.database), actor)


def usable_cores(settings: Settings) -> int:
    """Return how many worker processes to run: as set, but never more than this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(settings.cores, available) if settings.cores else available
