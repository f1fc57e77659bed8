"""Enrol the kept originals again, after an update of the engine or with another engine.

Vectors of two versions cannot be compared, and one engine knows nothing of another one's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidsearch.engine import Engine
from vidsearch.errors import NoFaceFound, PhotoRefused
from vidsearch.model import Actor, BoundingBox, FaceDescription, Photo, Picture
from vidsearch.store import Store


class Renewal:
    """Bring the gallery of a case to the engine's version."""

    def __init__(
        self,
        store: Store,
        engine: Callable[[], Engine],
        load_picture: Callable[[Path | bytes, str | None], Picture],
        photos: Path,
        sweep: Callable[[], None],
    ) -> None:
        """``photos`` keeps the originals; ``sweep`` is Forgetting's."""
        self._store = store
        self._engine = engine
        self._load = load_picture
        self._photos = photos
        self._sweep = sweep

    def renew(self, actor: Actor, case_id: str) -> list[Photo]:
        """Enrol what an earlier version of the engine holds, or another engine; return the photos that it refuses."""
        engine = self._engine()
        outdated = self.pending(case_id)
        lost = [photo for photo in outdated if not self._renewed(actor, engine, photo)]
        if outdated:
            self._sweep()
        return lost

    def restore(self, actor: Actor, case_id: str) -> int:
        """Make the engine's gallery of a case again where it was lost; return how many faces it has."""
        faces = self._engine().restore(case_id)
        self._record(actor, "gallery.restore", case_id, faces=faces)
        return faces

    def adopt(self, actor: Actor, case_id: str, model: str) -> list[Photo]:
        """Go over to a newer face model and enrol the photos of a case with it; return those that it refuses.

        Other cases follow with their next search.
        """
        self._engine().adopt(model)
        self._record(actor, "gallery.adopt", case_id, model=model)
        return self.renew(actor, case_id)

    def _record(self, actor: Actor, action: str, case_id: str, **detail: object) -> None:
        with self._store.atomic():
            self._store.audit.record(actor, action, case_id, case_id=case_id, engine=self._engine().NAME, **detail)

    def pending(self, case_id: str) -> list[Photo]:
        """Return the photos that ``renew`` would enrol."""
        engine = self._engine()
        return self._store.people.outdated(case_id, engine.NAME, engine.gallery_version)

    def _renewed(self, actor: Actor, engine: Engine, photo: Photo) -> bool:
        try:
            picture = self._load(self._photos / photo.sha256[:2] / photo.sha256, photo.name)
            faces = engine.describe(picture)
            if not faces or photo.box is None:
                raise NoFaceFound
            # It was good enough once: a gate that became stricter makes it weak, but does not take it away.
            enrolled = engine.enrol(photo.case_id, picture, face=_nearest(faces, photo.box), allow_weak=True)
        except PhotoRefused as refused:
            # Kept, so that an engine that charges for looking is not asked at every search.
            self._store.people.refuse(photo, engine.NAME, engine.gallery_version, refused.code, str(refused))
            return False
        with self._store.atomic():
            self._store.people.renew_face(photo, enrolled)
            self._store.cases.bump_revision(photo.case_id)
            self._store.audit.record(
                actor, "photo.renew", str(photo.id), case_id=photo.case_id, engine_version=enrolled.engine_version
            )
        return True


def _nearest(faces: list[FaceDescription], box: BoundingBox) -> int:
    """Return the index of the face whose middle is nearest to that of a box."""
    x, y = box.left + box.width / 2, box.top + box.height / 2

    def away(index: int) -> float:
        held = faces[index].box
        return (held.left + held.width / 2 - x) ** 2 + (held.top + held.height / 2 - y) ** 2

    return min(range(len(faces)), key=away)
