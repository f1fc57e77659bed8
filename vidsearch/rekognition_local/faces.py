"""Faces of pictures: detected, compared, indexed into collections, searched for, listed and deleted."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vidsearch.engines.local.engine import LocalEngine
from vidsearch.errors import PhotoRefused
from vidsearch.model import Picture, ProbeMatch
from vidsearch.rekognition_local.collections import Collections
from vidsearch.rekognition_local.details import SeenFace, box_of, faces_of, reason_of
from vidsearch.rekognition_local.faults import FaultPlan
from vidsearch.rekognition_local.images import Images
from vidsearch.rekognition_local.pages import Pages
from vidsearch.rekognition_local.refusals import invalid
from vidsearch.rekognition_local.state import State

MAX_FACES = 100
"""Faces of one picture that are told of or indexed."""

MAX_LISTED = 4096
DEFAULT_THRESHOLD = 80.0

NO_FACE = "There are no faces in the image. Should be at least 1."


class Faces:
    """The operations on faces of pictures."""

    def __init__(
        self,
        state: State,
        engine: LocalEngine,
        images: Images,
        collections: Collections,
        pages: Pages,
        plan: FaultPlan,
    ) -> None:
        self._state, self._engine, self._images = state, engine, images
        self._collections, self._pages, self._plan = collections, pages, plan

    # -- without a collection ------------------------------------------------------------------------------------

    def detect(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DetectFaces."""
        found = faces_of(self._engine, self._images.load(request["Image"]))
        return {"FaceDetails": [face.detail() for face in found[:MAX_FACES]]}

    def compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CompareFaces: the largest face of the source with every face of the target."""
        source, target = self._images.load(request["SourceImage"]), self._images.load(request["TargetImage"])
        quality = request.get("QualityFilter", "NONE")
        face = self._largest(source, quality, "Request has invalid parameters")
        others = [other for other in faces_of(self._engine, target) if other.unfit(quality) is None][:MAX_FACES]
        scores = self._likeness(source, face, target)
        least = request.get("SimilarityThreshold", DEFAULT_THRESHOLD)
        details = {other.index: other.detail() for other in others}
        alike = sorted((i for i in details if scores[i] >= least), key=lambda i: -scores[i])
        return {
            "SourceImageFace": {
                "BoundingBox": box_of(face.described.box),
                "Confidence": face.described.confidence,
            },
            "FaceMatches": [{"Similarity": scores[i], "Face": details[i]} for i in alike],
            "UnmatchedFaces": [detail for i, detail in details.items() if i not in alike],
        }

    # -- in a collection -----------------------------------------------------------------------------------------

    def index(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """IndexFaces."""
        collection = self._collections.usable(request["CollectionId"])
        picture = self._images.load(request["Image"])
        quality = request.get("QualityFilter", "AUTO")
        limit = min(request.get("MaxFaces", MAX_FACES), MAX_FACES)
        records: list[dict[str, Any]] = []
        left_out: list[dict[str, Any]] = []
        for face in faces_of(self._engine, picture):
            detail = face.detail()
            reason = face.unfit(quality)
            if reason is None and len(records) >= limit:
                reason = "EXCEEDS_MAX_FACES"
            if reason is None:
                try:
                    row = self._keep(collection, picture, face, request.get("ExternalImageId", ""))
                except PhotoRefused as exc:
                    reason = reason_of(exc.code)
                else:
                    records.append({"Face": _face(row), "FaceDetail": detail})
            if reason is not None:
                left_out.append({"Reasons": [reason], "FaceDetail": detail})
        return {"FaceRecords": records, "FaceModelVersion": collection["model_version"], "UnindexedFaces": left_out}

    def listed(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListFaces."""
        collection = self._collections.row(request["CollectionId"])
        listing = f"faces/{collection['gallery']}"
        after = self._pages.place(listing, request["NextToken"])[0] if request.get("NextToken") else 0
        limit = min(request.get("MaxResults") or MAX_LISTED, self._plan.faults.page_size or MAX_LISTED)
        wanted = request.get("FaceIds")
        with self._state.reading() as db:
            rows = db.execute(
                "SELECT * FROM faces WHERE collection = ?1 AND number > ?2 "
                "AND (?3 IS NULL OR face_id IN (SELECT value FROM json_each(?3))) ORDER BY number LIMIT ?4",
                (collection["id"], after, None if wanted is None else json.dumps(wanted), limit + 1),
            ).fetchall()
        page = rows[:limit]
        answer = {"Faces": [_face(row) for row in page], "FaceModelVersion": collection["model_version"]}
        if len(rows) > limit:
            answer["NextToken"] = self._pages.token(listing, [page[-1]["number"]])
        return answer

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteFaces. A vector that no other face of the collection shares goes for good."""
        collection = self._collections.row(request["CollectionId"])
        gone, lacking, vectors = [], [], []
        with self._state.changing() as db:
            for face_id in dict.fromkeys(request["FaceIds"]):
                where = (collection["id"], face_id)
                row = db.execute("SELECT * FROM faces WHERE collection = ? AND face_id = ?", where).fetchone()
                if row is None:
                    lacking.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
                    continue
                db.execute("DELETE FROM faces WHERE number = ?", (row["number"],))
                gone.append(face_id)
                shared = (collection["id"], row["engine_face"])
                if not db.execute("SELECT 1 FROM faces WHERE collection = ? AND engine_face = ?", shared).fetchone():
                    vectors.append(row["engine_face"])
            self._engine.forget(collection["gallery"], vectors)
        return {"DeletedFaces": gone, "UnsuccessfulFaceDeletions": lacking}

    def search(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """SearchFaces: by a face of the collection, which is not among the matches."""
        collection = self._collections.usable(request["CollectionId"])
        with self._state.reading() as db:
            row = db.execute(
                "SELECT * FROM faces WHERE collection = ? AND face_id = ?", (collection["id"], request["FaceId"])
            ).fetchone()
            others = db.execute("SELECT DISTINCT engine_face FROM faces WHERE collection = ?", (collection["id"],))
            names = [other["engine_face"] for other in others]
        if row is None:
            raise invalid(f"faceId {request['FaceId']} was not found in the collection.")
        found = self._engine.compare(collection["gallery"], row["engine_face"], names)
        matches = [m for m in self.matches(collection, found, request) if m["Face"]["FaceId"] != request["FaceId"]]
        return {
            "SearchedFaceId": request["FaceId"],
            "FaceMatches": matches[: request.get("MaxFaces", MAX_LISTED)],
            "FaceModelVersion": collection["model_version"],
        }

    def search_by_image(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """SearchFacesByImage: by the largest face of a picture."""
        collection = self._collections.usable(request["CollectionId"])
        picture = self._images.load(request["Image"])
        face = self._largest(picture, request.get("QualityFilter", "NONE"), NO_FACE)
        least = request.get("FaceMatchThreshold", DEFAULT_THRESHOLD)
        try:
            found = self._engine.search_probe(collection["gallery"], picture, face=face.index, threshold=least)
        except PhotoRefused as exc:
            raise invalid(NO_FACE) from exc
        return {
            "SearchedFaceBoundingBox": box_of(face.described.box),
            "SearchedFaceConfidence": face.described.confidence,
            "FaceMatches": self.matches(collection, found, request)[: request.get("MaxFaces", MAX_LISTED)],
            "FaceModelVersion": collection["model_version"],
        }

    def matches(
        self, collection: sqlite3.Row, found: Iterable[ProbeMatch], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return FaceMatches at the request's threshold or above, the most alike first."""
        least = request.get("FaceMatchThreshold", DEFAULT_THRESHOLD)
        alike = {match.face_id: match.similarity for match in found if match.similarity >= least}
        rows = self._of_engine(collection["id"], list(alike))
        matches = [{"Similarity": alike[row["engine_face"]], "Face": _face(row)} for row in rows]
        return sorted(matches, key=lambda match: -match["Similarity"])

    # -- inside --------------------------------------------------------------------------------------------------

    def _largest(self, picture: Picture, quality: str, lacking: str) -> SeenFace:
        for face in faces_of(self._engine, picture):
            if face.unfit(quality) is None:
                return face
        raise invalid(lacking)

    def _likeness(self, source: Picture, face: SeenFace, target: Picture) -> Sequence[float]:
        try:
            return self._engine.likeness(source, face.index, target)
        except PhotoRefused as exc:
            raise invalid() from exc

    def _keep(self, collection: sqlite3.Row, picture: Picture, face: SeenFace, external: str) -> sqlite3.Row:
        """Enrol a face, or find it as it is: the same face of the same picture under the same name is one face."""
        enrolled = self._engine.enrol(collection["gallery"], picture, face=face.index, allow_weak=True)
        key = (collection["id"], enrolled.face_id, external)
        with self._state.changing() as db:
            db.execute(
                "INSERT OR IGNORE INTO faces (collection, engine_face, external_id, face_id, image_id, confidence, "
                "box) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *key,
                    str(uuid.uuid4()),
                    str(uuid.UUID(picture.sha256[:32])),
                    face.described.confidence,
                    json.dumps(box_of(face.described.box)),
                ),
            )
            row: sqlite3.Row = db.execute(
                "SELECT * FROM faces WHERE collection = ? AND engine_face = ? AND external_id = ?", key
            ).fetchone()
        return row

    def _of_engine(self, collection: str, engine_faces: Sequence[str]) -> list[sqlite3.Row]:
        with self._state.reading() as db:
            return db.execute(
                "SELECT * FROM faces WHERE collection = ? AND engine_face IN (SELECT value FROM json_each(?)) "
                "ORDER BY number",
                (collection, json.dumps(engine_faces)),
            ).fetchall()


def _face(row: sqlite3.Row) -> dict[str, Any]:
    """Return what the service calls a Face."""
    face = {
        "FaceId": row["face_id"],
        "BoundingBox": json.loads(row["box"]),
        "ImageId": row["image_id"],
        "Confidence": row["confidence"],
    }
    return {**face, "ExternalImageId": row["external_id"]} if row["external_id"] else face
