"""When pictures are shown, also where a file is vague or wrong about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from vidsearch.media.container import VideoStream

JUMP_MS: Final = 600_000
"""A frame this much ahead of the one before is believed when the next one agrees."""

Shown = TypeVar("Shown")


class Ticks:
    """Turns presentation times of a stream into milliseconds of the recording, the same everywhere."""

    def __init__(self, stream: VideoStream, origin_ms: int) -> None:
        """``origin_ms`` is the recording's zero in the file's own clock."""
        base = stream.time_base
        assert base is not None  # every demuxed stream has one
        self._num = 2_000 * base.numerator
        self._den = 2 * base.denominator
        self._half = base.denominator
        self._origin = origin_ms

    def ms(self, pts: int) -> int:
        """Return the recording time of a presentation time, rounded half up."""
        return (pts * self._num + self._half) // self._den - self._origin

    def pts(self, ms: int) -> int:
        """Return the latest presentation time whose recording time is ``ms`` or less."""
        return ((ms + self._origin) * self._den + self._half - 1) // self._num


class Slots:
    """Presentation times for AVI, which knows only decoding times.

    Its pictures are shown in the slots in which they are decoded, in the order in which the decoder gives them.
    """

    def __init__(self) -> None:
        """Begin with no slot."""
        self._free: deque[int] = deque()

    def add(self, slot: int) -> None:
        """Take note of the decoding time of a packet given to the decoder."""
        self._free.append(slot)

    def next(self, own: int, reordered: int) -> int:
        """Return the time of the frame that comes out now.

        ``own`` is the slot of the frame's packet, ``reordered`` over how many pictures the stream reorders: slots
        earlier than that belong to pictures that were lost.
        """
        while self._free and self._free[0] < own - reordered:
            self._free.popleft()
        return self._free.popleft() if self._free else own


def steady(frames: Iterator[tuple[int, Shown]], jump_ms: int) -> Iterator[tuple[int, Shown]]:
    """Leave out single frames whose time, damaged, lies far ahead; else they would end every range before it."""
    last: int | None = None
    ahead: tuple[int, Shown] | None = None
    for ms, frame in frames:
        if ahead is not None:
            if abs(ms - ahead[0]) <= jump_ms:
                yield ahead
                last = ahead[0]
            ahead = None
        if last is not None and ms - last > jump_ms:
            ahead = (ms, frame)
            continue
        yield ms, frame
        last = ms
    if ahead is not None:
        yield ahead


def frame_ms(facts: MediaFacts) -> int:
    """Return about how long a frame is shown, in milliseconds."""
    return max(1, round(1000 / facts.fps)) if facts.fps > 0 else 40
