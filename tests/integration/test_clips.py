"""Clips: cut where they should be, playable everywhere, never half written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import av
import pytest
from media_maker import NO_B, dahua, number_in, numbered, remux, transcode

from vidsearch.errors import FFmpegFailed, SourceUnavailable
from vidsearch.media import ffmpeg
from vidsearch.media.clips import cut_clip, playable_in_browser
from vidsearch.media.frames import FrameReader
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """Sixteen seconds, so that clips are entered behind the beginning."""
    return numbered(folder / "plain.mp4", frames=400)


def numbers(path: Path) -> list[tuple[int, int]]:
    """Return (ms, number) of every frame of a clip."""
    facts = probe(path)
    with FrameReader().read(path, facts, 0, facts.duration_ms, 1) as run:
        return [(frame.ms + facts.origin_ms, number_in(frame.luma)) for frame in run]


def joined(source: Path, target: Path) -> Path:
    late = remux(source, target.with_suffix(".late.ts"), "-t", "8", "-output_ts_offset", "500")
    early = remux(source, target.with_suffix(".early.ts"), "-output_ts_offset", "100", begin=8)
    target.write_bytes(late.read_bytes() + early.read_bytes())
    return target


KINDS = {
    "plain.mp4": lambda source, path: source,
    "from_1001_s.ts": lambda source, path: remux(source, path, "-output_ts_offset", "1001"),
    "clock_wraps.ts": lambda source, path: remux(source, path, "-output_ts_offset", "95430"),
    "program_stream.mpg": lambda source, path: transcode(
        source, path, "-c:v", "mpeg2video", "-q:v", "3", "-g", "25", "-bf", "2", "-f", "vob"
    ),
    "matroska.mkv": remux,
    "mpeg4.avi": lambda source, path: transcode(source, path, "-c:v", "mpeg4", "-q:v", "3", "-g", "25"),
    "raw.h264": remux,
    "dahua.dav": lambda source, path: dahua(
        remux(numbered(path.with_suffix(".mp4"), frames=400, options=NO_B), path.with_suffix(".h264")),
        path,
        datetime(2026, 11, 2, 18, 24),
    ),
    "joined.ts": lambda source, path: joined(numbered(path.with_suffix(".mp4"), frames=400, options=NO_B), path),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_begins_with_the_right_picture_wherever_the_file_begins(kind: str, plain: Path, folder: Path):
    path = KINDS[kind](plain, folder / kind)
    facts = probe(path)
    out = cut_clip(path, facts, 12_500, 13_300, folder / "out" / f"{kind}.mp4")
    expected = [(at - 12_500, at // 40) for at in range(12_520, 13_300, 40)]
    found = numbers(out)
    assert [number for _, number in found] == [number for _, number in expected]
    # Where a rate is constant, ffmpeg may move times by up to half a picture.
    assert [ms for ms, _ in found] == pytest.approx([ms for ms, _ in expected], abs=20)
    clip = probe(out)
    assert (clip.container, clip.codec, clip.pixel_format) == ("mp4", "h264", "yuv420p")
    assert playable_in_browser(clip)


def test_a_clip_from_the_beginning_and_one_over_the_end(plain: Path, folder: Path):
    facts = probe(plain)
    assert numbers(cut_clip(plain, facts, 0, 400, folder / "begin.mp4"))[0] == (0, 0)
    assert numbers(cut_clip(plain, facts, 15_600, 99_000, folder / "end.mp4"))[-1][1] == 399


def test_a_clip_keeps_sound_in_step_and_can_be_played_while_it_loads(plain: Path, folder: Path):
    path = folder / "with_sound.mp4"
    ffmpeg.run(["-y", "-i", str(plain), "-f", "lavfi", "-i", "sine=d=16", "-c:v", "copy", "-c:a", "aac", str(path)])
    out = cut_clip(path, probe(path), 12_000, 13_000, folder / "sound.mp4")
    facts = probe(out)
    assert facts.audio_codec == "aac"
    assert facts.duration_ms == pytest.approx(1000, abs=80)
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_damaged_sound_does_not_cost_the_picture(plain: Path, folder: Path):
    path = folder / "odd_sound.mkv"
    ffmpeg.run(["-y", "-i", str(plain), "-f", "lavfi", "-i", "sine=d=16", "-c:v", "copy", "-c:a", "flac", str(path)])
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_ZZZZ"))
    out = cut_clip(path, probe(path), 12_000, 12_400, folder / "mute.mp4")
    assert [number for _, number in numbers(out)] == list(range(300, 310))
    assert probe(out).audio_codec == ""


def test_clips_stand_upright_with_even_sides_and_progressive(plain: Path, folder: Path):
    path = transcode(
        plain, folder / "odd.mkv", "-t", "1", "-vf", "format=yuv444p,crop=159:95:0:0:exact=1", "-c:v", "ffv1"
    )
    facts = probe(cut_clip(path, probe(path), 0, 500, folder / "even.mp4"))
    assert (facts.width % 2, facts.height % 2) == (0, 0)
    assert abs(facts.width - 159) + abs(facts.height - 95) == 2
    turned = transcode(plain, folder / "sideways.mp4", "-t", "1")
    _turn(turned)
    before = probe(turned)
    assert (before.width, before.height, before.rotation) == (96, 160, 90)
    after = probe(cut_clip(turned, before, 0, 500, folder / "upright.mp4"))
    assert (after.width, after.height, after.rotation) == (96, 160, 0)
    woven = transcode(plain, folder / "woven.ts", "-t", "1", "-c:v", "mpeg2video", "-flags", "+ilme+ildct")
    assert probe(woven).interlaced
    assert not probe(cut_clip(woven, probe(woven), 0, 500, folder / "progressive.mp4")).interlaced


def _turn(path: Path) -> None:
    """Write a turn of 90 degrees into the track header."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    turn = (0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0, 0, 0, 1 << 30)
    content[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in turn)
    path.write_bytes(content)


