"""An engine that charges: the price is shown, and nothing is searched before somebody agreed to that price."""

from dataclasses import replace

import pytest

from tests.web.still_engine import StillEngine
from vidsearch.engine import Capabilities, MediaLimits
from vidsearch.states import JobState


@pytest.fixture
def paid(app, tmp_path):
    engine = StillEngine(tmp_path / "paid")
    engine.NAME = "rekognition"
    engine.settings_key = "full"
    engine.capabilities = Capabilities(reads_in_place=False, priced=True)
    engine.media_limits = MediaLimits(max_bytes=10**9, max_duration_ms=3_600_000, segment_ms=3_600_000)
    app.settings = replace(app.settings, engine="rekognition", aws_region="us-east-1")
    app._engines["rekognition"] = engine
    return engine


def price(page):
    return page.split('name="agreed" value="')[1].split('"')[0]


def test_the_price_is_shown_and_agreed_to(client, app, paid, add_person, add_recording):
    add_person("Ann")
    add_recording("k1", searched=False)
    page = client.get("/footage/").get_data(as_text=True)
    assert "Search and pay" in page
    assert "$" in price(page)
    assert "threshold 99" in page
    assert client.post("/search", {"agreed": price(page)}).status_code == 303
    assert app.store.jobs.counts("default") == {JobState.QUEUED: 1}
    (entry,) = [entry for entry in app.store.audit.entries() if entry.action == "search"]
    assert entry.detail["agreed"] == price(page)
    assert "Search and pay" not in client.get("/footage/").get_data(as_text=True)


@pytest.mark.parametrize("agreed", [{}, {"agreed": "on Rekognition, all of it: nothing"}])
def test_another_price_is_not_agreed_to(client, app, paid, add_person, add_recording, agreed):
    add_person("Ann")
    add_recording("k1", searched=False)
    client.post("/search", agreed)
    assert app.store.jobs.counts("default") == {}
    assert "the price has changed" in client.get("/footage/").get_data(as_text=True)


def test_a_wide_threshold_comes_with_a_notice(client, app, paid, add_recording):
    app.settings = replace(app.settings, threshold_rekognition=80.0)
    add_recording("k1", searched=False)
    page = client.get("/footage/").get_data(as_text=True)
    assert "threshold 80" in page
    assert "flash ask" in page


def test_nothing_is_paid_for_looking_for_nobody(client, app, paid, add_recording):
    add_recording("k1", searched=False)
    page = client.get("/footage/").get_data(as_text=True)
    client.post("/search", {"agreed": price(page)})
    assert "nobody is enrolled" in client.get("/footage/").get_data(as_text=True)
    assert app.store.jobs.counts("default") == {}


def test_footage_to_be_searched_again_is_not_said_to_be_matched_only(client, app, paid, add_person, add_recording):
    ann = add_person("Ann")
    add_recording("k1")
    page = client.get("/footage/").get_data(as_text=True)
    assert "To search: 1 recording" in page
    assert "without being gone through" not in page
    assert "by the track it is" in page
    page = client.get(f"/people/{ann.id}").get_data(as_text=True)
    assert "1 recording searched before is to be searched again" in page
    assert "that costs" in page
    assert "Search now" not in page
    assert "need not be gone through again" not in client.get("/people/").get_data(as_text=True)


def test_what_a_photo_costs_is_said_beside_the_form(client, app, paid, add_person):
    ann = add_person("Ann")
    for url in ("/people/", f"/people/{ann.id}"):
        assert "for less than a cent" in client.get(url).get_data(as_text=True)


def test_what_is_free_is_not_said_to_cost(client, add_person, add_recording):
    ann = add_person("Ann")
    add_recording("k1")
    page = client.get("/people/").get_data(as_text=True)
    assert "need not be gone through again" in page
    assert "less than a cent" not in page
    assert "Search now" in client.get(f"/people/{ann.id}").get_data(as_text=True)


class ByTrack(StillEngine):
    """Is asked about tracks, for money; notes whether it might ask."""

    NAME = "rekognition"
    settings_key = "tracks-s"
    questioned = 500

    def __init__(self, folder):
        super().__init__(folder)
        self.capabilities = Capabilities(analysis=True, priced=True)
        self.asked = []

    def unsent(self, gallery, footage_keys):
        return 0

    def questions(self, gallery, *, more):
        return self.questioned

    def match(self, gallery, footage_key, *, track_ids=None, ask=True):
        self.asked.append(ask)
        yield from ()


@pytest.fixture
def by_track(app, tmp_path, add_person, add_recording):
    """Return an engine that was asked about a recording before somebody was enrolled."""
    app.settings = replace(app.settings, engine="rekognition", aws_region="us-east-1", rekognition_mode="tracks")
    engine = app._engines["rekognition"] = ByTrack(tmp_path / "by-track")
    add_recording("k1")
    add_person("Bea")
    return engine


def test_a_later_suspect_is_asked_about_when_the_price_is_agreed_to(client, app, by_track):
    page = client.get("/footage/").get_data(as_text=True)
    assert "Search and pay" in page
    client.post("/search", {"agreed": "nothing"})
    assert by_track.asked == []
    client.post("/search", {"agreed": price(page)})
    assert by_track.asked == [True]
    (entry,) = [entry for entry in app.store.audit.entries() if entry.action == "search"]
    assert entry.detail["agreed"] == price(page)
    assert "Search now" not in client.get("/footage/").get_data(as_text=True)


def test_a_question_for_less_than_a_cent_needs_no_agreement(client, by_track):
    by_track.questioned = 1
    assert "Search now" in client.get("/footage/").get_data(as_text=True)
    client.post("/search", {})
    assert by_track.asked == [True]
