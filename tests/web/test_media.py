"""Pictures and video, whole and in parts."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from vidsearch.engines.local import align, analyse
from vidsearch.media.pictures import load_picture
from vidsearch.model import BoundingBox
from web import figures


@pytest.fixture
def seen(add_person, add_recording, add_appearances):
    return add_appearances(add_recording("k1"), add_person("Ann"), 500)[0]


def test_ranges_of_the_recording_itself(client, seen, tiny_video):
    whole = client.get(f"/media/appearances/{seen.id}/original")
    assert whole.status_code == 200
    assert whole.mimetype == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"
    content = tiny_video.read_bytes()
    assert whole.data == content
    for asked, expected in [
        ("bytes=0-99", content[:100]),
        ("bytes=100-", content[100:]),
        ("bytes=-50", content[-50:]),
    ]:
        part = client.get(f"/media/appearances/{seen.id}/original", headers={"Range": asked})
        assert part.status_code == 206
        assert part.data == expected
        assert part.headers["Content-Range"].endswith(f"/{len(content)}")
        part.close()
    beyond = client.get(f"/media/appearances/{seen.id}/original", headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416


def test_a_clip_is_cut_on_demand_and_kept(client, app, seen):
    first = client.get(f"/clips/{seen.id}.mp4")
    assert first.status_code == 200
    assert first.data[4:8] == b"ftyp"
    first.close()
    assert len(list(app.settings.clips.iterdir())) == 1
    part = client.get(f"/clips/{seen.id}.mp4", headers={"Range": "bytes=0-7"})
    assert (part.status_code, len(part.data)) == (206, 8)
    part.close()


def test_a_clip_asked_for_twice_at_once_is_cut_once(app, seen):
    cut = app.pictures._media.cut_clip
    calls = []

    def counting(*args):
        calls.append(args)
        return cut(*args)

    app.pictures._media = replace(app.pictures._media, cut_clip=counting)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(app.pictures.clip, [seen] * 4))) == 1
    assert len(calls) == 1


def test_without_the_source_the_page_says_so_and_shows_the_kept_frame(client, filled):
    found = filled.timeline.appearances("default")
    away = next(row for row in found if row.footage.path.endswith("unplugged.mp4")).appearance
    page = client.get(f"/appearances/{away.id}").get_data(as_text=True)
    assert "<video" not in page
    assert "unplugged.mp4" in page
    assert client.get(f"/media/appearances/{away.id}/frame.jpg").status_code == 200
    assert client.get(f"/clips/{away.id}.mp4").status_code == 404
    assert client.get(f"/media/appearances/{away.id}/original").status_code == 404


def test_pictures_are_asked_for_again_cheaply(client, seen):
    for url in (f"/media/appearances/{seen.id}/face.jpg", "/media/photos/1.jpg", "/media/photos/1/face.jpg"):
        first = client.get(url)
        assert (first.status_code, first.mimetype) == (200, "image/jpeg")
        assert first.headers["Cache-Control"].startswith("private")
        assert client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_a_picture_that_was_not_kept(client, app, add_person, add_recording, add_appearances):
    footage = add_recording("k1")
    [row] = add_appearances(footage, add_person("Ann"), 500)
    app.store.appearances.replace(footage.id, "local", [replace(row, best_track="lost")])
    for kind, width in (("frame", footage.facts.width), ("face", None)):
        taken = client.get(f"/media/appearances/{row.id}/{kind}.jpg")
        assert taken.status_code == 200
        picture = load_picture(taken.data)
        assert picture.width == (width or picture.height)
    # It is kept from now on, also where the recording goes; another one is not.
    app.store.footage.set_source(footage.id, "/gone.mp4", footage.size, footage.mtime_ns)
    assert client.get(f"/media/appearances/{row.id}/frame.jpg").data
    app.store.appearances.replace(footage.id, "local", [replace(row, best_track="lost", best_ms=row.best_ms + 100)])
    assert client.get(f"/media/appearances/{row.id}/frame.jpg").status_code == 404


def test_a_page_of_an_appearance(client, seen):
    page = client.get(f"/appearances/{seen.id}").get_data(as_text=True)
    assert f'src="/media/appearances/{seen.id}/original#t=0.000"' in page
    assert '<rect class="box over" x="128.0" y="48.0" width="64.0" height="72.0"' in page
    assert "from the file name" in page
    assert "not a probability" in page


def test_faces_are_cut_out_at_the_same_scale():
    near = figures.face_view(BoundingBox(0.4, 0.4, 0.1, 0.1), 1000, 1000).split()
    corner = figures.face_view(BoundingBox(0.0, 0.0, 0.1, 0.1), 1000, 1000).split()
    assert near[2:] == corner[2:] == ["190.00", "190.00"]
    assert corner[:2] == ["0.00", "0.00"]
    whole = figures.face_view(BoundingBox(0.1, 0.1, 0.9, 0.9), 400, 300).split()
    assert whole[2:] == ["300.00", "300.00"]


def test_the_kept_face_lies_where_the_engine_cut_it():
    assert figures.KEPT_REACH == analyse._REACH
    assert str(figures.KEPT_FACE_PX) in inspect.getsource(analyse._piece)
    assert align.cut_around is analyse.cut_around
