"""The local engine: the port over this machine's own models, workers and ``engine.db``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vidsearch.engine import Capabilities, Completion, Engine, MediaLimits, Page, RunRequest
from vidsearch.engines.local import crops, models
from vidsearch.engines.local.database import Database
from vidsearch.engines.local.gallery import Galleries, StoredFace
from vidsearch.engines.local.match import FLOOR, Target, match_tracks
from vidsearch.engines.local.reading import Reader
from vidsearch.engines.local.runs import Runs
from vidsearch.engines.local.similarity import Scale, distances
from vidsearch.engines.local.vectors import Range, Vectors
from vidsearch.errors import UnknownRecord
from vidsearch.model import (
    BoundingBox,
    EnrolledFace,
    ExaminedSpan,
    FaceDescription,
    Picture,
    ProbeMatch,
    TrackMatch,
)

if TYPE_CHECKING:
    from vidsearch.engines.local.photos import FacePoints
    from vidsearch.engines.local.studio import Studio

REVISION = 1
"""Grows whenever the same models would give other tracks or other scores."""

RANGE_MS = 60_000
"""Length of a range. A killed worker loses at most this much work for each core."""

_PAGE = 500
"""Tracks on one page of results."""


class LocalEngine(Engine):
    """Finds faces with models that run on this machine. Nothing leaves it."""

    NAME: ClassVar[str] = "local"

    def __init__(
        self,
        folder: Path,
        models_folder: Path,
        reader: Reader,
        executor: Callable[[], Executor],
        *,
        cores: int,
        sample_fps: float,
        detector: str = "",
        embedder: str = "",
    ) -> None:
        """Open the engine over a folder, which any number of processes may share.

        Args:
            folder: Where ``engine.db`` and the pictures of tracks are kept.
            models_folder: The installed models.
            reader: Reads recordings; sent to the workers.
            executor: Makes the executor that the work is sent through; called on the first run.
            cores: Runs open at once.
            sample_fps: Pictures looked at per second of recording.
            detector: A site's own ONNX detector (path), or empty.
            embedder: A site's own ONNX embedder (path), or empty.

        Raises ModelMissing.
        """
        models.require(models_folder)
        self._scale = _scale_of(embedder)
        self._folder, self._models = folder, models_folder
        self._own = (detector, embedder)
        self.version = f"{REVISION}-{models.fingerprint(detector, embedder)}"
        self.settings_key = f"fps{sample_fps:g}"
        self.capabilities = Capabilities(analysis=True, seen=True, pictures=True)
        self.media_limits = MediaLimits(segment_ms=RANGE_MS)
        self.default_threshold = 80.0
        self.floor_similarity = FLOOR
        self._cores = max(1, cores)
        self._database = Database(folder / "engine.db")
        key = f"{self.version}/{self.settings_key}"
        self._vectors = Vectors(self._database, key)
        self._galleries = Galleries(self._database, self.version)
        self._crops = crops.Crops(folder / "pictures")
        sample_ms = max(1, round(1000 / sample_fps))
        self._runs = Runs(self._vectors, self._crops, executor, key, sample_ms, reader, models_folder, self._own)

    # -- photos --------------------------------------------------------------------------------------------------

    def describe(self, picture: Picture) -> list[FaceDescription]:
        """Return the faces of a picture, left to right."""
        return [face.described for face in self._studio.faces_of(picture)]

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        """Enrol one face of a picture. Raises NoFaceFound, SeveralFaces, FaceTooSmall, FaceTooBlurred."""
        from vidsearch.engines.local import photos

        chosen = self._studio.choose(picture, face)
        refused = photos.gate(chosen)
        if refused is not None and not (allow_weak and photos.readable(chosen)):
            raise refused
        weak = refused is not None
        face_id = photos.face_id(picture, chosen, self.version)
        vector = self._studio.vector_of(chosen)
        self._galleries.add(
            gallery,
            StoredFace(face_id, chosen.described, weak, vector, photos.face_jpeg(picture, chosen.described.box)),
        )
        return EnrolledFace(face_id, self.NAME, self.version, chosen.described, weak)

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces, their vectors and pictures for good."""
        self._galleries.forget(gallery, face_ids)

    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        """Return the ids of the faces of a gallery, of all versions, that were enrolled so long ago."""
        return self._galleries.ids(gallery, older_than_s)

    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        """Return the enrolled faces that resemble a face of a picture, most similar first."""
        probe = self._target(picture, face)
        found = self._compared(probe, self._galleries.targets(gallery))
        least = max(threshold, self.floor_similarity)
        return sorted((m for m in found if m.similarity >= least), key=lambda m: (-m.similarity, m.face_id))

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        """Return the similarity of an enrolled face to each of ``others``, in their order. Raises UnknownRecord."""
        known = {target.face_id: target for target in self._galleries.targets(gallery, [face_id, *others])}
        unknown = next((name for name in (face_id, *others) if name not in known), None)
        if unknown is not None:
            raise UnknownRecord(f"the gallery has no face '{unknown}'")
        return self._compared(known[face_id], [known[name] for name in others])

    def points(self, picture: Picture) -> list[FacePoints | None]:
        """Return where eyes and nose are, for each face of ``describe``; None where the detector does not tell."""
        return [face.points for face in self._studio.faces_of(picture)]

    def likeness(self, picture: Picture, face: int, other: Picture) -> list[float]:
        """Return how a face of one picture resembles each face of another, in the order of ``describe(other)``.

        Raises NoFaceFound, UsageError where the first picture has no such face.
        """
        probe = self._target(picture, face)
        found = self._studio.faces_of(other)
        targets = [Target(str(i), self._studio.vector_of(one)) for i, one in enumerate(found)]
        return [match.similarity for match in self._compared(probe, targets)]

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return a JPEG of an enrolled face."""
        return self._galleries.jpeg(gallery, face_id)

    # -- footage -------------------------------------------------------------------------------------------------

    def start(self, request: RunRequest, token: str) -> str:
        """Start the analysis of a range; one that is stored already completes at once."""
        return self._runs.start(request, token)

    def completions(self, wait_s: float) -> list[Completion]:
        """Return the completions waiting. Results are in ``engine.db`` before they are told of here."""
        return self._runs.completions(wait_s)

    def acknowledge(self, completion: Completion) -> None:
        """Do not tell of a completion again."""
        self._runs.acknowledge(completion)

    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        """Return the tracks that touch a run's range, as they stand, stitched."""
        of = self._vectors.run(run_ref)
        spans = self._vectors.spans(of) if cursor is None else []
        return self._page(of.footage, cursor, of, spans)

    def cancel(self, run_ref: str) -> None:
        """Stop a run that has not begun, or throw away what it finds."""
        self._runs.cancel(run_ref)

    @property
    def capacity(self) -> int:
        """One run for each core."""
        return self._cores

    def close(self) -> None:
        """Stop the workers and close the files."""
        self._runs.close()
        self._database.close()

    # -- analysed footage ----------------------------------------------------------------------------------------

    def tracks(self, footage_key: str, cursor: str | None = None) -> Page:
        """Return a page of all tracks of a recording."""
        spans = self._vectors.all_spans(footage_key) if cursor is None else []
        return self._page(footage_key, cursor, None, spans)

    def match(
        self, gallery: str, footage_key: str, *, track_ids: Sequence[str] | None = None, ask: bool = True
    ) -> Iterator[TrackMatch]:
        """Yield how the tracks of a recording resemble the gallery's faces."""
        wanted = None if track_ids is None else set(track_ids)
        for _, match in match_tracks(self._vectors.shots(footage_key), self._galleries.targets(gallery), self._scale):
            if wanted is None or match.track_id in wanted:
                yield match

    def seen(self, picture: Picture, *, face: int | None = None, threshold: float) -> Iterator[tuple[str, TrackMatch]]:
        """Yield (footage key, match) of every track resembling a face of a picture, most similar first."""
        found = match_tracks(self._vectors.shots(), [self._target(picture, face)], self._scale)
        close = [(key, match) for key, match in found if match.similarity >= threshold]
        yield from sorted(close, key=lambda pair: (-pair[1].similarity, pair[0], pair[1].track_id))

    def paths(self, footage_key: str) -> Iterator[tuple[str, list[tuple[int, BoundingBox]]]]:
        """Yield (track id, its sightings as recording time and box) of everything followed in a recording."""
        return self._vectors.paths(footage_key)

    def picture(self, track_id: str, kind: str) -> bytes | None:
        """Return the JPEG kept of a track: ``face`` or ``frame``."""
        piece = self._vectors.best_piece(track_id)
        return None if piece is None else self._crops.read(piece, kind)

    def purge_footage(self, footage_key: str) -> None:
        """Remove everything learnt of a recording."""
        self._crops.remove(self._vectors.purge(footage_key))

    # -- inside --------------------------------------------------------------------------------------------------

    def _page(self, footage: str, cursor: str | None, of: Range | None, spans: Sequence[ExaminedSpan]) -> Page:
        found = self._vectors.tracks(footage, of, after=cursor or "", limit=_PAGE)
        return Page(
            tracks=[track for track, _ in found.tracks],
            spans=spans,
            superseded=[piece for track, pieces in found.tracks for piece in pieces if piece != track.id],
            next_cursor=found.last,
        )

    @cached_property
    def _studio(self) -> Studio:
        """The models for photos, loaded on first use: a process that only shows results needs none."""
        from vidsearch.engines.local.studio import Studio

        return Studio(self._models, *self._own)

    def _target(self, picture: Picture, face: int | None) -> Target:
        return Target("", self._studio.vector_of(self._studio.probe_face(picture, face)))

    def _compared(self, probe: Target, targets: Sequence[Target]) -> list[ProbeMatch]:
        if not targets:
            return []
        import numpy as np

        scores = self._scale.similarity(distances(probe.vector[None], np.stack([t.vector for t in targets])))[0]
        return [
            ProbeMatch(target.face_id, round(float(score), 2), target.weak)
            for target, score in zip(targets, scores, strict=True)
        ]


def _scale_of(embedder: str) -> Scale:
    """Return the scale of a site's own embedder (path), or of ours."""
    if not embedder:
        return Scale()
    from vidsearch.engines.local.sessions import open_session

    return Scale.from_metadata(open_session(Path(embedder)).get_modelmeta().custom_metadata_map)
