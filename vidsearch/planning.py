"""Plan a search: what is not yet searched, and what that would take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidsearch import clock
from vidsearch.cuts import Span, merged, without
from vidsearch.engine import Engine
from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.model import Camera, Footage, Job, MediaFacts, Segment
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store

SHORT_TAIL_MS = 5_000
"""A last piece shorter than this is joined to the one before: starting on it would cost more than doing it."""

SPEED_GUESS = 12.0
"""Seconds of 1920x1080 recording analysed in a second of one core, until this data folder has its own history.
Measured with the local engine on 15 pictures a second, H.264."""

FAR_SPEED_GUESS = 2.0
"""The same for a piece that is sent away, until there is a history: the sending, and a service that takes about as long
as the footage lasts. A guess."""

ENCODING_SPEED = 2.0
"""Seconds of 1920x1080 recording encoded in a second: 1.9 to 3.2 for 15 pictures a second on one core, measured."""

START_S = 2.0
"""What it takes to start workers and load models."""

FULL_HD = 1920 * 1080

DISK_BYTES_PER_HOUR = 30_000_000
"""Crops, frames and vectors kept of an hour of a scene with a face every minute, until there is a history."""

FULL_SHARE = 0.85
"""Pieces are planned to this share of the largest file an engine takes: bit rates go up and down."""

LONG_SHARE = 0.98
"""The same for the longest file: recordings that are cut are cut a little shorter."""

STOPPED = (JobState.PAUSED, JobState.FAILED, JobState.CANCELLED)

NO_REVISION = 2**62
"""Later than every revision of a gallery."""


Asked = tuple[Footage, tuple[float, float]]
"""A recording and the period asked for, milliseconds of the recording; it may reach beyond it."""


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
    asked: list[Asked]
    """The recordings asked about, whether anything is to be done with them or not."""
    encoded_ms: int = 0
    """Length of recording that must be encoded on this machine before it can be sent away."""

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
    def unpaid(self) -> list[Job]:
        """The jobs that an engine will be asked about anew: not sent yet, or ended without an answer we have."""
        again = (JobState.FAILED, JobState.CANCELLED)
        return [job for job in [*self.resumed, *self.waiting] if job.run_ref is None or job.state in again]

    @property
    def searched_ms(self) -> int:
        """Length that an engine looks at, of what is not with it yet: what an engine that charges charges for."""
        new = sum(piece.searched_ms for _, pieces in self.segments for piece in pieces)
        return new + sum(job.end_ms - job.start_ms for job in self.unpaid)

    @property
    def recordings(self) -> int:
        """How many recordings have something to analyse."""
        return len({f.id for f, _ in self.segments} | {job.footage_id for job in [*self.resumed, *self.waiting]})


class Planner:
    """Find out what is not yet searched. ``engine`` is asked for on first use."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[], Engine],
        pending: Callable[[str, float | None], list[Footage]],
        active: Callable[[Footage], list[Span]] | None,
        cores: int,
        engine_folder: Path,
        must_encode: Callable[[MediaFacts], Sequence[str]],
    ) -> None:
        """``pending`` is Matching's; ``active`` tells the parts of a recording worth searching, None means all of it.

        ``engine_folder`` is measured to tell the disk needed; ``must_encode`` says why a recording cannot be sent away
        without being encoded.
        """
        self._store = store
        self._engine = engine
        self._pending = pending
        self._active = active
        self._cores = cores
        self._engine_folder = engine_folder
        self._must_encode = must_encode

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
        return self._planned(case_id, threshold, self.wanted(case_id, cameras, from_, to))

    def again(self, plan: Plan) -> Plan:
        """Return the plan for the same question, for the gallery and the jobs as they are now."""
        return self._planned(plan.case_id, plan.threshold, plan.asked)

    def _planned(self, case_id: str, threshold: float, asked: Sequence[Asked]) -> Plan:
        segments, resumed, waiting, unavailable = [], [], [], []
        engine = self._engine()
        # Submitting enrols these first, and then no answer so far is one about everybody.
        grows = not engine.capabilities.analysis and bool(
            self._store.people.outdated(case_id, engine.NAME, engine.gallery_version)
        )
        for footage, period in asked:
            jobs = self._since(footage, NO_REVISION) if grows else self.jobs(footage)
            new, stopped, open_ = self._share(footage, period, jobs)
            if (new or stopped) and not Path(footage.path).exists():
                unavailable.append(footage)
            elif new or stopped:
                segments.append((footage, new))
                resumed += stopped
            waiting += open_
        pending = self._pending(case_id, threshold)
        return self._estimated(
            Plan(case_id, threshold, segments, resumed, waiting, unavailable, pending, 0.0, 0, list(asked))
        )

    def wanted(
        self, case_id: str, cameras: Sequence[str] = (), from_: str | None = None, to: str | None = None
    ) -> list[Asked]:
        """Return the recordings asked for, each with the period asked for in its own time. Raises as ``plan``."""
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

    def pieces(self, footage: Footage) -> list[Segment]:
        """Return the pieces of a recording on the engine's fixed grid; a stream that cannot be sought is one piece.

        For an engine that takes files of a certain size and length, as few equal pieces as keep below both.
        """
        limits = self._engine().media_limits
        length = max(1, footage.facts.duration_ms)
        if limits.max_bytes is not None:
            by_size = math.ceil(footage.size / (FULL_SHARE * limits.max_bytes))
            # A piece begins at a key frame, some seconds before it should: it must not be too long for that.
            by_length = 1 if length <= limits.segment_ms else math.ceil(length / (LONG_SHARE * limits.segment_ms))
            step = math.ceil(length / max(1, by_size, by_length))
            starts = list(range(0, length, step))
        else:
            starts = list(range(0, length, limits.segment_ms if footage.facts.seekable else length))
            if len(starts) > 1 and length - starts[-1] < SHORT_TAIL_MS:
                starts.pop()
        return [Segment(footage.id, start, end) for start, end in zip(starts, [*starts[1:], length], strict=True)]

    def jobs(self, footage: Footage) -> list[Job]:
        """Return the jobs of a recording whose answer still holds, whatever became of them.

        An engine that asks about a gallery must ask again when a face was added; one forgotten changes nothing.
        """
        engine = self._engine()
        since = 0 if engine.capabilities.analysis else self._store.people.newest_face(footage.case_id, engine.NAME)
        return self._since(footage, since)

    def _since(self, footage: Footage, revision: int) -> list[Job]:
        engine = self._engine()
        return self._store.jobs.for_footage(
            footage.id, engine.NAME, engine.version, engine.settings_key, since_revision=revision
        )

    # -- parts of a plan -----------------------------------------------------------------------------------------

    def _share(
        self, footage: Footage, period: tuple[float, float], jobs: Sequence[Job]
    ) -> tuple[list[Segment], list[Job], list[Job]]:
        """Return a recording's pieces to queue, its jobs (of ``jobs``) to take up again, and those under way."""
        jobs = [job for job in jobs if job.start_ms < period[1] and job.end_ms > period[0]]
        stopped = [job for job in jobs if job.state in STOPPED]
        open_ = [job for job in jobs if JobState(job.state) in OPEN]
        pieces = [p for p in self.pieces(footage) if p.start_ms < period[1] and p.end_ms > period[0]]
        if self._engine().capabilities.reads_in_place:
            known = {job.start_ms for job in jobs}
            return [piece for piece in pieces if piece.start_ms not in known], stopped, open_
        # What is sent away costs something: never more of it than was asked for, and nothing twice.
        covered = [(job.start_ms, job.end_ms) for job in jobs]
        low, high = max(0, period[0]), min(footage.facts.duration_ms, period[1])
        asked = [(max(p.start_ms, math.floor(low)), min(p.end_ms, math.ceil(high))) for p in pieces]
        left = [part for span in asked for part in without([span], covered)]
        active = None if self._active is None else self._active(footage)
        return [_piece(footage, span, active) for span in left], stopped, open_

    def _estimated(self, plan: Plan) -> Plan:
        """Return the plan with its expected seconds, from this folder's own history where there is one, and disk."""
        if not self._engine().capabilities.reads_in_place:
            return self._estimated_far(plan)
        speed = self._store.jobs.speed(self._engine().NAME)
        work = float(sum(job.end_ms - job.start_ms for job in [*plan.resumed, *plan.waiting]))
        for footage, pieces in plan.segments:
            size = footage.facts.width * footage.facts.height / FULL_HD
            work += sum(piece.end_ms - piece.start_ms for piece in pieces) * (1.0 if speed else 0.25 + 0.75 * size)
        expected = START_S + (work / 1000 / (speed or SPEED_GUESS)) / max(1, min(self._cores, plan.pieces))
        disk = round(self._bytes_per_hour(plan.case_id) * plan.total_ms / 3_600_000)
        return replace(plan, expected_s=expected, disk_bytes=disk)

    def _estimated_far(self, plan: Plan) -> Plan:
        """Return the plan with its expected seconds and disk where pieces are sent away: one lies here at a time."""
        engine = self._engine()
        speed = self._store.jobs.speed(engine.NAME) or FAR_SPEED_GUESS
        at_once = max(1, min(engine.capacity, plan.pieces))
        encoded = [(f, sum(p.searched_ms for p in pieces)) for f, pieces in plan.segments if self._must_encode(f.facts)]
        encoding = sum(ms * f.facts.width * f.facts.height / FULL_HD for f, ms in encoded) / 1000 / ENCODING_SPEED
        expected = START_S + encoding + plan.searched_ms / 1000 / speed / at_once if plan.pieces else 0.0
        sizes = [
            footage.size * piece.searched_ms // max(1, footage.facts.duration_ms)
            for footage, pieces in plan.segments
            for piece in pieces
        ]
        return replace(
            plan, expected_s=expected, disk_bytes=max(sizes, default=0), encoded_ms=sum(ms for _, ms in encoded)
        )

    def _bytes_per_hour(self, case_id: str) -> float:
        done = self._store.jobs.totals(case_id).get(JobState.SUCCEEDED, (0, 0))[1]
        if done < 3_600_000:
            return DISK_BYTES_PER_HOUR
        used = sum(path.stat().st_size for path in self._engine_folder.rglob("*") if path.is_file())
        return used / (done / 3_600_000)


def _piece(footage: Footage, span: Span, active: Sequence[Span] | None) -> Segment:
    """Return a piece of a recording, with those of its active parts that lie in it."""
    if active is None:
        return Segment(footage.id, *span)
    inside = merged((max(start, span[0]), min(end, span[1])) for start, end in active)
    return Segment(footage.id, *span, tuple(inside))


def _period(footage: Footage, camera: Camera, from_: str | None, to: str | None) -> tuple[float, float]:
    """Return a wall-clock period in milliseconds of the recording."""
    zero = footage.start_ms + camera.clock_offset_ms
    begin, end = clock.period(from_, to, camera.zone)
    return begin - zero if begin is not None else float("-inf"), end - zero if end is not None else float("inf")
