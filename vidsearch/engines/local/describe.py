"""Turn a finished track into what is stored of it."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.boxes import Box
from vidsearch.engines.local.faces import Faces
from vidsearch.engines.local.piece import Piece, Sighting
from vidsearch.engines.local.shots import Shot
from vidsearch.engines.local.track import GAP_MS, LiveTrack
from vidsearch.engines.local.verify import SURE
from vidsearch.model import BoundingBox

Pixels = NDArray[np.uint8]

SHOTS = 5
"""Shots described of a track."""

_ATTEMPTS = 8
"""Shots shown to the second opinion before a track counts as no face."""

_LEAST_DETECTIONS = 2
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]

_ANOTHER_PERSON = 1.25
"""Distance of two successive shots from which they show two people, in the scale's middles: 0.75 for dlib's network. Of
the true pairs measured none was further apart than 0.69, and strangers are 0.8 apart in the median."""

SMALLEST_PX = 20
"""Narrower faces are not kept at all."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a track that shows one person."""

    sightings: list[tuple[int, Box, float]]
    sure: list[Shot]
    vectors: NDArray[np.float32]
    """Of ``sure``."""
    ranked: list[Shot]
    """All shots, best first."""


class Describer:
    """Chooses a track's shots, has them confirmed, and describes them."""

    def __init__(self, footage_key: str, version: str, start_ms: int, end_ms: int, faces: Faces) -> None:
        self._footage_key = footage_key
        self._version = version
        self._start_ms, self._end_ms = start_ms, end_ms
        self._faces = faces

    def pieces(self, track: LiveTrack, size: tuple[int, int], *, reaches_end: bool) -> list[Piece]:
        """Return what to store of a track: nothing, one piece, or several where it passed from one person to another.

        A track that no second opinion confirms is dropped: it is a false alarm, or a face nobody could be recognised
        by, and bystanders have a right to that. Only where it touches a border of the range it is kept, without
        vectors, since its other part may be confirmed.

        Args:
            track: The track.
            size: Width and height of the picture, pixels.
            reaches_end: Whether the face may still be there after the range.
        """
        if len(track.sightings) < _LEAST_DETECTIONS:
            return []
        ranked = track.shots.ranked()
        sure = sorted(self._confirmed(ranked), key=lambda shot: shot.ms)
        vectors = self._faces.embedder.describe([self._faces.embedder.chip(s.piece, s.piece_box) for s in sure])
        borders = [-1, *_changes(sure, vectors, _ANOTHER_PERSON * self._faces.embedder.scale.middle), self._end_ms]
        made: list[Piece] = []
        for after, until in itertools.pairwise(borders):
            mine = [i for i, shot in enumerate(sure) if after < shot.ms <= until]
            part = _Part(
                [s for s in track.sightings if after < s[0] <= until],
                [sure[i] for i in mine],
                vectors[mine],
                [shot for shot in ranked if after < shot.ms <= until],
            )
            piece = self._piece(part, size, reaches_end=reaches_end and until == self._end_ms)
            if piece is not None:
                made.append(piece)
        return made

    def _piece(self, part: _Part, size: tuple[int, int], *, reaches_end: bool) -> Piece | None:
        inside = [s for s in part.sightings if self._start_ms <= s[0] < self._end_ms]
        lead = tuple(_sighting(s, size) for s in part.sightings if s[0] < self._start_ms)
        tail = tuple(_sighting(s, size) for s in inside if s[0] > self._end_ms - 2 * GAP_MS) if reaches_end else ()
        sure = part.sure
        if not inside or not part.ranked or not (sure or lead or tail):
            return None
        by_quality = sorted(sure, key=lambda shot: (-shot.quality, shot.ms)) or part.ranked
        best = next((shot for shot in by_quality if shot.frame is not None), by_quality[0])
        if best.width < SMALLEST_PX:
            return None
        return Piece(
            id=self._name(inside[0][0], _ratios(inside[0][1], size)),
            start_ms=inside[0][0],
            end_ms=inside[-1][0],
            best_ms=best.ms,
            best_box=_ratios(best.box, size),
            face_px=round(best.width),
            quality=round(best.quality, 4),
            detections=len(inside),
            confidence=round(100 * max(score for *_, score in inside), 1),
            lead=lead,
            tail=tail,
            shot_ms=np.array([shot.ms for shot in sure], np.int64),
            shot_px=np.array([shot.width for shot in sure], np.float32),
            shot_quality=np.array([shot.quality for shot in sure], np.float32),
            vectors=part.vectors,
            path=tuple(_sighting(s, size) for s in inside),
            face_jpeg=_jpeg(best.piece) if sure else b"",
            frame_jpeg=_jpeg(best.frame) if sure and best.frame is not None else b"",
        )

    def _confirmed(self, ranked: list[Shot]) -> list[Shot]:
        """Return the best shots that the second opinion takes for faces."""
        sure: list[Shot] = []
        for shot in ranked[:_ATTEMPTS]:
            if shot.width >= SMALLEST_PX and self._faces.verifier.score(shot.piece, shot.piece_box) >= SURE:
                sure.append(shot)
                if len(sure) == SHOTS:
                    break
        return sure

    def _name(self, ms: int, box: BoundingBox) -> str:
        """Return the track's stable name: recording, engine version, first time, first box."""
        place = "/".join(f"{value:.4f}" for value in (box.left, box.top, box.width, box.height))
        text = f"{self._footage_key}/{self._version}/{ms}/{place}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def _changes(shots: list[Shot], vectors: NDArray[np.float32], apart: float) -> list[int]:
    """Return the times after which another person is in the track: where successive shots are further ``apart``."""
    if len(shots) < 2:
        return []
    steps = np.linalg.norm(vectors[1:] - vectors[:-1], axis=1)
    return [shots[i].ms for i in np.flatnonzero(steps > apart)]


def _ratios(box: Box, size: tuple[int, int]) -> BoundingBox:
    return BoundingBox.from_pixels(*box, *size)


def _sighting(seen: tuple[int, Box, float], size: tuple[int, int]) -> Sighting:
    box = _ratios(seen[1], size)
    return seen[0], tuple(round(value, 4) for value in (box.left, box.top, box.width, box.height))  # type: ignore[return-value]


def _jpeg(rgb: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)
    return data.tobytes() if done else b""
