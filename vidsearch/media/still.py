"""Take one picture out of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidsearch.errors import UnreadableFootage
from vidsearch.media.decoding import Decoder
from vidsearch.media.sampled import SampledFrame
from vidsearch.model import BoundingBox, MediaFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SURROUNDINGS: Final = 1.8
"""Side of the picture of a face, in widths of the face."""


def still(path: Path, facts: MediaFacts, at_ms: int) -> NDArray[np.uint8]:
    """Return the picture shown at a time of a recording: upright RGB, shape (height, width, 3).

    That is the last one not later than ``at_ms``, or the first one of the recording.

    Raises SourceUnavailable, UnreadableFootage and the other errors of opening a recording.
    """
    shown = None
    with Decoder(path, facts) as decoder:
        for ms, frame in decoder.frames(max(0, at_ms - _BACK_MS)):
            if shown is not None and ms > at_ms:
                break
            shown = SampledFrame(frame, facts, ms)
            if ms >= at_ms:
                break
        if shown is None:
            raise UnreadableFootage(f"{path} has no picture at {at_ms / 1000:.1f} s")
        return shown.rgb()


_BACK_MS: Final = 1_000
"""Pictures are looked for from so long before: slow cameras make one a second."""


def face_of(pixels: NDArray[np.uint8], box: BoundingBox) -> NDArray[np.uint8]:
    """Return the part of a picture around a face: a square with some of its surroundings, inside the picture."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box.to_pixels(width, height)
    side = max(1, min(round(SURROUNDINGS * max(x1 - x0, y1 - y0)), width, height))
    left = min(max(0, (x0 + x1 - side) // 2), width - side)
    top = min(max(0, (y0 + y1 - side) // 2), height - side)
    return pixels[top : top + side, left : left + side]
