"""Plans name what is not yet searched, and nothing else."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
from footage_maker import crossing

from vidsearch.app import open_app
from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.model import DEFAULT_CASE, Actor
from vidsearch.settings import load_settings
from vidsearch.states import JobState

ME = Actor("tester")


@pytest.fixture(scope="module")
def recording(tmp_path_factory, astronaut):
    return crossing(tmp_path_factory.mktemp("made") / "hall.mp4", astronaut, seconds=6, visits=((1.0, 4.0),))


@pytest.fixture
def app(tmp_path, models, recording):
    settings = load_settings(tmp_path / "data", env={"VIDSEARCH_MODELS": str(models), "VIDSEARCH_CORES": "1"})
    with open_app(settings, actor=ME) as opened:
        start = "2026-11-02T10:00:00Z"
        list(opened.submission.add(ME, DEFAULT_CASE, [recording], camera="Hall", start=start, zone="UTC"))
        yield opened


def plan(app, **options):
    return app.search.plan(DEFAULT_CASE, **{"threshold": 80.0, **options})


@pytest.mark.parametrize(
    ("length", "seekable", "pieces"),
    [
        (1, True, [(0, 1)]),
        (60_000, True, [(0, 60_000)]),
        (64_999, True, [(0, 64_999)]),
        (65_000, True, [(0, 60_000), (60_000, 65_000)]),
        (180_500, True, [(0, 60_000), (60_000, 120_000), (120_000, 180_500)]),
        (180_500, False, [(0, 180_500)]),
    ],
)
def test_pieces_lie_on_a_fixed_grid(app, length, seekable, pieces):
    (footage,) = app.store.footage.list(DEFAULT_CASE)
    facts = dataclasses.replace(footage.facts, duration_ms=length, seekable=seekable)
    found = app.planner.pieces(dataclasses.replace(footage, facts=facts))
    assert [(piece.start_ms, piece.end_ms) for piece in found] == pieces


def test_a_period_on_the_wall_clock_chooses_recordings(app):
    assert plan(app).total_ms == pytest.approx(6_000, abs=200)
    assert plan(app, from_="2026-11-02T10:00:05", to="2026-11-02T11:00").pieces == 1
    assert plan(app, from_="2026-11-02T10:00:07").pieces == 0
    assert plan(app, to="2026-11-02T10:00:00").pieces == 0
    assert plan(app, cameras=["Hall"]).pieces == 1
    with pytest.raises(UsageError, match="empty"):
        plan(app, from_="2026-11-02T10:00", to="2026-11-02T09:00")
    with pytest.raises(UnknownRecord, match="Hall"):
        plan(app, cameras=["Yard"])
    with pytest.raises(UsageError):
        plan(app, threshold=101)


def test_what_is_queued_paused_or_failed_goes_on_and_what_is_done_does_not(app):
    first = plan(app)
    ids = app.search.submit(ME, first)
    assert [job.id for job in plan(app).waiting] == ids
    app.search.pause(ME, DEFAULT_CASE, ids)
    assert plan(app).resumed[0].state == JobState.PAUSED
    again = app.search.submit(ME, plan(app))
    assert again == ids
    app.worker().run(ids)
    assert app.search.progress(DEFAULT_CASE).counts == {JobState.SUCCEEDED: 1}
    assert plan(app).pieces == 0


def test_a_changed_threshold_or_gallery_matches_again_and_decodes_nothing(app, astronaut, recording):
    app.worker().run(app.search.submit(ME, plan(app)))
    app.search.rematch(DEFAULT_CASE, 80.0)
    list(app.enrolment.add_photos(ME, DEFAULT_CASE, "Eileen", [astronaut]))
    assert len(plan(app).rematch) == 1
    (found,) = app.search.rematch(DEFAULT_CASE, 80.0)
    assert found.similarity >= 80
    assert plan(app).rematch == []
    assert app.search.rematch(DEFAULT_CASE, 100.0) == []
    assert app.store.appearances.count(DEFAULT_CASE) == 0
    assert [row.id for row in app.search.rematch(DEFAULT_CASE, 80.0)] == [found.id]


def test_a_missing_recording_is_named_and_the_rest_goes_on(app, tmp_path, recording, astronaut):
    other = crossing(tmp_path / "yard.mp4", astronaut, seconds=3, visits=())
    list(app.submission.add(ME, DEFAULT_CASE, [other], camera="Yard"))
    other.unlink()
    first = plan(app)
    assert [footage.path for footage in first.unavailable] == [str(other)]
    assert first.pieces == 1
    app.search.submit(ME, first)
    states = {row.camera.name: row.state for row in app.timeline.footage(DEFAULT_CASE)}
    assert states == {"Hall": "waiting", "Yard": "missing"}


def test_ctrl_c_pauses_and_the_next_search_goes_on(tmp_path, models, astronaut):
    if os.name == "nt":
        pytest.skip("needs POSIX signals")
    long = crossing(tmp_path / "long.mp4", astronaut, seconds=150, visits=((70.0, 73.0),))
    environment = {**os.environ, "VIDSEARCH_MODELS": str(models), "VIDSEARCH_CORES": "1"}
    words = [sys.executable, "-m", "vidsearch", "--data", str(tmp_path / "data")]
    subprocess.run([*words, "footage", "add", str(long)], env=environment, check=True, capture_output=True)
    running = subprocess.Popen(
        [*words, "search"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(3)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=30)
    if running.returncode == 0:
        pytest.skip("the search was done before it could be stopped")
    assert "paused" in said
    assert len(said.splitlines()) == 1
    done = subprocess.run([*words, "search"], env=environment, check=True, capture_output=True, text=True)
    assert "searched" in done.stdout
    listed = subprocess.run([*words, "footage", "list"], env=environment, check=True, capture_output=True, text=True)
    assert "100 %" in listed.stdout


def test_jobs_of_an_older_engine_do_not_wait_for_ever(app):
    (footage,) = app.store.footage.list(DEFAULT_CASE)
    with app.store.atomic():
        app.store.jobs.create(footage, "local", "0-old", "fps5", 0, 6_000, "tester")
    app.search.submit(ME, plan(app))
    states = {job.engine_version: job.state for job in app.store.jobs.list(DEFAULT_CASE)}
    assert states == {"0-old": "cancelled", app.engine().version: "queued"}


def test_going_back_to_earlier_settings_matches_again(app, astronaut):
    list(app.enrolment.add_photos(ME, DEFAULT_CASE, "Eileen", [astronaut]))
    app.worker().run(app.search.submit(ME, plan(app)))
    app.search.rematch(DEFAULT_CASE, 80.0)
    (footage,) = app.store.footage.list(DEFAULT_CASE)
    app.store.matches.set_matched(footage.id, "local", app.engine().version, "fps10", 1, 1, 80.0)
    assert app.matching.pending(DEFAULT_CASE, 80.0) == [app.store.footage.get(DEFAULT_CASE, footage.id)]


def test_forgetting_keeps_the_threshold_of_the_last_search(app, astronaut):
    list(app.enrolment.add_photos(ME, DEFAULT_CASE, "Eileen", [astronaut]))
    app.worker().run(app.search.submit(ME, plan(app)))
    app.search.rematch(DEFAULT_CASE, 100.0)
    assert app.matching.pending(DEFAULT_CASE, None) == []
    with app.store.atomic():
        app.store.cases.bump_revision(DEFAULT_CASE)
    assert len(app.matching.pending(DEFAULT_CASE, None)) == 1
    assert app.search.rematch(DEFAULT_CASE, None) == []
    assert app.store.appearances.count(DEFAULT_CASE) == 0
