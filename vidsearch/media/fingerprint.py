"""Tell recordings apart by content: quickly by a fingerprint, for evidence by SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vidsearch.media.container import unavailable

BLOCK: Final = 64 << 10
"""Bytes taken from head, middle and tail for a fingerprint."""

CHUNK: Final = 1 << 20
"""Bytes read at a time for a SHA-256, between two looks at ``stop``."""


def fingerprint(path: Path) -> str:
    """Return 32 hex digits made from a file's size and 64 KiB of its head, middle and tail.

    It names a recording at once, however long it is. Two recordings differ in their heads or tails (time stamps,
    indexes), so it is enough to tell them apart, not to prove anything: that is what ``sha256`` is for.

    Raises SourceUnavailable.
    """
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with path.open("rb") as stream:
            for start in (0, max(0, size // 2 - BLOCK // 2), max(0, size - BLOCK)):
                stream.seek(start)
                digest.update(stream.read(BLOCK))
    except OSError as exc:
        raise unavailable(path, exc) from exc
    return digest.hexdigest()[:32]


def sha256(path: Path, stop: Callable[[], bool] | None = None) -> str:
    """Return the SHA-256 of a file in hex, or an empty string where ``stop()`` became true before the end.

    Raises SourceUnavailable.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                if stop is not None and stop():
                    return ""
    except OSError as exc:
        raise unavailable(path, exc) from exc
    return digest.hexdigest()
