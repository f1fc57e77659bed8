"""Cutting: what is sent as it is, what does not fit, what is upright, and what happens when something goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import psutil
import pytest
from media_maker import NO_B, damage, number_in, numbered, remux, transcode, truncate

from vidsearch.cuts import Cut, Span, Stretch, to_source
from vidsearch.errors import DiskFull, FFmpegFailed, FootageRefused, SourceUnavailable, UnreadableFootage
from vidsearch.media import copying, cutter, ffmpeg
from vidsearch.media.acceptance import needs_cut
from vidsearch.media.boxes import Structure, structure
from vidsearch.media.cutter import Cutter
from vidsearch.media.ffmpeg import Stopped
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts

MUCH, LONG = 1 << 40, 1 << 40
CUTTER = Cutter()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cutter_trouble")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """Eight seconds with B-frames."""
    return numbered(folder / "plain.mp4", frames=200)


@pytest.fixture(scope="module")
def noisy(folder: Path) -> Path:
    """Four seconds that hardly compress: some 2 MB."""
    path = folder / "noisy.mp4"
    moving = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4,noise=alls=40:allf=t"]
    ffmpeg.run(["-y", *moving, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-g", "25", str(path)])
    return path


def cut(
    path: Path, spans: list[Span], out: Path, *, by: Cutter = CUTTER, facts: MediaFacts | None = None, **more: object
) -> Cut:
    facts = facts or probe(path)
    size = path.stat().st_size if path.exists() else 1
    return by.cut(path, facts, size, spans, out, **{"max_bytes": MUCH, "max_ms": LONG, **more})


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [number_in(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- as it is ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_recording_that_is_taken_as_it_is_is_not_copied(suffix: str, plain: Path, folder: Path, tmp_path: Path):
    path = remux(plain, folder / f"taken{suffix}")
    out = tmp_path / "out" / "cut.mp4"
    assert cut(path, [(0, 8_000)], out) == Cut(path, (Stretch(0, 0, 8_000),), path.stat().st_size, made=False)
    assert cut(path, [(-5, 3_000), (3_000, 9_000)], out).path == path
    assert not out.parent.exists()


AS_IT_IS_NOT: dict[str, Callable[[Path, Path], Path]] = {
    "sound.mp4": lambda source, path: with_sound(source, path),
    "matroska.mkv": remux,
    "edit_list.mp4": lambda source, path: remux(source, path, begin=1.68),
    "fragmented.mp4": lambda source, path: remux(source, path, "-movflags", "+frag_keyframe+empty_moov"),
    "late.mp4": lambda source, path: remux(source, path, "-output_ts_offset", "3"),
    "squashed.mp4": lambda source, path: transcode(source, path, "-vf", "scale=160:48,setsar=1/2"),
}


def with_sound(source: Path, path: Path) -> Path:
    tone = ["-f", "lavfi", "-i", "sine=d=8"]
    ffmpeg.run(["-y", "-i", str(source), *tone, "-c:v", "copy", "-c:a", "aac", "-shortest", str(path)])
    return path


@pytest.mark.parametrize("kind", AS_IT_IS_NOT)
def test_a_recording_whose_times_are_not_simple_is_copied_even_whole(
    kind: str, plain: Path, folder: Path, tmp_path: Path
):
    path = AS_IT_IS_NOT[kind](plain, folder / kind)
    made = cut(path, [(0, 60_000)], tmp_path / "cut.mp4")
    assert made.made
    with av.open(str(made.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.start_time == 0
        assert (container.streams[0].width, container.streams[0].height) == (160, 96)
    assert numbers(made.path)[-1] == 199
    # What was made is taken as it is.
    again = cut(made.path, [(0, 60_000)], tmp_path / "again.mp4")
    assert not again.made


def test_a_part_of_a_recording_that_could_be_sent_whole_is_cut(plain: Path, tmp_path: Path):
    made = cut(plain, [(4_100, 8_000)], tmp_path / "cut.mp4")
    assert (made.made, made.stretches) == (True, (Stretch(0, 4_000, 4_000),))


def test_the_structure_of_an_mp4(plain: Path, folder: Path):
    assert structure(plain) == Structure(edits=1)
    assert structure(remux(plain, folder / "pieces.mp4", "-movflags", "+frag_keyframe+empty_moov")).fragmented
    assert structure(remux(plain, folder / "not_an_mp4.mkv")) == Structure()
    assert not structure(plain).edited
    broken = folder / "broken.mp4"
    broken.write_bytes(plain.read_bytes()[:100])
    assert structure(broken) == Structure()
    with pytest.raises(SourceUnavailable):
        structure(folder / "gone.mp4")


def test_an_edit_list_of_several_parts_is_encoded(plain: Path, folder: Path, tmp_path: Path):
    """From 2 s to 4 s, then from 0 s to 1 s: as players show it, not as it is stored."""
    path = folder / "reedited.mp4"
    path.write_bytes(_two_edits(plain.read_bytes()))
    assert structure(path).edited
    facts = probe(path)
    made = cut(path, [(0, 60_000)], tmp_path / "cut.mp4", facts=facts)
    shown = numbers(made.path)
    assert shown[:3] == [50, 51, 52]
    assert shown[-1] == 24


def _two_edits(content: bytes) -> bytes:
    """Put a second entry into the edit list of an MP4 whose index comes last."""
    data = bytearray(content)
    at = data.index(b"elst") - 4
    media_time = int.from_bytes(data[at + 20 : at + 24], "big")
    timescale = int.from_bytes(data[(mdhd := data.index(b"mdhd")) + 16 : mdhd + 20], "big")
    entries = ((2_000, media_time + 2 * timescale), (1_000, media_time))
    rows = b"".join(ms.to_bytes(4, "big") + time.to_bytes(4, "big") + b"\0\1\0\0" for ms, time in entries)
    data[at : at + 28] = (40).to_bytes(4, "big") + b"elst" + bytes(4) + (2).to_bytes(4, "big") + rows
    for kind in (b"moov", b"trak", b"edts"):
        box = data.index(kind) - 4
        data[box : box + 4] = (int.from_bytes(data[box : box + 4], "big") + 12).to_bytes(4, "big")
    return bytes(data)


FACTS = MediaFacts("mp4", "h264", 1920, 1080, 3_600_000, 0, 25.0, pixel_format="yuv420p")


@pytest.mark.parametrize(
    ("change", "size", "words"),
    [
        ({}, 10, None),
        ({"codec": "hevc"}, 10, "HEVC: will be transcoded"),
        ({"codec": "hevc", "container": "matroska"}, 10, "HEVC: will be transcoded"),
        ({"container": "matroska"}, 10, "Matroska: will be copied into MP4"),
        ({"pixel_format": "yuv422p10le"}, 10, "H.264 with yuv422p10le pixels: will be transcoded"),
        ({"container": "avi"}, 10, "H.264 in AVI: will be transcoded"),
        ({"estimated_times": True, "container": "h264"}, 10, "no timestamps: will be transcoded"),
        ({"rotation": 90}, 10, "pictures that do not lie upright: will be transcoded"),
        ({"interlaced": True, "joined": True}, 10, "recordings joined into one file: will be transcoded; interlaced"),
        ({}, 9_000_000_000, "larger than 8.0 GB: will be split"),
        ({"duration_ms": 90_000_000, "audio_codec": "aac"}, 10, "longer than 6 h: will be split; its sound will be"),
        ({"readable_ms": 5}, 10, "cut off: what can be read will be copied"),
        ({"origin_ms": 80}, 10, "its clock does not begin at 0"),
    ],
)
def test_the_reasons_in_words(change: dict[str, object], size: int, words: str | None):
    reason = needs_cut(replace(FACTS, **change), size, 8_000_000_000, 6 * 3_600_000)
    assert reason is None if words is None else reason is not None and reason.startswith(words)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_copy_that_is_too_large_is_encoded_to_fit(noisy: Path, tmp_path: Path):
    size = noisy.stat().st_size
    assert size > 1_000_000
    for most in (int(size * 0.9), size // 4):
        made = cut(noisy, [(0, 4_000)], tmp_path / "cut.mp4", max_bytes=most)
        assert made.size <= most
        assert made.size == made.path.stat().st_size
        with av.open(str(made.path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 100
    # Pieces that fit are copied.
    assert cut(noisy, [(0, 1_000)], tmp_path / "cut.mp4", max_bytes=size // 3).stretches == (Stretch(0, 0, 1_000),)


def test_what_cannot_be_made_small_enough_says_so(noisy: Path, tmp_path: Path):
    with pytest.raises(FFmpegFailed, match=r"4 s of it cannot be brought under 0.0 MB") as caught:
        cut(noisy, [(0, 4_000)], tmp_path / "cut.mp4", max_bytes=2_000)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == []


def test_a_copy_that_would_be_too_long_is_encoded(plain: Path, tmp_path: Path):
    made = cut(plain, [(900, 3_900)], tmp_path / "cut.mp4", max_ms=3_100)
    assert made.stretches == (Stretch(0, 920, 2_960 + 20),) or made.length_ms <= 3_100
    assert numbers(made.path) == list(range(23, 98))
    with pytest.raises(FootageRefused, match="search shorter ones"):
        cut(plain, [(900, 3_900)], tmp_path / "cut.mp4", max_ms=2_000)


# -- upright -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_phone_video_is_made_upright(turn: int, plain: Path, folder: Path, tmp_path: Path):
    undo = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}[turn]
    path = transcode(plain, folder / f"turned_{turn}.mp4", "-t", "2", "-vf", undo)
    _turn(path, turn)
    facts = probe(path)
    assert (facts.rotation, facts.width, facts.height) == (turn, 160, 96)
    made = cut(path, [(1_000, 2_000)], tmp_path / "cut.mp4")
    after = probe(made.path)
    assert (after.rotation, after.width, after.height) == (0, 160, 96)
    assert numbers(made.path) == list(range(25, 50))
    assert made.stretches[0].source_ms == 1_000


def _turn(path: Path, turn: int) -> None:
    """Write the matrix of a turn into the track header, as phones do."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[turn]
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    matrix = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    content[at : at + 36] = b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in matrix)
    path.write_bytes(content)


