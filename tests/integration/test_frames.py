"""Reading frames: the right pictures at the right times, whatever the container, and an account of the rest."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_maker import NO_B, dahua, damage, number_in, numbered, picture, remux, transcode, truncate

from vidsearch.errors import SourceUnavailable
from vidsearch.media import ffmpeg
from vidsearch.media.decoding import Decoder
from vidsearch.media.frames import FrameReader, frame_at
from vidsearch.media.probe import probe
from vidsearch.media.sampled import SampledFrame
from vidsearch.model import ExaminedSpan, MediaFacts, SpanOutcome

FPS, FRAMES = 25, 150
READER = FrameReader()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """Six seconds with B-frames and a key frame a second."""
    return numbered(folder / "plain.mp4")


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """The same without B-frames, as cameras record."""
    return numbered(folder / "straight.mp4", options=NO_B)


def joined(_: Path, target: Path) -> Path:
    """Two recordings of three seconds copied into one file, each with a clock of its own."""
    source = numbered(target.with_suffix(".mp4"), options=NO_B)
    late = remux(source, target.with_suffix(".late.ts"), "-t", "3", "-output_ts_offset", "500")
    early = remux(source, target.with_suffix(".early.ts"), "-output_ts_offset", "100", begin=3)
    target.write_bytes(late.read_bytes() + early.read_bytes())
    return target


HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=25", "-preset", "ultrafast")

KINDS: dict[str, Callable[[Path, Path], Path]] = {
    "plain.mp4": lambda source, path: source,
    "fragmented.mp4": lambda source, path: remux(source, path, "-movflags", "+frag_keyframe+empty_moov"),
    "open_gop.mp4": lambda source, path: numbered(
        path, options={"preset": "veryfast", "g": "25", "x264-params": "open-gop=1:keyint=25:min-keyint=25"}
    ),
    "hevc.mp4": lambda source, path: transcode(source, path, *HEVC),
    "one_gop.mp4": lambda source, path: numbered(path, options={"preset": "veryfast", "g": "1000"}),
    "matroska.mkv": remux,
    "live.mkv": lambda source, path: remux(source, path, "-live", "1"),
    "flash.flv": remux,
    "from_1001_s.ts": lambda source, path: remux(source, path, "-output_ts_offset", "1001"),
    "clock_wraps.ts": lambda source, path: remux(source, path, "-output_ts_offset", "95440"),
    "intra_refresh.ts": lambda source, path: numbered(
        path, options={"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=25:bframes=0"}
    ),
    "joined.ts": joined,
    "program_stream_called.mp4": lambda source, path: transcode(
        source, path, "-c:v", "mpeg2video", "-q:v", "3", "-g", "25", "-bf", "2", "-f", "vob"
    ),
    "reordered.avi": lambda source, path: numbered(path),
    "mpeg4.avi": lambda source, path: transcode(source, path, "-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-g", "25"),
    "motion.avi": lambda source, path: transcode(source, path, "-c:v", "mjpeg", "-q:v", "3"),
    "raw.h264": remux,
    "raw.h265": lambda source, path: transcode(source, path, *HEVC),
    "raw_with_a_header.264": lambda source, path: with_header(remux(source, path.with_suffix(".h264")), path),
    "dahua.dav": lambda source, path: dahua(
        remux(numbered(path.with_suffix(".mp4"), options=NO_B), path.with_suffix(".h264")), path, datetime(2026, 11, 2)
    ),
    "raw_called.dav": lambda source, path: remux(source, path, "-f", "h264"),
}


def with_header(source: Path, target: Path) -> Path:
    target.write_bytes(b"IMKH\1\1\0\0" + b"\7" * 32 + source.read_bytes())
    return target


def samples(
    path: Path, facts: MediaFacts, start: int, end: int, every: int = 200, **more: int
) -> list[tuple[int, int]]:
    """Return (ms, number) of the samples of a range."""
    with READER.read(path, facts, start, end, every, **more) as run:
        return [(frame.ms, number_in(frame.luma)) for frame in run]


def spans(path: Path, facts: MediaFacts, start: int = 0, end: int = 1_000_000) -> list[ExaminedSpan]:
    with READER.read(path, facts, start, end, 200) as run:
        for _ in run:
            pass
    return run.spans


def unexamined(path: Path, facts: MediaFacts) -> list[tuple[int, int, SpanOutcome]]:
    """Return what was not examined, having checked that the spans cover the recording without holes or overlaps."""
    found = spans(path, facts)
    assert found[0].start_ms == 0
    assert found[-1].end_ms == facts.duration_ms
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    return [(s.start_ms, s.end_ms, s.outcome) for s in found if s.outcome is not SpanOutcome.EXAMINED]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_is_the_picture_of_its_time_whatever_the_range(kind: str, plain: Path, folder: Path):
    path = KINDS[kind](plain, folder / kind)
    facts = probe(path)
    whole = samples(path, facts, 0, facts.duration_ms)
    assert whole == [(ms, ms * FPS // 1000) for ms in range(0, 6000, 200)]
    # Ranges that are no multiples of anything, in pieces, with a lead: the same samples, each in one range.
    pieces = []
    for start in range(0, facts.duration_ms, 770):
        pieces += [s for s in samples(path, facts, start, start + 770, lead_ms=330) if start <= s[0]]
    assert pieces == whole
    assert unexamined(path, facts) == []


@pytest.mark.parametrize("every", [40, 100, 333, 1000, 5000])
def test_of_each_stretch_the_first_frame(plain: Path, every: int):
    facts = probe(plain)
    shown = [number * 40 for number in range(FRAMES)]
    expected = [next(ms for ms in shown if ms >= point) for point in range(0, 5961, every)]
    assert [ms for ms, _ in samples(plain, facts, 0, 6000, every)] == expected


def test_the_lead_comes_first_and_is_not_counted_as_examined(plain: Path):
    facts = probe(plain)
    with READER.read(plain, facts, 3000, 4000, 200, lead_ms=1000) as run:
        assert [frame.ms for frame in run] == list(range(2000, 4000, 200))
    assert run.spans == [ExaminedSpan(3000, 4000, SpanOutcome.EXAMINED)]


def test_a_range_beyond_the_end_is_cut_and_one_behind_it_is_empty(plain: Path):
    facts = probe(plain)
    assert spans(plain, facts, 5000, 9000) == [ExaminedSpan(5000, 6000, SpanOutcome.EXAMINED)]
    assert spans(plain, facts, 6000, 9000) == []


def test_stopping_early_closes_the_file(plain: Path):
    facts = probe(plain)
    with READER.read(plain, facts, 0, 6000, 200) as run:
        next(run)
    with pytest.raises(StopIteration):
        next(run)


def test_variable_frame_rate_and_a_first_picture_that_is_late(folder: Path):
    times = [844, 900, 1010, 1390, 1400, 1420, 2600, 2601, 3000]
    path = numbered(
        folder / "variable.mkv", frames=len(times), times_ms=times, options={"preset": "veryfast", "g": "3"}
    )
    sound = _with_a_tone_from_zero(path, folder / "late.mkv")
    facts = probe(sound)
    assert [ms for ms, _ in samples(sound, facts, 0, 4000)] == [844, 1010, 1390, 1400, 2600, 3000]
    assert unexamined(sound, facts) == []


def _with_a_tone_from_zero(video: Path, target: Path) -> Path:
    """Join a video, at its own times, with a tone that starts at zero."""
    inputs = ["-y", "-copyts", "-i", str(video), "-f", "lavfi", "-i", "sine=d=3", "-map", "0:v", "-map", "1:a"]
    copy = ["-c:v", "copy", "-c:a", "flac", "-avoid_negative_ts", "disabled"]
    ffmpeg.run([*inputs, *copy, str(target)])
    return target


def test_an_edit_list_hides_what_is_before_it(plain: Path, folder: Path):
    cut = remux(plain, folder / "cut.mp4", begin=1.6)
    facts = probe(cut)
    assert facts.duration_ms == pytest.approx(4400, abs=50)
    found = samples(cut, facts, 0, 6000)
    assert [number * 40 - ms for ms, number in found] == pytest.approx([1600] * len(found), abs=40)
    assert unexamined(cut, facts) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv", ".avi", ".mpg"])
def test_a_late_range_is_entered_near_it_not_from_the_beginning(
    suffix: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    path = folder / f"forty_seconds{suffix}"
    if suffix in (".mp4", ".avi"):
        numbered(path, frames=1000)
    elif suffix == ".mpg":
        program = ["-c:v", "mpeg2video", "-q:v", "3", "-g", "25", "-bf", "2", "-f", "vob"]
        transcode(numbered(folder / "to_convert.mp4", frames=1000), path, *program)
    else:
        remux(numbered(folder / "to_remux.mp4", frames=1000), path)
    facts = probe(path)
    decoded = []
    decode = Decoder._frames_of
    monkeypatch.setattr(Decoder, "_frames_of", lambda self, packet: decoded.append(packet) or decode(self, packet))
    assert samples(path, facts, 36_300, 37_000) == [(ms, ms // 40) for ms in (36_400, 36_600, 36_800)]
    assert len(decoded) < 100


def test_what_is_left_out_changes_no_sample(plain: Path):
    """Of a stream with B-frames, fewer pictures are decoded than it has, and the samples are the same to the bit."""

    def sampled(stretch: int | None) -> tuple[int, dict[int, bytes]]:
        first: dict[int, tuple[int, bytes]] = {}
        count = 0
        with Decoder(plain, facts, sample_ms=stretch) as decoder:
            for ms, frame in decoder.frames(0):
                count += 1
                first.setdefault(ms // 200, (ms, SampledFrame(frame, facts, ms).luma.tobytes()))
        return count, dict(first.values())

    facts = probe(plain)
    (all_of_them, expected), (fewer, found) = sampled(None), sampled(200)
    assert found == expected
    assert (all_of_them, len(found)) == (150, 30)
    assert fewer < 120


# -- what is not examined ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv", ".avi"])
def test_a_damaged_middle_is_named_and_the_rest_goes_on(suffix: str, straight: Path, folder: Path):
    path = damage(remux(straight, folder / f"whole{suffix}"), folder / f"damaged{suffix}", 0.45, 0.55)
    facts = probe(path)
    found = samples(path, facts, 0, 6000)
    assert [number for ms, number in found if ms < 2000] == list(range(0, 50, 5))
    assert [number for ms, number in found if ms >= 4600] == list(range(115, 150, 5))
    lost = unexamined(path, facts)
    if suffix != ".avi":  # where noise between two good chunks can pass for a picture
        assert lost
    assert all(outcome is SpanOutcome.UNDECODABLE and 2000 <= start < end <= 4600 for start, end, outcome in lost)


def test_noise_that_looks_like_another_stream_ends_nothing(straight: Path, folder: Path):
    """FLV has nothing by which its demuxer could find the next good packet, so what is found differs."""
    whole = remux(straight, folder / "noisy.flv")
    for start in (0.3, 0.45, 0.6):
        path = damage(whole, folder / "noisy_inside.flv", start, start + 0.1)
        facts = probe(path)
        assert facts.duration_ms == 6000
        assert [number for ms, number in samples(path, facts, 0, 1400)] == list(range(0, 35, 5))
        assert all(outcome is SpanOutcome.UNDECODABLE for *_, outcome in unexamined(path, facts))
        assert unexamined(path, facts)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_recording_is_read_as_far_as_it_goes(suffix: str, straight: Path, folder: Path):
    whole = remux(straight, folder / f"to_cut{suffix}", *(["-movflags", "+faststart"] if suffix == ".mp4" else []))
    path = truncate(whole, folder / f"truncated{suffix}", 0.5)
    facts = probe(path)
    assert facts.duration_ms == 6000
    assert facts.readable_ms is not None
    assert 1500 < facts.readable_ms < 4500
    assert facts.warning is not None
    assert facts.warning.startswith("truncated: ")
    (start, end, outcome), *more = unexamined(path, facts)
    assert (end, outcome, more) == (6000, SpanOutcome.UNDECODABLE, [])
    assert abs(start - facts.readable_ms) <= 200
    assert spans(path, facts)[-1].reason == "the file ends early"
    # A range that lies wholly in what is missing.
    assert spans(path, facts, 5000, 6000) == [ExaminedSpan(5000, 6000, SpanOutcome.UNDECODABLE, "the file ends early")]


def test_a_truncated_stream_without_a_length_is_whole_as_far_as_one_can_tell(straight: Path, folder: Path):
    path = truncate(remux(straight, folder / "to_cut.ts"), folder / "truncated.ts", 0.5)
    facts = probe(path)
    assert 2000 < facts.duration_ms < 4500
    assert unexamined(path, facts) == []


def test_a_pause_of_the_recorder_is_a_gap(folder: Path):
    times = [number * 40 + (5000 if number >= 50 else 0) for number in range(100)]
    path = numbered(folder / "pause.mkv", frames=100, times_ms=times, options={"preset": "veryfast", "g": "25"})
    facts = probe(path)
    assert unexamined(path, facts) == [(pytest.approx(2000, abs=60), 7000, SpanOutcome.GAP)]
    # A range within the pause, one that begins in it, and one that ends in it.
    assert [s.outcome for s in spans(path, facts, 3000, 5000)] == [SpanOutcome.GAP]
    assert [(s.start_ms, s.outcome) for s in spans(path, facts, 3000, 8000)] == [
        (3000, SpanOutcome.GAP),
        (7000, SpanOutcome.EXAMINED),
    ]
    assert [s.end_ms for s in spans(path, facts, 1000, 4000)] == [pytest.approx(2000, abs=60), 4000]


def test_one_picture_in_five_seconds_is_no_gap(folder: Path):
    path = numbered(folder / "lapse.mkv", frames=8, times_ms=[5000 * n for n in range(8)], options={"g": "4"})
    facts = probe(path)
    assert [ms for ms, _ in samples(path, facts, 0, 60_000)] == [5000 * n for n in range(8)]
    assert unexamined(path, facts) == []


def test_where_only_the_sound_goes_on_there_is_a_gap(plain: Path, folder: Path):
    path = folder / "sound_goes_on.mp4"
    ffmpeg.run(["-y", "-i", str(plain), "-f", "lavfi", "-i", "sine=d=12", "-c:v", "copy", "-c:a", "aac", str(path)])
    facts = probe(path)
    assert unexamined(path, facts) == [(6000, facts.duration_ms, SpanOutcome.GAP)]


def test_a_source_that_goes_away_says_so(straight: Path, folder: Path):
    path = folder / "unplugged.mp4"
    path.write_bytes(straight.read_bytes())
    facts = probe(path)
    path.unlink()
    with pytest.raises(SourceUnavailable, match="attach its drive"):
        samples(path, facts, 0, 6000)


def test_a_source_that_shrinks_while_it_is_read_says_so(straight: Path, folder: Path):
    path = folder / "shrinks.ts"
    path.write_bytes(remux(straight, folder / "to_shrink.ts").read_bytes())
    facts = probe(path)
    with READER.read(path, facts, 0, 6000, 200) as run:
        next(run)
        with path.open("r+b") as file:
            file.truncate(10_000)
        with pytest.raises(SourceUnavailable, match="shorter"):
            list(run)


def test_one_damaged_time_does_not_end_the_recording(folder: Path):
    times = [number * 40 + (5_000_000 if number == 61 else 0) for number in range(150)]
    path = folder / "stray.nut"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(150):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format="yuvj420p")
            frame.time_base, frame.pts = Fraction(1, 1000), number * 40
            for packet in stream.encode(frame):
                packet.pts = times[number]
                out.mux(packet)
    facts = probe(path)
    assert facts.duration_ms == pytest.approx(6000, abs=50)
    assert [number for _, number in samples(path, facts, 0, 6000)] == list(range(0, 150, 5))
    assert unexamined(path, facts) == []


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_luma_is_the_decoders_own_memory_and_rgb_a_copy(plain: Path):
    facts = probe(plain)
    with READER.read(plain, facts, 0, 200, 200) as run:
        frame = next(run)
        assert not frame.luma.flags.owndata
        assert (frame.width, frame.height) == (160, 96)
        assert frame.rgb().shape == (96, 160, 3)
        assert frame.rgb().flags.writeable


FORMATS = {
    "yuv444p": ("libx264", ".mp4"),
    "yuv422p10le": ("libx264", ".mp4"),
    "yuv420p10le": ("libx265", ".mp4"),
    "gray": ("ffv1", ".mkv"),
    "gray16le": ("ffv1", ".mkv"),
    "gbrp": ("ffv1", ".mkv"),
    "yuvj420p": ("mjpeg", ".avi"),
    "yuyv422": ("rawvideo", ".avi"),
    "bgr24": ("rawvideo", ".avi"),
    "nv12": ("rawvideo", ".avi"),
    "pal8": ("gif", ".gif"),
}


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_pixel_format_gives_the_same_picture(pix_fmt: str, folder: Path, plain: Path):
    codec, suffix = FORMATS[pix_fmt]
    extra = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    # A rate that GIF's clock of 10 ms can hold.
    path = transcode(plain, folder / f"{pix_fmt}{suffix}", "-t", "1", "-c:v", codec, "-pix_fmt", pix_fmt, *extra)
    facts = probe(path)
    with READER.read(path, facts, 0, 1000, 200) as run:
        for frame in run:
            assert frame.luma.dtype == np.uint8
            assert frame.luma.shape == (96, 160)
            assert number_in(frame.luma) == frame.ms // 40
            assert number_in(frame.rgb()) == frame.ms // 40
            ramp = frame.luma[60].astype(int)
            assert ramp[155] - ramp[4] > 30


def test_odd_sizes(folder: Path, plain: Path):
    path = transcode(
        plain, folder / "odd.mkv", "-t", "1", "-vf", "format=yuv444p,crop=159:95:0:0:exact=1", "-c:v", "ffv1"
    )
    facts = probe(path)
    with READER.read(path, facts, 0, 1000, 200) as run:
        assert {(frame.luma.shape, frame.rgb().shape) for frame in run} == {((95, 159), (95, 159, 3))}


@pytest.mark.parametrize(("turn", "mirror"), [(90, False), (180, False), (270, False), (90, True), (0, True)])
def test_pictures_stand_upright(turn: int, mirror: bool, folder: Path, plain: Path):
    """The stored picture is turned the other way, so that upright it is the numbered one."""
    undo = {0: "null", 90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}[turn]
    flip = "hflip," if mirror else ""
    stored = transcode(plain, folder / f"stored_{turn}_{mirror}.mp4", "-t", "1", "-vf", f"{flip}{undo}", "-an")
    path = folder / f"turned_{turn}_{mirror}.mp4"
    _set_display_matrix(stored, path, turn, mirror)
    facts = probe(path)
    assert (facts.rotation, facts.mirrored, facts.width, facts.height) == (turn, mirror, 160, 96)
    with READER.read(path, facts, 0, 1000, 200) as run:
        for frame in run:
            assert number_in(frame.luma) == number_in(frame.rgb()) == frame.ms // 40
            assert frame.luma.shape == (96, 160)


def _set_display_matrix(source: Path, target: Path, turn: int, mirror: bool) -> None:
    """Write the matrix of ISO 14496-12 into the track header, which is what a phone does."""
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[turn]
    if mirror:
        a, c = -a, -c
    content = bytearray(source.read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags; times, id, duration; reserved; layer …
    unity = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    assert content[at : at + 36] == unity
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4")
    content[at : at + 36] = matrix.tobytes()
    target.write_bytes(content)


def test_squashed_pictures_are_stretched(folder: Path, plain: Path):
    path = transcode(plain, folder / "squashed.mp4", "-t", "1", "-vf", "scale=160:48,setsar=1/2")
    facts = probe(path)
    assert (facts.width, facts.height) == (160, 96)
    assert samples(path, facts, 0, 1000) == [(ms, ms // 40) for ms in range(0, 1000, 200)]


def test_interlaced_pictures_are_not_combed(folder: Path, tmp_path: Path):
    """A bar moves quickly; woven, its edges would jump from line to line."""
    path = tmp_path / "interlaced.ts"
    moving = "color=black:s=320x240:r=50:d=2[b];color=white:s=20x240:r=50:d=2[w];[b][w]overlay=x=mod(n*9\\,300)"
    woven = ["-filter_complex", f"{moving},interlace=lowpass=off", "-flags", "+ilme+ildct"]
    ffmpeg.run(["-y", *woven, "-c:v", "mpeg2video", "-q:v", "2", "-g", "12", str(path)])
    facts = probe(path)
    assert facts.interlaced
    with READER.read(path, facts, 0, 2000, 200) as run:
        for frame in run:
            lines = frame.luma.astype(int)
            assert abs(lines[20:-20:2] - lines[21:-20:2]).mean() < 2
            colours = frame.rgb().astype(int)
            assert abs(colours[20:-20:2] - colours[21:-20:2]).mean() < 2


def test_the_picture_shown_at_a_time(plain: Path, folder: Path):
    facts = probe(plain)
    assert [number_in(frame_at(plain, facts, ms)) for ms in (0, 39, 40, 2999, 3000, 5999, 9000)] == [
        0, 0, 1, 74, 75, 149, 149,
    ]  # fmt: skip


def test_the_reader_can_be_sent_to_another_process(plain: Path):
    reader = pickle.loads(pickle.dumps(FrameReader(thread_type="SLICE")))
    facts = pickle.loads(pickle.dumps(probe(plain)))
    with reader.read(plain, facts, 0, 1000, 500) as run:
        assert [number_in(frame.luma) for frame in run] == [0, 13]


@pytest.mark.parametrize("thread_type", ["SLICE", "FRAME", "AUTO"])
def test_threads_change_nothing(thread_type: str, plain: Path):
    facts = probe(plain)
    with FrameReader(thread_type).read(plain, facts, 1500, 5000, 200) as run:
        found = [(frame.ms, number_in(frame.luma)) for frame in run]
    assert found == samples(plain, facts, 1500, 5000)
