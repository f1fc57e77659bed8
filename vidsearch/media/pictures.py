"""Read pictures of every usual kind as upright RGB, and write JPEGs."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import pillow_heif
from PIL import Image, UnidentifiedImageError

from vidsearch.errors import ImageTooLarge, NotAnImage
from vidsearch.model import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS: Final = 100_000_000
"""Pictures of more pixels than this are refused before they are decoded: decoded they would take 300 MB and more."""

MAX_BYTES: Final = 256 << 20
"""Files larger than this are no photos."""

FORMATS: Final = (
    "JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "JPEG2000", "HEIF", "AVIF", "PPM",
)  # fmt: skip
"""Pillow's readers that are used. Left out are formats that run programs (EPS) or that garbage can pass for (TGA)."""

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright (CIPA DC-008 §4.6.4)."""

_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on files that are not what they say."""


def load_picture(source: Path | bytes, name: str | None = None) -> Picture:
    """Return a picture, upright by its EXIF orientation, as RGB with 8 bits a colour.

    The first picture of a GIF or of a sequence is taken; transparent parts become white.

    Args:
        source: A file, or its content.
        name: What the user calls it; the file's name if not given.

    Raises:
        NotAnImage: There is no picture in it, it is cut off, or the file cannot be read; the reason is said.
        ImageTooLarge: It has more than 100 megapixels. They are not decoded to find out.
    """
    content = _read(source) if isinstance(source, Path) else source
    if not content:
        raise NotAnImage("the file is empty (0 bytes)")
    with warnings.catch_warnings():
        # Pillow warns of a bomb from 89 megapixels; our own limit follows. Odd EXIF data is no reason to warn.
        warnings.simplefilter("ignore")
        pixels = _decode(content)
    return Picture(
        name=name or (source.name if isinstance(source, Path) else "picture"),
        pixels=pixels,
        original=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 85, max_side: int | None = None) -> bytes:
    """Return RGB pixels (height, width, 3), or grey ones (height, width), as a JPEG.

    ``max_side`` shrinks the picture so that its longer side has at most so many pixels.
    """
    height, width = pixels.shape[:2]
    if max_side is not None and max(height, width) > max_side:
        scale = max_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done  # JPEG can hold every 8-bit picture of up to 65,500 pixels a side
    return data.tobytes()


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise NotAnImage("this is a folder, not a picture")
        if not path.is_file():
            raise NotAnImage("there is no such file" if not path.exists() else "this is not an ordinary file")
        if path.stat().st_size > MAX_BYTES:
            raise ImageTooLarge(f"the file has {path.stat().st_size >> 20} MB: export it at under 100 megapixels")
        return path.read_bytes()
    except PermissionError as exc:
        raise NotAnImage("the file may not be read by this user (permission denied)") from exc
    except OSError as exc:
        raise NotAnImage(f"the file cannot be read: {exc.strerror or exc}") from exc


def _decode(content: bytes) -> NDArray[np.uint8]:
    pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageTooLarge(f"{width} × {height} pixels are too many: export it at under 100 megapixels")
            turn = _TURNS.get(_orientation(image))
            if turn is None and image.format == "JPEG" and image.mode in ("RGB", "L"):
                pixels = _whole_jpeg(content)
                if pixels is not None:
                    return pixels
            image.load()
            upright = image.transpose(turn) if turn is not None else image
            return _rgb(upright)
    except UnidentifiedImageError as exc:
        raise NotAnImage(_what_it_is(content)) from exc
    except Image.DecompressionBombError as exc:
        raise ImageTooLarge from exc
    except MemoryError as exc:
        raise ImageTooLarge("the picture needs more memory than there is: export it smaller") from exc
    except _BROKEN as exc:
        raise NotAnImage(f"the picture is damaged or cut off ({_first_line(exc)}): export or copy it again") from exc


def _whole_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Return a JPEG that is not cut off as RGB, or None: the same pixels as Pillow's, in half the time.

    OpenCV shows what there is of a picture that is cut off; the end marker tells, for the data has none in it.
    """
    if b"\xff\xd9" not in content[-64:]:
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1  # EXIF data beyond reading says nothing; the picture itself may be fine


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode[0] in "IF":
        return _from_deep(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    # A copy: Pillow's own memory is read-only.
    return np.array(image.convert("RGB"))


def _from_deep(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return grey values of 16 bits, 32 bits or floating point as RGB; what is brighter than 8 bits is scaled down."""
    grey = np.nan_to_num(values.astype(np.float64))
    top = float(grey.max(initial=0.0))
    if 0 < top <= 1.0:
        grey *= 255
    elif top > 255:
        grey *= 255 / (65535 if top <= 65535 else top)
    eight = grey.clip(0, 255).astype(np.uint8)
    return np.repeat(eight[:, :, np.newaxis], 3, axis=2)


def _what_it_is(content: bytes) -> str:
    head = content[:4096]
    if head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF"):
        return "this is not a picture but looks like a recording: add it with `vidsearch footage add`"
    if b"\0" not in head:
        return "this is text, not a picture"
    return "this is not a picture that can be read: export it as JPEG or PNG"


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0]
