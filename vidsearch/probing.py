"""Ask about a face without enrolling it: who is it in the gallery, and where was it seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidsearch import clock
from vidsearch.engine import Engine
from vidsearch.model import Actor, Camera, FaceDescription, Footage, Photo, Picture, Track
from vidsearch.settings import MERGE_GAP_MS
from vidsearch.store import Store


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody enrolled who resembles the probe."""

    person_id: int
    person: str
    photo: Photo
    similarity: float
    weak: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A stretch of a recording in which a face resembling the probe was seen."""

    footage: Footage
    camera: Camera
    start_ms: int
    end_ms: int
    best_ms: int
    best_track: str
    similarity: float
    detections: int
    start_time: str
    end_time: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What is known of a probe."""

    faces: list[FaceDescription]
    candidates: list[Candidate]
    sightings: list[Sighting]


class Probing:
    """The probe use case. A probe is never stored; the audit keeps its SHA-256."""

    def __init__(
        self, store: Store, engine: Callable[[], Engine], load_picture: Callable[[Path | bytes, str | None], Picture]
    ) -> None:
        """``engine`` is asked for on first use."""
        self._store = store
        self._engine = engine
        self._load = load_picture

    def ask(
        self,
        actor: Actor,
        case_id: str,
        photo: Path | bytes,
        *,
        name: str | None = None,
        face: int | None = None,
        threshold: float,
    ) -> ProbeResult:
        """Return who a face is in the gallery, and where it was seen in everything analysed.

        Raises PhotoRefused where there is no face, or several and ``face`` (index from 0) names none.
        """
        picture = self._load(photo, name)
        engine = self._engine()
        candidates = self._candidates(case_id, engine, picture, face, threshold)
        sightings = self._sightings(case_id, engine, picture, face, threshold) if engine.capabilities.seen else []
        with self._store.atomic():
            self._store.audit.record(
                actor,
                "probe",
                hashlib.sha256(picture.original).hexdigest(),
                case_id=case_id,
                threshold=threshold,
                candidates=len(candidates),
                sightings=len(sightings),
            )
        return ProbeResult(engine.describe(picture), candidates, sightings)

    def _candidates(
        self, case_id: str, engine: Engine, picture: Picture, face: int | None, threshold: float
    ) -> list[Candidate]:
        owners = self._store.people.owners(case_id, engine.NAME)
        best: dict[int, Candidate] = {}
        for match in engine.search_probe(case_id, picture, face=face, threshold=threshold):
            if match.face_id not in owners:
                continue
            person_id, photo_id, weak = owners[match.face_id]
            held = best.get(person_id)
            if held is None or match.similarity > held.similarity:
                person = self._store.people.get(case_id, person_id)
                photo = self._store.people.photo(case_id, photo_id)
                best[person_id] = Candidate(person_id, person.name, photo, match.similarity, weak)
        return sorted(best.values(), key=lambda candidate: -candidate.similarity)

    def _sightings(
        self, case_id: str, engine: Engine, picture: Picture, face: int | None, threshold: float
    ) -> list[Sighting]:
        found: dict[int, list[tuple[Track, float]]] = {}
        held: dict[int, Footage] = {}
        for key, match in engine.seen(picture, face=face, threshold=threshold):
            footage = self._store.footage.by_key(case_id, key)
            # What an engine has seen and no search has collected, such as while a price was looked at, is left out.
            track = self._store.tracks.find(footage.id, match.track_id) if footage else None
            if footage and track:
                held[footage.id] = footage
                found.setdefault(footage.id, []).append((track, match.similarity))
        sightings = [self._merged(held[id_], tracks) for id_, tracks in found.items()]
        return sorted((one for many in sightings for one in many), key=lambda sighting: -sighting.similarity)

    def _merged(self, footage: Footage, tracks: list[tuple[Track, float]]) -> list[Sighting]:
        camera = self._store.footage.camera(footage.case_id, footage.camera_id)
        groups: list[list[tuple[Track, float]]] = []
        for pair in sorted(tracks, key=lambda pair: pair[0].start_ms):
            if groups and pair[0].start_ms - max(track.end_ms for track, _ in groups[-1]) <= MERGE_GAP_MS:
                groups[-1].append(pair)
            else:
                groups.append([pair])
        return [self._sighting(footage, camera, group) for group in groups]

    def _sighting(self, footage: Footage, camera: Camera, group: list[tuple[Track, float]]) -> Sighting:
        best, similarity = max(group, key=lambda pair: pair[1])
        start, end = group[0][0].start_ms, max(track.end_ms for track, _ in group)
        zero = footage.start_ms + camera.clock_offset_ms
        return Sighting(
            footage=footage,
            camera=camera,
            start_ms=start,
            end_ms=end,
            best_ms=best.best_ms,
            best_track=best.id,
            similarity=similarity,
            detections=sum(track.detections for track, _ in group),
            start_time=clock.iso(zero + start, camera.zone),
            end_time=clock.iso(zero + end, camera.zone),
        )
