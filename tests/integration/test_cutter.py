"""Cutting for an engine far away: every picture of what was asked, at the time the cut says, with either ffmpeg."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from media_maker import NO_B, number_in, numbered, remux, transcode

from vidsearch.cuts import Cut, Span, to_source
from vidsearch.media.cutter import Cutter
from vidsearch.media.decoding import Decoder
from vidsearch.media.probe import probe
from vidsearch.model import MediaFacts

FRAMES = 250
"""Ten seconds, with a key frame a second: short enough to be quick, long enough for pieces between key frames."""

GRID = ((0, 3_370), (3_370, 7_010), (7_010, 20_000))
"""No border is a key frame, or even a picture."""

MUCH, LONG = 1 << 40, 1 << 40


def bundled() -> str | None:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return None


@pytest.fixture(scope="module", params=["system", "bundled"])
def cutter(request: pytest.FixtureRequest) -> Cutter:
    """A cutter with the system's ffmpeg, and one with the bundled one: they behave differently."""
    program = shutil.which("ffmpeg") if request.param == "system" else bundled()
    if program is None:
        pytest.skip(f"there is no {request.param} ffmpeg here")
    return Cutter(program)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cutter")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """With B-frames, as most software writes."""
    return numbered(folder / "plain.mp4", frames=FRAMES)


@pytest.fixture(scope="module")
def straight(folder: Path) -> Path:
    """Without B-frames, as most cameras record."""
    return numbered(folder / "straight.mp4", frames=FRAMES, options=NO_B)


# -- sources -----------------------------------------------------------------------------------------------------------

OPEN_GOP = {"preset": "veryfast", "g": "25", "bf": "3", "x264-params": "open-gop=1:keyint=25:min-keyint=25:scenecut=0"}
HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:open-gop=1", "-preset", "ultrafast")
UNEVEN = [40 * n + (7 * n * n) % 31 + (900 if n > 120 else 0) for n in range(FRAMES)]
"""Times of a variable rate, with a pause."""


def joined(source: Path, path: Path) -> Path:
    late = remux(source, path.with_suffix(".late.ts"), "-t", "5", "-output_ts_offset", "500")
    early = remux(source, path.with_suffix(".early.ts"), "-output_ts_offset", "100", begin=5)
    path.write_bytes(late.read_bytes() + early.read_bytes())
    return path


def late(source: Path, path: Path) -> Path:
    """Sound begins at 0.2 s and pictures at 1.044 s."""
    moved = remux(source, path.with_suffix(".mkv"), "-output_ts_offset", "1.044")
    inputs = ["-y", "-copyts", "-i", str(moved), "-itsoffset", "0.2", "-f", "lavfi", "-i", "sine=d=11"]
    maps = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-avoid_negative_ts", "disabled"]
    from vidsearch.media import ffmpeg

    ffmpeg.run([*inputs, *maps, str(path)])
    return path


COPIED: dict[str, Callable[[Path, Path], Path]] = {
    "straight.mp4": lambda source, path: numbered(path, frames=FRAMES, options=NO_B),
    "b_frames.mp4": lambda source, path: source,
    "b_frames.mkv": remux,
    "b_frames.flv": remux,
    "fragmented.mp4": lambda source, path: remux(source, path, "-movflags", "+frag_keyframe+empty_moov"),
    "open_gop.mp4": lambda source, path: numbered(path, frames=FRAMES, options=OPEN_GOP),
    "open_gop.ts": lambda source, path: remux(
        numbered(path.with_suffix(".mp4"), frames=FRAMES, options=OPEN_GOP), path, "-output_ts_offset", "77"
    ),
    "variable.mp4": lambda source, path: numbered(path, frames=FRAMES, times_ms=UNEVEN),
    "edit_list.mp4": lambda source, path: remux(source, path, begin=1.68),
    "from_1001_s.ts": lambda source, path: remux(source, path, "-output_ts_offset", "1001"),
    "clock_wraps.ts": lambda source, path: remux(source, path, "-output_ts_offset", "95437"),
    "late.mp4": late,
}
"""What is cut by copying."""

ENCODED: dict[str, Callable[[Path, Path], Path]] = {
    "hevc.mkv": lambda source, path: transcode(source, path, *HEVC),
    "motion_jpeg.avi": lambda source, path: transcode(source, path, "-c:v", "mjpeg", "-q:v", "3"),
    "reordered.avi": lambda source, path: numbered(path, frames=FRAMES),
    "raw.h264": remux,
    "joined.ts": lambda source, path: joined(numbered(path.with_suffix(".mp4"), frames=FRAMES, options=NO_B), path),
    "uneven.mkv": lambda source, path: transcode(
        numbered(path.with_suffix(".mp4"), frames=FRAMES, times_ms=UNEVEN),
        path,
        *("-c:v", "ffv1", "-enc_time_base", "1:1000", "-fps_mode", "vfr"),
    ),
}
"""What must be encoded anew."""


@dataclass(frozen=True)
class Shown:
    """A picture: when it is shown, its number, and a digest of it."""

    ms: float
    number: int
    digest: str


_KNOWN: dict[Path, tuple[Path, MediaFacts, list[Shown]]] = {}


def source(kind: str, plain: Path, folder: Path) -> tuple[Path, MediaFacts, list[Shown]]:
    """Return a recording, what it is, and its pictures at their recording times; made once."""
    path = folder / kind
    if path not in _KNOWN:
        made = (COPIED | ENCODED)[kind](plain, path)
        facts = probe(made)
        with Decoder(made, facts) as decoder:
            truth = [shown(ms, frame) for ms, frame in decoder.frames(0)]
        assert len(truth) > 150
        _KNOWN[path] = made, facts, truth
    return _KNOWN[path]


def shown(ms: float, frame: av.VideoFrame) -> Shown:
    pixels = frame.to_ndarray(format="gray")
    return Shown(ms, number_in(pixels), hashlib.md5(pixels.tobytes()).hexdigest())


def pictures(path: Path) -> list[Shown]:
    """Return the pictures of a cut at their times, as any reader of MP4 finds them: not by our own decoder."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert [s.type for s in container.streams] == ["video"]
        assert container.start_time == 0
        return [shown(float(frame.pts * stream.time_base * 1000), frame) for frame in container.decode(stream)]


