"""Turn what an engine knows of tracks into appearances: one person on one camera from start to end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from vidsearch.engine import Engine
from vidsearch.model import Appearance, Footage, Track, TrackMatch
from vidsearch.settings import MERGE_GAP_MS
from vidsearch.store import Store

PersonMatch = tuple[TrackMatch, int]
"""A track's match and the person it is a match of."""


class Matching:
    """Match stored tracks against the gallery. Decodes nothing."""

    def __init__(self, store: Store, engine: Callable[[], Engine]) -> None:
        """``engine`` is asked for on first use."""
        self._store = store
        self._engine = engine

    def match(self, footage: Footage, threshold: float | None, *, ask: bool = True) -> list[Appearance]:
        """Match all tracks of a recording against the case's gallery as it is now.

        ``threshold`` is the similarity from which a match counts; None is the one of the time before. Without ``ask``,
        an engine that charges is asked nothing: what it would have to be asked stays pending. Returns the appearances
        that were not there before.
        """
        engine = self._engine()
        if threshold is None:
            known = self._known(footage)
            threshold = known[2] if known else engine.default_threshold
        while True:
            basis = self._basis(footage)
            revision, done, _ = basis
            pairs, appearances = self._computed(footage, threshold, ask=ask)
            with self._store.atomic():
                # Another worker may have stored tracks meanwhile, and named them: ours must not undo that.
                if self._basis(footage) != basis:
                    continue
                if engine.capabilities.analysis:
                    self._store.matches.replace(footage, engine.NAME, engine.version, pairs, revision)
                new = self._store.appearances.replace(footage.id, engine.NAME, appearances)
                if ask or not self._asks:
                    self._store.matches.set_matched(
                        footage.id, engine.NAME, engine.version, engine.settings_key, revision, done, threshold
                    )
            return new

    def is_current(self, footage: Footage, threshold: float | None) -> bool:
        """Whether a recording's appearances follow from the gallery, tracks and threshold as they are now."""
        known = self._known(footage)
        revision = self._store.cases.get(footage.case_id).gallery_revision
        same = known is not None and threshold in (None, known[2])
        return same and known is not None and known[:2] == (revision, self._done(footage))

    def pending(self, case_id: str, threshold: float | None) -> list[Footage]:
        """Return the recordings with analysed parts whose appearances are not current, at any threshold if None."""
        return [
            footage
            for footage in self._store.footage.list(case_id)
            if self._done(footage) and not self.is_current(footage, threshold)
        ]

    def _known(self, footage: Footage) -> tuple[int, int, float] | None:
        engine = self._engine()
        return self._store.matches.matched(footage.id, engine.NAME, engine.version, engine.settings_key)

    @property
    def _asks(self) -> bool:
        """Whether matching asks an engine that charges for it."""
        can = self._engine().capabilities
        return can.priced and can.analysis

    def _computed(self, footage: Footage, threshold: float, *, ask: bool) -> tuple[list[PersonMatch], list[Appearance]]:
        engine = self._engine()
        if engine.capabilities.analysis:
            owners = self._store.people.owners(footage.case_id, engine.NAME)
            found = engine.match(footage.case_id, footage.key, ask=ask)
            pairs = best_per_person(found, owners, engine.agreeing_shots)
        else:
            # Found by the run itself, and stored with its tracks.
            pairs = self._store.matches.for_footage(footage.id, engine.NAME, engine.version)
        tracks = {track.id: track for track in self._store.tracks.for_footage(footage.id, engine.NAME, engine.version)}
        # A track stored by the engine and not yet collected by us is not ours to name.
        pairs = [(match, person) for match, person in pairs if match.track_id in tracks]
        return pairs, make_appearances(footage, tracks, pairs, threshold, engine)

    def _basis(self, footage: Footage) -> tuple[int, int, tuple[int, int]]:
        """Return what appearances follow from: the gallery's revision, the jobs done, and the state of the tracks."""
        engine = self._engine()
        revision = self._store.cases.get(footage.case_id).gallery_revision
        return revision, self._done(footage), self._store.tracks.state(footage.id, engine.NAME, engine.version)

    def _done(self, footage: Footage) -> int:
        engine = self._engine()
        return self._store.jobs.done(footage.id, engine.NAME, engine.version, engine.settings_key)


