"""Look at the structure of an MP4 where it decides whether it can be taken as it is (ISO 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from vidsearch.media.container import unavailable

LARGEST_LIST: Final = 1 << 20
"""Bytes of an edit list that are read."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What matters of an MP4."""

    edits: int = 0
    """The most parts of which the edit list of one video track is put together, empty ones left out."""
    rewound: bool = False
    """A video track's edit list plays at another speed."""
    fragmented: bool = False
    """Its index is spread over the file."""

    @property
    def edited(self) -> bool:
        """Its pictures are shown in another order or at another speed than they are stored."""
        return self.edits > 1 or self.rewound


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    """Of its content."""
    end: int


def structure(path: Path) -> Structure:
    """Return what matters of an MP4's structure. Raises SourceUnavailable."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            moov = _first(file, _Box(b"", 0, size), b"moov")
            if moov is None:
                return Structure()
            edits, rewound = 0, False
            for track in (box for box in _boxes(file, moov) if box.kind == b"trak"):
                if _is_video(file, track):
                    rates = _edits(file, track)
                    edits = max(edits, len(rates))
                    rewound = rewound or any(rate != 1 for rate in rates)
            return Structure(edits, rewound, _first(file, moov, b"mvex") is not None)
    except OSError as exc:
        raise unavailable(path, exc) from exc


def _edits(file: BinaryIO, track: _Box) -> list[int]:
    """Return the rates of the edits of a track that show something."""
    edts = _first(file, track, b"edts")
    elst = _first(file, edts, b"elst") if edts else None
    if elst is None:
        return []
    file.seek(elst.start)
    content = file.read(min(elst.end - elst.start, LARGEST_LIST))
    if len(content) < 8:
        return []
    entry = struct.Struct(">Qqhh" if content[0] == 1 else ">Iihh")  # length, time in the media, rate
    whole = 8 + (len(content) - 8) // entry.size * entry.size
    return [rate for _, at, rate, _ in entry.iter_unpack(content[8:whole]) if at >= 0]


def _is_video(file: BinaryIO, track: _Box) -> bool:
    media = _first(file, track, b"mdia")
    handler = _first(file, media, b"hdlr") if media else None
    if handler is None:
        return False
    file.seek(handler.start + 8)
    return file.read(4) == b"vide"


def _first(file: BinaryIO, parent: _Box, kind: bytes) -> _Box | None:
    return next((box for box in _boxes(file, parent) if box.kind == kind), None)


def _boxes(file: BinaryIO, parent: _Box) -> Iterator[_Box]:
    """Yield the boxes in a box, up to where they make no sense."""
    at = parent.start
    while at + 8 <= parent.end:
        file.seek(at)
        begin, head = file.read(8), 8
        if len(begin) < head:
            return
        size, kind = struct.unpack(">I4s", begin)
        if size == 1:
            size, head = int.from_bytes(file.read(8), "big"), 16
        elif size == 0:
            size = parent.end - at
        if size < head or at + size > parent.end:
            return
        yield _Box(kind, at + head, at + size)
        at += size
