"""Find the recordings in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_KNOWN: Final = (
    "mp4 m4v mov qt mkv webm avi divx ts mts m2ts m2t tp trp mpg mpeg mpe mpv m1v m2v ps vob 264 h264 avc 265 h265 "
    "hevc h26x dav dhav ifv flv f4v wmv asf 3gp 3gpp 3g2 mxf ogv ogm mjpeg mjpg mjp mj2 dv nut ivf av1 rm rmvb "
    # Recorders' own formats that nothing here can read: tried, so that they are refused by name, not passed over.
    "g64 g64x g64a bvr sec ssf psf hik nvr dvr nvf pvf"
)

SUFFIXES: Final = frozenset(f".{suffix}" for suffix in _KNOWN.split())
"""Files of a folder that are tried as recordings; a file named on its own is always tried."""


def recordings_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files to try as recordings, each once.

    Files stand as they were given, whatever they are called or whether they are there. Folders give the recordings in
    them and below, known by suffix and sorted by path; hidden files and folders are left out, and links are followed
    once. A folder that may not be listed is returned itself, so that it is refused by name instead of passed over.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for recording in _in_folder(path) if path.is_dir() else (path,):
            found.setdefault(recording)
    return list(found)


def _in_folder(folder: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    closed: list[Path] = []
    files: list[Path] = []

    def note_closed(exc: OSError) -> None:
        closed.append(Path(exc.filename))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=note_closed):
        there = Path(root).stat()
        if (there.st_dev, there.st_ino) in seen:
            folders.clear()  # a link back up, or a second way to the same folder
            continue
        seen.add((there.st_dev, there.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(root, name) for name in names if _is_recording(name) and Path(root, name).is_file()]
    return iter(sorted(files + closed))


def _is_recording(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
