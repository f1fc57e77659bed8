"""Turn the persons of GetFaceSearch into tracks and matches. Pure.

Rekognition tells of each moment in which it saw a person; their ``Index`` holds the moments together. Rows are taken
one by one and in any order, and what they add up to does not depend on it. What may be missing in an answer (matches,
faces, boxes, null in place of anything) is missing in real ones.
"""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidsearch.cuts import Span, Stretch, merged, to_source
from vidsearch.errors import EngineError
from vidsearch.model import BoundingBox, ExaminedSpan, SpanOutcome, Track, TrackMatch

GAP_MS = 10_000
"""A person not seen for longer than this comes back as another track: an appearance should not last while nobody is
there."""

HOLE_MS = 500
"""Where a cut leaves out no more than this between two stretches, nothing counts as left out: a moment of a few
pictures at the slowest."""

_OURS = re.compile(r"([sw])-([0-9a-f]{40})")
_WHOLE = BoundingBox(0.0, 0.0, 1.0, 1.0)


def external_id(face_id: str, *, weak: bool) -> str:
    """Return what a face is called at Amazon: safe by construction, and never a name."""
    return f"{'w' if weak else 's'}-{face_id}"


def face_of(face: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return (our id, weak) of a Face of an answer. One that we did not index goes by Amazon's id."""
    ours = _OURS.fullmatch(str(face.get("ExternalImageId") or ""))
    if ours:
        return ours[2], ours[1] == "w"
    return (str(face["FaceId"]), False) if face.get("FaceId") else None


def box_of(box: Mapping[str, Any] | None) -> BoundingBox | None:
    """Return a box clamped to the picture, or None where there is none or nothing of it is inside."""
    if not box:
        return None
    x0, y0 = _number(box.get("Left")), _number(box.get("Top"))
    x1, y1 = x0 + _number(box.get("Width")), y0 + _number(box.get("Height"))
    if x0 < 0.0 or y0 < 0.0 or x1 > 1.0 or y1 > 1.0:
        x0, y0, x1, y1 = max(0.0, x0), max(0.0, y0), min(1.0, x1), min(1.0, y1)
    return BoundingBox(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


@dataclass(slots=True)
class Visit:
    """One person followed without a long gap, as far as it is known."""

    start_ms: int
    end_ms: int
    first_box: BoundingBox
    best_ms: int
    best_box: BoundingBox
    best: tuple[float, float]
    """Rank of the best shot: similarity, then width of the face as a ratio; higher is better."""
    detections: int
    confidence: float
    faces: dict[str, tuple[float, int, bool]]
    """Enrolled face -> (highest similarity, rows in which it matched, weak)."""

    def take(self, other: Visit) -> None:
        """Become both."""
        if (other.start_ms, _sides(other.first_box)) < (self.start_ms, _sides(self.first_box)):
            self.first_box = other.first_box
        if (other.best, -other.best_ms) > (self.best, -self.best_ms):
            self.best, self.best_ms, self.best_box = other.best, other.best_ms, other.best_box
        self.start_ms, self.end_ms = min(self.start_ms, other.start_ms), max(self.end_ms, other.end_ms)
        self.detections += other.detections
        self.confidence = max(self.confidence, other.confidence)
        for face, (similarity, rows, weak) in other.faces.items():
            held = self.faces.get(face, (0.0, 0, weak))
            self.faces[face] = (max(held[0], similarity), held[1] + rows, held[2] and weak)


@dataclass(slots=True)
class Person:
    """A person of an answer who may go on in the next one."""

    index: int
    visits: list[Visit] = field(default_factory=list)
    """In order, each more than GAP_MS from the next, or in another part of the recording."""

    def add(self, seen: Visit, part: Span) -> None:
        """Add a moment. ``part`` is [start, end) of the part of the recording that it is in: visits do not cross it."""
        if not self.visits:
            self.visits.append(seen)
            return
        near = [
            visit
            for visit in self.visits
            if visit.start_ms - GAP_MS <= seen.start_ms <= visit.end_ms + GAP_MS and part[0] <= visit.start_ms < part[1]
        ]
        if not near:
            bisect.insort(self.visits, seen, key=lambda visit: visit.start_ms)
            return
        first, *others = near
        first.take(seen)
        for other in others:
            first.take(other)
            self.visits.remove(other)


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows of a job belong: a piece [start_ms, end_ms) of a recording, seen through a cut."""

    footage: str
    version: str
    start_ms: int
    end_ms: int
    stretches: tuple[Stretch, ...]
    width: int
    """Of the recording's pictures in pixels, for answers that do not tell."""

    @property
    def parts(self) -> list[Span]:
        """The parts of the recording that the cut shows without a gap, in order."""
        shown = ((stretch.source_ms, stretch.source_ms + stretch.length_ms) for stretch in self.stretches)
        return merged(shown, gap_ms=HOLE_MS)


class Rows:
    """Makes tracks of the rows of one job, page by page, person by person."""

    def __init__(self, place: Place, person: Person | None = None, width: float = 0.0) -> None:
        """``person`` was not finished at the end of the page before; ``width`` of the pictures was told there."""
        self._place = place
        self._part_starts = [start for start, _ in place.parts]
        self._begins = [stretch.out_ms for stretch in place.stretches]
        self._person = person
        self.width = width or float(place.width)
        """Of the pictures as Amazon sees them, pixels."""

    @property
    def unfinished(self) -> Person | None:
        """The last person so far, who may go on."""
        return self._person

    def page(self, answer: Mapping[str, Any], *, last: bool) -> tuple[list[Track], list[TrackMatch]]:
        """Return the tracks of the persons that end on a page, with their matches.

        Raises EngineError where the answer is none of GetFaceSearch.
        """
        try:
            metadata = answer.get("VideoMetadata") or {}
            self.width = _number(metadata.get("FrameWidth")) or self.width
            persons = self._finished(answer.get("Persons") or [], last)
        except (AttributeError, TypeError) as exc:
            raise EngineError("Amazon's answer is not a page of a face search; search again") from exc
        tracks: list[Track] = []
        matches: list[TrackMatch] = []
        for visit in (visit for person in persons for visit in person.visits):
            track = self._track(visit)
            tracks.append(track)
            matches += [
                TrackMatch(track.id, face, round(similarity, 2), rows, weak)
                for face, (similarity, rows, weak) in sorted(visit.faces.items())
            ]
        return tracks, matches

    def _finished(self, rows: Sequence[Mapping[str, Any]], last: bool) -> list[Person]:
        """Take rows, and return the persons that do not go on: rows come person by person, so only the last may."""
        persons = {} if self._person is None else {self._person.index: self._person}
        index = self._person.index if self._person is not None else 0
        for row in rows:
            seen = (row or {}).get("Person") or {}
            index = int(_number(seen.get("Index")))
            person = persons.get(index)
            if person is None:
                person = persons[index] = Person(index)
            self._take(person, row or {}, seen)
        self._person = None if last else persons.pop(index, None)
        return list(persons.values())

    def _take(self, person: Person, row: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
        """Add a row to its person, unless it shows nothing or is not of our piece."""
        place = self._place
        ms = self._source_ms(_number(row.get("Timestamp")))
        if ms is None or not place.start_ms <= ms < place.end_ms:
            return
        matches = row.get("FaceMatches")
        faces = _faces(matches) if matches else {}
        face = seen.get("Face") or {}
        box = box_of(face.get("BoundingBox"))
        if box is None and not faces:
            return
        wide = box.width if box is not None else 0.0
        box = box or box_of(seen.get("BoundingBox")) or _WHOLE
        best = max(held[0] for held in faces.values()) if faces else 0.0
        confidence = round(_number(face.get("Confidence")), 2)
        person.add(Visit(ms, ms, box, ms, box, (best, wide), 1, confidence, faces), self._part(ms))

    def _source_ms(self, out_ms: float) -> int | None:
        """Return the time in the recording of a time in the cut, looking only at the stretch that may have it."""
        if len(self._begins) == 1:
            return to_source(self._place.stretches, out_ms)
        at = bisect.bisect_right(self._begins, out_ms)
        return to_source(self._place.stretches[max(0, at - 1) : max(1, at)], out_ms)

    def _part(self, ms: int) -> Span:
        """Return the part of the recording that a moment is in; one just behind a part's end belongs to it."""
        starts = self._part_starts
        if len(starts) == 1:
            return starts[0], self._place.end_ms
        at = bisect.bisect_right(starts, ms)
        return starts[max(0, at - 1)], starts[at] if at < len(starts) else self._place.end_ms

    def _track(self, visit: Visit) -> Track:
        """Return the track of a visit. Its id begins with its time: ids that come in order are stored much faster."""
        place = self._place
        name = f"{place.footage}/{place.version}/{visit.start_ms}/%.4f/%.4f/%.4f/%.4f" % _sides(visit.first_box)
        return Track(
            id=f"{visit.start_ms:08x}{hashlib.sha256(name.encode()).hexdigest()[:16]}",
            start_ms=visit.start_ms,
            end_ms=visit.end_ms,
            best_ms=visit.best_ms,
            best_box=visit.best_box,
            face_px=round(visit.best[1] * self.width),
            detections=visit.detections,
            confidence=visit.confidence,
        )


def _faces(matches: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, int, bool]]:
    faces: dict[str, tuple[float, int, bool]] = {}
    for match in matches:
        known = face_of((match or {}).get("Face") or {})
        if known is not None:
            face, weak = known
            similarity = max(faces.get(face, (0.0,))[0], _number(match.get("Similarity")))
            faces[face] = (similarity, 1, weak)
    return faces


def _sides(box: BoundingBox) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def _number(value: Any) -> float:
    """Return a number of an answer; what is missing or none counts as 0."""
    if type(value) is float and value == value:
        return value
    return float(value) if isinstance(value, (int, float)) and value == value else 0.0


# -- spans -----------------------------------------------------------------------------------------------------------


def examined(place: Place, wanted: Sequence[Span] | None) -> list[ExaminedSpan]:
    """Return what became of a piece: looked at where the cut shows it; ``wanted`` is what was to be shown."""
    spans: list[ExaminedSpan] = []
    at = place.start_ms
    for start, end in place.parts:
        start, end = max(start, place.start_ms), min(end, place.end_ms)
        if end <= start:
            continue
        start = at if start - at <= HOLE_MS else start
        end = place.end_ms if place.end_ms - end <= HOLE_MS else end
        spans += _left_out(at, start, wanted)
        spans.append(ExaminedSpan(start, end, SpanOutcome.EXAMINED))
        at = end
    return spans + _left_out(at, place.end_ms, wanted)


def skipped(start_ms: int, end_ms: int, reason: str) -> ExaminedSpan:
    """Return the span of a piece that nobody looked at."""
    return ExaminedSpan(start_ms, end_ms, SpanOutcome.SKIPPED, reason)


UNWANTED = "nobody was seen there: not sent to Amazon"
"""Why a piece, or a part of one, is left out on purpose."""


def _left_out(start: int, end: int, wanted: Sequence[Span] | None) -> list[ExaminedSpan]:
    """Return the spans of a part that the cut does not show: not asked for, or not in the recording."""
    if end <= start:
        return []
    inside = [(max(start, low), min(end, high)) for low, high in (wanted or [(start, end)])]
    spans: list[ExaminedSpan] = []
    at = start
    for low, high in merged((span for span in inside if span[1] - span[0] > HOLE_MS), gap_ms=HOLE_MS):
        if low > at:
            spans.append(skipped(at, low, UNWANTED))
        spans.append(ExaminedSpan(low, high, SpanOutcome.GAP, "the recording has no pictures there"))
        at = high
    if at < end:
        spans.append(skipped(at, end, UNWANTED))
    return spans
