"""Estimate what searching on Rekognition costs, from what the store and the local engine know; AWS is never asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol, runtime_checkable

from vidsearch.cost_text import confirm_text
from vidsearch.costs import CENT, Estimate, Looked, Need, estimate
from vidsearch.cuts import Span, merged, padded, without
from vidsearch.engine import Engine
from vidsearch.errors import EngineError, UsageError
from vidsearch.marking import looked_at
from vidsearch.model import ExaminedSpan, Footage, Job, Track
from vidsearch.planning import NO_REVISION, Asked, Plan
from vidsearch.pricing import load_prices
from vidsearch.settings import MODES, Settings
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store

ENGINE = "rekognition"
LOCAL = "local"

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

HISTORY_MS = 10 * MINUTE_MS
"""Footage looked at for less than this says little of what is to be expected of the rest."""

GIGABYTES_AN_HOUR = Decimal("1.8")
"""Of footage that nobody has: 4 Mbit/s, as cameras of 1080p often write."""


@runtime_checkable
class ByTrack(Protocol):
    """An engine that is asked about tracks, and knows what it was sent and asked already."""

    def unsent(self, gallery: str, footage_keys: Sequence[str]) -> int:
        """Return how many tracks found in recordings would be paid for."""

    def questions(self, gallery: str, *, more: bool) -> int:
        """Return how many enrolled faces would be asked about; ``more``: when tracks are added before."""


Found = Callable[[Footage], tuple[list[Track], list[ExaminedSpan]]]
"""What the local engine found in a recording so far, and what it has looked at."""


@dataclass(frozen=True, slots=True)
class SearchCost:
    """What the search in question costs, in the way in which it would be done."""

    estimate: Estimate
    mode: str

    @property
    def costs(self) -> bool:
        """Whether it is worth a question: video always is, a picture or two for less than a cent are not."""
        way = self.estimate.way(self.mode)
        most = way.now.most
        return most is None or most >= CENT or way.quantity("video_minute").most != 0

    @property
    def lines(self) -> list[str]:
        """What is said before somebody agrees to it."""
        return confirm_text(self.estimate, self.mode)

    @property
    def lines_without_flags(self) -> list[str]:
        """The same for somebody who is not at the command line."""
        return confirm_text(self.estimate, self.mode, flags=False)


@dataclass(frozen=True, slots=True)
class _Share:
    """A recording's share in a question."""

    footage: Footage
    asked: Span
    """The period asked about, clamped to the recording."""
    left: dict[str, list[Span]]
    """Mode -> what of it that way of searching has not done yet."""