def test_interlaced_pictures_are_made_whole_and_none_is_lost(plain: Path, folder: Path, tmp_path: Path):
    path = transcode(plain, folder / "woven.ts", "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct")
    assert probe(path).interlaced
    made = cut(path, [(2_000, 4_000)], tmp_path / "cut.mp4")
    assert not probe(made.path).interlaced
    assert numbers(made.path) == list(range(50, 100))


def test_ten_bits_odd_sides_and_full_range(plain: Path, folder: Path, tmp_path: Path):
    odd = ["-vf", "format=yuv444p10le,crop=159:95:0:0:exact=1", "-c:v", "ffv1", "-t", "1"]
    made = cut(transcode(plain, folder / "odd.mkv", *odd), [(0, 1_000)], tmp_path / "cut.mp4")
    facts = probe(made.path)
    assert (facts.codec, facts.pixel_format, facts.width % 2, facts.height % 2) == ("h264", "yuv420p", 0, 0)
    assert numbers(made.path) == list(range(25))


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_parts_without_pictures_are_no_file(plain: Path, folder: Path, tmp_path: Path):
    times = [40 * n + (60_000 if n >= 50 else 0) for n in range(100)]
    paused = numbered(folder / "paused.mp4", frames=100, times_ms=times, options=NO_B)
    for path in (paused, transcode(paused, folder / "paused.mkv", "-c:v", "libx265", "-x265-params", "log-level=none")):
        out = tmp_path / "cut.mp4"
        behind = cut(path, [(90_000, 95_000)], out)
        assert (behind.stretches, behind.size, behind.made) == ((), 0, False)
        assert files(tmp_path) == []
    # A copy begins at the key frame before the pause; what is encoded has nothing to begin with.
    assert cut(path, [(20_000, 30_000)], out).stretches == ()
    assert cut(path, [(1_000, 63_000)], out).length_ms < 3_000


