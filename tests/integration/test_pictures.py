"""Reading photos of every kind, and refusing what is none."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from vidsearch.errors import ImageTooLarge, NotAnImage, PhotoRefused
from vidsearch.media.pictures import encode_jpeg, load_picture

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)
QUARTERS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8).repeat(24, 0).repeat(32, 1)
"""48 high, 64 wide: red, green over blue, white."""


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def quarters() -> Image.Image:
    return Image.fromarray(QUARTERS)


def near(pixels: np.ndarray, expected: np.ndarray = QUARTERS, tolerance: float = 12) -> bool:
    return pixels.shape == expected.shape and abs(pixels.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM", "GIF", "AVIF"])
def test_kinds_of_files(kind: str):
    picture = load_picture(encoded(quarters(), kind))
    assert near(picture.pixels)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable


def test_heic(tmp_path: Path):
    path = tmp_path / "phone.HEIC"
    pillow_heif.from_pillow(quarters()).save(path)
    picture = load_picture(path)
    assert near(picture.pixels)
    assert picture.name == "phone.HEIC"


def test_a_picture_knows_its_name_and_content(tmp_path: Path):
    path = tmp_path / "suspect.png"
    content = encoded(quarters(), "PNG")
    path.write_bytes(content)
    picture = load_picture(path)
    assert (picture.name, picture.width, picture.height) == ("suspect.png", 64, 48)
    assert picture.original == content
    assert picture.sha256 == hashlib.sha256(content).hexdigest()
    assert load_picture(path, "given").name == "given"
    assert load_picture(content, "uploaded.png").name == "uploaded.png"


def test_modes_become_rgb():
    grey = np.linspace(0, 255, 48 * 64).reshape(48, 64)
    as_rgb = np.repeat(grey.astype(np.uint8)[:, :, None], 3, 2)
    assert near(load_picture(encoded(Image.fromarray(grey.astype(np.uint8)), "PNG")).pixels, as_rgb, 1)
    assert near(load_picture(encoded(Image.fromarray((grey * 257).astype(np.uint16)), "PNG")).pixels, as_rgb, 1)
    assert near(load_picture(encoded(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")).pixels, as_rgb, 1)
    assert near(load_picture(encoded(Image.fromarray((grey * 257).astype(np.int32)), "TIFF")).pixels, as_rgb, 1)
    assert near(load_picture(encoded(quarters().quantize(8), "PNG")).pixels)
    assert near(load_picture(encoded(quarters().convert("CMYK"), "JPEG")).pixels, tolerance=40)
    bits = quarters().convert("1")
    assert load_picture(encoded(bits, "PNG")).pixels.shape == (48, 64, 3)
    black = load_picture(encoded(Image.new("L", (4, 4)), "PNG")).pixels
    assert not black.any()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_becomes_white(mode: str):
    image = Image.new("RGBA", (16, 16), (10, 20, 30, 0)).convert("LA" if mode == "LA" else "RGBA")
    if mode == "PA":
        image = Image.new("P", (16, 16))
        content = encoded(image, "PNG", transparency=0)
    else:
        content = encoded(image, "PNG")
    assert (load_picture(content).pixels == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags_are_honoured(orientation: int):
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = quarters() if undo is None else quarters().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert near(load_picture(encoded(stored, "JPEG", exif=exif, quality=95)).pixels)
    assert near(load_picture(encoded(stored, "PNG", exif=exif)).pixels)
    assert near(load_picture(encoded(stored, "WEBP", exif=exif, lossless=True)).pixels)


def test_exif_data_beyond_reading_costs_nothing():
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f" + os.urandom(40)
    assert near(load_picture(encoded(quarters(), "JPEG", exif=exif, quality=95)).pixels)
    exif = Image.Exif()
    exif[0x0112] = 77
    assert near(load_picture(encoded(quarters(), "JPEG", exif=exif, quality=95)).pixels)


def test_the_first_picture_of_a_moving_gif():
    content = encoded(quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48), RED)])
    assert near(load_picture(content).pixels)


# -- refusals ----------------------------------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises a size in its header."""
    content = bytearray(encoded(Image.new("L", (1, 1)), "PNG"))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 20_000), (60_000, 60_000)])
