"""The objects of one bucket and the unfinished uploads into it: look, list, remove, abort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsNotFound


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An object in the bucket."""

    key: str
    size: int
    etag: str
    version_id: str = ""
    """Empty where the bucket keeps no versions."""
    checksum: str = ""
    """CRC32 as S3 writes it; of an object sent in parts, that of its parts' CRC32s, a dash and their number. Empty
    where the service tells none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A part that S3 has already."""

    size: int
    etag: str
    crc: str
    """Empty where the service tells none."""


class Objects:
    """The objects of a bucket. Safe for several threads."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients = clients
        self.bucket = bucket

    @property
    def s3(self) -> Any:
        """The client; whoever uses it translates its errors."""
        return self._clients("s3")

    def find(self, key: str) -> tuple[Uploaded, dict[str, str]] | None:
        """Return an object and its metadata, or None. Raises AwsNotFound where there is no bucket.

        It is listed first: answers to HEAD have no body, so that they cannot tell a missing bucket from a missing
        object, nor credentials that have ended from anything else.
        """
        with translated(f"look for {key} in bucket {self.bucket}"):
            listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        if not any(item["Key"] == key for item in listed.get("Contents", [])):
            return None
        try:
            return self.head(key)
        except AwsNotFound:
            return None

    def head(self, key: str) -> tuple[Uploaded, dict[str, str]]:
        """Return an object and its metadata. Raises AwsNotFound."""
        with translated(f"look at {key} in bucket {self.bucket}"):
            head = self.s3.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        version = head.get("VersionId", "")
        etag = head["ETag"].strip('"')
        checksum = head.get("ChecksumCRC32", "")
        if head.get("ChecksumType") == "COMPOSITE" and "-" not in checksum:
            # Some services leave the number of parts out; the ETag ends with it as well.
            checksum = f"{checksum}-{etag.rpartition('-')[2]}"
        there = Uploaded(key, head["ContentLength"], etag, "" if version == "null" else version, checksum)
        return there, head.get("Metadata", {})

    def remove(self, key: str, version_id: str = "") -> None:
        """Remove an object; an unknown one is no error."""
        version = {"VersionId": version_id} if version_id else {}
        with translated(f"remove {key} from bucket {self.bucket}"):
            self.s3.delete_object(Bucket=self.bucket, Key=key, **version)

    def parts(self, key: str, upload_id: str) -> dict[int, Listed]:
        """Return the parts of an unfinished upload by number. Raises AwsNotFound where S3 has forgotten it."""
        found = {}
        with translated(f"go on with the upload of {key}"):
            pages = self.s3.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload_id)
            for page in pages:
                for part in page.get("Parts", []):
                    found[part["PartNumber"]] = Listed(part["Size"], part["ETag"], part.get("ChecksumCRC32", ""))
        return found

    def uploads(self, prefix: str) -> list[dict[str, Any]]:
        """Return the unfinished uploads of keys that begin so: ``Key``, ``UploadId``, ``Initiated``."""
        with translated(f"look for unfinished uploads in bucket {self.bucket}"):
            pages = self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            return [upload for page in pages for upload in page.get("Uploads", [])]

    def abort(self, key: str, upload_id: str) -> None:
        """End an unfinished upload and free its parts; an unknown one is no error."""
        try:
            with translated(f"abort the upload of {key}"):
                self.s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except AwsNotFound:
            return