def test_a_truncated_recording_is_cut_as_far_as_it_goes(plain: Path, folder: Path, tmp_path: Path):
    whole = remux(plain, folder / "to_cut.mp4", "-movflags", "+faststart")
    path = truncate(whole, folder / "truncated.mp4", 0.6)
    facts = probe(path)
    assert facts.readable_ms is not None
    made = cut(path, [(0, facts.duration_ms)], tmp_path / "cut.mp4", facts=facts)
    held = numbers(made.path)
    # What the last pictures lean on may lie behind the break.
    assert held[:-3] == list(range(len(held) - 3))
    assert abs(len(held) * 40 - facts.readable_ms) <= 200


def test_around_damage_everything_is_where_the_cut_says(folder: Path, tmp_path: Path):
    source = numbered(folder / "to_damage.mp4", frames=200, options=NO_B)
    for suffix in (".mp4", ".ts", ".mkv"):
        path = damage(remux(source, folder / f"whole{suffix}"), folder / f"damaged{suffix}", 0.45, 0.55)
        made = cut(path, [(1_100, 60_000)], tmp_path / "cut.mp4")
        with av.open(str(made.path)) as container:
            good: list[tuple[float, int]] = []
            for packet in container.demux(video=0):
                try:
                    good += [(f.time * 1000, number_in(f.to_ndarray(format="gray"))) for f in packet.decode()]
                except av.FFmpegError:
                    continue
        found = {to_source(made.stretches, ms): number for ms, number in good}
        assert all(found[ms] == ms // 40 for ms in (*range(1_120, 3_000, 40), *range(6_000, 8_000, 40))), suffix


def test_a_full_disk_is_foreseen(noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=17_000_000))
    for span in ((0, 2_000), (0, 4_000)):
        with pytest.raises(DiskFull, match=r"a cut of noisy.mp4 needs \d.\d MB in .* 17.0 MB are free") as caught:
            cut(noisy, [span], tmp_path / "out" / "cut.mp4", max_bytes=noisy.stat().st_size - 1)
        assert "\n" not in str(caught.value)
    assert files(tmp_path / "out") == []


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_disk_that_fills_up_on_the_way(plain: Path, tmp_path: Path):
    says = "echo 'av_interleaved_write_frame(): No space left on device' >&2; echo 'Conversion failed!' >&2; exit 1"
    full = Cutter(script(tmp_path / "full", says))
    with pytest.raises(DiskFull, match="free some space"):
        cut(plain, [(0, 3_000)], tmp_path / "out" / "cut.mp4", by=full)
    assert files(tmp_path / "out") == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_an_ffmpeg_that_fails_says_why_in_one_line(plain: Path, tmp_path: Path):
    failing = Cutter(script(tmp_path / "failing", "echo 'Unknown encoder' >&2; echo 'Conversion failed!' >&2; exit 1"))
    with pytest.raises(FFmpegFailed, match="ffmpeg failed: Unknown encoder"):
        cut(plain, [(0, 3_000)], tmp_path / "out" / "cut.mp4", by=failing)
    lazy = Cutter(script(tmp_path / "lazy", "exit 0"))
    with pytest.raises(FFmpegFailed) as caught:
        cut(plain, [(0, 3_000)], tmp_path / "out" / "cut.mp4", by=lazy)
    assert "\n" not in str(caught.value)
    with pytest.raises(FFmpegFailed, match="cannot be run"):
        cut(plain, [(0, 3_000)], tmp_path / "out" / "cut.mp4", by=Cutter(str(tmp_path / "none")))
    assert files(tmp_path / "out") == []


