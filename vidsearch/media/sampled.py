"""One picture of a recording, made upright only where somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vidsearch.model import MediaFacts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane
    from numpy.typing import NDArray

_SUBSAMPLINGS: Final = ("410p", "411p", "420p", "422p", "440p", "444p")

_EIGHT_BIT: Final = frozenset(
    {f"{family}{sub}" for family in ("yuv", "yuvj", "yuva") for sub in _SUBSAMPLINGS}
    | {"nv12", "nv21", "nv16", "nv24", "nv42", "gray"}
)
"""Pixel formats whose first plane is the luma, one byte a pixel."""

_DEEP: Final = {
    f"{name}{bits}le": bits - 8
    for name in ("gray", *(f"yuv{sub}" for sub in _SUBSAMPLINGS))
    for bits in (9, 10, 12, 14, 16)
}
"""Pixel formats whose first plane is the luma, two bytes a pixel, and by how much to shift them to eight bits."""

_TURNS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class SampledFrame:
    """A picture of a recording at ``ms`` from its zero, ``width`` × ``height`` pixels when upright.

    Valid until the next one is asked for.
    """

    __slots__ = ("_facts", "_frame", "_luma", "height", "ms", "width")

    def __init__(self, frame: VideoFrame, facts: MediaFacts, ms: int) -> None:
        """Wrap a decoded frame; nothing is converted yet."""
        self._frame = frame
        self._facts = facts
        self._luma: NDArray[np.uint8] | None = None
        self.ms = ms
        self.width = facts.width
        self.height = facts.height

    @property
    def luma(self) -> NDArray[np.uint8]:
        """The brightness, upright: uint8, shape (height, width), as coded (so black may be 16 or 0).

        A view of the decoder's own memory where the picture stands upright and is not interlaced.
        """
        if self._luma is None:
            self._luma = self._upright(_luma_of(self._frame))
        return self._luma

    def rgb(self) -> NDArray[np.uint8]:
        """Return the colours, upright: uint8, shape (height, width, 3), a copy."""
        pixels: NDArray[np.uint8] = self._frame.to_ndarray(format="rgb24")  # type: ignore[assignment]
        return self._upright(pixels)

    def _upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        facts = self._facts
        if self._frame.interlaced_frame:
            # The two fields are 1/50 s or so apart: what moves is combed. One of them, stretched, is whole.
            field = pixels[::2]
            pixels = cv2.resize(field, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        if facts.rotation:
            pixels = cv2.rotate(pixels, _TURNS[facts.rotation])  # type: ignore[assignment]
        if facts.mirrored:
            pixels = cv2.flip(pixels, 1)  # type: ignore[assignment]
        if pixels.shape[:2] != (facts.height, facts.width):
            # Pixels that are not square, or a stream that changes its size on the way.
            pixels = cv2.resize(pixels, (facts.width, facts.height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return pixels


def _luma_of(frame: VideoFrame) -> NDArray[np.uint8]:
    name = frame.format.name
    if name in _EIGHT_BIT:
        return _plane(frame.planes[0], frame, np.dtype(np.uint8))
    if name in _DEEP:
        return (_plane(frame.planes[0], frame, np.dtype("<u2")) >> _DEEP[name]).astype(np.uint8)
    return frame.to_ndarray(format="gray")  # type: ignore[return-value]


def _plane(plane: VideoPlane, frame: VideoFrame, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows: NDArray[Any] = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)  # type: ignore[call-overload]
    return rows[: frame.height, : frame.width]