def test_large_pictures_are_shrunk(folder: Path):
    path = folder / "large.mp4"
    ffmpeg.run(["-y", "-f", "lavfi", "-i", "color=s=2600x1400:r=5:d=1", "-preset", "ultrafast", str(path)])
    facts = probe(cut_clip(path, probe(path), 0, 400, folder / "shrunk.mp4"))
    assert (facts.width, facts.height) == (1920, 1034)


def test_nothing_is_left_of_a_clip_that_failed(plain: Path, tmp_path: Path):
    times = [40 * n + (60_000 if n >= 50 else 0) for n in range(100)]
    path = numbered(tmp_path / "pause.mkv", frames=100, times_ms=times, options=NO_B)
    out = tmp_path / "out"
    with pytest.raises(FFmpegFailed) as caught:
        cut_clip(path, probe(path), 20_000, 21_000, out / "nothing.mp4")
    assert "\n" not in str(caught.value)
    assert list(out.iterdir()) == []
    with pytest.raises(SourceUnavailable):
        cut_clip(tmp_path / "gone.mp4", probe(plain), 0, 1000, out / "gone.mp4")


def test_a_folder_that_cannot_be_written_says_so(plain: Path, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FFmpegFailed, match="clips cannot be written to"):
        cut_clip(plain, probe(plain), 0, 200, tmp_path / "file" / "clip.mp4")


def test_a_clip_takes_the_place_of_an_older_one(plain: Path, tmp_path: Path):
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"old")
    assert cut_clip(plain, probe(plain), 0, 200, out) == out
    with av.open(str(out)) as clip:
        assert clip.streams.video
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


PLAYABLE = MediaFacts("mp4", "h264", 640, 360, 1000, 0, 25.0, pixel_format="yuv420p", audio_codec="aac")


@pytest.mark.parametrize(
    ("change", "playable"),
    [
        ({}, True),
        ({"audio_codec": ""}, True),
        ({"container": "mov"}, True),
        ({"rotation": 90}, True),  # browsers turn pictures too
        ({"container": "matroska", "codec": "vp9", "audio_codec": "opus"}, True),
        ({"codec": "hevc"}, False),
        ({"container": "matroska"}, False),
        ({"container": "mpegts"}, False),
        ({"container": "avi"}, False),
        ({"pixel_format": "yuv420p10le"}, False),
        ({"audio_codec": "ac3"}, False),
        ({"mirrored": True}, False),
        ({"interlaced": True}, False),
        ({"origin_ms": 10_000}, False),
        ({"warning": "truncated: 40 s of 60 s can be read"}, False),
    ],
)
def test_what_browsers_play_as_it_is(change: dict[str, object], playable: bool):
    assert playable_in_browser(replace(PLAYABLE, **change)) is playable
