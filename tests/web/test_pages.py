"""Every page, on a fresh data folder and on one with a bit of everything."""

import html
import re
from collections import deque

import pytest

from tests.web.conftest import HOSTILE, LONG, START_MS
from vidsearch.errors import ModelMissing

PAGES = ["/", "/?by=person", "/?weak=1", "/people/", "/footage/", "/footage/add", "/jobs/", "/timeline/rows"]


@pytest.mark.parametrize("url", [*PAGES, "/timeline.json", "/timeline.json?by=person", "/progress.json?rows=1"])
def test_pages_of_a_fresh_folder(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    assert "None" not in re.sub(r"<[^>]+>", "", answer.get_data(as_text=True))


def test_a_fresh_folder_says_what_to_do_next(client):
    assert "Add a person" in client.get("/").get_data(as_text=True)
    assert "Nobody is looked for yet" in client.get("/people/").get_data(as_text=True)
    assert "No recordings yet" in client.get("/footage/").get_data(as_text=True)


def test_every_link_of_every_page_leads_somewhere(filled, client):
    """Crawl what can be reached by links, pictures and video included."""
    todo, seen = deque(PAGES), set(PAGES)
    while todo:
        url = todo.popleft()
        answer = client.get(url)
        gone = url.startswith("/clips/") or url.endswith("/original")
        assert answer.status_code == 200 or (gone and answer.status_code == 404), (url, answer.status_code)
        if answer.mimetype == "text/html":
            text = answer.get_data(as_text=True)
            found = [
                *re.findall(r'(?:href|src|action|poster)="([^"]+)"', text),
                *re.findall(r'data-\w+="(/[^"]+)"', text),
            ]
            for link in map(html.unescape, found):
                link = link.partition("#")[0]
                if not link:
                    continue
                assert link.startswith("/"), (url, link)
                posts = re.search(rf'method="post" action="{re.escape(html.escape(link))}"', text)
                if link not in seen and not posts:
                    seen.add(link)
                    todo.append(link)
        answer.close()
    assert len(seen) > 80
    assert any(url.startswith("/media/photos/") for url in seen)
    assert any(url.endswith("/forget") for url in seen)


@pytest.mark.parametrize("url", [*PAGES, "/people/1", "/people/2", "/people/3/forget", "/footage/2", "/footage/5"])
def test_names_are_escaped_everywhere(filled, client, url):
    text = client.get(url).get_data(as_text=True)
    assert "<script>alert" not in text
    assert "<i>disk</i>" not in text
    assert "<b>face</b>" not in text
    assert "49 " not in text or HOSTILE not in text


def test_json_is_json_and_not_a_page(filled, client):
    answer = client.get("/timeline.json")
    assert answer.mimetype == "application/json"
    assert HOSTILE in answer.json["people"].values()


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/nothing", 404),
        ("/people/99", 404),
        ("/people/99999999999999999999", 404),
        ("/footage/99", 404),
        ("/appearances/nobody", 404),
        ("/appearances/..%2f..%2fetc", 404),
        ("/media/photos/99.jpg", 404),
        ("/media/appearances/nobody/face.jpg", 404),
        ("/media/appearances/nobody/other.jpg", 404),
        ("/clips/nobody.mp4", 404),
        ("/?person=x", 400),
        ("/?camera=1%20or%201", 400),
        ("/?min=lots", 400),
        ("/?min=nan", 400),
        ("/?from=yesterday", 400),
        ("/?camera=99", 404),
        ("/?sel=nobody", 200),
        ("/?footage=99", 404),
        ("/jobs/?state=lost", 400),
        ("/people/photos/1/faces/x", 404),
        ("/?page=0", 200),
        ("/?page=x", 200),
        ("/?page=999999999999", 200),
        ("/?person=99", 200),
        ("/static/../web.key", 404),
        ("/static/..%2fsecurity.py", 404),
    ],
)
def test_bad_addresses(filled, client, url, status):
    answer = client.get(url)
    assert answer.status_code == status
    text = answer.get_data(as_text=True)
    if status >= 400:
        assert "vidsearch" in text
        assert "Traceback" not in text


def test_an_address_without_its_slash_is_led_on(client):
    assert client.get("/people").headers["Location"].endswith("/people/")


def test_a_wrong_method_is_no_page(client):
    assert client.post("/timeline.json").status_code == 405


def test_an_engine_that_is_not_ready_says_what_to_do(app, client, monkeypatch):
    def missing():
        raise ModelMissing

    monkeypatch.setattr(app, "engine", missing)
    answer = client.get("/footage/")
    assert answer.status_code == 503
    assert "vidsearch models install" in answer.get_data(as_text=True)


