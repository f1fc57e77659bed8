"""A program over a small data folder, and a browser's client for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.still_engine import StillEngine, jpeg
from vidsearch.app import App
from vidsearch.model import (
    DEFAULT_CASE,
    Actor,
    Appearance,
    BoundingBox,
    ExaminedSpan,
    Footage,
    Person,
    SpanOutcome,
    StartSource,
)
from vidsearch.settings import load_settings
from vidsearch.states import JobState
from vidsearch.store import Store
from web import create_app

HOSTILE = "<script>alert('x')</script> & \"quotes\" {{ 7 * 7 }}"
LONG = "ن" * 150 + "W" * 150
START_MS = 1_793_606_400_000  # 2 November 2026, 08:00 UTC


@dataclass
class Client:
    """A browser as far as forms go: it sends the token of the page it is on."""

    flask: FlaskClient

    def get(self, url: str, **more: Any) -> TestResponse:
        return self.flask.get(url, buffered=True, **more)

    def post(self, url: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        page = self.flask.get("/people/").get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found
        return self.flask.post(url, data={"csrf_token": found[1], **(data or {})}, buffered=True, **more)


@pytest.fixture(scope="session")
def tiny_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of three seconds in a folder of its own."""
    path = tmp_path_factory.mktemp("exports") / "Gate" / "cam_20261102_080000.mp4"
    path.parent.mkdir()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(30):
            picture = np.full((240, 320, 3), 60 + 4 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def app(tmp_path: Path, tiny_video: Path) -> Iterator[App]:
    """A program over a fresh data folder; recordings may be added from the tiny video's folder."""
    settings = load_settings(
        tmp_path / "data", {"VIDSEARCH_ZONE": "UTC"}, footage_folders=(str(tiny_video.parent.parent),)
    )
    with App(settings, Store.open(settings.database), Actor("tester")) as opened:
        opened._engines["local"] = StillEngine(tmp_path / "engine")
        yield opened


@pytest.fixture
def flask(app: App) -> Flask:
    return create_app(app)


@pytest.fixture
def client(flask: Flask) -> Client:
    return Client(flask.test_client())


@pytest.fixture
def add_person(app: App) -> Callable[..., Person]:
    """Return a function that enrols a person with photos of these names."""

    def add(name: str, *photos: str, weak: bool = False) -> Person:
        sources = [
            (photo, jpeg(size=(320 + sum(map(ord, name)) % 97, 240 + 2 * i)))
            for i, photo in enumerate(photos or ("face.jpg",))
        ]
        list(app.enrolment.add_photos(Actor("tester"), DEFAULT_CASE, name, sources, allow_weak=weak))
        found = app.store.people.by_name(DEFAULT_CASE, name)
        assert found
        return found

    return add


@pytest.fixture
def add_recording(app: App, tiny_video: Path) -> Callable[..., Footage]:
    """Return a function that adds the tiny video as a recording of some length, searched unless told otherwise."""

    def add(
        key: str, camera: str = "Gate", *, start_ms: int = START_MS, searched: bool = True, path: Path | None = None
    ) -> Footage:
        facts = app.submission._media.probe(tiny_video)
        path = path or tiny_video
        with app.store.atomic():
            source = app.store.footage.ensure_camera(DEFAULT_CASE, camera, "UTC")
            footage = app.store.footage.add(
                DEFAULT_CASE,
                source.id,
                path=str(path),
                size=tiny_video.stat().st_size,
                mtime_ns=tiny_video.stat().st_mtime_ns,
                key=key,
                start_ms=start_ms,
                start_source=StartSource.FILE_NAME,
                facts=facts,
            )
        if searched:
            finish(app, footage)
        return footage

    return add


def finish(app: App, footage: Footage, error: str | None = None) -> None:
    """Put a recording through its one job."""
    engine = app.engine()
    end = footage.facts.duration_ms
    with app.store.atomic():
        app.store.jobs.create(footage, engine.NAME, engine.version, engine.settings_key, 0, end, "tester")
        [listed] = app.store.jobs.for_footage(footage.id, engine.NAME, engine.version, engine.settings_key)
        job = app.store.jobs.claim("w", 60_000, engine.NAME, job_ids=[listed.id])
        assert job
        if error:
            app.store.jobs.move(job, JobState.FAILED, owner="w", error=error)
            return
        job = app.store.jobs.move(job, JobState.SEARCHING, owner="w")
        job = app.store.jobs.move(job, JobState.COLLECTING, owner="w")
        spans = [
            ExaminedSpan(0, end - 1000, SpanOutcome.EXAMINED),
            ExaminedSpan(end - 1000, end, SpanOutcome.UNDECODABLE, "the data is damaged"),
        ]
        app.store.tracks.set_spans(job, spans)
        app.store.jobs.move(job, JobState.SUCCEEDED, owner="w")


@pytest.fixture
def add_appearances(app: App) -> Callable[..., list[Appearance]]:
    """Return a function that puts appearances of a person into a recording, one for each start."""

    def add(footage: Footage, person: Person, *starts: int, weak: bool = False) -> list[Appearance]:
        photos = [photo for photo in app.store.people.photos(person.id) if photo.usable]
        rows = [
            Appearance(
                id=f"{footage.id:04x}{person.id:04x}{start:08x}{int(weak)}",
                case_id=DEFAULT_CASE,
                person_id=person.id,
                camera_id=footage.camera_id,
                footage_id=footage.id,
                start_ms=start,
                end_ms=start + 600,
                best_ms=start + 300,
                best_track=f"t{start}",
                best_box=BoundingBox(0.4, 0.2, 0.2, 0.3),
                face_px=64,
                face_id=photos[0].face_id if photos else "gone",
                similarity=81.0 + start % 19,
                detections=3,
                tracks=(f"t{start}",),
                weak=weak,
                engine="local",
                engine_version="1",
            )
            for start in starts
        ]
        held = app.store.appearances.find(DEFAULT_CASE, footage_id=footage.id, weak=None)
        app.store.appearances.replace(footage.id, "local", [*held, *rows])
        return rows

    return add


@pytest.fixture
def filled(
    app: App,
    add_person: Callable[..., Person],
    add_recording: Callable[..., Footage],
    add_appearances: Callable[..., list[Appearance]],
    tmp_path: Path,
) -> App:
    """The program with people and recordings of every kind, hostile and very long names among them."""
    ann = add_person("Ann Lee", "face.jpg", "two.jpg", "small.jpg", "none.jpg")
    hostile = add_person(HOSTILE, "<b>face</b>.jpg")
    far = add_person(LONG, "small.jpg", weak=True)
    gate = add_recording("k1", "Gate")
    dock = add_recording("k2", f"Dock {HOSTILE}", start_ms=START_MS + 86_400_000)
    add_recording("k3", LONG, searched=False)
    gone = add_recording("k4", "Gate", start_ms=START_MS + 60_000, path=tmp_path / "unplugged.mp4")
    finish(app, add_recording("k5", "Gate", start_ms=START_MS + 120_000, searched=False), error="<i>disk</i> gone")
    add_appearances(gate, ann, 0, 700, 1800)
    add_appearances(gate, hostile, 900)
    add_appearances(gate, far, 1200, weak=True)
    add_appearances(dock, ann, 100)
    add_appearances(gone, hostile, 400)
    return app