def prove(cut: Cut, facts: MediaFacts, truth: list[Shown], spans: list[Span], *, copied: bool) -> set[int]:
    """Check that a cut holds every picture of the spans, each where it says; return the numbers it holds."""
    assert cut.made
    assert cut.size == cut.path.stat().st_size
    held = pictures(cut.path)
    assert held[0].ms == 0
    by_time = {one.ms: one for one in truth}
    for one in held:
        ms = to_source(cut.stretches, one.ms)
        if ms is None or ms < 0:
            continue  # a few pictures behind a stretch; before the zero, what an edit list hides
        true = next((by_time[at] for at in (ms, ms - 1, ms + 1) if at in by_time), None)
        assert true is not None, f"nothing is shown at {ms} ms"
        assert true.number == one.number
        if copied:
            assert true.digest == one.digest
    for start, end in spans:
        wanted = {one.number for one in truth if start <= one.ms < end}
        assert wanted <= {one.number for one in held}
    return {one.number for one in held}


def cut_of(cutter: Cutter, path: Path, facts: MediaFacts, spans: list[Span], out: Path, **more: int) -> Cut:
    limits = {"max_bytes": MUCH, "max_ms": LONG, **more}
    return cutter.cut(path, facts, path.stat().st_size, spans, out, **limits)


@pytest.mark.parametrize("kind", [*COPIED, *ENCODED])
def test_every_picture_is_in_a_piece_at_the_time_the_piece_says(
    kind: str, cutter: Cutter, plain: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path, facts, truth = source(kind, plain, folder)
    copied = kind in COPIED
    union = set()
    with caplog.at_level("INFO", "vidsearch.media.cutter"):
        for number, span in enumerate(GRID):
            cut = cut_of(cutter, path, facts, [span], tmp_path / f"{number}.mp4")
            union |= prove(cut, facts, truth, [span], copied=copied)
            assert len(cut.stretches) == 1
            # Not more than a second of key frames before, and nothing behind.
            (stretch,) = cut.stretches
            assert span[0] - 1_800 < stretch.source_ms
            assert stretch.source_ms + stretch.length_ms <= max(span[1], truth[-1].ms) + 1_000
    assert union >= {one.number for one in truth}
    assert not caplog.records, "copying was given up"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]


SPANS = [(300, 1_150), (2_990, 3_010), (4_500, 5_700), (8_010, 8_900)]


@pytest.mark.parametrize("kind", ["b_frames.mp4", "variable.mp4", "from_1001_s.ts", "edit_list.mp4", "open_gop.mp4"])
def test_several_parts_make_one_file(kind: str, cutter: Cutter, plain: Path, folder: Path, tmp_path: Path):
    path, facts, truth = source(kind, plain, folder)
    # Key frames of open GOPs lean on the pictures before them, which are not there behind another part.
    copied = kind != "open_gop.mp4"
    cut = cut_of(cutter, path, facts, SPANS, tmp_path / "cut.mp4")
    prove(cut, facts, truth, SPANS, copied=copied)
    assert len(cut.stretches) >= 3
    assert all(b.out_ms >= a.out_ms + a.length_ms - 1 for a, b in zip(cut.stretches, cut.stretches[1:], strict=False))
    assert cut.length_ms < 0.8 * facts.duration_ms


