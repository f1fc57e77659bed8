"""Two engines in one case, the search under way, and what its worker waits for."""

import threading
from dataclasses import replace

import pytest

from tests.web.conftest import finish
from tests.web.still_engine import StillEngine
from vidsearch.cli.serving import Supervisor
from vidsearch.errors import StoreError
from vidsearch.timeline import Query
from web import create_app


@pytest.fixture
def twice(app, tmp_path, add_person, add_recording, add_appearances):
    """Return a recording with two visits, searched with the local engine and then with another one, now in use."""
    ann = add_person("Ann")
    footage = add_recording("k1")
    found = add_appearances(footage, ann, 0, 1500)
    engine = StillEngine(tmp_path / "far")
    engine.NAME = "rekognition"
    app.settings = replace(app.settings, engine="rekognition")
    app._engines["rekognition"] = engine
    finish(app, footage)
    again = [replace(item, id=f"far{item.start_ms}", engine="rekognition") for item in found[:1]]
    app.store.appearances.replace(footage.id, "rekognition", again)
    return footage


def rows(client, query=""):
    count = client.get(f"/timeline/rows?{query}").get_data(as_text=True).count("data-id=")
    assert len(client.get(f"/timeline.json?{query}").json["id"]) == count
    return count


def test_a_visit_is_shown_once_and_other_engines_on_request(client, twice):
    assert rows(client) == 1
    assert rows(client, "engine=local") == 2
    assert rows(client, "engine=all") == 3
    page = client.get("/").get_data(as_text=True)
    assert '<option value="" selected>Engine: rekognition' in page
    assert '<option value="local">Engine: local' in page
    page = client.get("/?engine=local").get_data(as_text=True)
    assert '<option value="local" selected>' in page
    assert "Clear" in page


def test_an_engine_that_has_found_nothing_is_not_the_usual_one(app, client, twice):
    app.store.appearances.replace(twice.id, "rekognition", [])
    assert rows(client) == 2
    assert '<option value="" selected>Every engine' in client.get("/").get_data(as_text=True)


def test_one_engine_needs_no_choice(client, filled):
    assert "Engine:" not in client.get("/").get_data(as_text=True)


def test_neighbours_are_the_same_engines(app, client, twice):
    [far] = app.timeline.appearances("default", Query(engine="rekognition"))
    page = app.timeline.appearance("default", far.appearance.id)
    assert (page.before, page.after) == (None, None)
    first, second = app.timeline.appearances("default", Query(engine="local"))
    page = app.timeline.appearance("default", first.appearance.id)
    assert page.after == second
    # Its way back leads to a timeline that shows it.
    assert "engine=local" in client.get(f"/appearances/{first.appearance.id}").get_data(as_text=True)


def test_footage_counts_what_its_link_shows(client, twice):
    assert ">1</a>" in client.get("/progress.json?rows=1").json["rows"]["1"]["found"]


def test_jobs_name_an_engine_that_is_not_this_machine(client, twice):
    assert client.get("/jobs/").get_data(as_text=True).count("· rekognition") == 1


def queue(app, footage):
    engine = app.engine()
    length = footage.facts.duration_ms
    app.store.jobs.create(footage, engine.NAME, engine.version, engine.settings_key, 0, length, "tester")


def test_progress_is_of_the_search_under_way(app, client, add_recording, monkeypatch):
    clock = [1000]
    monkeypatch.setattr("vidsearch.store.jobs.now_ms", lambda: clock[0])
    for number in range(5):
        add_recording(f"old{number}")
    assert client.get("/progress.json").json["percent"] == 100
    clock[0] = 2000
    first, second = add_recording("new1", searched=False), add_recording("new2", searched=False)
    queue(app, second)
    length = second.facts.duration_ms
    state = client.get("/progress.json").json
    assert (state["open"], state["percent"], state["length_ms"]) == (1, 0, length)
    clock[0] = 3000
    finish(app, first)
    job = app.store.jobs.claim("w", 60_000, app.engine().NAME)
    assert job
    assert job.footage_id == second.id
    state = client.get("/progress.json").json
    assert (state["open"], state["percent"], state["done_ms"]) == (1, 50, length)
    assert '<span id="percent">50</span>' in client.get("/jobs/").get_data(as_text=True)


def test_a_search_again_does_not_begin_at_a_hundred(app, client, add_recording):
    footage = add_recording("k1")
    app.engine().settings_key = "other"
    queue(app, footage)
    cell = client.get("/progress.json?rows=1").json["rows"]["1"]["state"]
    assert "waiting" in cell
    assert "%" not in cell


def test_what_the_worker_waits_for_is_said(app):
    client = create_app(app, waits=lambda: "three <jobs> at a time").test_client()
    assert "three &lt;jobs&gt; at a time" in client.get("/footage/").get_data(as_text=True)
    assert client.get("/progress.json").json["waits"] == "three <jobs> at a time"


def test_nothing_is_said_where_nothing_waits(client, filled):
    for url in ("/footage/", "/jobs/"):
        assert 'id="waits" hidden' in client.get(url).get_data(as_text=True)


def test_the_supervisor_tells_why_its_worker_could_not_work(app, monkeypatch, capsys):
    told = threading.Event()

    def full():
        told.set()
        raise StoreError("the disk is full")

    monkeypatch.setattr(app, "worker", full)
    supervisor = Supervisor(app)
    assert supervisor.waits_for() is None
    supervisor.start()
    assert told.wait(10)
    supervisor.stop()
    assert supervisor.waits_for() == "the disk is full"
    assert "the disk is full" in capsys.readouterr().err
