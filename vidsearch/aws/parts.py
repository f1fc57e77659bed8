"""A file in parts, as S3 takes it: where each begins, its checksum, and reading one part without holding it."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.errors import AwsRefused, SourceUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MIB = 1 << 20
LEAST_PART = 5 * MIB
"""S3 refuses smaller parts, the last one excepted."""
MOST_PARTS = 10_000
MOST_BYTES = 5 << 40
"""The largest object, 5 TiB."""

BLOCK = MIB
"""Files are read in blocks of so many bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes [start, start + size) of a file. Numbers begin at 1."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was looked at."""

    size: int
    mark: str
    """Changes when its size, its modification time, or its first or last mebibyte does."""


def look_at(path: Path) -> Source:
    """Return what a file is like now. Raises SourceUnavailable where it cannot be read."""
    try:
        with path.open("rb") as stream:
            mtime_ns = path.stat().st_mtime_ns
            size = stream.seek(0, io.SEEK_END)
            digest = hashlib.sha256(f"{size} {mtime_ns} ".encode())
            for start in (0, max(0, size - BLOCK)):
                stream.seek(start)
                digest.update(stream.read(BLOCK))
    except OSError as exc:
        raise unreadable(path, exc) from exc
    return Source(size, digest.hexdigest())


def unreadable(path: Path, exc: OSError) -> SourceUnavailable:
    """Return our error for a file that cannot be read."""
    return SourceUnavailable(f"{path} cannot be read ({exc.strerror or exc}); attach its drive and run this again")


def changed(path: Path) -> SourceUnavailable:
    """Return our error for a file that did not stay as it was."""
    return SourceUnavailable(f"{path} changed while it was uploaded; run this again when nothing writes to it")


def part_size(size: int, wanted: int) -> int:
    """Return the size of the parts of a file: the one wanted, or as much more as 10,000 parts need.

    Raises:
        AwsRefused: The file is larger than S3 takes.
    """
    if size > MOST_BYTES:
        raise AwsRefused("the file is larger than the 5 TiB that S3 takes; set rekognition_max_bytes to split it")
    least = max(wanted, LEAST_PART)
    needed = -(-size // MOST_PARTS)
    return least if needed <= least else -(-needed // MIB) * MIB


def cut(size: int, part_bytes: int) -> list[Part]:
    """Return the parts of a file, in order."""
    starts = range(0, size, part_bytes)
    return [Part(number, start, min(part_bytes, size - start)) for number, start in enumerate(starts, 1)]


class PartReader(io.RawIOBase):
    """One part of a file as a file of its own, which boto3 can send, rewind and send again."""

    def __init__(self, path: Path, part: Part) -> None:
        super().__init__()
        self._part = part
        self._at = 0
        self._file = path.open("rb", buffering=0)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place inside the part."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place inside the part and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with what comes next; return how many bytes that was.

        Raises OSError where the file ends before the part does: sending less than was announced would wait for ever.
        """
        view = memoryview(buffer).cast("B")[: max(0, self._part.size - self._at)]
        if not view:
            return 0
        self._file.seek(self._part.start + self._at)
        got = self._file.readinto(view) or 0
        if not got:
            raise OSError("the file became shorter")
        self._at += got
        return got

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def reading(path: Path, part: Part) -> PartReader:
    """Open a part of a file. Raises SourceUnavailable."""
    try:
        return PartReader(path, part)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def blocks(path: Path, part: Part) -> Iterator[bytes]:
    """Yield a part of a file in blocks. Raises SourceUnavailable."""
    try:
        with PartReader(path, part) as reader:
            while block := reader.read(BLOCK):
                yield block
    except OSError as exc:
        raise unreadable(path, exc) from exc


def crc_of(path: Path, part: Part) -> str:
    """Return the CRC32 of a part as S3 writes it: base64 of four bytes. Raises SourceUnavailable."""
    crc = 0
    for block in blocks(path, part):
        crc = zlib.crc32(block, crc)
    return _base64(crc)


def md5_of(path: Path, part: Part) -> str:
    """Return the MD5 of a part, which is its ETag where no KMS key is used. Raises SourceUnavailable."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in blocks(path, part):
        digest.update(block)
    return digest.hexdigest()


def composite(crcs: Sequence[str]) -> str:
    """Return the checksum that S3 gives an object of parts: the CRC32 of their CRC32s, and how many they are."""
    return f"{_base64(zlib.crc32(b''.join(base64.b64decode(crc) for crc in crcs)))}-{len(crcs)}"


def checksum_of(path: Path, size: int, part_bytes: int) -> str:
    """Return the checksum that S3 gives a file; ``part_bytes`` is 0 where it was sent whole. Reads the file."""
    if not part_bytes:
        return crc_of(path, Part(1, 0, size))
    return composite([crc_of(path, part) for part in cut(size, part_bytes)])


def _base64(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
