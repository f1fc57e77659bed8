"""Enrol, choose a face, forget: through the forms."""

import io

import pytest

from tests.web.still_engine import jpeg


def photo(name, **kind):
    return io.BytesIO(jpeg(**kind)), name


def enrol(client, name, *photos, **more):
    files = [photo(p, size=(320, 240 + i)) for i, p in enumerate(photos)]
    return client.post("/people/", {"name": name, "photos": files, **more}, follow_redirects=True)


def test_add_a_person_with_photos(client, app):
    text = enrol(client, "Ann Lee", "a.jpg", "small.jpg", "none.jpg").get_data(as_text=True)
    assert "Ann Lee" in text
    assert "1 photo: 1 enrolled." in text
    assert "face too small" in text
    assert "no face found" in text
    [row] = app.timeline.people("default")
    assert (row.usable, len(row.photos)) == (1, 3)
    assert [entry.via for entry in app.store.audit.entries("default")] == ["web"] * 4


def test_weak_on_request(client, app):
    enrol(client, "Ann", "small.jpg", weak="1")
    assert [p.outcome for p in app.timeline.people("default")[0].photos] == ["weak"]


def test_several_faces_lead_to_a_choice(client, app):
    answer = enrol(client, "Ann", "two.jpg")
    assert answer.request.path == "/people/photos/1/faces"
    assert answer.get_data(as_text=True).count('type="radio"') == 2
    text = client.post("/people/photos/1/faces", {"face": "1"}, follow_redirects=True).get_data(as_text=True)
    assert "1 photo: 1 enrolled." in text
    [found] = app.timeline.people("default")[0].photos
    assert found.box.left == 0.6


@pytest.mark.parametrize("face", ["", "x", "-1", "7"])
def test_a_face_that_is_not_there(client, face):
    enrol(client, "Ann", "two.jpg")
    assert client.post("/people/photos/1/faces", {"face": face}).status_code == 400


def test_photos_can_be_added_and_known_ones_are_said(client, app):
    enrol(client, "Ann", "a.jpg")
    text = client.post(
        "/people/1/photos", {"photos": [photo("b.jpg", size=(300, 300)), photo("a.jpg")]}, follow_redirects=True
    ).get_data(as_text=True)
    assert "1 enrolled, 1 there already" in text
    assert len(app.timeline.people("default")[0].photos) == 2


def test_what_is_no_picture_is_said(client, app):
    data = {"name": "Ann", "photos": (io.BytesIO(b"hello"), "letter.jpg")}
    text = client.post("/people/", data, follow_redirects=True).get_data(as_text=True)
    assert "letter.jpg:" in text
    assert app.timeline.people("default") == []


@pytest.mark.parametrize(
    ("name", "files"), [("", ["a.jpg"]), ("   ", ["a.jpg"]), ("x" * 301, ["a.jpg"]), ("a\x00b", ["a.jpg"]), ("Ann", [])]
)
def test_a_form_that_cannot_be_used(client, app, name, files):
    assert enrol(client, name, *files).status_code == 400
    assert app.timeline.people("default") == []


def test_many_refused_files_do_not_burst_the_message(client):
    bad = [(io.BytesIO(b"hello%d" % i), f"letter{i}{'x' * 200}.jpg") for i in range(200)]
    text = client.post("/people/", {"name": "Ann", "photos": bad}, follow_redirects=True).get_data(as_text=True)
    assert "and 194 more photos that could not be used" in text


def test_rename(client, app, add_person):
    add_person("Ann")
    add_person("Bob")
    assert client.post("/people/1/name", {"name": "Anna"}).status_code == 303
    assert app.store.people.get("default", 1).name == "Anna"
    assert client.post("/people/1/name", {"name": "Bob"}).status_code == 400


def test_forgetting_asks_and_then_everything_goes(filled, client):
    page = client.get("/people/1/forget").get_data(as_text=True)
    assert "4 appearances" in page
    assert "4 photos" in page
    assert client.post("/people/1/forget").status_code == 303
    assert client.get("/people/1").status_code == 404
    assert "Ann Lee" not in client.get("/").get_data(as_text=True)
    assert filled.engine().forgotten


def test_forget_a_photo(filled, client):
    assert client.get("/people/photos/1/forget").status_code == 200
    assert client.post("/people/photos/1/forget").status_code == 303
    assert client.get("/media/photos/1.jpg").status_code == 404
