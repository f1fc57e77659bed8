"""Probing: what a recording is, and why a file is refused, in one line each."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest
from media_maker import NO_B, dahua, numbered, remux, transcode, truncate

from vidsearch import clock
from vidsearch.errors import (
    EncryptedFootage,
    FootageRefused,
    NoDecoder,
    NoVideoStream,
    SourceUnavailable,
    UnreadableFootage,
    VidsearchError,
)
from vidsearch.media import ffmpeg
from vidsearch.media.fingerprint import fingerprint, sha256
from vidsearch.media.probe import orientation, probe
from vidsearch.model import StartSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return numbered(folder / "plain.mp4", frames=75)


# -- facts -------------------------------------------------------------------------------------------------------------


def test_the_facts_of_a_recording(plain: Path, folder: Path):
    path = folder / "facts.mp4"
    tone = ["-f", "lavfi", "-i", "sine=d=3"]
    stamp = ["-metadata", "creation_time=2026-11-02T17:24:00Z"]
    ffmpeg.run(["-y", "-i", str(plain), *tone, "-c:v", "copy", "-c:a", "aac", *stamp, str(path)])
    facts = probe(path)
    assert (facts.container, facts.codec, facts.audio_codec) == ("mp4", "h264", "aac")
    assert (facts.width, facts.height, facts.pixel_format) == (160, 96, "yuv420p")
    assert facts.duration_ms == pytest.approx(3000, abs=60)
    assert (facts.origin_ms, facts.fps) == (0, 25.0)
    assert facts.created == "2026-11-02T17:24:00+00:00"
    assert facts.seekable
    assert not any((facts.estimated_times, facts.interlaced, facts.mirrored, facts.joined, facts.rotation))
    assert facts.warning is None
    assert facts.readable_ms is None


def test_a_clock_that_was_never_set_is_no_creation_time(plain: Path, folder: Path):
    path = remux(plain, folder / "epoch.mp4", "-metadata", "creation_time=1970-01-01T00:00:00Z")
    assert probe(path).created is None


def test_the_zero_is_the_earliest_time_of_any_stream(plain: Path, folder: Path):
    facts = probe(remux(plain, folder / "late.ts", "-output_ts_offset", "1001"))
    assert facts.origin_ms == pytest.approx(1_002_400, abs=100)  # ffmpeg adds a delay of its own
    assert facts.duration_ms == 3000


def test_a_stream_without_timestamps_takes_the_rate_given_else_its_own_else_25(plain: Path, folder: Path):
    raw = remux(plain, folder / "raw.h264")
    facts = probe(raw)
    assert facts.estimated_times
    assert not facts.seekable
    assert (facts.fps, facts.duration_ms, facts.warning) == (25.0, 3000, None)
    facts = probe(raw, fps=12.5)
    assert (facts.fps, facts.duration_ms) == (12.5, 6000)
    silent = transcode(plain, folder / "silent.mjpeg", "-c:v", "mjpeg")
    facts = probe(silent)
    assert facts.estimated_times
    assert (facts.fps, facts.duration_ms) == (25.0, 3000)
    assert facts.warning is not None
    assert "--fps" in facts.warning
    assert probe(silent, fps=5).duration_ms == 15_000


def test_a_dahua_export_knows_its_start_by_the_recorders_clock(folder: Path):
    raw = remux(numbered(folder / "to_wrap.mp4", frames=50, options=NO_B), folder / "to_wrap.h264")
    facts = probe(dahua(raw, folder / "export.dav", datetime(2026, 11, 2, 18, 24)))
    assert (facts.container, facts.codec, facts.duration_ms) == ("dhav", "h264", pytest.approx(2000, abs=41))
    assert facts.created == "2026-11-02T18:24:00"
    assert clock.resolve_start(Path("export.dav"), facts, 0, None, "Asia/Tokyo") == clock.Start(
        clock.parse_instant("2026-11-02T18:24:00+09:00", "UTC"), StartSource.CONTAINER
    )


def test_a_rate_is_told_from_the_times_where_the_header_is_wrong(folder: Path):
    lapse = numbered(folder / "lapse.mkv", frames=6, times_ms=[5000 * n for n in range(6)], options=NO_B)
    assert probe(lapse).fps == pytest.approx(0.2)
    # A pause does not make a recording slow.
    times = [40 * n + (600_000 if n >= 30 else 0) for n in range(60)]
    assert probe(numbered(folder / "pause.mkv", frames=60, times_ms=times, options=NO_B)).fps == pytest.approx(25)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), (0, False)),
        ((0, 1, -1, 0), (90, False)),
        ((-1, 0, 0, -1), (180, False)),
        ((0, -1, 1, 0), (270, False)),
        ((-1, 0, 0, 1), (0, True)),
        ((1, 0, 0, -1), (180, True)),
        ((0, 1, 1, 0), (90, True)),
        ((0, -1, -1, 0), (270, True)),
    ],
)
def test_orientation(matrix: tuple[int, int, int, int], expected: tuple[int, bool]):
    """Each matrix does to the corner (1, 0) and (0, 1) what turning and then flipping does."""
    assert orientation(matrix) == expected
    a, b, c, d = matrix
    turn, mirrored = expected
    cos, sin = round(np.cos(np.radians(turn))), round(np.sin(np.radians(turn)))
    sign = -1 if mirrored else 1
    assert (a, b, c, d) == (sign * cos, sin, -sign * sin, cos)


def test_a_beginning_that_is_damaged_is_passed_over(folder: Path):
    whole = numbered(folder / "long.mkv", frames=500, options=NO_B)
    content = bytearray(whole.read_bytes())
    start = content.index(b"\x1f\x43\xb6\x75")  # the first cluster
    content[start : start + len(content) // 8] = bytes(len(content) // 8)
    path = folder / "damaged_beginning.mkv"
    path.write_bytes(content)
    assert probe(path).duration_ms == 20_000


def test_a_name_can_be_anything(plain: Path, folder: Path):
    for name in (
        "-y.mp4",
        "with space.mp4",
        "50%d.mp4",
        "concat:a|b.mp4",
        "http:example.mp4",
        "überwachung 監視.mp4",
        "x",
    ):
        path = folder / name
        path.write_bytes(plain.read_bytes())
        assert probe(path).duration_ms == 3000


def test_a_relative_path_is_read(plain: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(plain.parent)
    assert probe(Path(plain.name)).duration_ms == 3000


def test_nothing_is_written_beside_a_source_and_nothing_to_the_terminal(
    tmp_path: Path, plain: Path, capfd: pytest.CaptureFixture[str]
):
    path = tmp_path / "source.mp4"
    path.write_bytes(truncate(plain, tmp_path / "cut.mp4", 0.7).read_bytes())
    (tmp_path / "cut.mp4").unlink()
    path.chmod(0o444)
    before = path.stat()
    with pytest.raises(FootageRefused):
        probe(path)
    after = path.stat()
    assert [p.name for p in tmp_path.iterdir()] == ["source.mp4"]
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    assert capfd.readouterr() == ("", "")


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(path: Path, kind: type[VidsearchError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        probe(path)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_sound_alone_with_or_without_a_cover(folder: Path):
    sound = folder / "sound.m4a"
    ffmpeg.run(["-y", "-f", "lavfi", "-i", "sine=d=1", str(sound)])
    refused(sound, NoVideoStream, "only audio$")
    cover = folder / "cover.m4a"
    picture = ["-f", "lavfi", "-i", "color=s=64x64:d=1:r=1", "-map", "0", "-map", "1"]
    ffmpeg.run(["-y", "-i", str(sound), *picture, "-c:v", "mjpeg", "-disposition:v:0", "attached_pic", str(cover)])
    refused(cover, NoVideoStream, "only audio and a cover picture")


def test_a_codec_without_a_decoder(plain: Path, folder: Path):
    path = folder / "unknown_codec.mp4"
    path.write_bytes(plain.read_bytes().replace(b"avc1", b"zzzz"))
    refused(path, NoDecoder, "export it as H.264 in MP4")


def test_an_encrypted_recording(plain: Path, folder: Path):
    key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"]
    path = remux(plain, folder / "locked.mp4", *key, "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    refused(path, EncryptedFootage, "export it without protection")


def test_an_mp4_without_its_index(plain: Path, folder: Path):
    refused(truncate(plain, folder / "no_index.mp4", 0.8), UnreadableFootage, "cut off: an MP4 without its index")


CONTENT = {
    "empty.mp4": (b"", "is empty"),
    "zeros.mp4": (bytes(100_000), "nothing but zeros"),
    "text.mp4": (b"This is no video.\n" * 100, "this is text"),
    "text.h264": (b"This is no video.\n" * 100, "this is text"),
    "playlist.mp4": (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:3,\nplain.mp4\n#EXT-X-ENDLIST\n", "this is text"),
    "list.mp4": (b"ffconcat version 1.0\nfile plain.mp4\n", "this is text"),
    "dash.mpd": (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', "this is text"),
    "subtitles.mp4": (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", "this is text"),
    "noise.mp4": (np.random.default_rng(1).bytes(100_000), "export it"),
    "photo.mp4": (b"\xff\xd8\xff\xe0" + bytes(2000), "a picture, not a recording"),
    "player.exe": (b"MZ\x90\0" + bytes(2000), "a program, such as some recorders"),
    "export.zip": (b"PK\3\4" + bytes(2000), "an archive: unpack it"),
    "report.pdf": (b"%PDF-1.7\n" + bytes(2000), "a document"),
    "one_byte.mp4": (b"\0", "zeros"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_files_that_are_something_else(name: str, folder: Path):
    content, words = CONTENT[name]
    path = folder / name
    path.write_bytes(content)
    refused(path, UnreadableFootage, words)


def test_a_recording_with_nothing_but_noise_in_it(plain: Path, folder: Path):
    content = bytearray(plain.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = np.random.default_rng(1).bytes(end - start)
    path = folder / "noise_inside.mp4"
    path.write_bytes(content)
    refused(path, UnreadableFootage, "none of its pictures can be decoded")


def test_a_file_that_is_not_there(folder: Path):
    refused(folder / "missing.mp4", SourceUnavailable, "is not there")
    refused(folder / "plain.mp4" / "inside.mp4", SourceUnavailable, "is not there")


def test_a_folder(folder: Path):
    refused(folder, UnreadableFootage, "this is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    refused(path, UnreadableFootage, "not an ordinary file")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no sockets in folders on this system")
def test_a_socket_and_a_device(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        refused(tmp_path / "s", UnreadableFootage, "not an ordinary file")
    refused(Path("/dev/zero"), UnreadableFootage, "not an ordinary file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(plain: Path, tmp_path: Path):
    path = tmp_path / "locked.mp4"
    path.write_bytes(plain.read_bytes())
    path.chmod(0)
    refused(path, SourceUnavailable, "permission denied")


def test_no_permission_said_by_the_system(plain: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the system's answer is played here."""

    def deny(*_: object, **__: object) -> None:
        raise av.error.PermissionError(13, "Permission denied", str(plain))

    monkeypatch.setattr(av, "open", deny)
    refused(plain, SourceUnavailable, "permission denied")


