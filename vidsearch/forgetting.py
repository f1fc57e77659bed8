"""Carry out in engines and caches what was forgotten in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidsearch.engine import Engine
from vidsearch.store import Store


class Forgetting:
    """Sweep up after people and recordings that were forgotten. Safe to repeat, also after a crash."""

    def __init__(self, store: Store, engine: Callable[[], Engine], clips: Path) -> None:
        """``engine`` is asked for on first use; ``clips`` is the cache of clips, which may show the forgotten."""
        self._store = store
        self._engine = engine
        self._clips = clips

    def sweep(self) -> None:
        """Make the engine forget what the store has forgotten, and empty the cache of clips if there was anything."""
        engine = self._engine()
        faces, footage = self._store.forgotten.faces(engine.NAME), self._store.forgotten.footage()
        if (faces or footage) and self._clips.is_dir():
            # First of all: a crash later leaves what is still to be forgotten on the list, and with it this.
            for clip in self._clips.iterdir():
                clip.unlink(missing_ok=True)
        for case_id, face_id in faces:
            # Enrolled again since it was listed: the store holds it, so the engine must keep it.
            if face_id not in self._store.people.owners(case_id, engine.NAME):
                engine.forget(case_id, [face_id])
            self._store.forgotten.strike_face(engine.NAME, case_id, face_id)
        for key in footage:
            if engine.capabilities.analysis and not self._store.footage.with_key(key):
                engine.purge_footage(key)
            self._store.forgotten.strike_footage(key)
        self._store.forget_log()
