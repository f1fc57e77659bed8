"""Compare tracks with faces, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local.similarity import Scale, distances
from vidsearch.engines.local.vectors import StoredShots
from vidsearch.model import TrackMatch

FLOOR = 50.0
"""Matches below are not reported: distance 0.60, where strangers begin."""

AGREE_FROM = 65.0
"""A single shot agrees with a face from this similarity on (distance 0.556). It is below the default threshold: one
noisy shot of a small face is 0.05 to 0.10 further away than the average of several."""

LEAST_PX = 36.0
"""Narrower faces are shown, but take no part in naming (docs/local-engine.md: not to be trusted below)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A face to look for."""

    face_id: str
    vector: NDArray[np.float32]
    weak: bool = False


def match_tracks(
    blocks: Iterable[Sequence[StoredShots]], targets: Sequence[Target], scale: Scale
) -> Iterator[tuple[str, TrackMatch]]:
    """Yield (recording, match) for every track and every face that it resembles at FLOOR or above.

    A track is compared as a whole, and how many of its shots agree each by itself is told with it. The average of the
    shots, weighed by their quality, is nearer to the person than single shots are; but an average of unlike shots is
    nearer to everybody. So half of the shots' spread is added to its squared distance, which puts it half way between
    the distance of the average and the average of the distances.
    """
    if not targets:
        return
    faces = np.stack([target.vector for target in targets])
    for block in blocks:
        tracks = [usable for track in block if (usable := _usable(track)) is not None]
        if not tracks:
            continue
        averages, spreads = zip(*(pooled(track) for track in tracks), strict=True)
        close = np.sqrt(distances(np.stack(averages), faces) ** 2 + np.array(spreads, np.float32)[:, None] / 2)
        for i, j in np.argwhere(close <= scale.distance_of(FLOOR)):
            track, target = tracks[i], targets[j]
            own = distances(track.vectors, target.vector[None])[:, 0]
            yield (
                track.footage,
                TrackMatch(
                    track_id=track.track_id,
                    face_id=target.face_id,
                    similarity=round(float(scale.similarity(close[i, j])), 2),
                    agreeing=int((own <= scale.distance_of(AGREE_FROM)).sum()),
                    weak=target.weak,
                ),
            )


def pooled(track: StoredShots) -> tuple[NDArray[np.float32], float]:
    """Return the average of a track's vectors, weighed by quality, and their mean squared distance from it."""
    weights = track.shots["quality"].astype(np.float32) + np.float32(1e-3)
    weights /= weights.sum()
    average = (track.vectors * weights[:, None]).sum(0)
    spread = float((((track.vectors - average) ** 2).sum(1) * weights).sum())
    return np.asarray(average, np.float32), spread


def _usable(track: StoredShots) -> StoredShots | None:
    """Return a track with only the shots that are large enough to name somebody, or None."""
    large = track.shots["px"] >= LEAST_PX
    if not large.any():
        return None
    if large.all():
        return track
    return StoredShots(track.footage, track.track_id, track.shots[large], track.vectors[large])
