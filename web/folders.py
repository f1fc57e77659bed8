"""Folders of this machine that the browser may see: those on the list, and nothing a link leads to outside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from werkzeug.exceptions import Forbidden, NotFound

from vidsearch.media.scan import SUFFIXES, recordings_in

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
    """What a folder holds. ``trail`` leads to it from the allowed folder it is in; ``files`` are recordings."""

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
    if not _is_inside(folders, real):
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
        names = sorted((path.name for path in folder.iterdir()), key=str.casefold)
    except OSError as exc:
        raise Forbidden(f"{folder} cannot be read: {exc.strerror or exc}.") from exc
    names = [name for name in names if not name.startswith(".")]
    for name in names[:MAX_ENTRIES]:
        entry = _entry(folders, folder / name)
        if entry is not None and entry.path.is_dir():
            found_folders.append(entry)
        elif entry is not None and entry.path.suffix.lower() in SUFFIXES:
            found_files.append(entry)
    return Listing(folder, trail, found_folders, found_files, len(names) > MAX_ENTRIES)


def recordings(folders: Sequence[str], text: str) -> list[Path]:
    """Return a file as it is, or the recordings in a folder and below; what a link leads to outside is left out."""
    path = allowed(folders, text)
    if path.is_file():
        return [path]
    below = [Path(os.path.realpath(found)) for found in recordings_in([path])]
    return [found for found in below if found.is_file() and _is_inside(folders, found)]


def roots(folders: Sequence[str]) -> list[Path]:
    """Return the allowed folders that are there."""
    return [root for root in _roots(folders) if root.is_dir()]


def _roots(folders: Sequence[str]) -> list[Path]:
    return [Path(os.path.realpath(Path(folder).expanduser())) for folder in folders if folder]


def _is_inside(folders: Sequence[str], real: Path) -> bool:
    return any(real.is_relative_to(root) for root in _roots(folders))


def _entry(folders: Sequence[str], path: Path) -> Entry | None:
    try:
        real = allowed(folders, str(path))
        facts = real.stat()
    except (Forbidden, NotFound, OSError):
        return None
    return Entry(path.name, real, facts.st_size, facts.st_mtime_ns // 1_000_000)
