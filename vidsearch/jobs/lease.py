"""Leases: who works on a job, whether they still live, and word from time to time that we do."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import psutil

from vidsearch.errors import StoreError
from vidsearch.store import Store

RENEWALS = 4
"""Renewals in the time of one lease: three may be late, as when the disk stalls, before others think we died."""


def new_owner() -> str:
    """Return a name for a worker of this process: ``host:pid:start of the process:word``.

    The word tells workers of one process apart.
    """
    pid = os.getpid()
    return f"{_host()}:{pid}:{_started(pid)}:{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Whether an owner's process ran on this host and is gone.

    Owners on other hosts, and names that cannot be understood, may live: their leases run out by themselves.
    """
    try:
        host, pid, started, _ = owner.rsplit(":", 3)
        return host == _host() and _started(int(pid)) != started
    except (ValueError, psutil.AccessDenied):
        return False


def dead(owners: Iterable[str]) -> list[str]:
    """Return those owners that are dead."""
    return [owner for owner in owners if is_dead(owner)]


class Heartbeat:
    """Renew an owner's leases from a thread of its own for as long as the block runs.

    The engine, or the work on what it found, may keep the worker busy for longer than a lease lasts.
    """

    def __init__(self, store: Store, owner: str, lease_ms: int) -> None:
        self._store = store
        self._owner = owner
        self._lease_ms = lease_ms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="vidsearch-lease", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease_ms / 1000 / RENEWALS):
            try:
                self._store.jobs.renew(self._owner, self._lease_ms)
            except StoreError:
                # The worker meets the same trouble with its next write and reports it; the lease may recover first.
                continue


def _host() -> str:
    """Return a name of this machine, told apart from containers on it that share its name but not its processes."""
    name = socket.gethostname()
    try:
        return f"{name}/{Path('/proc/self/ns/pid').readlink().name}".replace(":", "")
    except OSError:
        return name


def _started(pid: int) -> str | None:
    """Return when a process started, in a form that setting the clock does not change; None where it is gone.

    A pid alone is not enough: it is used again. psutil's time of creation moves with the wall clock on Linux.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        return str(round(psutil.Process(pid).create_time() * 1000))
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
