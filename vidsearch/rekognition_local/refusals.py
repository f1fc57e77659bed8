"""The errors that Rekognition answers with, in its own words."""

from __future__ import annotations

from typing import Final

from vidsearch.errors import VidsearchError

NO_OBJECT = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
UNSUPPORTED = "Unsupported codec/format."
"""StatusMessage of a job whose video is not H.264 in MP4 or MOV."""


class Refusal(VidsearchError):
    """An error answer of the service."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def no_collection(name: str) -> Refusal:
    """Return the answer where a collection does not exist."""
    return Refusal("ResourceNotFoundException", f"The collection id: {name} does not exist")


def collection_exists(name: str) -> Refusal:
    """Return the answer where a collection exists already."""
    return Refusal("ResourceAlreadyExistsException", f"The collection id: {name} already exists.")


def invalid(message: str = "Request has invalid parameters") -> Refusal:
    """Return the answer to parameters that are well formed and still wrong."""
    return Refusal("InvalidParameterException", message)


def invalid_page_token() -> Refusal:
    """Return the answer to a page token that is not ours, or too old."""
    return Refusal("InvalidPaginationTokenException", "Request has invalid pagination token")


def no_object() -> Refusal:
    """Return the answer where an object of S3 cannot be read."""
    return Refusal("InvalidS3ObjectException", NO_OBJECT)


def internal() -> Refusal:
    """Return the answer where something broke in the service."""
    return Refusal("InternalServerError", "Internal server error", status=500)


ORDERED: Final = {
    "ThrottlingException": "Slow down; sudden increase in rate of requests.",
    "ProvisionedThroughputExceededException": "Provisioned Rate exceeded.",
    "AccessDeniedException": "User is not authorized to perform the action, or the role cannot be assumed",
    "InvalidParameterException": "Unable to assume the role of the notification channel",
    "InternalServerError": "Internal server error",
}
"""Code -> message of the errors that faults can be told with."""


def ordered(code: str) -> Refusal:
    """Return the answer that a fault orders. One of its own each time: an exception keeps where it was raised."""
    return internal() if code == "InternalServerError" else Refusal(code, ORDERED[code])
