"""What an upload must remember when its process is killed, and a lock so that one process at a time works on it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vidsearch.errors import DiskFull, EngineBusy, StoreError

AGAIN_S = 0.2
"""How often a lock that another process holds is tried again."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A multipart upload that S3 knows of."""

    bucket: str
    key: str
    upload_id: str
    mark: str
    """``Source.mark`` of the file that is sent."""
    part_bytes: int


def remember(state: Path, upload: Unfinished) -> None:
    """Write an upload down so that it is on the disk, whole, when this returns. Raises DiskFull, StoreError."""
    new = state.with_name(state.name + ".new")
    try:
        state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as stream:
            json.dump(asdict(upload), stream)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(state)
        _sync_folder(state.parent)
    except OSError as exc:
        raise _trouble(state, exc) from exc


def recall(state: Path) -> Unfinished | None:
    """Return the upload written down, or None where there is none or the file is damaged."""
    try:
        held = json.loads(state.read_bytes())
        upload = Unfinished(**held)
    except (OSError, ValueError, TypeError):
        return None
    words = (upload.bucket, upload.key, upload.upload_id, upload.mark)
    sound = all(isinstance(word, str) and word for word in words) and isinstance(upload.part_bytes, int)
    return upload if sound and upload.part_bytes > 0 else None


def forget(state: Path) -> None:
    """Remove what was written down."""
    state.unlink(missing_ok=True)


@contextmanager
def alone(state: Path, stop: Callable[[], bool]) -> Iterator[None]:
    """Wait until no other process works on this upload, and keep others out. A lock goes with its process.

    Raises:
        EngineBusy: ``stop`` said so while another process worked on it.
    """
    lock = state.with_name(state.name + ".lock")
    handle = _locked(lock, stop)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _locked(lock: Path, stop: Callable[[], bool]) -> int:
    while True:
        try:
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise _trouble(lock, exc) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process before us may have removed the file that we had opened: then others lock another one.
            if _is_at(handle, lock):
                return handle
        except BlockingIOError:
            pass
        except OSError as exc:
            os.close(handle)
            raise _trouble(lock, exc) from exc
        os.close(handle)
        if stop():
            raise EngineBusy("stopped while another process uploads this; the next start goes on from there")
        time.sleep(AGAIN_S)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _trouble(path: Path, exc: OSError) -> DiskFull | StoreError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    return StoreError(f"{path} cannot be written ({exc.strerror or exc}); check the data folder's owner and disk")
