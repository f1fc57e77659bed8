"""The photo side of the engine: describe, enrol, forget, ask about a face."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from vidsearch.engines.rekognition import photos
from vidsearch.engines.rekognition.calls import Answer, Calls
from vidsearch.engines.rekognition.collections import Collections, HeldFace
from vidsearch.engines.rekognition.translate import box_of, external_id, face_of
from vidsearch.errors import FaceTooBlurred, UnknownRecord
from vidsearch.model import FaceDescription, Picture, ProbeMatch

_QUALITY = frozenset(
    ("EXTREME_POSE", "LOW_BRIGHTNESS", "LOW_SHARPNESS", "LOW_CONFIDENCE", "SMALL_BOUNDING_BOX", "LOW_FACE_QUALITY")
)
"""Reasons not to index a face that the quality filter gives: without it, the face would be taken."""


class Galleries:
    """Faces of photos in collections. Safe for several threads. What costs money is asked as seldom as can be."""

    def __init__(self, calls: Calls, collections: Collections) -> None:
        self._calls = calls
        self._collections = collections
        self._lock = threading.Lock()
        self._last: tuple[str, list[FaceDescription]] = ("", [])

    def describe(self, picture: Picture) -> list[FaceDescription]:
        """Return the faces of a picture, left to right. The same picture again at once is not paid for again."""
        with self._lock:
            if picture.sha256 and self._last[0] == picture.sha256:
                return list(self._last[1])
        sent = photos.whole(picture)
        faces = photos.described(self._calls.detect_faces(sent.jpeg), sent, picture)
        with self._lock:
            self._last = picture.sha256, faces
        return list(faces)

    def enrol(self, gallery: str, picture: Picture, face: int | None, *, allow_weak: bool) -> HeldFace:
        """Enrol one face of a picture. Raises NoFaceFound, SeveralFaces, FaceTooSmall, FaceTooBlurred."""
        faces = self.describe(picture)
        chosen = photos.choose(faces, face)
        collection = self._collections.find(gallery)
        known = self._known(collection, picture, faces[chosen]) if collection else None
        if known is not None and (allow_weak or not known.weak):
            return known
        if faces[chosen].refusal and not allow_weak:
            raise photos.refusal(faces[chosen], ["SMALL_BOUNDING_BOX"], or_weak=True)
        collection = collection or self._collections.of(gallery)
        sent = photos.crop(picture, faces, chosen)
        face_id = known.face_id if known else photos.face_id(picture, faces[chosen].box)
        # First of all: a face that Amazon holds and we have no picture of could not be indexed again.
        self._collections.keep_picture(gallery, face_id, sent.jpeg)
        try:
            held = self._indexed(collection, picture, faces[chosen], sent, face_id, allow_weak)
        except BaseException:
            if known is None:
                self._collections.drop_picture(gallery, face_id)
            raise
        if known is not None:
            self._collections.forget_weak(known)
        self._collections.add(gallery, held)
        return held

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces for good. Unknown ids are no error."""
        self._collections.forget(gallery, face_ids)

    def faces(self, gallery: str, older_than_s: float) -> list[str]:
        """Return the ids of a gallery's faces, as Amazon has them, that were enrolled so long ago.

        Amazon does not tell when: those that we have not noted down were left by a crash and count as old.
        """
        young = self._collections.young(gallery, older_than_s) if older_than_s > 0 else set()
        listed = [face_of(face) for name in self._collections.all(gallery) for face in self._calls.list_faces(name)]
        left = self._collections.left_pictures(gallery, older_than_s)
        return sorted(({known[0] for known in listed if known is not None} | left) - young)

    def search_probe(self, gallery: str, picture: Picture, face: int | None, threshold: float) -> list[ProbeMatch]:
        """Return the enrolled faces that resemble a face of a picture. Raises NoFaceFound, SeveralFaces."""
        faces = self.describe(picture)
        chosen = photos.choose(faces, face)
        collection = self._collections.find(gallery)
        if collection is None:
            return []
        found = self._calls.search_by_image(collection, photos.crop(picture, faces, chosen).jpeg, threshold)
        matches = [match for match in map(_match, found) if match is not None and match.similarity >= threshold]
        return sorted(matches, key=lambda match: (-match.similarity, match.face_id))

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        """Return the similarity of an enrolled face to each of ``others``. Raises UnknownRecord."""
        collection = self._collections.find(gallery)
        held = self._collections.get(collection, face_id) if collection else None
        if collection is None or held is None:
            raise UnknownRecord(f"the gallery has no face '{face_id}'")
        if not others:
            return []
        found = {
            match.face_id: match
            for match in map(_match, self._calls.search_by_face(collection, held.aws_id))
            if match is not None
        }
        itself = ProbeMatch(face_id, 100.0, held.weak)
        return [itself if other == face_id else found.get(other, ProbeMatch(other, 0.0)) for other in others]

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return the JPEG that was indexed of a face, or None."""
        return self._collections.picture(gallery, face_id)

    # -- inside --------------------------------------------------------------------------------------------------

    def _known(self, collection: str, picture: Picture, face: FaceDescription) -> HeldFace | None:
        """Return the same face of the same picture where it is enrolled; Amazon may see its box a little otherwise."""
        held = self._collections.of_picture(collection, picture.sha256)
        return next((one for one in held if photos.same_face(one.face.box, face.box)), None)

    def _indexed(
        self,
        collection: str,
        picture: Picture,
        face: FaceDescription,
        sent: photos.Sent,
        face_id: str,
        allow_weak: bool,
    ) -> HeldFace:
        """Index a face: with Amazon's quality filter first, then, where it may be weak, without."""
        answer = self._calls.index_face(collection, sent.jpeg, external_id(face_id, weak=False), gate=True)
        weak = False
        if not answer.get("FaceRecords") and allow_weak and _QUALITY & set(_reasons(answer)):
            weak = True
            answer = self._calls.index_face(collection, sent.jpeg, external_id(face_id, weak=True), gate=False)
        records = answer.get("FaceRecords") or []
        if not records:
            raise photos.refusal(face, _reasons(answer), or_weak=not allow_weak)
        indexed = records[0]["Face"]
        aws_id = str(indexed["FaceId"])
        box = box_of(indexed.get("BoundingBox"))
        if box is not None and not photos.same_face(sent.to_photo(box, picture), face.box):
            # Never another face under this one's name.
            self._calls.delete_faces(collection, [aws_id])
            raise FaceTooBlurred("Amazon takes another part of the picture for the face: use a clearer picture of it")
        return HeldFace(collection, face_id, aws_id, picture.sha256, face, weak)


def _reasons(answer: Answer) -> list[str]:
    return [str(reason) for face in answer.get("UnindexedFaces") or [] for reason in face.get("Reasons") or []]


def _match(match: Answer) -> ProbeMatch | None:
    known = face_of(match.get("Face") or {})
    if known is None:
        return None
    return ProbeMatch(known[0], round(float(match.get("Similarity") or 0.0), 2), known[1])