def best_per_person(
    matches: Iterable[TrackMatch], owners: dict[str, tuple[int, int, bool]], agreeing: int
) -> list[PersonMatch]:
    """Return the best match of each track with each person, weak and sound faces apart.

    ``owners`` maps face ids to (person, photo, weak). Faces without an owner were forgotten and do not count. A match
    on which ``agreeing`` shots agree comes before one that is more similar in fewer.
    """

    def rank(match: TrackMatch) -> tuple[bool, float]:
        return match.agreeing >= agreeing, match.similarity

    best: dict[tuple[str, int, bool], TrackMatch] = {}
    for match in matches:
        owner = owners.get(match.face_id)
        if owner is None:
            continue
        key = (match.track_id, owner[0], match.weak)
        held = best.get(key)
        if held is None or rank(match) > rank(held):
            best[key] = match
    return [(match, person) for (_, person, _), match in best.items()]


def make_appearances(
    footage: Footage,
    tracks: dict[str, Track],
    pairs: Sequence[PersonMatch],
    threshold: float,
    engine: Engine,
) -> list[Appearance]:
    """Return the appearances that follow from matches at a threshold.

    A track gets one name, that of the most similar person, and only where enough of its shots agree. Tracks that
    resemble only a weak photo make appearances marked ``weak``, which stand apart.
    """
    sound, possible = (_named(pairs, threshold, engine.agreeing_shots, weak=weak) for weak in (False, True))
    weak = {track: pair for track, pair in possible.items() if track not in sound}
    result: list[Appearance] = []
    for chosen, is_weak in ((sound, False), (weak, True)):
        for person in sorted({person for _, person in chosen.values()}):
            mine = [(tracks[match.track_id], match) for match, owner in chosen.values() if owner == person]
            for group in _visits(mine):
                result.append(_appearance(footage, person, group, is_weak, engine))
    return sorted(result, key=lambda appearance: (appearance.start_ms, appearance.id))


def _named(pairs: Sequence[PersonMatch], threshold: float, agreeing: int, *, weak: bool) -> dict[str, PersonMatch]:
    """Return track id -> the pair that names it."""
    chosen: dict[str, PersonMatch] = {}
    for match, person in pairs:
        if match.weak != weak or match.similarity < threshold or match.agreeing < agreeing:
            continue
        held = chosen.get(match.track_id)
        if held is None or match.similarity > held[0].similarity:
            chosen[match.track_id] = (match, person)
    return chosen


def _visits(mine: list[tuple[Track, TrackMatch]]) -> list[list[tuple[Track, TrackMatch]]]:
    """Group tracks of one person that are at most MERGE_GAP_MS apart."""
    groups: list[list[tuple[Track, TrackMatch]]] = []
    end = 0
    for pair in sorted(mine, key=lambda pair: (pair[0].start_ms, pair[0].id)):
        if groups and pair[0].start_ms - end <= MERGE_GAP_MS:
            groups[-1].append(pair)
            end = max(end, pair[0].end_ms)
        else:
            groups.append([pair])
            end = pair[0].end_ms
    return groups


def _appearance(
    footage: Footage, person: int, group: list[tuple[Track, TrackMatch]], weak: bool, engine: Engine
) -> Appearance:
    track, match = max(group, key=lambda pair: (pair[1].similarity, pair[0].id))
    first = group[0][0].id
    name = f"{footage.case_id}/{footage.id}/{person}/{engine.NAME}/{first}/{weak}"
    return Appearance(
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        case_id=footage.case_id,
        person_id=person,
        camera_id=footage.camera_id,
        footage_id=footage.id,
        start_ms=group[0][0].start_ms,
        end_ms=max(track.end_ms for track, _ in group),
        best_ms=track.best_ms,
        best_track=track.id,
        best_box=track.best_box,
        face_px=track.face_px,
        face_id=match.face_id,
        similarity=match.similarity,
        detections=sum(track.detections for track, _ in group),
        tracks=tuple(track.id for track, _ in group),
        weak=weak,
        engine=engine.NAME,
        engine_version=engine.version,
    )
