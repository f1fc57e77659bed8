"""Cut H.264 by copying its packets into an MP4, exactly, and prove it by reading the result back.

The packets wanted and their new times are said to ffmpeg in ticks of the stream, so no version of it has to make out
for itself where a cut begins: versions differ in that, and are off by up to seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ffmpeg

from vidsearch.cuts import Stretch
from vidsearch.errors import FFmpegFailed
from vidsearch.media.ffmpeg import Stopped, run, size_of
from vidsearch.media.keyframes import KeyFrames, Take, Uncopyable
from vidsearch.media.readback import Inexact, check

if TYPE_CHECKING:
    from ffmpeg.nodes import Stream

EARLY_S: Final = 30
"""How long before the first key frame ffmpeg enters a file in which it did not find that key frame directly."""

OVERSIZE: Final = 1 << 20
"""A copy is given up this many bytes beyond what it may have."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A take and its place in the cut."""

    take: Take
    out: int
    """When its first picture is shown in the cut, in ticks."""

    @property
    def last(self) -> int:
        """When its last picture is shown in the cut, in ticks."""
        return self.out + self.take.last - self.take.start


def placed(takes: Sequence[Take]) -> list[Placed]:
    """Return takes one behind the other, so that neither the order of showing nor that of decoding is disturbed."""
    result: list[Placed] = []
    for take in takes:
        out = 0
        if result:
            before = result[-1]
            shown = before.last + take.frame
            decoded = before.out + before.take.last_dts - before.take.start + 1 + take.start - take.first_dts
            out = max(shown, decoded)
        result.append(Placed(take, out))
    return result


def stretches(places: Sequence[Placed], keys: KeyFrames) -> tuple[Stretch, ...]:
    """Return what the cut holds. A few pictures behind the end of a take, between which others lack, do not count."""
    scale = keys.timescale
    result = []
    for place in places:
        take = place.take
        end = take.last + take.frame
        if take.stop is not None:
            end = max(take.start + 1, min(end, take.stop))
        length = round((end - take.start) * 1000 / scale)
        result.append(Stretch(round(place.out * 1000 / scale), keys.ticks.ms(take.start), max(1, length)))
    return tuple(result)


def copy(
    path: Path,
    keys: KeyFrames,
    places: Sequence[Placed],
    part: Path,
    *,
    program: str,
    max_bytes: int,
    meanwhile: Callable[[], None],
) -> None:
    """Copy takes of a recording into ``part``, and check what came of it.

    Raises:
        Uncopyable: No way of copying gave what was asked for.
        Stopped, DiskFull: As ``run``, and whatever ``meanwhile`` raises.
    """
    reason: Exception | None = None
    for entrance, filters in _ways(places, keys):
        command = _command(path, keys, places, part, entrance, filters, max_bytes + OVERSIZE)
        try:
            run(command, program=program, meanwhile=meanwhile, times_as_given=True)
            if size_of(part) > max_bytes:
                return  # cut short on purpose: to be looked at by whoever asked
            check(part, keys, places)
            return
        except Stopped:
            raise
        except (FFmpegFailed, Inexact) as exc:
            reason = exc
    raise Uncopyable(str(reason))


def _ways(places: Sequence[Placed], keys: KeyFrames) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the options of input and the filters of packets with which to try, the fastest first."""
    scale = keys.timescale
    first = places[0].take
    enters = {"seek_timestamp": 1, "copyts": None}
    shift = f"setts=pts='PTS-{_number(first.start)}':dts='DTS-{_number(first.start)}'"
    begins = keys.ticks.ms(first.start) <= 0
    if len(places) == 1 and not first.leading and (first.stop is None or _until(first.stop, scale)):
        # ffmpeg itself drops what is shown before a time, up to the first key frame at or after it.
        just_before = _seconds(Fraction(2 * first.start - 1, 2 * scale))
        yield ({"copyts": None} if begins else enters | {"ss": just_before}), shift
    chosen = f"noise=drop='{_drop(places)}',setts=pts='PTS-{_offset(places)}':dts='DTS-{_offset(places)}'"
    if not begins:
        yield enters | {"ss": _seconds(Fraction(first.start, scale) - EARLY_S)}, chosen
    yield {"copyts": None}, chosen


def _command(
    path: Path,
    keys: KeyFrames,
    places: Sequence[Placed],
    part: Path,
    entrance: dict[str, Any],
    filters: str,
    max_bytes: int,
) -> Stream:
    stop = places[-1].take.stop
    until = {} if stop is None else _until(stop, keys.timescale)
    # Half a picture, where a file breaks off, could make a reader give up.
    broken_off = {"fflags": "+discardcorrupt"} if keys.truncated else {}
    return ffmpeg.output(
        ffmpeg.input(str(path.absolute()), **entrance, **broken_off)[str(keys.index)],
        str(part.absolute()),
        format="mp4",
        **{"c:v": "copy", "bsf:v": filters},
        copypriorss=0 if "ss" in entrance else 1,
        video_track_timescale=keys.timescale,
        map_metadata=-1,
        map_chapters=-1,
        fs=max_bytes,
        **until,
    )


def _until(stop: int, scale: int) -> dict[str, Any]:
    """Return the option with which ffmpeg ends before a decoding time: none for one before its clock's zero."""
    return {"to": _seconds(Fraction(2 * stop - 1, 2 * scale))} if stop > 0 else {}


def _drop(places: Sequence[Placed]) -> str:
    """Return an expression that is true of the packets that belong to no take.

    A packet belongs to the last take that begins before it is shown, unless it is decoded after that take's end.
    """
    ends = [0 if p.take.stop is None else f"gte(dts,{_number(p.take.stop)})" for p in places]
    return _by_time("pts", [1, *ends], [p.take.start for p in places])


def _offset(places: Sequence[Placed]) -> str:
    """Return an expression for what is to be taken from the times of a packet."""
    values = [_number(p.take.start - p.out) for p in places]
    return _by_time("PTS", values, [p.take.start for p in places[1:]])


def _by_time(variable: str, values: Sequence[object], borders: Sequence[int]) -> str:
    """Return an expression that gives ``values[n]`` where ``n`` borders lie at or before a time; nested to be quick."""
    if not borders:
        return str(values[0])
    middle = len(borders) // 2
    before = _by_time(variable, values[: middle + 1], borders[:middle])
    after = _by_time(variable, values[middle + 1 :], borders[middle + 1 :])
    return f"if(lt({variable},{_number(borders[middle])}),{before},{after})"


def _number(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _seconds(value: Fraction) -> str:
    return f"{float(value):.6f}"
