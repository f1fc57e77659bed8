"""The calls of Rekognition that the engine makes, at the allowed rate, with its errors in our words."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.errors import (
    AwsDenied,
    AwsError,
    AwsNotFound,
    AwsUnreachable,
    EngineUnavailable,
    ImageTooLarge,
    NoFaceFound,
    NotAnImage,
    UnknownRecord,
)

Answer = dict[str, Any]

MOST_FACES = 4096
"""Faces that one search or one page of ListFaces can return."""

BATCH = 1000
"""Faces deleted with one call."""

START_TRIES = 4
"""Times StartFaceSearch is called at most: it has a client without retries, which would wait for a job slot in place
of us."""

INDEXED_TRIES, INDEXED_WAIT_S = 6, 0.5
"""A face indexed a moment ago is at first not found by SearchFaces now and then: times it is asked, seconds between."""

_BROKEN_PICTURE = {"InvalidImageFormatException": NotAnImage, "ImageTooLargeException": ImageTooLarge}

RESTORE = "`vidsearch person reindex --engine rekognition`"
"""The command that makes a lost collection again."""


class Calls:
    """Rekognition, one method for each call. Safe for several threads.

    Each method may raise an AwsError; those of a collection AwsNotFound where it was deleted behind our back.
    """

    def __init__(self, clients: Clients, limiter: Limiter) -> None:
        """Prepare; nothing is asked of AWS yet."""
        self._clients = clients
        self._limiter = limiter

    # -- collections ---------------------------------------------------------------------------------------------

    def create_collection(self, name: str) -> str | None:
        """Make a collection and return its face model's version, or None where there is one of that name."""
        try:
            answer = self._ask("CreateCollection", f"make the collection {name}", CollectionId=name)
        except AwsError as exc:
            if exc.code == "ResourceAlreadyExistsException":
                return None
            raise
        return str(answer.get("FaceModelVersion") or "")

    def collection_model(self, name: str) -> str:
        """Return the version of the face model of a collection."""
        answer = self._of("DescribeCollection", f"look at the collection {name}", name)
        return str(answer.get("FaceModelVersion") or "")

    def delete_collection(self, name: str) -> None:
        """Delete a collection with its faces. One that is gone is no error."""
        try:
            self._ask("DeleteCollection", f"delete the collection {name}", CollectionId=name)
        except AwsNotFound:
            return

    # -- photos --------------------------------------------------------------------------------------------------

    def detect_faces(self, jpeg: bytes) -> list[Answer]:
        """Return the FaceDetails of a picture."""
        answer = self._picture("DetectFaces", "look for faces in the picture", Image={"Bytes": jpeg})
        return [detail for detail in answer.get("FaceDetails") or [] if detail]

    def index_face(self, collection: str, jpeg: bytes, external_id: str, *, gate: bool) -> Answer:
        """Index the one face of a picture and return the answer: FaceRecords, or UnindexedFaces with reasons.

        ``gate``: leave a face out whose quality Amazon finds too low.
        """
        return self._picture(
            "IndexFaces",
            "enrol the face",
            CollectionId=collection,
            Image={"Bytes": jpeg},
            ExternalImageId=external_id,
            MaxFaces=1,
            QualityFilter="AUTO" if gate else "NONE",
            DetectionAttributes=["DEFAULT"],
        )

    def delete_faces(self, collection: str, aws_ids: Sequence[str]) -> None:
        """Delete faces. Ids that are not there are no error."""
        for at in range(0, len(aws_ids), BATCH):
            ids = list(aws_ids[at : at + BATCH])
            self._of("DeleteFaces", "forget faces", collection, FaceIds=ids)

    def list_faces(self, collection: str) -> Iterator[Answer]:
        """Yield the faces of a collection."""
        more: dict[str, Any] = {}
        while True:
            answer = self._of(
                "ListFaces", f"list the collection {collection}", collection, MaxResults=MOST_FACES, **more
            )
            yield from answer.get("Faces") or []
            if not answer.get("NextToken"):
                return
            more = {"NextToken": answer["NextToken"]}

    def has_faces(self, collection: str) -> bool:
        """Return whether a collection holds any face."""
        answer = self._of("ListFaces", f"list the collection {collection}", collection, MaxResults=1)
        return bool(answer.get("Faces"))

    def search_by_image(self, collection: str, jpeg: bytes, threshold: float) -> list[Answer]:
        """Return the FaceMatches of the largest face of a picture. Raises NoFaceFound."""
        answer = self._picture(
            "SearchFacesByImage",
            "compare the face",
            CollectionId=collection,
            Image={"Bytes": jpeg},
            FaceMatchThreshold=threshold,
            MaxFaces=MOST_FACES,
            QualityFilter="NONE",
        )
        return list(answer.get("FaceMatches") or [])

    def search_by_face(self, collection: str, aws_id: str) -> list[Answer]:
        """Return how all faces resemble an indexed one, as FaceMatches. Raises UnknownRecord."""
        for left in reversed(range(INDEXED_TRIES)):
            try:
                answer = self._of(
                    "SearchFaces",
                    "compare the enrolled face",
                    collection,
                    FaceId=aws_id,
                    FaceMatchThreshold=0.0,
                    MaxFaces=MOST_FACES,
                )
                return list(answer.get("FaceMatches") or [])
            except AwsError as exc:
                if exc.code != "InvalidParameterException" or "not found" not in str(exc):
                    raise
                if not left:
                    raise UnknownRecord(f"the collection {collection} has no face '{aws_id}'") from exc
            time.sleep(INDEXED_WAIT_S)
        return []

    # -- footage -------------------------------------------------------------------------------------------------

    def start_face_search(self, request: Mapping[str, Any]) -> str:
        """Start a job and return its JobId. The same request, token and all, gives the same job.

        Raises EngineBusy where the account has no free job slot, EngineUnavailable where it is not known what became of
        the call.
        """
        for left in reversed(range(START_TRIES)):
            try:
                return str(self._ask("StartFaceSearch", "start the search", attempts=1, **request)["JobId"])
            except AwsError as exc:
                broken = exc.code.startswith(("InternalServer", "ServiceUnavailable", "500", "502", "503", "504"))
                if not isinstance(exc, EngineUnavailable) and not broken:
                    raise
                if not left:
                    raise (
                        exc if isinstance(exc, EngineUnavailable) else AwsUnreachable(str(exc), code=exc.code)
                    ) from exc
            time.sleep(random.uniform(0.5, 1.0) * 2 ** (START_TRIES - left - 1))
        raise AwsUnreachable

    def face_search(self, job_id: str, *, token: str | None = None, most: int = 1000) -> Answer:
        """Return a page of what a job found, person by person; JobStatus tells whether it ended.

        Raises AwsRefused with code InvalidPaginationTokenException for a token that has run out, UnknownRecord where
        Amazon does not keep the job any more.
        """
        asked: dict[str, Any] = {"JobId": job_id, "MaxResults": most, "SortBy": "INDEX"}
        if token:
            asked["NextToken"] = token
        try:
            return self._ask("GetFaceSearch", "read the results", **asked)
        except AwsNotFound as exc:
            raise UnknownRecord(
                f"Amazon does not keep the results of job {job_id} any more (it keeps them for 7 days): search again"
            ) from exc

    # -- inside --------------------------------------------------------------------------------------------------

    def _ask(self, operation: str, doing: str, *, attempts: int | None = None, **parameters: Any) -> Answer:
        client = self._clients("rekognition", attempts=attempts)
        if operation == "GetFaceSearch":
            client.meta.events.register("before-parse.rekognition.GetFaceSearch", _as_it_came, unique_id="as-it-came")
        method = getattr(client, _snake(operation))
        self._limiter.wait(operation)
        try:
            with translated(doing):
                answer: Answer = method(**parameters)
                return answer
        except AwsDenied as exc:
            if exc.code.startswith("AccessDenied") and "permission" not in str(exc):
                raise AwsDenied(f"{exc} (it needs {_needs(operation)})", code=exc.code) from exc
            raise

    def _of(self, operation: str, doing: str, collection: str, **parameters: Any) -> Answer:
        """Ask about a collection that must be there."""
        try:
            return self._ask(operation, doing, CollectionId=collection, **parameters)
        except AwsNotFound as exc:
            raise lost_collection(collection) from exc

    def _picture(self, operation: str, doing: str, **parameters: Any) -> Answer:
        """Ask about a picture."""
        try:
            return self._ask(operation, doing, **parameters)
        except AwsNotFound as exc:
            raise lost_collection(str(parameters.get("CollectionId"))) from exc
        except AwsError as exc:
            if exc.code in _BROKEN_PICTURE:
                raise _BROKEN_PICTURE[exc.code](f"Amazon cannot use the picture: {exc}") from exc
            if exc.code == "InvalidParameterException" and "no face" in str(exc).lower():
                raise NoFaceFound from exc
            raise


def lost_collection(name: str) -> AwsNotFound:
    """Return the error for a collection that is not there although we made it."""
    return AwsNotFound(
        f"the collection {name} was deleted behind our back; run {RESTORE} to make it again from the kept pictures",
        code="ResourceNotFoundException",
    )


def _needs(operation: str) -> str:
    if operation == "StartFaceSearch":
        return "rekognition:StartFaceSearch, s3:GetObject on the bucket and iam:PassRole on the role"
    return f"the permission rekognition:{operation}"


def _snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def _as_it_came(response_dict: Answer, customized_response_dict: Answer, **_: Any) -> None:
    """Take an answer of GetFaceSearch as its JSON is, in place of botocore's way through its model.

    A page has 1,000 persons with five landmarks each; botocore's parser visits every one of them, in several times the
    time of reading the JSON, and we use none.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        answer = json.loads(response_dict["body"])
    except ValueError:
        return
    if isinstance(answer, dict):
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"
