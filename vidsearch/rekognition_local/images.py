"""Get the picture that a request names: bytes in it, or an object of S3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsError, ImageTooLarge, NotAnImage
from vidsearch.media.pictures import load_picture
from vidsearch.model import Picture
from vidsearch.rekognition_local.refusals import Refusal, invalid, no_object

MAX_BYTES = 5 << 20
"""Of a picture in a request."""

MAX_OBJECT_BYTES = 15 << 20
"""Of a picture in S3."""

LEAST_SIDE = 80
"""Pixels."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


class Images:
    """Reads pictures."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def load(self, image: Mapping[str, Any]) -> Picture:
        """Return an ``Image`` as an upright picture. Raises a Refusal."""
        if ("Bytes" in image) == ("S3Object" in image):
            raise invalid()
        content = image["Bytes"] if "Bytes" in image else self._fetch(image["S3Object"])
        if len(content) > (MAX_BYTES if "Bytes" in image else MAX_OBJECT_BYTES):
            raise Refusal("ImageTooLargeException", "Image size is too large")
        if not content.startswith((_JPEG, _PNG)):
            raise Refusal("InvalidImageFormatException", "Request has invalid image format")
        try:
            picture = load_picture(content)
        except NotAnImage as exc:
            raise Refusal("InvalidImageFormatException", "Request has invalid image format") from exc
        except ImageTooLarge as exc:
            raise Refusal("ImageTooLargeException", "Image size is too large") from exc
        if min(picture.width, picture.height) < LEAST_SIDE:
            raise invalid("Request has Invalid Parameters")
        return picture

    def _fetch(self, where: Mapping[str, str]) -> bytes:
        names = object_names(where)
        try:
            with translated("read the picture"):
                answer = self._clients("s3").get_object(**names)
                with answer["Body"] as body:
                    content: bytes = body.read(MAX_OBJECT_BYTES + 1)
                return content
        except AwsError as exc:
            raise no_object() from exc


def object_names(where: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that name an ``S3Object`` to S3. Raises a Refusal."""
    if "Bucket" not in where or "Name" not in where:
        raise invalid()
    names = {"Bucket": where["Bucket"], "Key": where["Name"]}
    return {**names, "VersionId": where["Version"]} if "Version" in where else names