def test_a_copy_that_is_not_exact_is_not_believed(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever an ffmpeg makes of the request, only what reads back right is used; else everything is encoded."""
    ways = copying._ways
    tried = []

    def wrong(*given):
        for entrance, filters in ways(*given):
            late = {"ss": "2.5", "seek_timestamp": 1, "copyts": None}
            # One picture off; a key frame late; an end that is missing.
            for attempt in (
                (entrance, filters.replace("PTS-", "PTS+512-")),
                (entrance | late, filters),
                (entrance | {"t": "1.2"}, filters),
            ):
                tried.append(attempt)
                yield attempt

    monkeypatch.setattr(copying, "_ways", wrong)
    made = cut(plain, [(2_100, 5_000)], tmp_path / "cut.mp4")
    assert len(tried) >= 6
    assert made.stretches[0].source_ms == 2_120  # encoded: not from the key frame at 2,000
    assert numbers(made.path) == list(range(53, 125))


def test_a_recording_that_is_not_there_or_no_video(plain: Path, tmp_path: Path):
    facts = probe(plain)
    with pytest.raises(SourceUnavailable, match="is not there"):
        cut(tmp_path / "gone.mp4", [(0, 1_000)], tmp_path / "cut.mp4", facts=facts)
    path = tmp_path / "text.mp4"
    path.write_text("no video " * 100, encoding="utf-8")
    with pytest.raises(UnreadableFootage):
        cut(path, [(0, 1_000)], tmp_path / "cut.mp4", facts=facts)
    assert files(tmp_path) == ["text.mp4"]


def test_a_recording_that_shrinks_while_it_is_cut(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = remux(plain, tmp_path / "shrinks.mkv")
    facts = probe(path)

    def shrink(*given: object, **more: object) -> None:
        os.truncate(path, 3_000)
        ffmpeg.run(*given, **more)

    monkeypatch.setattr(copying, "run", shrink)
    with pytest.raises(SourceUnavailable, match="shorter"):
        cut(path, [(0, 8_000)], tmp_path / "out" / "cut.mp4", facts=facts)
    assert files(tmp_path / "out") == []


def test_stopping_ends_ffmpeg_and_leaves_nothing(noisy: Path, tmp_path: Path):
    began = time.monotonic()
    for path in (noisy, transcode(noisy, tmp_path / "motion.avi", "-c:v", "mjpeg")):
        with pytest.raises(Stopped, match="stopped on request"):
            cut(path, [(0, 3_000)], tmp_path / "out" / "cut.mp4", by=slow(tmp_path), stop=lambda: True)
        assert files(tmp_path / "out") == []
    assert time.monotonic() - began < 60


def slow(folder: Path) -> Cutter:
    """A cutter whose ffmpeg does nothing for a minute."""
    return Cutter(script(folder / "slow", 'case "$*" in *"-h long"*) exit 0;; esac; exec sleep 60'))


def test_progress_is_told(noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cutter, "LOOK_S", 0.0)
    path = transcode(noisy, tmp_path / "motion.avi", "-c:v", "mjpeg")
    shares: list[float] = []
    cut(path, [(0, 3_000)], tmp_path / "cut.mp4", on_progress=shares.append)
    assert len(shares) > 50
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_killed_run_leaves_nothing_that_is_taken_for_whole(noisy: Path, tmp_path: Path):
    out = tmp_path / "out" / "cut.mp4"
    words = (
        "import sys; from pathlib import Path; from vidsearch.media.cutter import Cutter\n"
        "from vidsearch.media.probe import probe\n"
        "path, out = map(Path, sys.argv[1:3])\n"
        "import os; out.parent.mkdir(); out.with_name(f'cut.{os.getpid()}.part.mp4').write_bytes(b'half')\n"
        "print('ready', flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", words, str(noisy), str(out)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        (left,) = out.parent.iterdir()
        # While its process lives, nobody touches it.
        assert cut(noisy, [(0, 1_000)], out.with_name("other.mp4")).made
        assert left.exists()
        child.kill()
    assert not out.exists()
    assert cut(noisy, [(0, 2_000)], out).stretches == (Stretch(0, 0, 2_000),)
    assert files(out.parent) == ["cut.mp4", "other.mp4"]


CUTTING = """
import sys
from pathlib import Path
from vidsearch.media.cutter import Cutter
from vidsearch.media.probe import probe
path, out, program = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
try:
    Cutter(program).cut(
        path, probe(path), path.stat().st_size, [(1_000, 70_000)], out, max_bytes=1 << 40, max_ms=1 << 40,
        on_progress=lambda share: print("cutting", flush=True),
    )
except KeyboardInterrupt:
    print("interrupted", *(path.name for path in out.parent.iterdir()))
"""


class Cutting:
    """A cut in a process group of its own, as a shell makes one, with its ffmpeg at work."""

    def __init__(self, path: Path, out: Path, program: str) -> None:
        words = [sys.executable, "-c", CUTTING, str(path), str(out), program]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "cutting\n"
        time.sleep(0.6)
        (self.ffmpeg,) = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, by: int) -> tuple[list[str], str]:
        """Send a signal to the process group; return what was said last and what was complained about."""
        os.killpg(self.process.pid, by)
        said, complained = self.process.communicate(timeout=20)
        return said.splitlines()[-1:], complained


@pytest.fixture(scope="module")
def long(noisy: Path, folder: Path) -> dict[str, Path]:
    """Eighty seconds: to be encoded, and to be copied."""
    motion = transcode(noisy, folder / "short.avi", "-c:v", "mpeg4", "-q:v", "6")
    made = {"encoded": folder / "long.avi", "copied": folder / "long.mkv"}
    for source, path in ((motion, made["encoded"]), (noisy, made["copied"])):
        ffmpeg.run(["-y", "-stream_loop", "19", "-i", str(source), "-c", "copy", "-an", str(path)])
    return made


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@POSIX
@pytest.mark.parametrize(
    ("kind", "does"),
    [("encoded", "exec {} -re"), ("encoded", "exec sleep 60 #"), ("encoded", "exec {}"), ("copied", "exec {} -re")],
    ids=["encoding", "waiting for ffmpeg to read", "encoding at full speed", "copying"],
)
def test_ctrl_c_ends_a_cut_at_once_and_quietly(kind: str, does: str, long: dict[str, Path], tmp_path: Path):
    program = does.format(ffmpeg.binary())
    says = f'case "$*" in *"-h long"*) exec {ffmpeg.binary()} "$@";; esac; {program} "$@"'
    cutting = Cutting(long[kind], tmp_path / "out" / "cut.mp4", script(tmp_path / "ffmpeg", says))
    assert cutting.end(signal.SIGINT) == (["interrupted"], "")
    assert not cutting.ffmpeg.is_running()


@POSIX
def test_a_cut_that_is_killed_takes_its_ffmpeg_along(long: dict[str, Path], tmp_path: Path):
    out = tmp_path / "out" / "cut.mp4"
    cutting = Cutting(long["encoded"], out, ffmpeg.binary())
    cutting.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    # Whose child it is now may not ask for what became of it.
    while cutting.ffmpeg.is_running() and cutting.ffmpeg.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(files(out.parent)) == 1
    cut(long["copied"], [(0, 1_000)], out)
    assert files(out.parent) == ["cut.mp4"]


@POSIX
def test_ctrl_c_while_ffmpeg_starts_waits_until_it_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[subprocess.Popen[bytes]] = []

    def popen(*given: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(real(*given, **more))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        ffmpeg.run([], program=script(tmp_path / "slow", "exec sleep 60"))
    assert started[0].poll() == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_folder_that_cannot_be_written_says_so(plain: Path, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FFmpegFailed, match="cuts cannot be written to"):
        cut(plain, [(0, 1_000)], tmp_path / "file" / "cut.mp4")


def test_nothing_is_written_beside_a_source(plain: Path, tmp_path: Path):
    path = tmp_path / "sources" / "one.mkv"
    path.parent.mkdir()
    remux(plain, path)
    before = path.stat()
    cut(path, [(2_000, 3_000)], tmp_path / "out" / "cut.mp4")
    after = path.stat()
    assert files(path.parent) == ["one.mkv"]
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
