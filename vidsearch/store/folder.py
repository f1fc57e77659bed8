"""Check that the data folder can hold a database that several processes share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from vidsearch.errors import DatabaseUnusable

# fmt: off
NETWORK = frozenset([
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "ftpfs", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs3", "nfs4", "pvfs2", "smb", "smb2", "smb3", "smbfs", "sshfs", "webdav",
    # Shared folders of virtual machines: the other side does not see our locks.
    "prl_fs", "vboxsf", "vmhgfs",
    "fuse.afp", "fuse.ceph", "fuse.ceph-fuse", "fuse.cifs", "fuse.curlftpfs", "fuse.davfs", "fuse.davfs2",
    "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mfs", "fuse.rclone", "fuse.s3fs",
    "fuse.smbnetfs", "fuse.sshfs", "fuse.vmhgfs-fuse",
])
# fmt: on
"""File systems whose locks or shared memory do not reach every process that may open the file. A database there can be
damaged, and the write-ahead log cannot work (sqlite.org: howtocorrupt.html §2.1, wal.html)."""


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str
    options: str = ""


def prepare_folder(folder: Path) -> None:
    """Make the data folder where it is not there yet, and refuse one that cannot hold the database.

    Raises:
        DatabaseUnusable: It cannot be made, or it is on a network file system.
    """
    kind = network_kind(folder, _mounts())
    if kind:
        raise DatabaseUnusable(
            f"{folder} is on a network file system ({kind}), where a database gets damaged; choose a folder on a disk "
            "of this machine with --data DIR (recordings themselves may stay on the network)"
        )
    try:
        # Faces of people: nobody else on this machine need read them.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise DatabaseUnusable(
            f"the data folder {folder} cannot be made ({exc.strerror or exc}); choose another with --data DIR"
        ) from exc


def network_kind(folder: Path, mounts: Iterable[Mount]) -> str | None:
    """Return the name of the network file system that a folder is or would be on, or None where it is a local one."""
    real = _existing(folder)
    if str(real).startswith("\\\\") and not str(real).startswith("\\\\?\\"):
        return "a network share"
    # A later mount on the same point hides the earlier one.
    holding = [mount for mount in mounts if _holds(mount.point, real)]
    holding.sort(key=lambda mount: len(Path(mount.point).parts))
    if not holding:
        return None
    mount = holding[-1]
    if mount.kind.lower() in NETWORK:
        return mount.kind
    return "a network drive" if "remote" in mount.options.split(",") else None


def _existing(folder: Path) -> Path:
    """Return the nearest folder that is there already, with links followed."""
    for candidate in (folder, *folder.parents):
        try:
            return candidate.resolve(strict=True)
        except OSError:
            continue
    return folder


def _holds(point: str, real: Path) -> bool:
    return real.is_relative_to(point)


def _mounts() -> list[Mount]:
    return [Mount(part.mountpoint, part.fstype, part.opts) for part in psutil.disk_partitions(all=True)]
