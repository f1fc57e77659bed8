"""The read model: what the command line and the browser show, joined and with clock times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vidsearch import clock
from vidsearch.errors import UnknownRecord
from vidsearch.model import Appearance, Camera, ExaminedSpan, Footage, Job, Person, Photo, SpanOutcome
from vidsearch.states import OPEN, JobState
from vidsearch.store import Store
from vidsearch.store.jobs import FootageJobs


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person with what a list shows."""

    person: Person
    photos: list[Photo]
    appearances: int

    @property
    def usable(self) -> int:
        """Photos an engine holds a face for."""
        return sum(photo.usable for photo in self.photos)

    @property
    def face(self) -> Photo | None:
        """The photo to show for the person: the first sound one, else the first weak one."""
        usable = [photo for photo in self.photos if photo.usable]
        return next((photo for photo in usable if photo.outcome != "weak"), usable[0] if usable else None)


@dataclass(frozen=True, slots=True)
class FootageRow:
    """A recording with its state, coverage and times."""

    footage: Footage
    camera: Camera
    state: str
    """``new``, ``waiting``, ``searching``, ``searched``, ``partly``, ``paused``, ``failed``, ``missing``, ``outdated``.

    An outdated one was searched by an earlier version of the engine, or before somebody was enrolled, where the engine
    must be asked about everybody anew; its results stay until it is searched again."""
    done_ms: int
    """How much of it this analysis is done with; the spans may still be those of one before."""
    examined_ms: int
    spans: list[ExaminedSpan]
    appearances: int
    errors: list[str]
    start_time: str
    end_time: str

    @property
    def share(self) -> float:
        """Share of the recording that was examined, 0 to 1."""
        length = self.footage.facts.duration_ms
        return min(1.0, self.examined_ms / length) if length else 0.0

    @property
    def done_share(self) -> float:
        """Share of the recording that the analysis under way is done with, 0 to 1."""
        length = self.footage.facts.duration_ms
        return min(1.0, self.done_ms / length) if length else 0.0

    @property
    def unexamined(self) -> list[ExaminedSpan]:
        """The spans that were looked at and could not be examined, with their reasons."""
        return [span for span in self.spans if span.outcome is not SpanOutcome.EXAMINED]


@dataclass(frozen=True, slots=True)
class AppearanceRow:
    """An appearance as people read it. ``*_time`` are ISO 8601 with offset, in the camera's zone."""

    appearance: Appearance
    person: str
    camera: Camera
    footage: Footage
    start_time: str
    end_time: str
    best_time: str
    at_ms: int
    """Wall clock of the start (UTC epoch), the camera's offset applied."""

    def as_json(self) -> dict[str, Any]:
        """Return the row of ``vidsearch matches --json``."""
        found = self.appearance
        return {
            "person": self.person,
            "camera": self.camera.name,
            "footage": found.footage_id,
            "start_s": found.start_ms / 1000,
            "end_s": found.end_ms / 1000,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "similarity": round(found.similarity, 1),
            "best_s": found.best_ms / 1000,
            "detections": found.detections,
            "review": found.review,
            "engine": found.engine,
            "engine_version": found.engine_version,
            "start_source": self.footage.start_source.value,
            "estimated": self.footage.facts.estimated_times,
            "weak": found.weak,
            "face_px": found.face_px,
            "id": found.id,
        }


@dataclass(frozen=True, slots=True)
class Query:
    """Which appearances. Times are wall clock, ISO 8601; without an offset in each camera's zone."""

    people: Sequence[str] = ()
    cameras: Sequence[str] = ()
    person_ids: Sequence[int] = ()
    """People by number, besides those by name."""
    camera_ids: Sequence[int] = ()
    from_: str | None = None
    to: str | None = None
    min_similarity: float | None = None
    engine: str | None = None
    """Only what this engine found."""
    weak: bool = False
    footage_id: int | None = None
    limit: int | None = None
    offset: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Appearances as columns of equal length, in order of their start: what a drawing of very many needs."""

    id: list[str]
    person: list[int]
    camera: list[int]
    start_ms: list[int]
    """Wall clock (UTC epoch), the camera's offset applied."""
    end_ms: list[int]
    similarity: list[float]