class Estimating:
    """Say what searching would cost before it is done."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        wanted: Callable[[str, Sequence[str], str | None, str | None], list[Asked]],
        found: Found,
        engine: Callable[[], Engine],
    ) -> None:
        """``wanted`` is Planner's, ``found`` Marking's; the latter may raise an EngineError where no model is there.

        ``engine`` returns the one in use, and is asked only about a search planned with it.
        """
        self._store = store
        self._settings = settings
        self._wanted = wanted
        self._found = found
        self._engine = engine

    def of_case(
        self,
        case_id: str,
        *,
        cameras: Sequence[str] = (),
        from_: str | None = None,
        to: str | None = None,
        region: str = "",
        hours: float | None = None,
        tracks_an_hour: float | None = None,
        suspects: int = 1,
        photos: int | None = None,
    ) -> Estimate:
        """Return what searching the footage of a case costs that Rekognition has not searched yet.

        Args:
            case_id: The case.
            cameras: Names of cameras; none means all.
            from_: Start of the period on the wall clock, in each camera's zone where it has no offset.
            to: End of the period.
            region: AWS region whose prices are taken; empty takes the settings'.
            hours: Estimate for so many hours of footage that nobody has yet, instead of the case's.
            tracks_an_hour: How many faces pass by in an hour that was not looked at; None takes what earlier footage of
                the case had.
            suspects: How many people are added later, one after the other.
            photos: Photos of each of them. With ``hours``, also of whoever is looked for now.

        Raises:
            UnknownRecord: No such camera.
            UsageError: There is no footage; a time, a region or the price table cannot be understood.
        """
        known = _Known(self._store, case_id, self._found, self._settings)
        rate = None if tracks_an_hour is None else _decimal(tracks_an_hour, "faces an hour")
        common = {"suspects": suspects, "photos_each": photos or 1}
        if hours is not None:
            if cameras or from_ or to:
                raise UsageError("--hours is for footage that nobody has: leave cameras and times out, or --hours")
            minutes = _decimal(hours, "hours of footage") * 60
            unseen = Looked(minutes, unseen_minutes=minutes)
            own = photos or 1
            size = known.gigabytes_an_hour(self._store.footage.list(case_id))
            rate = known.tracks_an_hour() if rate is None else rate
            need = Need(unseen, unseen, unseen, size, 0, minutes, rate, own, own, **common)
        else:
            shares = self._shares(case_id, self._wanted(case_id, cameras, from_, to))
            if not shares:
                raise UsageError(
                    "there is no footage in this period yet: add some with `vidsearch footage add`, "
                    "or say --hours N to estimate for any amount"
                )
            need = self._need(known, shares, rate, common)
        return estimate(need, load_prices(self._settings.data, region or self._settings.aws_region))

    def of_search(self, plan: Plan) -> SearchCost:
        """Return what a planned search costs, in the way that the settings name. Raises UsageError for bad prices."""
        mode = self._settings.rekognition_mode
        # All of it costs the same whatever is in it, and pages that show a price are opened often.
        found = self._found if mode != "full" else _nothing_found
        known = _Known(self._store, plan.case_id, found, self._settings)
        spans: dict[int, list[Span]] = {}
        for footage, pieces in plan.segments:
            spans.setdefault(footage.id, []).extend((piece.start_ms, piece.end_ms) for piece in pieces)
        for job in plan.unpaid:
            spans.setdefault(job.footage_id, []).append((job.start_ms, job.end_ms))
        asked = {footage.id: _within(footage, period) for footage, period in plan.asked}
        shares = [
            _Share(footage, asked[footage.id], dict.fromkeys(MODES, merged(spans.get(footage.id, []))))
            for footage, _ in plan.asked
        ]
        need = self._by_track(plan, self._need(known, shares, None, {}))
        prices = load_prices(self._settings.data, self._settings.aws_region)
        return SearchCost(estimate(need, prices), mode)

    def _by_track(self, plan: Plan, need: Need) -> Need:
        """Put in what an engine that is asked about tracks knows better than the store."""
        engine = self._engine()
        if not isinstance(engine, ByTrack):
            return need
        # Whatever is matched anew is sent as a whole, also what lies outside the period.
        keys = {footage.key for footage, _ in plan.asked} | {footage.key for footage in plan.rematch}
        tracks = engine.unsent(plan.case_id, sorted(keys))
        more = bool(tracks or need.tracks_unseen_minutes)
        asked = engine.questions(plan.case_id, more=more) + need.photos
        return replace(need, tracks=tracks, photos_searched=asked)

    def _shares(self, case_id: str, asked: Sequence[Asked]) -> list[_Share]:
        """Return the recordings asked about with what is left to do of each."""
        people = self._store.people
        # Who is enrolled with the search was in no earlier question.
        since = NO_REVISION if people.unknown_to(case_id, ENGINE) else people.newest_face(case_id, ENGINE)
        done: dict[tuple[int, str], list[Span]] = {}
        for job in self._store.jobs.list(case_id):
            if job.engine == ENGINE and _holds(job, since):
                done.setdefault((job.footage_id, _mode_of(job)), []).append((job.start_ms, job.end_ms))
        shares = []
        for footage, period in asked:
            span = _within(footage, period)
            left = {mode: without([span], done.get((footage.id, mode), [])) for mode in MODES}
            shares.append(_Share(footage, span, left))
        return shares

    def _need(self, known: _Known, shares: Sequence[_Share], rate: Decimal | None, common: dict[str, int]) -> Need:
        """Put the shares of recordings together. ``rate`` None takes the case's own tracks an hour, if needed."""
        full = again = active = Looked()
        tracks, unseen_ms = 0, 0
        for share in shares:
            of = known.of(share.footage)
            full = _plus(full, Looked(_minutes(share.left["full"])))
            active = _plus(active, of.looked(share.left["active"]))
            again = _plus(again, of.looked([share.asked]))
            tracks += of.tracks_in(share.left["tracks"])
            unseen_ms += _length(without(share.left["tracks"], of.seen))
        photos, usable = self._photos(known.case_id)
        searched = usable if tracks or unseen_ms else photos
        if unseen_ms and rate is None:
            rate = known.tracks_an_hour()
        size = known.gigabytes_an_hour([share.footage for share in shares])
        minutes = Decimal(unseen_ms) / MINUTE_MS
        return Need(full, active, again, size, tracks, minutes, rate, photos, searched, **common)

    def _photos(self, case_id: str) -> tuple[int, int]:
        """Return how many photos of a case Rekognition would enrol, and how many it would then hold."""
        held = len({photo_id for _, photo_id, _ in self._store.people.owners(case_id, ENGINE).values()})
        new = len(self._store.people.unknown_to(case_id, ENGINE))
        return new, held + new


