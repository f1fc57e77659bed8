"""Leave out decoding what nobody looks at and no other picture needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

    from vidsearch.media.timing import Ticks

CODECS: Final = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "vp9"})
"""Codecs whose pictures marked as non-reference are needed by no other picture. (HEVC's mark speaks of one temporal
layer only.)"""

TIMED: Final = frozenset({"mp4", "mov", "matroska", "flv"})
"""Containers that give every picture its time; only there can pictures be left out without losing count."""

REMEMBERED: Final = 64
"""Stretches remembered; pictures are reordered over far fewer."""


class Sparing:
    """Decides for each picture whether the decoder may leave it out.

    Of each stretch of time only the first frame is wanted. A picture that no other one needs comes, in the order of
    decoding, after everything shown before it: so where an earlier frame of its stretch has come by, it is not the
    first. What is decoded is the same to the bit as without sparing.
    """

    def __init__(self, codec: VideoCodecContext, ticks: Ticks, stretch_ms: int, from_ms: int) -> None:
        """``from_ms`` is the time before which nothing is wanted."""
        self._codec = codec
        self._ticks = ticks
        self._stretch_ms = stretch_ms
        self._first_wanted = from_ms // stretch_ms
        self._firsts: dict[int, int] = {}

    def decide(self, pts: int | None) -> bool:
        """Tell the decoder, before it gets a picture, whether it may leave it out, and return that."""
        spares = pts is not None and self._may_leave_out(self._ticks.ms(pts))
        self._codec.skip_frame = "NONREF" if spares else "DEFAULT"
        return spares

    def _may_leave_out(self, ms: int) -> bool:
        stretch = ms // self._stretch_ms
        first = self._firsts.get(stretch)
        if first is None or ms < first:
            self._firsts[stretch] = ms
            if len(self._firsts) > REMEMBERED:
                old = stretch - REMEMBERED // 2
                self._firsts = {number: at for number, at in self._firsts.items() if number > old}
        return stretch < self._first_wanted or (first is not None and ms > first)


def can_spare(codec: str, facts: MediaFacts) -> bool:
    """Tell whether sparing is safe with a codec and a recording."""
    # Of interlaced pictures the two fields may be marked differently.
    return codec in CODECS and facts.container in TIMED and not facts.interlaced
