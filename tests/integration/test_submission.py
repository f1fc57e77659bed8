"""Recordings are referenced, told apart by content, found again when moved, and timed by the best clock there is."""

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest
from footage_maker import crossing

from vidsearch.app import open_app
from vidsearch.errors import SourceUnavailable, UnknownRecord, UsageError
from vidsearch.model import DEFAULT_CASE, Actor, Purpose
from vidsearch.settings import load_settings

ME = Actor("tester")


@pytest.fixture(scope="module")
def original(tmp_path_factory, astronaut) -> Path:
    return crossing(tmp_path_factory.mktemp("made") / "made.mp4", astronaut, seconds=2, visits=())


@pytest.fixture
def recording(tmp_path, original) -> Path:
    path = tmp_path / "nvr" / "Gate" / "ch1_20261102182400.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(original.read_bytes())
    return path


@pytest.fixture
def app(tmp_path, models):
    settings = load_settings(tmp_path / "data", env={"VIDSEARCH_MODELS": str(models), "VIDSEARCH_ZONE": "Europe/Paris"})
    with open_app(settings, actor=ME) as opened:
        yield opened


def add(app, *paths, **options):
    return list(app.submission.add(ME, DEFAULT_CASE, paths, **options))


def test_a_recording_is_referenced_and_never_written_to(app, recording):
    before = (recording.read_bytes(), recording.stat().st_mtime_ns, sorted(recording.parent.iterdir()))
    (result,) = add(app, recording.parent.parent)
    assert (result.outcome, result.footage.path) == ("taken", str(recording))
    row = app.timeline.one_footage(DEFAULT_CASE, result.footage.id)
    assert row.camera.name == "Gate"
    assert row.start_time == "2026-11-02T18:24:00+01:00"
    assert row.state == "new"
    assert (recording.read_bytes(), recording.stat().st_mtime_ns, sorted(recording.parent.iterdir())) == before


def test_the_same_content_is_one_recording(app, recording):
    twin = recording.with_name("copy of it.mp4")
    twin.write_bytes(recording.read_bytes())
    assert [result.outcome for result in add(app, recording, twin)] == ["taken", "known"]
    assert [result.outcome for result in add(app, recording)] == ["known"]
    assert len(app.store.footage.list(DEFAULT_CASE)) == 1


def test_a_copy_is_used_and_removed_with_its_recording(app, recording):
    (result,) = add(app, recording, copy=True)
    copied = Path(result.footage.path)
    assert copied.is_relative_to(app.settings.copies)
    recording.unlink()
    app.submission.check_source(result.footage)
    app.submission.remove(ME, DEFAULT_CASE, result.footage.id, app.forgetting.sweep)
    assert not copied.exists()
    assert app.store.footage.list(DEFAULT_CASE) == []


def test_a_moved_recording_is_found_by_size_and_hash(app, recording, tmp_path):
    (result,) = add(app, recording)
    app.submission.hash_pending(lambda: False)
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    assert app.store.footage.get(DEFAULT_CASE, result.footage.id).sha256 == digest
    attic = tmp_path / "attic"
    attic.mkdir()
    decoy = bytearray(recording.read_bytes())
    decoy[-100] ^= 1
    (attic / "a decoy of the same size.mp4").write_bytes(decoy)
    recording.rename(attic / "z.mp4")
    with pytest.raises(SourceUnavailable, match="relink"):
        app.submission.check_source(result.footage)
    (found,) = app.submission.relink(ME, DEFAULT_CASE, attic)
    assert found.path == attic / "z.mp4"
    assert list(app.submission.relink(ME, DEFAULT_CASE, attic)) == []


def test_adding_a_moved_recording_again_finds_it(app, recording, tmp_path):
    add(app, recording)
    moved = tmp_path / "moved.mp4"
    recording.rename(moved)
    (again,) = add(app, moved)
    assert again.outcome == "known"
    assert app.store.footage.list(DEFAULT_CASE)[0].path == str(moved)


