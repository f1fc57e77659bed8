"""Folders of this machine that the browser may see: those on the list, and nothing a link leads to outside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from werkzeug.exceptions import Forbidden, NotFound

MAX_ENTRIES = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder to choose."""

    name: str
    path: Path
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds. ``trail`` leads to it from the allowed folder it is in."""

    folder: Path
    trail: list[Path]
    folders: list[Entry]
    files: list[Entry]
    more: bool
    """There is more than is listed."""


def allowed(folders: Sequence[str], text: str) -> Path:
    """Return the real path of something inside the allowed folders.

    Links are followed first, so a link that leads out is refused as what it leads to. Raises Forbidden, NotFound.
    """
    if not text or "\0" in text:
        raise NotFound("Name a file or folder.")
    path = Path(text)
    if not path.is_absolute():
        raise Forbidden("Name the file or folder with its full path.")
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(root) for root in _roots(folders)):
        raise Forbidden("This is not in a folder that recordings may be added from; `footage_folders` lists them.")
    if not real.exists():
        raise NotFound(f"{real}: no such file or folder.")
    return real


def listing(folders: Sequence[str], text: str) -> Listing:
    """Return what an allowed folder holds, without hidden entries and links that lead out."""
    folder = allowed(folders, text)
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder.")
    root = max((root for root in _roots(folders) if folder.is_relative_to(root)), key=lambda found: len(found.parts))
    trail = [p for p in [*reversed(folder.parents), folder] if p.is_relative_to(root)]
    found_folders, found_files = [], []
    try:
        names = sorted(os.listdir(folder), key=str.casefold)
    except OSError as exc:
        raise Forbidden(f"{folder} cannot be read: {exc.strerror or exc}.") from exc
    for name in [name for name in names if not name.startswith(".")][:MAX_ENTRIES]:
        entry = _entry(folders, folder / name)
        if entry is not None:
            (found_folders if entry.path.is_dir() else found_files).append(entry)
    return Listing(folder, trail, found_folders, found_files, len(names) > MAX_ENTRIES)


def roots(folders: Sequence[str]) -> list[Path]:
    """Return the allowed folders that are there."""
    return [root for root in _roots(folders) if root.is_dir()]


def _roots(folders: Sequence[str]) -> list[Path]:
    return [Path(os.path.realpath(Path(folder).expanduser())) for folder in folders if folder]


def _entry(folders: Sequence[str], path: Path) -> Entry | None:
    try:
        real = allowed(folders, str(path))
        facts = real.stat()
    except (Forbidden, NotFound, OSError):
        return None
    return Entry(path.name, real, facts.st_size, facts.st_mtime_ns // 1_000_000)