@dataclass(frozen=True, slots=True)
class _Of:
    """A recording as the local engine knows it."""

    starts: list[int]
    """When its tracks begin."""
    faces: list[Span]
    """Where somebody may be, widened as ``active`` does."""
    seen: list[Span]
    """What was looked at."""

    def looked(self, spans: Sequence[Span]) -> Looked:
        """Return how much of some spans is worth searching, and how much nobody can tell of."""
        unseen = without(spans, self.seen)
        without_faces = without(without(spans, unseen), self.faces)
        active_ms = _length(merged(spans)) - _length(unseen) - _length(without_faces)
        return Looked(_minutes(spans), Decimal(active_ms) / MINUTE_MS, _minutes(unseen))

    def tracks_in(self, spans: Sequence[Span]) -> int:
        """Return how many tracks begin in some spans."""
        return sum(any(start <= at < end for start, end in spans) for at in self.starts)


class _Known:
    """What the local engine knows of a case's recordings, read once each."""

    def __init__(self, store: Store, case_id: str, found: Found, settings: Settings) -> None:
        self.case_id = case_id
        self._store = store
        self._ask = found
        self._pad_ms = round(1000 * settings.active_pad_s)
        self._of: dict[int, _Of] = {}
        self._version: str | None = None
        self._no_engine = False

    def of(self, footage: Footage) -> _Of:
        """Return what is known of a recording."""
        if footage.id not in self._of:
            tracks, spans = self._found(footage)
            whole = (0, footage.facts.duration_ms)
            faces = padded(((track.start_ms, track.end_ms) for track in tracks), self._pad_ms, whole)
            self._of[footage.id] = _Of([track.start_ms for track in tracks], faces, looked_at(spans))
        return self._of[footage.id]

    def tracks_an_hour(self) -> Decimal | None:
        """Return how many tracks the footage looked at has in an hour, or None where too little was."""
        all_of = [self.of(footage) for footage in self._store.footage.list(self.case_id)]
        seen_ms = sum(_length(of.seen) for of in all_of)
        if seen_ms < HISTORY_MS:
            return None
        return Decimal(sum(len(of.starts) for of in all_of)) * HOUR_MS / seen_ms

    def gigabytes_an_hour(self, footage: Sequence[Footage]) -> Decimal:
        """Return the mean size of an hour of some footage, or of a usual camera's where there is none."""
        length_ms = sum(one.facts.duration_ms for one in footage)
        if not length_ms:
            return GIGABYTES_AN_HOUR
        return Decimal(sum(one.size for one in footage)) / 10**9 * HOUR_MS / length_ms

    def _found(self, footage: Footage) -> tuple[list[Track], list[ExaminedSpan]]:
        """Ask the local engine; where it cannot work here, look up what it once told."""
        if not self._no_engine:
            try:
                return self._ask(footage)
            except EngineError:
                self._no_engine = True
                jobs = self._store.jobs.list(self.case_id, JobState.SUCCEEDED)
                self._version = next((job.engine_version for job in jobs if job.engine == LOCAL), None)
        if self._version is None:
            return [], []
        tracks = self._store.tracks
        return tracks.for_footage(footage.id, LOCAL, self._version), tracks.spans(footage.id, LOCAL, self._version)


def _nothing_found(_footage: Footage) -> tuple[list[Track], list[ExaminedSpan]]:
    return [], []


def _decimal(number: float, what: str) -> Decimal:
    if not 0 <= number < math.inf:
        raise UsageError(f"{what} are a number, 0 or more")
    return Decimal(str(number))


def _holds(job: Job, since_revision: int) -> bool:
    """Return whether a job's answer is there or paid for, and asked about everybody enrolled now."""
    state = JobState(job.state)
    paid = state is JobState.SUCCEEDED or (state in OPEN and job.run_ref is not None)
    # Work by the track asks about nobody in particular: it holds for all who come later.
    return paid and (job.gallery_revision >= since_revision or _mode_of(job) == "tracks")


def _mode_of(job: Job) -> str:
    return next((mode for mode in MODES if job.settings_key.startswith(mode)), MODES[0])


def _within(footage: Footage, period: tuple[float, float]) -> Span:
    return max(0, int(max(0.0, period[0]))), int(min(float(footage.facts.duration_ms), period[1]))


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)


def _minutes(spans: Sequence[Span]) -> Decimal:
    return Decimal(_length(spans)) / MINUTE_MS


def _plus(one: Looked, other: Looked) -> Looked:
    return Looked(
        one.minutes + other.minutes,
        one.active_minutes + other.active_minutes,
        one.unseen_minutes + other.unseen_minutes,
    )