@dataclass(frozen=True, slots=True)
class AppearancePage:
    """An appearance with what stands beside it."""

    row: AppearanceRow
    photo: Photo | None
    """The enrolled photo it resembles most."""
    before: AppearanceRow | None
    """The same person's appearance before this one, on any camera."""
    after: AppearanceRow | None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job with the recording it belongs to."""

    job: Job
    footage: Footage
    camera: Camera
    history: list[dict[str, Any]] = field(default_factory=list)


class Timeline:
    """Answer what the screens ask."""

    def __init__(self, store: Store, current: Callable[[], tuple[str, str, str]]) -> None:
        """``current`` gives the engine's name, version and settings key."""
        self._store = store
        self._current = current

    def people(self, case_id: str, engine: str | None = None) -> list[PersonRow]:
        """Return everybody looked for in a case, by name, with what an engine (None: any) found of them."""
        counts = self._store.appearances.counts_by_person(case_id, engine)
        return [
            PersonRow(person, self._store.people.photos(person.id), counts.get(person.id, 0))
            for person in self._store.people.list(case_id)
        ]

    def person(self, case_id: str, person_id: int) -> PersonRow:
        """Return one person. Raises UnknownRecord."""
        person = self._store.people.get(case_id, person_id)
        count = self._store.appearances.count(case_id, person_ids=[person_id])
        return PersonRow(person, self._store.people.photos(person_id), count)

    def engines(self, case_id: str) -> list[str]:
        """Return the names of the engines that a case was searched with, the one in use first."""
        names = [name for name, _, _ in self._store.jobs.newest_of_engines(case_id)]
        return sorted(names, key=lambda name: (name != self._current()[0], name))

    def footage(self, case_id: str, engine: str | None = None) -> list[FootageRow]:
        """Return the recordings of a case, by camera and start, as an engine (None: the one in use) has seen them."""
        engine, version, key = self._seen_by(case_id, engine)
        cameras = {camera.id: camera for camera in self._store.footage.cameras(case_id)}
        jobs = self._store.jobs.of_recordings(case_id, engine, version, key)
        spans = self._store.tracks.coverage(case_id, engine, version, key)
        counts = self._store.appearances.counts_by_footage(case_id, engine)
        rows = [
            _footage_row(
                footage,
                cameras[footage.camera_id],
                jobs.get(footage.id),
                spans.get(footage.id, []),
                counts.get(footage.id, 0),
            )
            for footage in self._store.footage.list(case_id)
        ]
        return sorted(rows, key=lambda row: (row.camera.name, row.footage.start_ms, row.footage.id))

    def coverage(self, case_id: str, query: Query, engine: str | None = None) -> list[FootageRow]:
        """Return the recordings that a query's answer rests on: of its cameras, with something in its period."""
        cameras = {self._store.footage.camera_by_name(case_id, name).id for name in query.cameras} | {*query.camera_ids}
        rows = [row for row in self.footage(case_id, engine) if not cameras or row.camera.id in cameras]
        rows = [row for row in rows if _overlaps(row, *clock.period(query.from_, query.to, row.camera.zone))]
        # An engine examined nothing for somebody whom it was never asked about.
        named = query.people or query.person_ids
        return [replace(row, examined_ms=0) for row in rows] if named and self.unasked(case_id, query, engine) else rows

    def unasked(self, case_id: str, query: Query, engine: str | None) -> list[str]:
        """Return those asked about (everybody, where nobody is named) of whom an engine holds no face, by name."""
        if engine is None:
            return []
        known = {person for person, _, _ in self._store.people.owners(case_id, engine).values()}
        people = self._store.people.list(case_id)
        wanted = {*query.people, *(person.name for person in people if person.id in query.person_ids)}
        return [one.name for one in people if one.id not in known and (not wanted or one.name in wanted)]

    def one_footage(self, case_id: str, footage_id: int) -> FootageRow:
        """Return one recording. Raises UnknownRecord."""
        engine, version, key = self._seen_by(case_id, None)
        footage = self._store.footage.get(case_id, footage_id)
        return _footage_row(
            footage,
            self._store.footage.camera(case_id, footage.camera_id),
            self._store.jobs.of_recordings(case_id, engine, version, key, footage_id).get(footage_id),
            self._store.tracks.coverage(case_id, engine, version, key, footage_id).get(footage_id, []),
            self._store.appearances.count(case_id, footage_id=footage_id, engine=engine),
        )

    def appearances(self, case_id: str, query: Query = Query()) -> list[AppearanceRow]:
        """Return appearances by wall clock. Raises UnknownRecord for a person or camera that is not there."""
        people = {person.id: person.name for person in self._store.people.list(case_id)}
        cameras = {camera.id: camera for camera in self._store.footage.cameras(case_id)}
        found = self._store.appearances.find(case_id, **self._filters(case_id, query))
        footage = {number: self._store.footage.get(case_id, number) for number in {item.footage_id for item in found}}
        return [_row(item, people[item.person_id], cameras[item.camera_id], footage[item.footage_id]) for item in found]

    def count(self, case_id: str, query: Query = Query()) -> int:
        """Return how many appearances a query has without its limit."""
        filters = self._filters(case_id, query)
        for paging in ("limit", "offset", "newest_first"):
            filters.pop(paging)
        return self._store.appearances.count(case_id, **filters)

    def points(self, case_id: str, query: Query = Query()) -> Points:
        """Return the appearances of a query as columns; a hundred thousand take a fraction of a second."""
        filters = self._filters(case_id, query)
        for paging in ("limit", "offset", "newest_first"):
            filters.pop(paging)
        rows = self._store.appearances.points(case_id, **filters)
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
        return Points(*columns)

    def appearance(self, case_id: str, appearance_id: str) -> AppearancePage:
        """Return one appearance and its neighbours. Raises UnknownRecord."""
        item = self._store.appearances.get(case_id, appearance_id)
        owner = self._store.people.owners(case_id, item.engine).get(item.face_id)
        before, after = self._store.appearances.neighbours(item)
        return AppearancePage(
            row=self._one_row(item),
            photo=self._store.people.photo(case_id, owner[1]) if owner else None,
            before=self._one_row(before) if before else None,
            after=self._one_row(after) if after else None,
        )

    def jobs(self, case_id: str, *, state: JobState | None = None, limit: int = 200, offset: int = 0) -> list[JobRow]:
        """Return the newest jobs of a case, of one state where asked."""
        cameras = {camera.id: camera for camera in self._store.footage.cameras(case_id)}
        footage = {footage.id: footage for footage in self._store.footage.list(case_id)}
        rows = []
        for job in self._store.jobs.list(case_id, state=state, limit=limit, offset=offset):
            held = footage[job.footage_id]
            rows.append(JobRow(job, held, cameras[held.camera_id]))
        return rows

    # -- parts ---------------------------------------------------------------------------------------------------

    def _seen_by(self, case_id: str, engine: str | None) -> tuple[str, str, str]:
        """Return the engine asked about with its version and settings.

        None is the one in use, or where only another one has searched the case, that one.
        """
        current = self._current()
        known = {one[0]: one for one in self._store.jobs.newest_of_engines(case_id)}
        if engine is None:
            engine = current[0] if current[0] in known or not known else next(iter(known))
        return current if engine == current[0] else known.get(engine, (engine, "", ""))

    def _filters(self, case_id: str, query: Query) -> dict[str, Any]:
        people = [*query.person_ids, *(self._person_id(case_id, name) for name in query.people)]
        cameras = [
            *(self._store.footage.camera(case_id, number) for number in query.camera_ids),
            *(self._store.footage.camera_by_name(case_id, name) for name in query.cameras),
        ]
        zone = cameras[0].zone if len(cameras) == 1 else self._zone(case_id)
        begin, end = clock.period(query.from_, query.to, zone)
        return {
            "person_ids": people or None,
            "camera_ids": [camera.id for camera in cameras] or None,
            "footage_id": query.footage_id,
            "from_ms": begin,
            "to_ms": end,
            "weak": query.weak,
            "min_similarity": query.min_similarity,
            "engine": query.engine,
            "limit": query.limit,
            "offset": query.offset,
            "newest_first": query.newest_first,
        }

    def _one_row(self, item: Appearance) -> AppearanceRow:
        return _row(
            item,
            self._store.people.get(item.case_id, item.person_id).name,
            self._store.footage.camera(item.case_id, item.camera_id),
            self._store.footage.get(item.case_id, item.footage_id),
        )

    def _zone(self, case_id: str) -> str:
        """Return the zone of the cameras where they share one, else this machine's."""
        zones = {camera.zone for camera in self._store.footage.cameras(case_id)}
        return zones.pop() if len(zones) == 1 else clock.local_zone()

    def _person_id(self, case_id: str, name: str) -> int:
        person = self._store.people.by_name(case_id, name)
        if person is None:
            names = ", ".join(sorted(p.name for p in self._store.people.list(case_id))) or "none"
            raise UnknownRecord(f"nobody is called '{name}'; enrolled are: {names}")
        return person.id