def test_changed_content_is_refused(app, recording):
    (result,) = add(app, recording)
    content = bytearray(recording.read_bytes())
    content[10] ^= 1
    time.sleep(0.01)
    recording.write_bytes(content)
    with pytest.raises(SourceUnavailable, match="other content"):
        app.submission.check_source(result.footage)
    recording.write_bytes(content + b"more")
    with pytest.raises(SourceUnavailable, match="has changed"):
        app.submission.check_source(result.footage)


@pytest.mark.parametrize(
    ("start", "zone", "expected"),
    [
        ("2026-11-02T10:00:00", "Asia/Kolkata", "2026-11-02T10:00:00+05:30"),
        ("2026-11-02T10:00:00Z", "Europe/Berlin", "2026-11-02T11:00:00+01:00"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", "Europe/Berlin", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_the_start_given_wins_in_the_cameras_zone(app, recording, start, zone, expected):
    (result,) = add(app, recording, start=start, zone=zone, camera="any/name")
    row = app.timeline.one_footage(DEFAULT_CASE, result.footage.id)
    assert (row.start_time, row.camera.name) == (expected, "any/name")
    assert bool(result.warnings) == (start == "2026-10-25T02:30:00")


def test_what_cannot_be_understood_is_refused_before_anything_is_added(app, recording):
    with pytest.raises(UsageError):
        add(app, recording, start="yesterday")
    with pytest.raises(UsageError):
        add(app, recording, zone="Mars/Base")
    (result,) = add(app, recording.with_name("none.mp4"))
    assert result.outcome == "refused"
    with pytest.raises(UnknownRecord):
        list(app.submission.relink(ME, DEFAULT_CASE, recording.with_name("nowhere")))
    assert app.store.footage.list(DEFAULT_CASE) == []


def test_every_act_is_in_the_audit(app, recording):
    (result,) = add(app, recording)
    app.submission.remove(ME, DEFAULT_CASE, result.footage.id, app.forgetting.sweep)
    assert [entry.action for entry in app.store.audit.entries()] == ["footage.add", "footage.remove"]
    assert {entry.actor for entry in app.store.audit.entries()} == {"tester"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file be called by bytes that are no text")
def test_a_name_that_is_no_text_is_refused_and_the_rest_goes_on(app, recording):
    odd = Path(os.fsdecode(os.fsencode(recording.parent) + b"/a\xff.mp4"))
    odd.write_bytes(recording.read_bytes() + b"1")
    results = add(app, recording.parent)
    assert [result.outcome for result in results] == ["refused", "taken"]
    assert "rename" in results[0].reason


def test_a_camera_without_a_name_or_with_an_endless_one_is_refused(app, recording):
    for camera in ("", "x" * 301):
        with pytest.raises(UsageError, match="1 to 300 characters"):
            add(app, recording, camera=camera)


def test_a_copy_that_another_case_uses_stays(app, recording):
    app.store.cases.add("other", "Another case", Purpose.OTHER)
    (mine,) = add(app, recording, copy=True)
    (theirs,) = app.submission.add(ME, "other", [recording], copy=True)
    app.submission.remove(ME, DEFAULT_CASE, mine.footage.id, app.forgetting.sweep)
    assert Path(theirs.footage.path).is_file()
    app.submission.remove(ME, "other", theirs.footage.id, app.forgetting.sweep)
    assert not Path(theirs.footage.path).exists()


def test_changed_content_gets_no_hash(app, recording):
    (result,) = add(app, recording)
    recording.write_bytes(b"0" * result.footage.size)
    app.submission.hash_pending(lambda: False)
    assert app.store.footage.get(DEFAULT_CASE, result.footage.id).sha256 is None


def test_a_wrong_clock_is_corrected_by_adding_again(app, recording):
    (first,) = add(app, recording, zone="Europe/Paris")
    (again,) = add(app, recording, start="2026-11-03T09:00:00", zone="Asia/Kolkata")
    assert again.outcome == "known"
    row = app.timeline.one_footage(DEFAULT_CASE, first.footage.id)
    assert (row.start_time, row.footage.start_source) == ("2026-11-03T09:00:00+05:30", "user")
    assert app.store.audit.entries()[-1].action == "footage.clock"


def test_an_hour_left_out_is_said(app, recording):
    (result,) = add(app, recording, start="2026-03-29T02:30", zone="Europe/Paris")
    assert any("never was" in warning for warning in result.warnings)