def test_bombs_are_not_decoded(size: tuple[int, int]):
    with pytest.raises(ImageTooLarge, match="under 100 megapixels"):
        load_picture(png_header(*size))


def test_a_hundred_megapixels_are_allowed():
    with pytest.raises(
        NotAnImage, match="damaged or cut off"
    ):  # by its size it may be read, but there is nothing in it
        load_picture(png_header(10_000, 10_000))


REFUSED = {
    "text.jpg": (b"This is no picture.\n" * 20, "this is text"),
    "page.png": (b"<!doctype html><title>404</title>", "this is text"),
    "empty.jpg": (b"", "is empty"),
    "noise.jpg": (np.random.default_rng(1).bytes(5000), "not a picture that can be read"),
    "head.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "picture"),
    "video.jpg": (b"\0\0\0\x18ftypmp42" + bytes(100), "footage add"),
    "postscript.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "this is text"),
    "cut.jpg": (encoded(quarters().resize((640, 480)), "JPEG")[:3000], "damaged or cut off"),
    "cut.png": (encoded(quarters().resize((640, 480)), "PNG")[:300], "damaged or cut off"),
    "cut.webp": (encoded(quarters().resize((640, 480)), "WEBP")[:200], "picture"),
    "cut.tiff": (encoded(quarters(), "TIFF")[:200], "picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture(name: str, tmp_path: Path):
    content, words = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(NotAnImage, match=words) as caught:
            load_picture(source)
        assert "\n" not in str(caught.value)


def test_pictures_with_flipped_bytes_are_read_or_refused():
    """Whatever a damaged file makes a decoder do, it ends in a picture or in a refusal."""
    rng = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF"):
        whole = encoded(quarters(), kind)
        for _ in range(40):
            content = bytearray(whole)
            for place in rng.integers(0, len(content), 4):
                content[place] = rng.integers(256)
            with contextlib.suppress(PhotoRefused):
                assert load_picture(bytes(content)).pixels.shape[2] == 3


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NotAnImage, match="no such file"):
        load_picture(tmp_path / "missing.jpg")
    with pytest.raises(NotAnImage, match="a folder"):
        load_picture(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(NotAnImage, match="not an ordinary file"):
            load_picture(tmp_path / "pipe.jpg")
    path = tmp_path / "locked.jpg"
    path.write_bytes(b"x")

    def deny(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(NotAnImage, match="permission denied"):
        load_picture(path)


def test_pictures_are_read_by_several_threads():
    contents = [encoded(quarters(), kind) for kind in ("PNG", "JPEG", "GIF", "TIFF")] * 8
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda content=content: results.append(near(load_picture(content).pixels)))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * len(contents)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_jpeg_is_written_and_shrunk():
    assert near(load_picture(encode_jpeg(QUARTERS, quality=95)).pixels)
    assert load_picture(encode_jpeg(QUARTERS, max_side=32)).pixels.shape == (24, 32, 3)
    assert load_picture(encode_jpeg(QUARTERS, max_side=640)).pixels.shape == (48, 64, 3)
    assert load_picture(encode_jpeg(QUARTERS.transpose(1, 0, 2), max_side=32)).pixels.shape == (32, 24, 3)
    assert len(encode_jpeg(QUARTERS, quality=30)) < len(encode_jpeg(QUARTERS, quality=95))
    grey = cv2.cvtColor(QUARTERS, cv2.COLOR_RGB2GRAY)
    assert load_picture(encode_jpeg(grey)).pixels.shape == (48, 64, 3)
    assert load_picture(encode_jpeg(QUARTERS[:1], max_side=8)).pixels.shape == (1, 8, 3)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_whole_jpeg_is_read_as_pillow_reads_it(mode: str) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (61, 83, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "JPEG", quality=80)
    expected = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
    assert np.array_equal(load_picture(stream.getvalue()).pixels, expected)
    with pytest.raises(NotAnImage):
        load_picture(stream.getvalue()[:-300])
