"""Search what is not yet searched: plan, queue, follow, stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidsearch import clock
from vidsearch.engine import Engine
from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.model import Actor, Appearance, Camera, Footage, Job, Segment
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store

SHORT_TAIL_MS = 5_000
"""A last piece shorter than this is joined to the one before: starting on it would cost more than doing it."""

SPEED_GUESS = 12.0
"""Seconds of 1920x1080 recording analysed in a second of one core, until this data folder has its own history.
Measured with the local engine on 15 pictures a second, H.264."""

START_S = 2.0
"""What it takes to start workers and load models."""

FULL_HD = 1920 * 1080

DISK_BYTES_PER_HOUR = 30_000_000
"""Crops, frames and vectors kept of an hour of a scene with a face every minute, until there is a history."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search would do, before it does it."""

    case_id: str
    threshold: float
    segments: list[tuple[Footage, list[Segment]]]
    """Per recording, the pieces not yet queued."""
    resumed: list[Job]
    """Jobs paused or failed that go on."""
    waiting: list[Job]
    """Jobs queued or running already."""
    unavailable: list[Footage]
    """Recordings with work to do whose file is not there."""
    rematch: list[Footage]
    """Recordings analysed already whose appearances must follow a changed gallery or threshold."""
    expected_s: float
    disk_bytes: int

    @property
    def pieces(self) -> int:
        """How many jobs there will be."""
        return sum(len(pieces) for _, pieces in self.segments) + len(self.resumed) + len(self.waiting)

    @property
    def total_ms(self) -> int:
        """Length of recording to analyse."""
        new = sum(piece.end_ms - piece.start_ms for _, pieces in self.segments for piece in pieces)
        return new + sum(job.end_ms - job.start_ms for job in [*self.resumed, *self.waiting])

    @property
    def recordings(self) -> int:
        """How many recordings have something to analyse."""
        return len({f.id for f, _ in self.segments} | {job.footage_id for job in [*self.resumed, *self.waiting]})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs of a case, or some of them, have come."""

    done_ms: float
    """Length of recording nothing more will be done about, whether it went well or not."""
    searched_ms: int
    """Length of recording searched."""
    total_ms: int
    counts: dict[JobState, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done_ms / self.total_ms) if self.total_ms else 1.0

    @property
    def open(self) -> int:
        """Jobs that go on without anybody doing anything."""
        return sum(self.counts.get(state, 0) for state in OPEN)


class Search:
    """The search use case. ``engine`` is asked for on first use."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[], Engine],
        match: Callable[[Footage, float | None], list[Appearance]],
        pending: Callable[[str, float | None], list[Footage]],
        renew: Callable[[Actor, str], object],
        cores: int,
        engine_folder: Path,
    ) -> None:
        """``match`` and ``pending`` are Matching's, ``renew`` is Renewal's.

        ``engine_folder`` is measured to tell the disk needed.
        """
        self._store = store
        self._engine = engine
        self._match = match
        self._pending = pending
        self._renew = renew
        self._cores = cores
        self._engine_folder = engine_folder

    def plan(
        self,
        case_id: str,
        *,
        threshold: float,
        cameras: Sequence[str] = (),
        from_: str | None = None,
        to: str | None = None,
    ) -> Plan:
        """Return what is to be done in a case: nothing that is done is done again.

        Args:
            case_id: The case.
            threshold: Similarity from which a match counts, 0 to 100.
            cameras: Names of cameras; none means all.
            from_: Start of the period on the wall clock, in each camera's zone where it has no offset.
            to: End of the period.

        Raises:
            UnknownRecord: No such camera.
            UsageError: A time cannot be understood, the period is empty, or the threshold is not 0 to 100.
        """
        if not 0 <= threshold <= 100:
            raise UsageError("a threshold is a similarity from 0 to 100")
        segments, resumed, waiting, unavailable = [], [], [], []
        for footage, period in self._wanted(case_id, cameras, from_, to):
            pieces = [p for p in self.pieces(footage) if p.start_ms < period[1] and p.end_ms > period[0]]
            jobs = self._jobs(footage)
            known = {job.start_ms: job for job in jobs}
            new = [piece for piece in pieces if piece.start_ms not in known]
            chosen = [known[piece.start_ms] for piece in pieces if piece.start_ms in known]
            stopped = [job for job in chosen if job.state in (JobState.PAUSED, JobState.FAILED, JobState.CANCELLED)]
            if (new or stopped) and not Path(footage.path).exists():
                unavailable.append(footage)
            elif new or stopped:
                segments.append((footage, new))
                resumed += stopped
            waiting += [job for job in chosen if JobState(job.state) in OPEN]
        plan = Plan(
            case_id, threshold, segments, resumed, waiting, unavailable, self._pending(case_id, threshold), 0.0, 0
        )
        return self._estimated(plan)

    def submit(self, actor: Actor, plan: Plan) -> list[int]:
        """Queue what a plan names; return the ids of all its jobs, those already waiting included."""
        engine = self._engine()
        self._renew(actor, plan.case_id)
        jobs = self._store.jobs
        with self._store.atomic():
            # No worker of today takes them: the engine was updated, or its settings changed, since they were queued.
            jobs.cancel(jobs.outdated(plan.case_id, engine.NAME, engine.version, engine.settings_key))
            for footage in plan.unavailable:
                self._store.footage.set_missing(footage.id, True)
            for footage, pieces in plan.segments:
                if footage.missing:
                    self._store.footage.set_missing(footage.id, False)
                for piece in pieces:
                    jobs.create(
                        footage,
                        engine.NAME,
                        engine.version,
                        engine.settings_key,
                        piece.start_ms,
                        piece.end_ms,
                        actor.name,
                    )
            jobs.resume([job.id for job in plan.resumed if job.state == JobState.PAUSED])
            jobs.retry([job.id for job in plan.resumed if job.state != JobState.PAUSED])
            self._store.audit.record(
                actor,
                "search",
                plan.case_id,
                case_id=plan.case_id,
                engine=engine.NAME,
                engine_version=engine.version,
                threshold=plan.threshold,
                gallery_revision=self._store.cases.get(plan.case_id).gallery_revision,
                recordings=[footage.id for footage, _ in plan.segments],
                rematched=[footage.id for footage in plan.rematch],
                duration_ms=plan.total_ms,
            )
        mine = {(footage.id, piece.start_ms) for footage, pieces in plan.segments for piece in pieces}
        queued = [
            job.id for footage, _ in plan.segments for job in self._jobs(footage) if (footage.id, job.start_ms) in mine
        ]
        return sorted({*queued, *(job.id for job in plan.resumed), *(job.id for job in plan.waiting)})

    def rematch(self, case_id: str, threshold: float | None) -> list[Appearance]:
        """Bring all appearances of a case up to date with its gallery; return those not there before.

        With None, each recording keeps the threshold that it was matched at before.
        """
        return [new for footage in self._pending(case_id, threshold) for new in self._match(footage, threshold)]

    def progress(self, case_id: str, job_ids: Sequence[int] | None = None) -> Progress:
        """Return how far all jobs of a case, or those given, have come."""
        totals = self._store.jobs.totals(case_id, job_ids)
        return Progress(
            done_ms=sum(length for state, (_, length) in totals.items() if state not in OPEN),
            searched_ms=totals.get(JobState.SUCCEEDED, (0, 0))[1],
            total_ms=sum(length for _, length in totals.values()),
            counts={state: jobs for state, (jobs, _) in totals.items()},
            errors=self._store.jobs.errors(case_id, job_ids),
        )

    def pause(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Stop jobs for now; the next search goes on with them."""
        self._stop(actor, case_id, "job.pause", job_ids, self._store.jobs.pause)

    def cancel(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Stop jobs until somebody searches again."""
        self._stop(actor, case_id, "job.cancel", job_ids, self._store.jobs.cancel)

    def retry(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Queue failed or cancelled jobs again."""
        self._stop(actor, case_id, "job.retry", job_ids, self._store.jobs.retry)

    def resume(self, actor: Actor, case_id: str, job_ids: Sequence[int]) -> None:
        """Queue paused jobs again."""
        self._stop(actor, case_id, "job.resume", job_ids, self._store.jobs.resume)

    def pieces(self, footage: Footage) -> list[Segment]:
        """Return the pieces of a recording on the engine's fixed grid; a stream that cannot be sought is one piece."""
        length = footage.facts.duration_ms
        step = self._engine().media_limits.segment_ms if footage.facts.seekable else max(1, length)
        starts = list(range(0, max(1, length), step))
        if len(starts) > 1 and length - starts[-1] < SHORT_TAIL_MS:
            starts.pop()
        ends = [*starts[1:], max(1, length)]
        return [Segment(footage.id, start, end) for start, end in zip(starts, ends, strict=True)]

    # -- parts of a plan -----------------------------------------------------------------------------------------

    def _wanted(
        self, case_id: str, cameras: Sequence[str], from_: str | None, to: str | None
    ) -> list[tuple[Footage, tuple[float, float]]]:
        """Return the recordings asked for, each with the period asked for in its own time."""
        by_id = {camera.id: camera for camera in self._store.footage.cameras(case_id)}
        names = {camera.name for camera in by_id.values()}
        for name in cameras:
            if name not in names:
                raise UnknownRecord(
                    f"no camera is called '{name}'; the cameras are: {', '.join(sorted(names)) or 'none'}"
                )
        wanted = []
        for footage in self._store.footage.list(case_id):
            camera = by_id[footage.camera_id]
            if cameras and camera.name not in cameras:
                continue
            period = _period(footage, camera, from_, to)
            if period[0] < footage.facts.duration_ms and period[1] > 0:
                wanted.append((footage, period))
        return wanted

    def _jobs(self, footage: Footage) -> list[Job]:
        engine = self._engine()
        return self._store.jobs.for_footage(footage.id, engine.NAME, engine.version, engine.settings_key)

    def _stop(
        self, actor: Actor, case_id: str, action: str, job_ids: Sequence[int], do: Callable[[Sequence[int]], object]
    ) -> None:
        with self._store.atomic():
            do(job_ids)
            self._store.audit.record(actor, action, ",".join(map(str, job_ids)), case_id=case_id)

    def _estimated(self, plan: Plan) -> Plan:
        """Return the plan with its expected seconds, from this folder's own history where there is one, and disk."""
        speed = self._store.jobs.speed(self._engine().NAME)
        work = float(sum(job.end_ms - job.start_ms for job in [*plan.resumed, *plan.waiting]))
        for footage, pieces in plan.segments:
            size = footage.facts.width * footage.facts.height / FULL_HD
            work += sum(piece.end_ms - piece.start_ms for piece in pieces) * (1.0 if speed else 0.25 + 0.75 * size)
        expected = START_S + (work / 1000 / (speed or SPEED_GUESS)) / max(1, min(self._cores, plan.pieces))
        disk = round(self._bytes_per_hour(plan.case_id) * plan.total_ms / 3_600_000)
        return replace(plan, expected_s=expected, disk_bytes=disk)

    def _bytes_per_hour(self, case_id: str) -> float:
        done = self.progress(case_id).searched_ms
        if done < 3_600_000:
            return DISK_BYTES_PER_HOUR
        used = sum(path.stat().st_size for path in self._engine_folder.rglob("*") if path.is_file())
        return used / (done / 3_600_000)


def _period(footage: Footage, camera: Camera, from_: str | None, to: str | None) -> tuple[float, float]:
    """Return a wall-clock period in milliseconds of the recording."""
    zero = footage.start_ms + camera.clock_offset_ms
    begin, end = clock.period(from_, to, camera.zone)
    return begin - zero if begin is not None else float("-inf"), end - zero if end is not None else float("inf")