@pytest.mark.parametrize("kind", ["hevc.mkv", "motion_jpeg.avi", "raw.h264", "joined.ts"])
def test_several_parts_are_encoded_into_one_file(kind: str, cutter: Cutter, plain: Path, folder: Path, tmp_path: Path):
    path, facts, truth = source(kind, plain, folder)
    cut = cut_of(cutter, path, facts, SPANS, tmp_path / "cut.mp4")
    held = prove(cut, facts, truth, SPANS, copied=False)
    # Encoding need not begin at key frames: nothing is sent that was not asked for.
    assert held == {one.number for one in truth if any(start <= one.ms < end for start, end in SPANS)}
    assert len(cut.stretches) == len([s for s in SPANS if any(s[0] <= one.ms < s[1] for one in truth)])
    with av.open(str(cut.path)) as container:
        assert all(packet.pts == packet.dts for packet in container.demux(video=0) if packet.size)


def test_many_parts(cutter: Cutter, folder: Path, tmp_path: Path):
    """A key frame every two pictures, and every second pair wanted."""
    path = numbered(folder / "many.mp4", frames=1000, options={"preset": "veryfast", "g": "2", "bf": "0"})
    spans = [(at, at + 40) for at in range(0, 40_000, 160)]
    cut = cut_of(cutter, path, probe(path), spans, tmp_path / "cut.mp4")
    held = {one.number for one in pictures(cut.path)}
    assert held >= {at // 40 for at, _ in spans}
    assert len(cut.stretches) <= 200


def test_the_clock_of_a_cut_is_the_sources(cutter: Cutter, plain: Path, tmp_path: Path):
    cut = cut_of(cutter, plain, probe(plain), [(3_370, 7_010)], tmp_path / "cut.mp4")
    with av.open(str(plain)) as one, av.open(str(cut.path)) as other:
        assert other.streams.video[0].time_base == one.streams.video[0].time_base != Fraction(1, 1000)


def test_a_clock_that_goes_back_a_little(cutter: Cutter, folder: Path, tmp_path: Path):
    """Copied, ffmpeg would change times on its own; encoded, each picture keeps the time we say it has."""
    whole = numbered(folder / "goes_back.mp4", frames=FRAMES, options=NO_B)
    first = remux(whole, folder / "goes_back.1.ts", "-t", "5", "-output_ts_offset", "100")
    second = remux(whole, folder / "goes_back.2.ts", "-output_ts_offset", "104.5", begin=5)
    path = folder / "goes_back.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    facts = probe(path)
    with Decoder(path, facts) as decoder:
        at = {shown(ms, frame).number: ms for ms, frame in decoder.frames(0)}
    assert at[126] < at[124]
    cut = cut_of(cutter, path, facts, [(0, 20_000)], tmp_path / "cut.mp4")
    for one in pictures(cut.path):
        assert to_source(cut.stretches, one.ms) == pytest.approx(at[one.number], abs=1)
    assert len(pictures(cut.path)) == len(at)


ANDROIDX = "formats_androidx/libraries/test_data/src/test/assets/media"
FOREIGN = (
    f"{ANDROIDX}/flv/sample.flv",
    f"{ANDROIDX}/mkv/sample_with_htc_rotation_track_name.mkv",
    f"{ANDROIDX}/mp4/sample_fragmented.mp4",
    f"{ANDROIDX}/mp4/testvid_1022ms.mp4",
    f"{ANDROIDX}/ts/sample_h264.ts",
    "formats_torchcodec/test/resources/h264_10bits.mp4",
    "hamilton/examples/short_hamilton_clip.mp4",
)


@pytest.mark.parametrize("name", FOREIGN)
def test_recordings_that_others_made(name: str, cutter: Cutter, shared_data: Path, tmp_path: Path):
    """Every time in a cut is one of the recording's, and none of the part asked for is missing."""
    path = shared_data / name
    facts = probe(path)
    with Decoder(path, facts) as decoder:
        truth = {ms for ms, _ in decoder.frames(0)}
    for span in ((0, facts.duration_ms), (facts.duration_ms // 3, 2 * facts.duration_ms // 3)):
        cut = cut_of(cutter, path, facts, [span], tmp_path / "cut.mp4")
        with av.open(str(cut.path)) as container:
            base = container.streams.video[0].time_base * 1000
            held = [to_source(cut.stretches, float(frame.pts * base)) for frame in container.decode(video=0)]
        near = [{at - 1, at, at + 1} & truth for at in held if at is not None and at >= 0]
        assert all(near)
        assert {ms for ms in truth if span[0] <= ms < span[1]} <= set().union(*near)
