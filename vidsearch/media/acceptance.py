"""What an engine far away takes as it is, and in words why something else must be made of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vidsearch.media.boxes import Structure
from vidsearch.media.keyframes import KeyFrames
from vidsearch.model import MediaFacts

CONTAINERS: Final = frozenset({"mp4", "mov"})
PIXEL_FORMATS: Final = frozenset({"yuv420p", "yuvj420p"})

_NAMES: Final = {
    "hevc": "HEVC",
    "mjpeg": "MJPEG",
    "mpeg4": "MPEG-4",
    "mpeg2video": "MPEG-2",
    "av1": "AV1",
    "vp9": "VP9",
}
_CONTAINER_NAMES: Final = {"matroska": "Matroska", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS", "avi": "AVI", "flv": "FLV"}


def needs_cut(facts: MediaFacts, size: int, max_bytes: int, max_ms: int) -> str | None:
    """Say in words why a recording is not sent as it is, or None where nothing speaks against that.

    Looks at the facts only, so it costs nothing; a look into the file may still find a reason.
    """
    reasons = [f"{what}: will be transcoded" for what in encoding_reasons(facts)]
    if facts.container not in CONTAINERS and not reasons:
        name = _CONTAINER_NAMES.get(facts.container, facts.container)
        reasons.append(f"{name}: will be copied into MP4")
    if size > max_bytes:
        reasons.append(f"larger than {amount(max_bytes)}: will be split")
    if facts.duration_ms > max_ms:
        reasons.append(f"longer than {max_ms / 3_600_000:.3g} h: will be split")
    if facts.audio_codec:
        reasons.append("its sound will be left out")
    if facts.readable_ms is not None:
        reasons.append("cut off: what can be read will be copied")
    if not reasons and facts.origin_ms:
        reasons.append("its clock does not begin at 0: will be copied")
    return "; ".join(reasons) or None


def encoding_reasons(facts: MediaFacts) -> list[str]:
    """Return the reasons for which a recording cannot be cut by copying."""
    reasons = []
    if facts.codec != "h264":
        reasons.append(_NAMES.get(facts.codec, facts.codec))
    elif facts.pixel_format not in PIXEL_FORMATS:
        reasons.append(f"H.264 with {facts.pixel_format or 'unknown'} pixels")
    if facts.estimated_times:
        reasons.append("no timestamps")
    elif facts.container == "avi" and facts.codec == "h264":
        reasons.append("H.264 in AVI")  # which knows only when pictures are decoded
    if facts.joined:
        reasons.append("recordings joined into one file")
    if facts.rotation or facts.mirrored:
        reasons.append("pictures that do not lie upright")
    if facts.interlaced:
        reasons.append("interlaced")
    return reasons


def acceptable(path: Path, facts: MediaFacts, found: Structure, size: int, max_bytes: int, max_ms: int) -> bool:
    """Tell whether a recording can be sent as it is, and every reader counts its times as we do.

    ``found`` is the structure of the file. Raises SourceUnavailable and the other errors of opening a recording.
    """
    if needs_cut(facts, size, max_bytes, max_ms) or found.edited or found.fragmented:
        return False
    with KeyFrames(path, facts) as keys:
        opening = keys.opening()
        return (
            opening.simple
            and opening.first is not None
            and keys.ticks.ms(opening.first) == 0
            and keys.coded_size == (facts.width, facts.height)
        )


def amount(count: float) -> str:
    """Return bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
