"""Pictures and clips for the screens: kept ones where there are, else from the source."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsearch.engine import Engine
from vidsearch.errors import EngineUnusable, FootageRefused, SourceUnavailable
from vidsearch.model import Appearance, BoundingBox, Footage, MediaFacts, Photo, Picture
from vidsearch.store import Store

CLIP_LEAD_MS = 2_000
"""A clip begins this long before its appearance and ends as long after."""

CLIP_MAX_MS = 60_000
"""Longer appearances are cut to this, from their start."""


_LARGEST = {"face": 320, "frame": 1600}
"""Most pixels of the longer side of a picture taken from a recording."""


@dataclass(frozen=True, slots=True)
class PictureTools:
    """What the screens need of the media adapter; wiring hands it in."""

    load: Callable[[Path | bytes, str | None], Picture]
    encode_jpeg: Callable[..., bytes]
    cut_clip: Callable[[Path, MediaFacts, int, int, Path], Path]
    playable: Callable[[MediaFacts], bool]
    still: Callable[[Path, MediaFacts, int], Any]
    face_of: Callable[[Any, BoundingBox], Any]


@dataclass(frozen=True, slots=True)
class Playback:
    """A video to play for an appearance: the original, or a clip cut of it."""

    path: Path
    seek_s: float
    """Where in it to begin playing."""
    original: bool


class Pictures:
    """Find or make what a screen shows."""

    def __init__(
        self, store: Store, engine: Callable[[str], Engine], media: PictureTools, photos: Path, clips: Path
    ) -> None:
        """``engine`` returns the engine of a name; ``photos`` holds the originals of photos.

        ``clips`` is a cache that may be deleted at any time.
        """
        self._store = store
        self._engine = engine
        self._media = media
        self._photos = photos
        self._clips = clips
        self._cutting = threading.Lock()

    def best(self, appearance: Appearance, kind: str) -> bytes | None:
        """Return a JPEG of an appearance at its best: ``face`` or ``frame``.

        The one that its engine kept, else one taken from the recording; None where that is not there either.
        """
        kept = self._kept(appearance, kind)
        return kept if kept is not None else self._taken(appearance, kind)

    def photo_face(self, photo: Photo) -> bytes:
        """Return a JPEG of the enrolled face of a photo, or of the whole photo where there is none."""
        kept = None
        if photo.face_id and photo.engine:
            with suppress(EngineUnusable):
                kept = self._engine(photo.engine).face_picture(photo.case_id, photo.face_id)
        return kept or self.photo(photo, max_side=480)

    def photo(self, photo: Photo, max_side: int = 1600) -> bytes:
        """Return a JPEG of a photo, upright and without metadata."""
        original = self._photos / photo.sha256[:2] / photo.sha256
        return self._media.encode_jpeg(self._media.load(original, photo.name).pixels, max_side=max_side)

    def clip(self, appearance: Appearance) -> Path:
        """Return a playable MP4 of an appearance, cut on demand and kept. Raises SourceUnavailable."""
        footage = self._store.footage.get(appearance.case_id, appearance.footage_id)
        target = self._clip_file(footage, appearance)
        # A player asks again while its first question is being answered: one thread cuts, the others find it done.
        with self._cutting:
            if not target.exists():
                start, end = _clip_span(footage, appearance)
                source = self._source(footage)
                self._clips.mkdir(parents=True, exist_ok=True)
                self._media.cut_clip(source, footage.facts, start, end, target)
        return target

    def playable(self, appearance: Appearance) -> str | None:
        """Say what there is to play: ``original``, ``clip`` (cut when asked for), or None while the source is away."""
        footage = self._store.footage.get(appearance.case_id, appearance.footage_id)
        there = Path(footage.path).is_file()
        if there and self._media.playable(footage.facts):
            return "original"
        return "clip" if there or self._clip_file(footage, appearance).exists() else None

    def playback(self, appearance: Appearance) -> Playback:
        """Return what to play for an appearance: the original where a browser plays it, else a clip."""
        footage = self._store.footage.get(appearance.case_id, appearance.footage_id)
        start = max(0, appearance.start_ms - CLIP_LEAD_MS)
        if self._media.playable(footage.facts):
            return Playback(self._source(footage), start / 1000, True)
        return Playback(self.clip(appearance), 0.0, False)

    def _kept(self, appearance: Appearance, kind: str) -> bytes | None:
        with suppress(EngineUnusable):
            engine = self._engine(appearance.engine)
            if engine.capabilities.pictures:
                return engine.picture(appearance.best_track, kind)
        return None

    def _taken(self, appearance: Appearance, kind: str) -> bytes | None:
        """Take a picture from the recording. It is kept with the clips, which go when somebody is forgotten."""
        if kind not in _LARGEST:
            return None
        target = self._clips / f"{appearance.id}-{appearance.best_ms}-{kind}.jpg"
        if target.is_file():
            return target.read_bytes()
        footage = self._store.footage.get(appearance.case_id, appearance.footage_id)
        try:
            pixels = self._media.still(Path(footage.path), footage.facts, appearance.best_ms)
        except (SourceUnavailable, FootageRefused):
            return None
        if kind == "face":
            pixels = self._media.face_of(pixels, appearance.best_box)
        content = self._media.encode_jpeg(pixels, max_side=_LARGEST[kind])
        part = target.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        # Without a place to keep it, it is made again next time.
        with suppress(OSError):
            self._clips.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(target)
        return content

    def _clip_file(self, footage: Footage, appearance: Appearance) -> Path:
        start, end = _clip_span(footage, appearance)
        return self._clips / f"{footage.key}-{start}-{end}.mp4"

    def _source(self, footage: Footage) -> Path:
        path = Path(footage.path)
        if not path.is_file():
            raise SourceUnavailable(f"{path} is not there: attach its drive, or run `vidsearch footage relink FOLDER`")
        return path


def _clip_span(footage: Footage, appearance: Appearance) -> tuple[int, int]:
    """Return where a clip begins and ends in its recording, in milliseconds."""
    start = max(0, appearance.start_ms - CLIP_LEAD_MS)
    return start, min(appearance.end_ms + CLIP_LEAD_MS, start + CLIP_MAX_MS, footage.facts.duration_ms)
