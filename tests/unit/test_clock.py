"""Zones, instants, names of recordings, and which of several clocks is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch import clock
from vidsearch.errors import UsageError
from vidsearch.model import MediaFacts, StartSource

BERLIN = "Europe/Berlin"


def facts(created: str | None = None, duration_ms: int = 600_000) -> MediaFacts:
    return MediaFacts("mp4", "h264", 640, 360, duration_ms, 0, 25.0, created=created)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-02T18:24:00", "UTC", "2026-11-02T18:24:00+00:00"),
        ("2026-11-02T18:24:00", BERLIN, "2026-11-02T18:24:00+01:00"),
        ("2026-07-02 18:24", BERLIN, "2026-07-02T18:24:00+02:00"),
        ("2026-11-02", BERLIN, "2026-11-02T00:00:00+01:00"),
        ("20261102T182400", BERLIN, "2026-11-02T18:24:00+01:00"),
        ("2026-11-02T18:24:00Z", BERLIN, "2026-11-02T19:24:00+01:00"),
        ("2026-11-02T18:24:00-05:00", BERLIN, "2026-11-03T00:24:00+01:00"),
        (" 2026-11-02T18:24:00.250 ", BERLIN, "2026-11-02T18:24:00.250+01:00"),
        # Summer time ends: the hour from 2 to 3 happens twice, the first is taken unless an offset says otherwise.
        ("2026-10-25T02:30:00", BERLIN, "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", BERLIN, "2026-10-25T02:30:00+01:00"),
        # Summer time begins: the hour from 2 to 3 is left out, clocks show an hour later.
        ("2026-03-29T02:30:00", BERLIN, "2026-03-29T03:30:00+02:00"),
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T01:30:00-04:00"),
        ("1965-03-01T00:00:00", "UTC", "1965-03-01T00:00:00+00:00"),
    ],
)
def test_an_instant_is_read_and_shown(text: str, zone: str, expected: str):
    assert clock.iso(clock.parse_instant(text, zone), zone) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-11-02T25:00", "02.11.2026 18:24", "1762107840"])
def test_what_is_no_instant(text: str):
    with pytest.raises(UsageError, match="is not a time: write 2026-11-02T18:24:00"):
        clock.parse_instant(text, "UTC")


def test_the_end_of_the_calendar_is_a_usage_error_or_an_instant():
    assert clock.parse_instant("9999-12-31T23:59:59", "UTC") > 0
    assert clock.parse_instant("0001-01-01T00:00:00", "UTC") < 0


@pytest.mark.parametrize(
    ("text", "zone", "twice"),
    [
        ("2026-10-25T02:30:00", BERLIN, True),
        ("2026-10-25T02:30:00+02:00", BERLIN, False),
        ("2026-10-25T03:00:00", BERLIN, False),
        ("2026-10-25T01:59:59", BERLIN, False),
        ("2026-03-29T02:30:00", BERLIN, False),
        ("2026-10-25T02:30:00", "UTC", False),
        ("2026-11-01T01:00:00", "America/New_York", True),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", True),  # half an hour
    ],
)
def test_an_hour_that_happens_twice(text: str, zone: str, twice: bool):
    assert clock.is_ambiguous(text, zone) is twice


@given(
    st.integers(-2_000_000_000_000, 4_000_000_000_000),
    st.sampled_from([BERLIN, "America/St_Johns", "Asia/Kolkata", "UTC"]),
)
def test_what_is_shown_is_read_back(ms: int, zone: str):
    assert clock.parse_instant(clock.iso(ms, zone), zone) == ms
    assert clock.wall_clock(ms, zone).timestamp() == pytest.approx(ms / 1000, abs=0.001)


def test_zones():
    assert clock.check_zone("Asia/Tokyo") == "Asia/Tokyo"
    with pytest.raises(UsageError, match=r"'Europe/Berlim' is not a time zone: did you mean Europe/Berlin\?"):
        clock.check_zone("Europe/Berlim")
    for name in ("", "Europe", "../../etc/passwd", "/etc/localtime", "Mars/Olympus", "a\0b"):
        with pytest.raises(UsageError, match="is not a time zone"):
            clock.check_zone(name)


def test_the_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch):
    assert clock.check_zone(clock.local_zone())
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert clock.local_zone() == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")  # POSIX, which names no zone
    assert clock.check_zone(clock.local_zone())


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.0 s"),
        (430, "0.4 s"),
        (4_200, "4.2 s"),
        (9_949, "9.9 s"),
        (9_960, "10 s"),
        (59_499, "59 s"),
        (59_600, "1 min 00 s"),
        (187_000, "3 min 07 s"),
        (7_500_000, "2 h 05 min"),
        (3_599_900, "1 h 00 min"),
        (86_390_000, "1 d 00 h"),
        (273_600_000, "3 d 04 h"),
    ],
)
def test_durations_for_people(ms: int, text: str):
    assert clock.duration_text(ms) == text


START = datetime(2026, 11, 2, 18, 24)


@pytest.mark.parametrize(
    "name",
    [
        "20261102_182400.mp4",
        "20261102182400.mp4",
        "2026-11-02_18-24-00.mkv",
        "2026-11-02T18.24.00.mp4",
        "2026-11-02T18:24:00.mp4",
        "2026-11-02 18-24-00.mp4",
        "2026_11_02_18_24_00.avi",
        "2026.11.02-18.24.00.ts",
        "ch01_20261102182400.mp4",
        "NVR_ch2_main_20261102182400_20261102190000.dav",
        "RLC-810A-0-20261102182400-20261102190000.mp4",
        "192.168.1.64_01_20261102182400_1.mp4",
        "hall-20261102-182400-000123.mp4",
        "VID_20261102_182400.mp4",
        "Screen Recording 2026-11-02 at 18.24.00.mov",
        "Screen Recording 2026-11-02 at 6.24.00 PM.mov",
        "D2026-11-02-T18-24-00.mp4",
        "D20261102T182400.avi",
        "2026_1102_182400_001.MP4",
        "front door 02.11.2026 18.24.00.mp4",
        "2026年11月02日18时24分00秒.mp4",
        "2026年11月2日_18時24分.mp4",
        "cam 3 (20261102T182400).mp4",
        "0000000012345678_20261102_182400.h264",
        "D:\\export\\20261102_182400.mp4",
        "2026-11-02/001/dav/18/18.24.00-18.54.00[R][0@0][0].dav",
        "/mnt/dvr/2026-11-02/001/dav/18/18.24.00-18.54.00[M][0@0][0].dav",
        "/mnt/cam/20261102/18-24-00.mp4",
        "/mnt/cam/2026/11/02/18.24.00.mp4",
        "/mnt/2025-01-01 export/2026-11-02/18_24_00.mp4",
    ],
)
def test_names_of_recorders(name: str):
    assert clock.from_file_name(name) == START


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PXL_20261102_182400123.mp4", datetime(2026, 11, 2, 18, 24, 0, 123_000, UTC)),
        ("cam1-1793643840.mp4", datetime(2026, 11, 2, 18, 24, tzinfo=UTC)),
        ("1793643840500.ts", datetime(2026, 11, 2, 18, 24, 0, 500_000, UTC)),
        ("recordings/2026-11-02/18/front/24.00.mp4", datetime(2026, 11, 2, 18, 24, tzinfo=UTC)),
        ("20261102182400250.mp4", datetime(2026, 11, 2, 18, 24, 0, 250_000)),
    ],
)
def test_names_in_utc_and_with_milliseconds(name: str, expected: datetime):
    assert clock.from_file_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "GOPR0042.mp4",
        "2026-11-02.mp4",
        "VID-20261102-WA0001.mp4",
        "02-11-2026_18-24-00.mp4",  # November or February?
        "20261302_182400.mp4",
        "20260231_182400.mp4",
        "20261102_256100.mp4",
        "1920x1080_12345678.mp4",
        "18.24.00-18.54.00[R].dav",
        "123456789012345678901234567890.mp4",
        "",
    ],
)
def test_names_that_say_no_start(name: str):
    assert clock.from_file_name(name) is None


@given(st.text(max_size=60))
def test_no_name_is_too_odd(name: str):
    clock.from_file_name(name)


# -- which clock is believed -------------------------------------------------------------------------------------------

MTIME = clock.parse_instant("2026-12-24T12:00:00", "UTC")


def start(
    name: str = "clip.mp4", created: str | None = None, given: str | None = None, zone: str = BERLIN
) -> clock.Start:
    return clock.resolve_start(Path("/footage") / name, facts(created), MTIME, given, zone)


def test_the_user_is_believed_first():
    found = start("20261102_182400.mp4", "2026-11-02T17:24:00+00:00", "2026-11-02T10:00:00")
    assert (clock.iso(found.start_ms, BERLIN), found.source) == ("2026-11-02T10:00:00+01:00", StartSource.USER)
    assert found.warning is None


def test_then_the_container():
    found = start(created="2026-11-02T17:24:00.000000Z")
    assert (clock.iso(found.start_ms, BERLIN), found.source) == ("2026-11-02T18:24:00+01:00", StartSource.CONTAINER)
    found = start("20261102_182430.mp4", "2026-11-02T17:24:00+00:00")
    assert (found.source, found.warning) == (StartSource.CONTAINER, None)
    # Without an offset, as FLV has it, it is the camera's time.
    assert start(created="2026-11-02T18:24:00").start_ms == start(created="2026-11-02T17:24:00Z").start_ms


def test_then_the_name_which_wins_where_they_disagree():
    found = start("20261102_182400.mp4")
    assert (clock.iso(found.start_ms, BERLIN), found.source) == ("2026-11-02T18:24:00+01:00", StartSource.FILE_NAME)
    assert found.warning is None
    found = start("20261102_182400.mp4", "2026-11-05T08:00:00+00:00")
    assert (clock.iso(found.start_ms, BERLIN), found.source) == ("2026-11-02T18:24:00+01:00", StartSource.FILE_NAME)
    assert found.warning is not None
    assert "2026-11-02T18:24:00+01:00" in found.warning
    assert "2026-11-05T09:00:00+01:00" in found.warning
    assert "--start" in found.warning


def test_a_container_stamped_at_the_end_of_the_recording_does_not_disagree():
    found = start("VID_20261102_182400.mp4", "2026-11-02T17:34:05+00:00")
    assert (found.source, found.warning) == (StartSource.FILE_NAME, None)


def test_a_name_in_the_hour_that_happens_twice_warns():
    found = start("20261025_023000.mp4")
    assert clock.iso(found.start_ms, BERLIN) == "2026-10-25T02:30:00+02:00"
    assert found.warning is not None
    assert "happened twice in Europe/Berlin" in found.warning


def test_at_last_the_files_date_is_a_guess_and_says_so():
    found = start()
    assert clock.iso(found.start_ms, "UTC") == "2026-12-24T11:50:00+00:00"
    assert found.source is StartSource.FILE_DATE
    assert found.warning is not None
    assert "guess" in found.warning
    assert "--start" in found.warning


def test_a_period_ends_with_the_day_that_its_last_date_names():
    day = 24 * 3_600_000
    begin, end = clock.period("2026-11-18", "2026-11-18", "UTC")
    assert end - begin == day
    assert clock.period("2026-11-18", "2026-11-18T12:00", "UTC")[1] - begin == day // 2
    assert clock.period(None, None, "UTC") == (None, None)
    with pytest.raises(UsageError, match="empty"):
        clock.period("2026-11-20", "2026-11-19", "UTC")
