"""Send files to S3 in parts, going on after a kill where it was cut short, and make sure that they arrived whole."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vidsearch.aws.objects import Listed, Objects, Uploaded
from vidsearch.aws.parts import (
    MIB,
    Part,
    Source,
    changed,
    checksum_of,
    composite,
    crc_of,
    cut,
    look_at,
    md5_of,
    part_size,
    reading,
)
from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.aws.unfinished import Unfinished, alone, forget, recall, remember
from vidsearch.errors import AwsError, AwsNotFound, AwsRefused, EngineBusy

__all__ = ["Uploaded", "Uploader"]

PART_BYTES = 16 * MIB
"""A part that was cut short is sent again whole: smaller parts lose less, larger ones need fewer requests."""
THREADS = 4
"""Parts on their way at once: one connection alone rarely fills a line."""
POLL_S = 0.5
"""How often, while parts are on their way, it is asked whether to stop."""

ALGORITHM = "CRC32"
MARK, PARTS = "vidsearch-source", "vidsearch-part-bytes"
"""Metadata of an object: which file it was made of, and the size of its parts, 0 where it was sent whole."""


@dataclass(frozen=True, slots=True)
class _Sent:
    part: Part
    etag: str
    crc: str


@dataclass(frozen=True, slots=True)
class _Task:
    """One file on its way, as ``put`` was asked."""

    path: Path
    key: str
    source: Source
    state: Path
    on_bytes: Callable[[int, int], None]
    stop: Callable[[], bool]
    content_type: str


def _quiet(done: int, total: int) -> None:
    pass


def _never() -> bool:
    return False


class Uploader:
    """Puts files into one bucket. Safe for several threads and processes, also on the same key with the same state.

    Every error is an AwsError, a SourceUnavailable where the file is gone or changes, a DiskFull or StoreError where
    the state cannot be written, or an EngineBusy where it was told to stop.
    """

    def __init__(
        self, clients: Clients, bucket: str, *, kms_key: str = "", part_bytes: int = PART_BYTES, threads: int = THREADS
    ) -> None:
        """Prepare; nothing is asked of AWS yet.

        Args:
            clients: The clients of the bucket's region.
            bucket: Its name.
            kms_key: ARN of the key to encrypt with; empty leaves it to the bucket.
            part_bytes: Size of the parts, at least 5 MiB; files up to this size are sent whole. Large files have larger
                parts, because there can be 10,000.
            threads: Parts on their way at once. No more than a few blocks of each are in memory.
        """
        self._clients = clients
        self._objects = Objects(clients, bucket)
        self._part_bytes = part_size(0, part_bytes)
        self._threads = threads
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    def put(
        self,
        path: Path,
        key: str,
        *,
        state: Path,
        on_bytes: Callable[[int, int], None] = _quiet,
        stop: Callable[[], bool] = _never,
        content_type: str = "video/mp4",
    ) -> Uploaded:
        """Send a file and return what is in the bucket then. A repetition goes on, or finds that nothing is left to do.

        Parts that S3 has are compared with the file, by size and checksum, before they count. What arrived is compared
        with the file too, by size and checksum.

        Args:
            path: The file. It may not change on the way; what was sent of an earlier content is thrown away.
            key: Name of the object.
            state: File that remembers the upload over a kill; removed when it is done. One key always has the same one.
            on_bytes: Told (bytes there, bytes in all), never less than before; called in this thread.
            stop: Asked in this thread between parts. Parts on their way are finished first.
            content_type: What the object says that it is.
        """
        tell = _rising(on_bytes)
        with alone(state, stop):
            for _ in range(2):
                task = _Task(path, key, look_at(path), state, tell, stop, content_type)
                try:
                    return self._put(task)
                except AwsError as exc:
                    if look_at(path) != task.source:
                        raise changed(path) from exc
                    if exc.code != "NoSuchUpload":
                        raise
                    # Somebody aborted it, or S3's answer to our last call was lost: the next round finds out.
        raise AwsRefused(f"somebody ends the upload of {path.name} again and again; see who else uses {key}")

    def exists(self, key: str) -> Uploaded | None:
        """Return the object of this name, or None. Raises AwsNotFound where there is no bucket."""
        found = self._objects.find(key)
        return found[0] if found else None

    def remove(self, key: str, *, state: Path | None = None, version_id: str = "") -> None:
        """Remove an object and what an unfinished upload of it left. An unknown key is no error.

        Args:
            key: Name of the object.
            state: The state given to ``put``. Without it, the bucket's unfinished uploads are looked through.
            version_id: The one version to remove, where the bucket keeps versions; without it, it keeps them all.
        """
        self._objects.remove(key, version_id)
        if state is None:
            for upload in self._objects.uploads(key):
                if upload["Key"] == key:
                    self._objects.abort(key, upload["UploadId"])
        else:
            self._drop(state)

    def abort_leftovers(self, prefix: str, *, older_than_s: float = 86_400.0, keep: Collection[str] = ()) -> int:
        """Abort the unfinished uploads under a prefix, which cost storage; return how many there were.

        Args:
            prefix: Begins the keys.
            older_than_s: Only those begun so long ago: other processes may be at work.
            keep: Keys whose uploads are left alone.
        """
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=older_than_s)
        uploads = self._objects.uploads(prefix)
        old = [upload for upload in uploads if upload["Initiated"] <= before and upload["Key"] not in keep]
        for upload in old:
            self._objects.abort(upload["Key"], upload["UploadId"])
        return len(old)

    def _put(self, task: _Task) -> Uploaded:
        there = self._done_before(task.path, task.key, task.source)
        if there is None:
            whole = task.source.size <= self._part_bytes
            checksum = self._send_whole(task) if whole else self._send_parts(task)
            there = self._arrived(task, checksum)
        self._drop(task.state)
        task.on_bytes(task.source.size, task.source.size)
        return there

    def _described(self, task: _Task, part_bytes: int) -> dict[str, Any]:
        """Return what an object is to be, as both ways of sending ask for it."""
        return {
            "Bucket": self._objects.bucket,
            "Key": task.key,
            "ContentType": task.content_type,
            "Metadata": {MARK: task.source.mark, PARTS: str(part_bytes)},
            "ChecksumAlgorithm": ALGORITHM,
            **self._encryption,
        }

    def _done_before(self, path: Path, key: str, source: Source) -> Uploaded | None:
        """Return the object if it is this file already: a process died when all was sent, or another one sent it."""
        found = self._objects.find(key)
        if found is None:
            return None
        there, metadata = found
        told = metadata.get(PARTS, "")
        if metadata.get(MARK) != source.mark or there.size != source.size or not told.isdecimal():
            return None
        return there if _agrees(path, there, int(told)) else None

    def _send_whole(self, task: _Task) -> str:
        """Send a file at once; return its checksum."""
        whole = Part(1, 0, task.source.size)
        crc = crc_of(task.path, whole)
        with reading(task.path, whole) as body, translated(self._sending(task.path, task.key)):
            self._objects.s3.put_object(
                **self._described(task, 0), Body=body, ContentLength=whole.size, ChecksumCRC32=crc
            )
        return crc

    def _send_parts(self, task: _Task) -> str:
        """Send a file in parts, or what is left of them from an earlier upload; return the object's checksum."""
        upload, listed = self._resumed(task)
        if upload is None:
            upload = self._begun(task)
        sent: list[_Sent] = []
        done = 0
        with closing(self._each(task, upload, listed)) as arriving:
            for one in arriving:
                sent.append(one)
                done += one.part.size
                task.on_bytes(done, task.source.size)
        if look_at(task.path) != task.source:
            self._drop(task.state)
            raise changed(task.path)
        sent.sort(key=lambda one: one.part.number)
        self._complete(task.path, upload, sent)
        forget(task.state)
        return composite([one.crc for one in sent])

    def _resumed(self, task: _Task) -> tuple[Unfinished | None, dict[int, Listed]]:
        """Return an earlier upload of this very file with the parts that S3 has, or None."""
        upload = recall(task.state)
        if upload is None:
            return None, {}
        same = (upload.bucket, upload.key, upload.mark) == (self._objects.bucket, task.key, task.source.mark)
        if not same or upload.part_bytes != part_size(task.source.size, upload.part_bytes):
            self._drop(task.state)
            return None, {}
        try:
            return upload, self._objects.parts(task.key, upload.upload_id)
        except AwsNotFound as exc:
            if exc.code != "NoSuchUpload":
                raise
        forget(task.state)
        return None, {}

    def _begun(self, task: _Task) -> Unfinished:
        """Begin an upload and write it down before anything is sent."""
        part_bytes = part_size(task.source.size, self._part_bytes)
        with translated(self._sending(task.path, task.key)):
            answer = self._objects.s3.create_multipart_upload(
                **self._described(task, part_bytes), ChecksumType="COMPOSITE"
            )
        upload = Unfinished(self._objects.bucket, task.key, answer["UploadId"], task.source.mark, part_bytes)
        remember(task.state, upload)
        return upload

    def _each(self, task: _Task, upload: Unfinished, listed: dict[int, Listed]) -> Generator[_Sent, None, None]:
        """Yield the parts as they arrive. No more are handed out than threads are there, so that stopping is quick."""
        waiting = iter(cut(task.source.size, upload.part_bytes))
        flying: set[Future[_Sent]] = set()
        with ThreadPoolExecutor(self._threads, "upload") as pool:
            while True:
                if task.stop():
                    raise EngineBusy(f"the upload of {task.path.name} was stopped; the next start goes on from there")
                for part in islice(waiting, self._threads - len(flying)):
                    flying.add(pool.submit(self._send, task.path, upload, part, listed.get(part.number)))
                if not flying:
                    return
                landed, flying = wait(flying, POLL_S, FIRST_COMPLETED)
                for future in landed:
                    yield future.result()

    def _send(self, path: Path, upload: Unfinished, part: Part, there: Listed | None) -> _Sent:
        crc = crc_of(path, part)
        if there and there.size == part.size and _same(path, part, crc, there):
            return _Sent(part, there.etag, crc)
        with reading(path, part) as body, translated(self._sending(path, upload.key)):
            answer = self._objects.s3.upload_part(
                Bucket=upload.bucket,
                Key=upload.key,
                UploadId=upload.upload_id,
                PartNumber=part.number,
                Body=body,
                ContentLength=part.size,
                ChecksumAlgorithm=ALGORITHM,
                ChecksumCRC32=crc,
            )
        return _Sent(part, answer["ETag"], crc)

    def _complete(self, path: Path, upload: Unfinished, sent: list[_Sent]) -> None:
        parts = [{"PartNumber": one.part.number, "ETag": one.etag, "ChecksumCRC32": one.crc} for one in sent]
        with translated(self._sending(path, upload.key)):
            self._objects.s3.complete_multipart_upload(
                Bucket=upload.bucket, Key=upload.key, UploadId=upload.upload_id, MultipartUpload={"Parts": parts}
            )

    def _arrived(self, task: _Task, expected: str) -> Uploaded:
        """Return what is in the bucket after all was sent. Raises AwsRefused where it is not the file."""
        there, _ = self._objects.head(task.key)
        if there.checksum and ("-" in there.checksum) != ("-" in expected):
            expected = checksum_of(task.path, task.source.size, 0)
        if there.size != task.source.size or there.checksum not in ("", expected):
            self._objects.remove(task.key)
            where = f"bucket {self._objects.bucket}"
            raise AwsRefused(f"{task.path.name} arrived damaged in {where} and was removed there; run this again")
        return there

    def _sending(self, path: Path, key: str) -> str:
        return f"upload {path.name} to s3://{self._objects.bucket}/{key}"

    def _drop(self, state: Path) -> None:
        """Abort the upload that a state remembers, if S3 still has it, and forget it."""
        upload = recall(state)
        if upload:
            Objects(self._clients, upload.bucket).abort(upload.key, upload.upload_id)
        forget(state)


def _same(path: Path, part: Part, crc: str, there: Listed) -> bool:
    """Return whether S3 has this part as it is in the file."""
    return there.crc == crc if there.crc else there.etag.strip('"') == md5_of(path, part)


def _agrees(path: Path, there: Uploaded, part_bytes: int) -> bool:
    """Return whether an object's checksum is the file's. Where the service tells none, size and mark must do."""
    if not there.checksum:
        return True
    in_parts = "-" in there.checksum
    return there.checksum == checksum_of(path, there.size, part_bytes if in_parts else 0)


def _rising(on_bytes: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Return a progress callback that never goes back, also where an upload had to begin anew."""
    most = 0

    def tell(done: int, total: int) -> None:
        nonlocal most
        most = max(most, done)
        on_bytes(most, total)

    return tell
