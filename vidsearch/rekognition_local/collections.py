"""Collections: made, described, listed, tagged and deleted."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from vidsearch.engine import Engine
from vidsearch.rekognition_local.faults import FaultPlan
from vidsearch.rekognition_local.pages import Pages
from vidsearch.rekognition_local.refusals import Refusal, collection_exists, invalid, no_collection
from vidsearch.rekognition_local.state import State

ACCOUNT = "123456789012"
"""The account that everything belongs to; moto's."""

MAX_LISTED = 4096
MAX_TAGS = 200


class Collections:
    """The operations on collections."""

    def __init__(
        self,
        state: State,
        engine: Engine,
        pages: Pages,
        plan: FaultPlan,
        now: Callable[[], int],
        *,
        region: str,
        model_version: str,
    ) -> None:
        self._state, self._engine, self._pages, self._plan, self._now = state, engine, pages, plan, now
        self._prefix = f"arn:aws:rekognition:{region}:{ACCOUNT}:collection/"
        self._model_version = model_version

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateCollection."""
        name = request["CollectionId"]
        version = self._plan.faults.model_version or self._model_version
        row = (name, f"{name}/{uuid.uuid4()}", version, self._engine.version, self._now())
        with self._state.changing() as db:
            if db.execute("SELECT 1 FROM collections WHERE id = ?", (name,)).fetchone():
                raise collection_exists(name)
            db.execute("INSERT INTO collections VALUES (?, ?, ?, ?, ?, ?)", (*row, json.dumps(request.get("Tags", {}))))
        # The service leaves "arn:" out here, and has it in DescribeCollection.
        arn = (self._prefix + name).removeprefix("arn:")
        return {"StatusCode": 200, "CollectionArn": arn, "FaceModelVersion": version}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteCollection. The faces go from the engine as well."""
        name = request["CollectionId"]
        gallery = self.row(name)["gallery"]
        self._engine.forget(gallery, self._engine.faces(gallery))
        with self._state.changing() as db:
            db.execute("DELETE FROM collections WHERE id = ?", (name,))
        return {"StatusCode": 200}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeCollection."""
        name = request["CollectionId"]
        row = self.row(name)
        with self._state.reading() as db:
            count = db.execute("SELECT count(*) FROM faces WHERE collection = ?", (name,)).fetchone()[0]
        return {
            "FaceCount": count,
            "FaceModelVersion": row["model_version"],
            "CollectionARN": self._prefix + name,
            "UserCount": 0,
            "CreationTimestamp": datetime.fromtimestamp(row["created_ms"] / 1000, UTC),
        }

    def listed(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListCollections."""
        after = self._pages.place("collections", request["NextToken"])[0] if request.get("NextToken") else ""
        limit = min(request.get("MaxResults") or MAX_LISTED, self._plan.faults.page_size or MAX_LISTED)
        with self._state.reading() as db:
            rows = db.execute(
                "SELECT id, model_version FROM collections WHERE id > ? ORDER BY id LIMIT ?", (after, limit + 1)
            ).fetchall()
        page = rows[:limit]
        answer: dict[str, Any] = {
            "CollectionIds": [row["id"] for row in page],
            "FaceModelVersions": [row["model_version"] for row in page],
        }
        if len(rows) > limit:
            answer["NextToken"] = self._pages.token("collections", [page[-1]["id"]])
        return answer

    def list_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTagsForResource."""
        return {"Tags": json.loads(self._of_arn(request["ResourceArn"])["tags"])}

    def tag(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """TagResource."""
        row = self._of_arn(request["ResourceArn"])
        tags = {**json.loads(row["tags"]), **request["Tags"]}
        if len(tags) > MAX_TAGS:
            raise Refusal("ServiceQuotaExceededException", f"A resource can have {MAX_TAGS} tags at most")
        self._set_tags(row["id"], tags)
        return {}

    def untag(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UntagResource."""
        row = self._of_arn(request["ResourceArn"])
        gone = set(request["TagKeys"])
        self._set_tags(row["id"], {key: value for key, value in json.loads(row["tags"]).items() if key not in gone})
        return {}

    def row(self, name: str) -> sqlite3.Row:
        """Return what is stored of a collection. Raises a Refusal where it does not exist."""
        with self._state.reading() as db:
            row = db.execute("SELECT * FROM collections WHERE id = ?", (name,)).fetchone()
        if row is None:
            raise no_collection(name)
        found: sqlite3.Row = row
        return found

    def usable(self, name: str) -> sqlite3.Row:
        """Return what is stored of a collection whose faces can be compared. Raises a Refusal.

        An update of vidsearch may bring an engine that cannot read the vectors of the one before. The service keeps
        its old models; this server cannot, and says so rather than to find nobody.
        """
        row = self.row(name)
        if row["engine_version"] != self._engine.version:
            raise invalid(
                f"The collection id: {name} was made with another version of the local engine; delete it and index its "
                "faces again"
            )
        return row

    def sweep(self) -> None:
        """Remove the vectors of faces that are not known here: a server was killed between keeping the two."""
        with self._state.reading() as db:
            galleries = {row["id"]: row["gallery"] for row in db.execute("SELECT id, gallery FROM collections")}
            for name, gallery in galleries.items():
                rows = db.execute("SELECT engine_face FROM faces WHERE collection = ?", (name,))
                lost = set(self._engine.faces(gallery)) - {row["engine_face"] for row in rows}
                self._engine.forget(gallery, sorted(lost))

    def _of_arn(self, arn: str) -> sqlite3.Row:
        if not arn.startswith(self._prefix):
            raise invalid("Request has an invalid resource ARN")
        return self.row(arn.removeprefix(self._prefix))

    def _set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        with self._state.changing() as db:
            db.execute("UPDATE collections SET tags = ? WHERE id = ?", (json.dumps(tags), name))