def _overlaps(row: FootageRow, begin: int | None, end: int | None) -> bool:
    zero = row.footage.start_ms + row.camera.clock_offset_ms
    return (end is None or zero < end) and (begin is None or zero + row.footage.facts.duration_ms > begin)


def _footage_row(
    footage: Footage, camera: Camera, jobs: FootageJobs | None, spans: list[ExaminedSpan], appearances: int
) -> FootageRow:
    zero = footage.start_ms + camera.clock_offset_ms
    return FootageRow(
        footage=footage,
        camera=camera,
        state=_state(footage, jobs.lengths_ms if jobs else {}, seen_before=bool(spans)),
        done_ms=jobs.lengths_ms.get(JobState.SUCCEEDED, 0) if jobs else 0,
        examined_ms=sum(span.end_ms - span.start_ms for span in spans if span.outcome is SpanOutcome.EXAMINED),
        spans=spans,
        appearances=appearances,
        errors=jobs.errors if jobs else [],
        start_time=clock.iso(zero, camera.zone),
        end_time=clock.iso(zero + footage.facts.duration_ms, camera.zone),
    )


def _state(footage: Footage, lengths_ms: dict[JobState, int], *, seen_before: bool) -> str:
    """Return the one word for a recording's state.

    ``lengths_ms`` is how much of it is in each state of its jobs; ``seen_before``, whether any version examined it.
    """
    states = set(lengths_ms)
    if states & (OPEN - {JobState.QUEUED}):
        return "searching"
    if JobState.QUEUED in states:
        return "waiting"
    if JobState.FAILED in states:
        return "failed"
    if states & {JobState.PAUSED, JobState.CANCELLED}:
        return "paused"
    if not states:
        return "outdated" if seen_before else "missing" if footage.missing else "new"
    return "searched" if sum(lengths_ms.values()) >= footage.facts.duration_ms else "partly"


def _row(item: Appearance, person: str, camera: Camera, footage: Footage) -> AppearanceRow:
    zero = footage.start_ms + camera.clock_offset_ms
    return AppearanceRow(
        appearance=item,
        person=person,
        camera=camera,
        footage=footage,
        start_time=clock.iso(zero + item.start_ms, camera.zone),
        end_time=clock.iso(zero + item.end_ms, camera.zone),
        best_time=clock.iso(zero + item.best_ms, camera.zone),
        at_ms=zero + item.start_ms,
    )