# -- telling recordings apart ------------------------------------------------------------------------------------------


def test_fingerprints(plain: Path, tmp_path: Path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(plain.read_bytes())
    assert fingerprint(copy) == fingerprint(plain)
    assert len(fingerprint(plain)) == 32
    big = bytearray(np.random.default_rng(1).bytes(1_000_000))
    (tmp_path / "big").write_bytes(big)
    first = fingerprint(tmp_path / "big")
    for place in (10, 500_000, 999_990):
        changed = bytearray(big)
        changed[place] ^= 1
        (tmp_path / "big").write_bytes(changed)
        assert fingerprint(tmp_path / "big") != first
    (tmp_path / "big").write_bytes(big[:-1])
    assert fingerprint(tmp_path / "big") != first
    (tmp_path / "empty").write_bytes(b"")
    assert len(fingerprint(tmp_path / "empty")) == 32


def test_sha256_and_stopping_it(tmp_path: Path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(path, lambda: False) == sha256(path)
    assert sha256(path, lambda: True) == ""
    for digest in (sha256, fingerprint):
        with pytest.raises(SourceUnavailable, match="is not there"):
            digest(tmp_path / "missing")


# -- ffmpeg ------------------------------------------------------------------------------------------------------------


def test_ffmpeg_says_its_last_line():
    with pytest.raises(VidsearchError, match=r"ffmpeg failed: .*No such file") as caught:
        ffmpeg.run(["-i", "/nowhere/at/all.mp4", "-f", "null", "-"])
    assert "\n" not in str(caught.value)


def test_ffmpeg_that_takes_too_long():
    with pytest.raises(VidsearchError, match=r"ended after 0\.2 s"):
        ffmpeg.run(["-re", "-f", "lavfi", "-i", "color", "-f", "null", "-"], timeout_s=0.2)


def test_the_bundled_ffmpeg_serves_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "imageio_ffmpeg" in ffmpeg.binary()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no_ffmpeg"))
    with pytest.raises(VidsearchError, match="cannot be run"):
        ffmpeg.run(["-version"])
