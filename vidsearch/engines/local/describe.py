"""Turn a finished track into what is stored of it."""

from __future__ import annotations

import hashlib

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

SMALLEST_PX = 20
"""Narrower faces are not kept at all."""


class Describer:
    """Chooses a track's shots, has them confirmed, and describes them."""

    def __init__(self, footage_key: str, version: str, start_ms: int, end_ms: int, faces: Faces) -> None:
        self._footage_key = footage_key
        self._version = version
        self._start_ms, self._end_ms = start_ms, end_ms
        self._faces = faces

    def piece(self, track: LiveTrack, size: tuple[int, int], *, reaches_end: bool) -> Piece | None:
        """Return what to store of a track, or None where it is nothing.

        A track that no second opinion confirms is dropped: it is a false alarm, or a face nobody could be recognised
        by. Only where it touches a border of the range it is kept without vectors, since its other part may be
        confirmed.

        Args:
            track: The track.
            size: Width and height of the picture, pixels.
            reaches_end: Whether the face may still be there after the range.
        """
        inside = [s for s in track.sightings if self._start_ms <= s[0] < self._end_ms]
        lead = tuple(_sighting(s, size) for s in track.sightings if s[0] < self._start_ms)
        if not inside or len(track.sightings) < _LEAST_DETECTIONS:
            return None
        tail = tuple(_sighting(s, size) for s in inside if s[0] > self._end_ms - 2 * GAP_MS) if reaches_end else ()
        ranked = track.shots.ranked()
        if not ranked:
            return None
        sure = self._confirmed(ranked)
        if not sure and not lead and not tail:
            return None
        best = next((shot for shot in sure if shot.frame is not None), (sure or ranked)[0])
        if best.width < SMALLEST_PX:
            return None
        chips = [self._faces.embedder.chip(shot.piece, shot.piece_box) for shot in sure]
        first = inside[0]
        return Piece(
            id=self._name(first[0], _ratios(first[1], size)),
            start_ms=first[0],
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
            vectors=self._faces.embedder.describe(chips),
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


def _ratios(box: Box, size: tuple[int, int]) -> BoundingBox:
    return BoundingBox.from_pixels(*box, *size)


def _sighting(seen: tuple[int, Box, float], size: tuple[int, int]) -> Sighting:
    box = _ratios(seen[1], size)
    return seen[0], tuple(round(value, 4) for value in (box.left, box.top, box.width, box.height))  # type: ignore[return-value]


def _jpeg(rgb: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)
    return data.tobytes() if done else b""
