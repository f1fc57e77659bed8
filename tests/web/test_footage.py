"""Add recordings from allowed folders only, search, retry, remove."""

import sys
from pathlib import Path

import pytest
from werkzeug.exceptions import Forbidden, NotFound

from web.folders import allowed, listing, recordings

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


def add(client, *paths, **more):
    return client.post("/footage/add", {"path": [str(p) for p in paths], **more})


def test_add_and_search(client, app, tiny_video):
    text = add(client, tiny_video, camera="Gate 2", zone="Asia/Kolkata").get_data(as_text=True)
    assert "1 recording added" in text
    [row] = app.timeline.footage("default")
    assert (row.camera.name, row.camera.zone, row.state) == ("Gate 2", "Asia/Kolkata", "new")
    assert row.start_time == "2026-11-02T08:00:00+05:30"
    assert "Search now" in client.get("/footage/").get_data(as_text=True)
    assert client.post("/search").status_code == 303
    assert app.timeline.footage("default")[0].state == "waiting"
    assert "there already" in add(client, tiny_video).get_data(as_text=True)


def test_a_start_given_by_hand(client, app, tiny_video):
    add(client, tiny_video, camera="G", start="2026-11-02 18:24:00", zone="Europe/Paris")
    [row] = app.timeline.footage("default")
    assert row.start_time == "2026-11-02T18:24:00+01:00"
    assert "given by hand" in client.get("/footage/").get_data(as_text=True)


@pytest.mark.parametrize("more", [{"start": "yesterday"}, {"zone": "Mars/Olympus"}])
def test_what_cannot_be_understood_is_said_beside_the_form(client, app, tiny_video, more):
    answer = add(client, tiny_video, folder=str(tiny_video.parent), **more)
    assert answer.status_code == 400
    text = answer.get_data(as_text=True)
    assert 'role="alert"' in text
    assert next(iter(more.values())) in text
    assert "checked" in text
    assert app.timeline.footage("default") == []


def test_nothing_chosen(client):
    assert add(client).status_code == 400


def test_a_whole_folder(client, app, tiny_video):
    assert "1 recording added" in add(client, tiny_video.parent.parent).get_data(as_text=True)
    assert app.timeline.footage("default")[0].camera.name == "Gate"


def test_something_that_is_no_video_is_refused_by_name(client, app, tiny_video):
    fake = tiny_video.parent / "fake.mp4"
    fake.write_text("not a video")
    try:
        assert "refused" in add(client, fake).get_data(as_text=True)
    finally:
        fake.unlink()


@needs_links
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/", "{root}/../secret.mp4", "{root}/link.mp4", "{root}/way/secret.mp4", "etc/passwd"]
)
def test_outside_the_allowed_folders_is_refused(client, app, tmp_path, path, monkeypatch):
    root = tmp_path / "exports"
    root.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "way").symlink_to(tmp_path)
    monkeypatch.setattr(app, "settings", _with_folders(app.settings, root))
    text = path.format(root=root)
    assert add(client, text).status_code == 403
    assert client.post("/footage/add", {"typed": text}).status_code == 403
    assert client.get("/footage/add", query_string={"folder": text}).status_code == 403
    page = client.get("/footage/add", query_string={"folder": str(root)}).get_data(as_text=True)
    assert "secret" not in page
    assert "link.mp4" not in page
    assert app.timeline.footage("default") == []


def _with_folders(settings, *folders):
    from dataclasses import replace

    return replace(settings, footage_folders=tuple(map(str, folders)))


@needs_links
def test_a_link_that_leads_out_is_left_out_of_a_whole_folder(tmp_path):
    root = tmp_path / "exports"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "in.mp4").write_bytes(b"x")
    (tmp_path / "out.mp4").write_bytes(b"x")
    (root / "out.mp4").symlink_to(tmp_path / "out.mp4")
    (root / "also.mp4").symlink_to(root / "sub" / "in.mp4")
    assert set(recordings([str(root)], str(root))) == {(root / "sub" / "in.mp4").resolve()}


def test_allowed(tmp_path):
    inside = tmp_path / "a"
    inside.mkdir()
    (tmp_path / "ab").mkdir()
    assert allowed([str(inside)], str(inside)) == inside.resolve()
    with pytest.raises(Forbidden):
        allowed([str(inside)], str(tmp_path / "ab"))  # a neighbour whose name begins the same
    with pytest.raises(NotFound):
        allowed([str(inside)], str(inside / "nothing"))
    with pytest.raises(NotFound):
        allowed([str(inside)], "")
    with pytest.raises(NotFound):
        allowed([str(inside)], f"{inside}/x\0y")
    with pytest.raises(Forbidden):
        allowed([], str(inside))
    with pytest.raises(Forbidden):
        allowed([""], str(Path.cwd()))


@pytest.mark.skipif(sys.platform == "win32", reason="names of this kind cannot be made there")
def test_a_listing_has_recordings_and_folders(tmp_path):
    for name in ("b.MP4", "a.dav", "notes.txt", ".hidden.mp4", "<b>x.mkv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "Sub").mkdir()
    found = listing([str(tmp_path)], str(tmp_path))
    assert [entry.name for entry in found.files] == ["<b>x.mkv", "a.dav", "b.MP4"]
    assert [entry.name for entry in found.folders] == ["Sub"]
    deeper = listing([str(tmp_path)], str(tmp_path / "Sub"))
    assert deeper.trail == [tmp_path.resolve(), (tmp_path / "Sub").resolve()]


def test_without_allowed_folders_the_page_says_how(client, app, monkeypatch):
    monkeypatch.setattr(app, "settings", _with_folders(app.settings))
    text = client.get("/footage/add").get_data(as_text=True)
    assert "footage_folders" in text
    assert "settings.toml" in text


def test_failed_parts_can_be_repeated(filled, client):
    page = client.get("/footage/").get_data(as_text=True)
    assert "Retry" in page
    assert "the data is damaged" in page
    assert client.post("/footage/5/retry").status_code == 303
    assert filled.timeline.one_footage("default", 5).state == "waiting"


def test_removing_asks_and_leaves_the_file(filled, client, tiny_video):
    assert "not touched" in client.get("/footage/1/remove").get_data(as_text=True)
    assert client.post("/footage/1/remove").status_code == 303
    assert client.get("/footage/1").status_code == 404
    assert tiny_video.exists()


def test_a_search_with_nothing_to_do(client):
    assert "Everything is searched already" in client.post("/search", follow_redirects=True).get_data(as_text=True)


def test_a_source_that_is_away_is_said(client, app, add_recording, tmp_path):
    add_recording("k", searched=False, path=tmp_path / "gone.mp4")
    assert "cannot be read now" in client.get("/footage/").get_data(as_text=True)
    assert "attach the drive" in client.post("/search", follow_redirects=True).get_data(as_text=True)
