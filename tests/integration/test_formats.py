"""Every odd or broken file of the shared data: taken, or refused with the error that names the reason."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidsearch.errors import EncryptedFootage, NotAnImage, NoVideoStream, UnreadableFootage, VidsearchError
from vidsearch.media.frames import FrameReader
from vidsearch.media.pictures import load_picture
from vidsearch.media.probe import probe

ANDROIDX = "formats_androidx/libraries/test_data/src/test/assets/media"
TORCHCODEC = "formats_torchcodec/test/resources"

TAKEN: dict[str, tuple[str, int, int, int, int]] = {
    # file: codec, width and height of the upright picture, milliseconds, samples at five a second
    f"{ANDROIDX}/3gp/bbb_176x144_128kbps_15fps_h263.3gp": ("h263", 176, 144, 1000, 5),
    f"{ANDROIDX}/avi/sample.avi": ("mpeg4", 960, 400, 4087, 21),
    f"{ANDROIDX}/flv/sample.flv": ("h264", 1080, 720, 1090, 5),
    f"{ANDROIDX}/mkv/bbb_642x642_768kbps_30fps_vp9.webm": ("vp9", 642, 642, 3000, 15),
    f"{ANDROIDX}/mkv/sample_with_htc_rotation_track_name.mkv": ("h264", 1080, 720, 1071, 5),
    f"{ANDROIDX}/mp4/bbb_176x144_192kbps_15fps_mpeg4.mp4": ("mpeg4", 176, 144, 1000, 5),
    f"{ANDROIDX}/mp4/bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": ("h264", 1137, 640, 4000, 20),
    f"{ANDROIDX}/mp4/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4": ("h264", 1138, 640, 4000, 20),
    f"{ANDROIDX}/mp4/h265_bframes.mp4": ("hevc", 854, 480, 1000, 5),
    f"{ANDROIDX}/mp4/internal_emulator_transformer_output_270_rotated.mp4": ("h264", 720, 1280, 4972, 25),
    f"{ANDROIDX}/mp4/sample_av1.mp4": ("av1", 1080, 720, 1088, 5),
    f"{ANDROIDX}/mp4/sample_edit_list.mp4": ("hevc", 1080, 1920, 2635, 13),
    f"{ANDROIDX}/mp4/sample_fragmented.mp4": ("h264", 1080, 720, 1068, 6),
    f"{ANDROIDX}/mp4/sample_portrait.mp4": ("h264", 720, 1080, 1088, 5),
    f"{ANDROIDX}/mp4/sample_rotate_and_reflect.mp4": ("h264", 720, 1080, 1067, 5),
    f"{ANDROIDX}/mp4/sample_shorter_audio.mp4": ("h264", 320, 240, 1200, 6),
    f"{ANDROIDX}/mp4/sample_with_invalid_nalu.mp4": ("h264", 1080, 720, 1001, 5),
    f"{ANDROIDX}/mp4/sample_without_stss.mp4": ("h264", 1080, 720, 1001, 5),
    f"{ANDROIDX}/mp4/testvid_1022ms.mp4": ("h264", 480, 360, 1022, 5),
    f"{ANDROIDX}/ts/sample_h262_mpeg_audio.ps": ("mpeg2video", 640, 426, 131, 1),
    f"{ANDROIDX}/ts/sample_h264.ts": ("h264", 854, 480, 1000, 5),
    f"{TORCHCODEC}/av1_video.mkv": ("av1", 640, 360, 5000, 25),
    f"{TORCHCODEC}/h264_10bits.mp4": ("h264", 200, 200, 1000, 5),
    f"{TORCHCODEC}/h265_10bits.mp4": ("hevc", 200, 200, 1000, 5),
    f"{TORCHCODEC}/h265_video.mp4": ("hevc", 128, 128, 1000, 5),
    f"{TORCHCODEC}/nasa_13013.mp4": ("h264", 480, 270, 13056, 65),
}

REFUSED: dict[str, tuple[type[VidsearchError], str]] = {
    f"{ANDROIDX}/drm/sample_fragmented_clearkey.mp4": (EncryptedFootage, "export it without protection"),
    f"{ANDROIDX}/mp4/bbb_1ch_16kHz_aac.mp4": (NoVideoStream, "only audio"),
    f"{ANDROIDX}/mp4/bbb_1ch_8kHz_aac_lc.m4a": (NoVideoStream, "only audio"),
    f"{ANDROIDX}/mp4/large_stbl_truncated_after_moov.m4b": (NoVideoStream, "only audio"),
    f"{ANDROIDX}/mp4/long_edit_list_audioonly.mp4": (NoVideoStream, "only audio"),
    f"{ANDROIDX}/mp4/sample_audio_only.mp4": (NoVideoStream, "only audio"),
    f"{ANDROIDX}/vp9/invalid-bitstream.webm": (UnreadableFootage, "none of its pictures can be decoded"),
}

NOT_PICTURES = {"README.rst", "dump", "README"}


def test_the_tables_are_complete(shared_data: Path):
    there = {
        path.relative_to(shared_data).as_posix()
        for folder in shared_data.glob("formats_*")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert there == TAKEN.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", TAKEN)
def test_taken_and_searched_to_the_end(name: str, shared_data: Path):
    path = shared_data / name
    facts = probe(path)
    codec, width, height, duration_ms, samples = TAKEN[name]
    assert (facts.codec, facts.width, facts.height) == (codec, width, height)
    assert facts.duration_ms == pytest.approx(duration_ms, abs=2)
    with FrameReader().read(path, facts, 0, facts.duration_ms, 200) as run:
        found = [(frame.ms, frame.luma.shape, frame.rgb().shape) for frame in run]
    assert len(found) == samples
    assert all(late[0] // 200 > early[0] // 200 for early, late in pairwise(found))
    assert {(luma, rgb) for _, luma, rgb in found} == {((height, width), (height, width, 3))}
    assert [(span.start_ms, span.end_ms, span.outcome) for span in run.spans] == [(0, facts.duration_ms, "examined")]
    # The same in pieces.
    pieces = []
    for start in range(0, facts.duration_ms, 450):
        with FrameReader().read(path, facts, start, start + 450, 200) as run:
            pieces += [frame.ms for frame in run]
    assert pieces == [ms for ms, *_ in found]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str, shared_data: Path):
    kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as caught:
        probe(shared_data / name)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_the_zero_of_the_hamilton_clip_is_its_sounds(shared_data: Path):
    path = shared_data / "hamilton/examples/short_hamilton_clip.mp4"
    facts = probe(path)
    assert (facts.origin_ms, facts.duration_ms) == (8, 10_020)
    with FrameReader().read(path, facts, 0, 10_020, 200) as run:
        times = [frame.ms for frame in run]
    assert times[:3] == [844, 1011, 1211]
    assert times[-1] == 9820


def test_every_exif_sample(shared_data: Path):
    """Every JPEG is read with its orientation honoured; what is not a picture is refused as what it is."""
    for path in sorted(path for path in (shared_data / "exif").rglob("*") if path.is_file()):
        if path.name in NOT_PICTURES:
            with pytest.raises(NotAnImage, match="this is text"):
                load_picture(path)
        else:
            assert load_picture(path).width > 0, path


@pytest.mark.parametrize("shape", ["landscape", "portrait"])
def test_eight_orientations_of_one_picture(shape: str, shared_data: Path):
    pictures = [load_picture(shared_data / f"exif/jpg/orientation/{shape}_{n}.jpg").pixels for n in range(1, 9)]
    wide = shape == "landscape"
    small = [np.asarray(cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA), float) for pixels in pictures]
    for pixels, tiny in zip(pictures, small, strict=True):
        assert (pixels.shape[1] > pixels.shape[0]) is wide
        # Each has its number painted over the same photo.
        assert np.corrcoef(tiny.ravel(), small[0].ravel())[0, 1] > 0.7
