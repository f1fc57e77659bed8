"""Read a cut back and compare it with what it was to become."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from vidsearch.errors import FootageRefused
from vidsearch.media.container import opened, video_stream
from vidsearch.media.decoding import codec_context
from vidsearch.media.keyframes import KeyFrames, Take, digest_of
from vidsearch.media.packets import Reading

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

    from vidsearch.media.container import VideoStream

PROBE: Final = 0.6
"""Where inside a single take another key frame is compared, as a share of its length."""

SLACK: Final = 64
"""Pictures that may follow the last one expected: those that ffmpeg took to be decoded before the end."""


class Inexact(Exception):
    """A cut is not what it was to become."""


class Place(Protocol):
    """A take and its place in the cut, in ticks."""

    @property
    def take(self) -> Take:
        """The take."""

    @property
    def out(self) -> int:
        """When its first picture is shown in the cut."""

    @property
    def last(self) -> int:
        """When its last picture is shown in the cut."""


def check(part: Path, source: KeyFrames, places: Sequence[Place]) -> None:
    """Raise Inexact where a cut does not hold its takes at their places: by times, and by digests of key frames."""
    try:
        with opened(part) as container:
            stream = video_stream(container)
            reading = Reading(container, stream)
            if stream.time_base != Fraction(1, source.timescale):
                raise Inexact(f"the cut's clock ticks every {stream.time_base} s")
            codec = codec_context(stream)
            if len(places) > 1:
                _check_all(reading, codec, places)
            else:
                _check_ends(reading, codec, places[0])
                _check_inside(reading, codec, places[0], source)
    except FootageRefused as exc:
        raise Inexact(f"the cut cannot be read: {exc}") from exc


def _check_all(reading: Reading, codec: VideoCodecContext, places: Sequence[Place]) -> None:
    """Look at every packet of a cut of several takes."""
    firsts = {place.out: place.take for place in places}
    shown: list[int] = []
    for packet in reading:
        shown.append(_time(packet))
        take = firsts.pop(shown[-1], None)
        if take is not None and not (packet.is_keyframe and digest_of(codec, packet) == take.digest):
            raise Inexact("a part of the cut begins with another picture than expected")
    if firsts or len(set(shown)) != len(shown) or min(shown) < 0:
        raise Inexact("a part of the cut does not begin when expected")
    borders = [*(place.out for place in places[1:]), None]
    for place, border in zip(places, borders, strict=True):
        inside = [pts for pts in shown if place.out <= pts and (border is None or pts < border)]
        _check_last(inside, place, slack=0 if border is not None or place.take.stop is None else SLACK)


def _check_ends(reading: Reading, codec: VideoCodecContext, place: Place) -> None:
    """Look at the two ends of a cut of one take; for a large one, its middle is not worth reading again."""
    first = next(iter(reading), None)
    if first is None or _time(first) != place.out or not first.is_keyframe:
        raise Inexact("the cut does not begin with the key frame expected")
    if digest_of(codec, first) != place.take.digest:
        raise Inexact("the cut begins with another picture than expected")
    if not reading.seek(place.last):
        raise Inexact("the cut's end cannot be reached")
    _check_last([_time(packet) for packet in reading], place, slack=0 if place.take.stop is None else SLACK)


def _check_last(shown: Sequence[int], place: Place, *, slack: int) -> None:
    if place.last not in shown or max(shown) > place.last + slack * place.take.frame:
        raise Inexact("a part of the cut does not end when expected")


def _check_inside(reading: Reading, codec: VideoCodecContext, place: Place, source: KeyFrames) -> None:
    """Compare a key frame on the way with the one of the recording."""
    packet = None
    if reading.seek(place.out + round(PROBE * (place.last - place.out))):
        packet = next(iter(reading), None)
    if packet is None or not packet.is_keyframe:
        raise Inexact("the cut cannot be entered on the way")
    digest = digest_of(codec, packet)
    if digest is None or digest != source.picture_at(_time(packet) - place.out + place.take.start):
        raise Inexact("a picture on the way is not the one expected")


def _time(packet: Packet[VideoStream]) -> int:
    if packet.pts is None:
        raise Inexact("a packet of the cut has no time")
    return packet.pts
