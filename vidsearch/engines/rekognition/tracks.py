"""By the track, not by the minute: another engine finds the tracks for nothing, Amazon names their best pictures.

Footage never leaves this machine; one picture of each face seen does, once. A later suspect costs one question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import ClassVar

import cv2
import numpy as np

from vidsearch.engine import Capabilities, Completion, Engine, MediaLimits, Page, RunRequest
from vidsearch.engines.rekognition import photos
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.engines.rekognition.seen import SeenFace
from vidsearch.model import EnrolledFace, FaceDescription, Picture, ProbeMatch, Track, TrackMatch

OURS = "by-track-"
"""Begins the ids of tracks, which are the finder's otherwise: the store must not take them for the finder's own."""


class TracksEngine(Engine):
    """Photos and scores are Rekognition's, tracks and their times another engine's, which must have ``analysis``."""

    NAME: ClassVar[str] = RekognitionEngine.NAME

    def __init__(self, amazon: RekognitionEngine, finder: Callable[[], Engine]) -> None:
        """``finder`` returns the engine that finds tracks; it is closed by whoever made it, ``amazon`` by this one.

        It is asked for on first use: where it cannot work, as without its models, photos can still be forgotten.
        """
        self._amazon = amazon
        self._make_finder = finder
        self.capabilities = Capabilities(analysis=True, seen=True, pictures=True, priced=True)
        self.default_threshold = amazon.default_threshold
        self.floor_similarity = amazon.floor_similarity
        self.agreeing_shots = 1

    @cached_property
    def _finder(self) -> Engine:
        return self._make_finder()

    @property
    def settings_key(self) -> str:  # type: ignore[override]
        """The finder's: what is asked of Amazon does not change what is found."""
        return f"tracks-{self._finder.settings_key}"

    @property
    def media_limits(self) -> MediaLimits:  # type: ignore[override]
        """The finder's, which reads the footage."""
        return self._finder.media_limits

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of Amazon's face model and of the engine that finds the tracks: either changes what is found."""
        return f"{self._amazon.version}-{self._finder.version}"

    @property
    def gallery_version(self) -> str:
        """Amazon's alone: another finder of tracks does not change what is enrolled."""
        return self._amazon.gallery_version

    # -- photos: Amazon's ----------------------------------------------------------------------------------------

    def describe(self, picture: Picture) -> list[FaceDescription]:
        """Return the faces of a picture, left to right."""
        return self._amazon.describe(picture)

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        """Enrol one face of a picture."""
        return self._amazon.enrol(gallery, picture, face=face, allow_weak=allow_weak)

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces for good."""
        self._amazon.forget(gallery, face_ids)

    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        """Return the ids of the faces of a gallery that were enrolled so long ago."""
        return self._amazon.faces(gallery, older_than_s=older_than_s)

    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        """Return the enrolled faces that resemble a face of a picture, most similar first."""
        return self._amazon.search_probe(gallery, picture, face=face, threshold=threshold)

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        """Return the similarity of an enrolled face to each of ``others``, in their order."""
        return self._amazon.compare(gallery, face_id, others)

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return the JPEG of a face that was indexed."""
        return self._amazon.face_picture(gallery, face_id)

    def restore(self, gallery: str) -> int:
        """Make the collection of a gallery again from the kept pictures."""
        return self._amazon.restore(gallery)

    def newer_model(self) -> str | None:
        """Return the version of Amazon's newest face model where it is another than ours, or None."""
        return self._amazon.newer_model()

    def adopt(self, model: str) -> None:
        """Go over to Amazon's newest face model."""
        self._amazon.adopt(model)

    # -- footage: the finder's -----------------------------------------------------------------------------------

    def start(self, request: RunRequest, token: str) -> str:
        """Start to look for tracks; they belong into the gallery's collection of faces seen."""
        if request.gallery:
            self._amazon.seen_faces.want(request.gallery, request.footage_key)
        return self._finder.start(request, token)

    def completions(self, wait_s: float) -> list[Completion]:
        """Return the completions waiting."""
        return self._finder.completions(wait_s)

    def acknowledge(self, completion: Completion) -> None:
        """Do not tell of a completion again."""
        self._finder.acknowledge(completion)

    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        """Return the tracks that touch a run's range."""
        return _named(self._finder.results(run_ref, cursor))

    def cancel(self, run_ref: str) -> None:
        """Stop a run that has not begun."""
        self._finder.cancel(run_ref)

    def progress(self, run_ref: str) -> float | None:
        """Return the share done of a run."""
        return self._finder.progress(run_ref)

    @property
    def capacity(self) -> int:
        """As many runs as the finder takes."""
        return self._finder.capacity

    def close(self) -> None:
        """Let go of Amazon's side."""
        self._amazon.close()

    # -- what was seen -------------------------------------------------------------------------------------------

    def tracks(self, footage_key: str, cursor: str | None = None) -> Page:
        """Return a page of all tracks of a recording."""
        return _named(self._finder.tracks(footage_key, cursor))

    def match(
        self, gallery: str, footage_key: str, *, track_ids: Sequence[str] | None = None, ask: bool = True
    ) -> Iterator[TrackMatch]:
        """Yield how the tracks of a recording resemble the gallery's faces, as Amazon has it.

        Every track seen for the gallery that Amazon has no picture of yet costs one photo, in whichever recording, and
        then each enrolled face one question about all recordings. Nothing is paid for twice, and without ``ask``
        nothing at all.
        """
        enrolled = self._amazon.enrolled(gallery)
        if enrolled and ask:
            self._send(gallery, footage_key)
        for held in enrolled:
            jpeg = self.face_picture(gallery, held.face_id)
            if jpeg is None:
                continue
            found = self._amazon.seen_faces.of_face(gallery, held.face_id, jpeg, self.floor_similarity, ask=ask)
            for track, footage, similarity in found:
                if footage == footage_key and (track_ids is None or _ours(track) in track_ids):
                    yield TrackMatch(_ours(track), held.face_id, similarity, 1, held.weak)

    def seen(self, picture: Picture, *, face: int | None = None, threshold: float) -> Iterator[tuple[str, TrackMatch]]:
        """Yield (footage key, match) of every track resembling a face of a picture. Costs a photo for each gallery."""
        faces = self.describe(picture)
        jpeg = photos.crop(picture, faces, photos.choose(faces, face)).jpeg
        found = [
            (footage, TrackMatch(_ours(track), "", similarity, 1))
            for gallery in self._amazon.seen_faces.galleries()
            for track, footage, similarity in self._amazon.seen_faces.of_probe(gallery, jpeg, threshold)
        ]
        yield from sorted(found, key=lambda pair: (-pair[1].similarity, pair[0], pair[1].track_id))

    def picture(self, track_id: str, kind: str) -> bytes | None:
        """Return the JPEG kept of a track."""
        return self._finder.picture(track_id.removeprefix(OURS), kind)

    def purge_footage(self, footage_key: str) -> None:
        """Remove every face of a recording at Amazon; what the finder learnt of it is the finder's to forget."""
        self._amazon.purge_footage(footage_key)

    # -- what it would cost --------------------------------------------------------------------------------------

    def unsent(self, gallery: str, footage_keys: Sequence[str]) -> int:
        """Return how many tracks Amazon has no picture of yet: what matching any of these recordings would pay for."""
        keys = {*footage_keys, *self._amazon.seen_faces.unsent(gallery)}
        return sum(len(self._new(gallery, key)) for key in sorted(keys))

    def questions(self, gallery: str, *, more: bool) -> int:
        """Return how many enrolled faces matching would ask about; ``more``: if tracks are added before."""
        faces = [held.face_id for held in self._amazon.enrolled(gallery)]
        return self._amazon.seen_faces.questions(gallery, faces, more=more)

    # -- inside --------------------------------------------------------------------------------------------------

    def _send(self, gallery: str, footage_key: str) -> None:
        """Send the best picture of every track not sent yet, of a recording and of all others that may have some.

        All at once: each enrolled face is then asked about once, and not again for every recording.
        """
        seen = self._amazon.seen_faces
        for footage in sorted({footage_key, *seen.unsent(gallery)}):
            new = [SeenFace(track.id, footage, partial(self._best, track)) for track in self._new(gallery, footage)]
            seen.index(gallery, new)
            seen.set_sent(gallery, footage)

    def _new(self, gallery: str, footage: str) -> list[Track]:
        known = self._amazon.seen_faces.known(gallery, footage)
        return [track for track in self._all(footage) if track.id not in known]

    def _all(self, footage: str) -> Iterator[Track]:
        cursor: str | None = None
        while True:
            page = self._finder.tracks(footage, cursor)
            yield from page.tracks
            cursor = page.next_cursor
            if cursor is None:
                return

    def _best(self, track: Track) -> bytes | None:
        """Return the best picture of a track as Amazon takes it, or None where its face is too small for Amazon."""
        kept = self._finder.picture(track.id, "face") if track.face_px >= photos.LEAST_PX else None
        if not kept:
            return None
        pixels = cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            return None
        rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
        return photos.whole(Picture(track.id, rgb, kept, "")).jpeg


def _ours(track_id: str) -> str:
    """Return what a track of the finder is called here."""
    return f"{OURS}{track_id}"


def _named(page: Page) -> Page:
    """Return a page of the finder's with our names for its tracks."""
    return replace(
        page,
        tracks=[replace(track, id=_ours(track.id)) for track in page.tracks],
        superseded=[_ours(track_id) for track_id in page.superseded],
    )