def test_long_names_are_whole_in_the_page(filled, client):
    assert LONG in client.get("/people/3").get_data(as_text=True)


def test_the_timeline_selects_its_first_row(filled, client):
    text = client.get("/").get_data(as_text=True)
    assert "A match is a lead for a person to check, never proof." in text
    assert text.count('class="on"') == 1
    assert "08:00:00" in text
    assert "Monday, 2 November 2026" in text
    assert "Tuesday, 3 November 2026" in text


def test_weak_ones_stand_apart(filled, client):
    count = lambda url: client.get(url).get_data(as_text=True).count("data-id=")  # noqa: E731
    assert count("/") == 6
    assert count("/?weak=1") == 1
    assert "Possible" in client.get("/").get_data(as_text=True)
    assert "never counted as that person" in client.get("/?weak=1").get_data(as_text=True)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("person=1", 4),
        ("person=1&person=2", 6),
        ("camera=1", 5),
        ("person=1&camera=1", 3),
        ("footage=1", 4),
        ("min=82", 5),
        ("from=2026-11-03T00:00", 1),
        ("to=2026-11-03T00:00", 5),
        ("from=2026-11-02T08:00:00.000Z&to=2026-11-02T08:00:01.000Z", 3),
        ("from=2027-01-01T00:00", 0),
    ],
)
def test_filters(filled, client, query, rows):
    assert client.get(f"/timeline/rows?{query}").get_data(as_text=True).count("data-id=") == rows
    assert len(client.get(f"/timeline.json?{query}").json["id"]) == rows
    page = client.get(f"/?{query}").get_data(as_text=True)
    assert page.count("data-id=") == rows
    assert (rows > 0) or "Show everything" in page


def test_pages_of_rows(app, client, add_person, add_recording, add_appearances):
    ann = add_person("Ann")
    add_appearances(add_recording("k"), ann, *range(0, 2500, 20))
    first = client.get("/").get_data(as_text=True)
    second = client.get("/?page=2").get_data(as_text=True)
    assert first.count("data-id=") == 100
    assert second.count("data-id=") == 25
    assert "page 1 of 2" in first
    assert "/?page=2" in first
    assert "/?page=3" not in second


def test_what_the_lanes_are_drawn_from(filled, client):
    data = client.get("/timeline.json").json
    assert data["zone"] == "UTC"
    assert [lane["name"] for lane in data["lanes"]] == sorted(lane["name"] for lane in data["lanes"])
    gate = next(lane for lane in data["lanes"] if lane["name"] == "Gate")
    assert gate["note"] == "3 recordings, 2 failed" or gate["note"] == "3 recordings, 1 failed"
    assert gate["spans"][0][:3] == [START_MS, START_MS + 2000, "seen"]
    assert gate["spans"][1][2:] == ["gap", "cannot be decoded", "the data is damaged"]
    assert ["failed", "search failed", "<i>disk</i> gone"] in [span[2:] for span in gate["spans"]]
    assert data["start"] == sorted(data["start"])
    assert len({len(data[name]) for name in ("id", "person", "camera", "start", "end", "similarity")}) == 1
    assert data["extent"] == [START_MS, START_MS + 86_400_000 + 3000]


def test_lanes_by_person(filled, client):
    data = client.get("/timeline.json?by=person&person=1").json
    assert [(lane["name"], lane["note"]) for lane in data["lanes"]] == [("Ann Lee", "4 appearances")]


def test_progress_tells_what_changed(filled, client):
    state = client.get("/progress.json?rows=1").json
    assert state["open"] == 0
    assert state["failed"] == 1
    assert set(state["rows"]["1"]) == {"state", "coverage", "found"}
    assert "searched" in state["rows"]["1"]["state"]


def test_jobs_can_be_repeated_paused_and_cancelled(filled, client, app):
    failed = app.store.jobs.list("default", state="failed")[0]
    assert "&lt;i&gt;disk&lt;/i&gt; gone" in client.get("/jobs/?state=failed").get_data(as_text=True)
    for action, state in [("retry", "queued"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")]:
        assert client.post(f"/jobs/{failed.id}/{action}").status_code == 303
        assert app.store.jobs.get(failed.id).state == state
    client.post(f"/jobs/{failed.id}/retry")
    for action, state in [("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")]:
        client.post(f"/jobs/all/{action}")
        assert app.store.jobs.get(failed.id).state == state
    assert client.post("/jobs/all/explode").status_code == 400
    assert client.post("/jobs/999/retry").status_code == 404
