"""Carry out in engines and caches what was forgotten in the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vidsearch.engine import Engine
from vidsearch.errors import EngineError, EngineUnavailable
from vidsearch.store import Store

log = logging.getLogger(__name__)

SETTLED_S = 3600.0
"""What nobody owns after this long was left by a crash; before, it may be about to be recorded."""


class Forgetting:
    """Sweep up after people and recordings that were forgotten. Safe to repeat, also after a crash."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[str | None], Engine],
        kept: Callable[[], list[str]],
        clips: Path,
        photos: Path,
    ) -> None:
        """``engine`` returns the engine of a name, or (None) the one in use; ``kept`` names those that keep something.

        ``clips`` is the cache of clips, which may show the forgotten; ``photos`` keeps the originals of photos.
        """
        self._store = store
        self._engine = engine
        self._kept = kept
        self._clips = clips
        self._photos = photos

    def sweep(self) -> None:
        """Make the engines forget what the store has forgotten, and empty the cache of clips if there was anything.

        What one of them cannot forget now stays on the list, and is tried again by the next command that sweeps.

        Raises an EngineError where an engine could not be used, when the others have forgotten.
        """
        names, footage = self._store.forgotten.engines(), self._store.forgotten.footage()
        if footage:
            names = sorted({*names, *self._kept()})
        # First of all: a crash later leaves what is still to be forgotten on the list, and with it this.
        clips_gone = self._drop_clips() if names or footage else True
        troubles: list[EngineError] = []
        for name in names:
            try:
                self._forget(self._engine(name), footage, clips_gone)
            except EngineError as exc:
                troubles.append(exc)
        if clips_gone and not troubles:
            for key in footage:
                self._store.forgotten.strike_footage(key)
        self._store.forget_log()
        if troubles:
            raise troubles[0]

    def try_to_sweep(self) -> None:
        """Sweep as far as possible now: that Amazon cannot be reached must keep nobody from searching here."""
        try:
            self.sweep()
        except EngineError as exc:
            log.warning("not everything that was forgotten is gone yet; it is tried again: %s", exc)

    def _forget(self, engine: Engine, footage: list[str], clips_gone: bool) -> None:
        for case_id, face_id in self._store.forgotten.faces(engine.NAME):
            # Enrolled again since it was listed: the store holds it, so the engine must keep it.
            if face_id not in self._store.people.owners(case_id, engine.NAME):
                engine.forget(case_id, [face_id])
            if clips_gone:
                self._store.forgotten.strike_face(engine.NAME, case_id, face_id)
        for key in footage:
            if not self._store.footage.with_key(key):
                engine.purge_footage(key)

    def _drop_clips(self) -> bool:
        """Empty the cache of clips. False where one is being played, which Windows does not let go of."""
        playing = False
        for clip in self._clips.glob("*"):
            try:
                clip.unlink(missing_ok=True)
            except PermissionError:
                playing = True
        return not playing

    def sweep_left_over(self) -> None:
        """Remove what a crash has left behind: faces and originals of photos that no case has."""
        # Far away or not: what cannot be asked now is swept up by the next worker.
        with suppress(EngineUnavailable):
            self._forget_left_over(self._engine(None))
        for original in self._photos.glob("*/*"):
            settled = time.time() - original.stat().st_mtime > SETTLED_S
            if settled and not self._store.people.photo_by_sha256(None, original.name):
                original.unlink(missing_ok=True)
        self.try_to_sweep()

    def _forget_left_over(self, engine: Engine) -> None:
        for case in self._store.cases.list():
            owned = self._store.people.owners(case.id, engine.NAME)
            left = [face for face in engine.faces(case.id, older_than_s=SETTLED_S) if face not in owned]
            if left:
                engine.forget(case.id, left)
