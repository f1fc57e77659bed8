"""Somebody whom an engine was never asked about: that it found none of them says nothing."""

import pytest

from vidsearch.model import DEFAULT_CASE, BoundingBox, EnrolledFace, ExaminedSpan, FaceDescription, SpanOutcome
from vidsearch.states import JobState
from vidsearch.timeline import Query, Timeline

HERE = ("local", "1", "s")


@pytest.fixture
def timeline(store, add_footage):
    """Return what two engines have searched; Ann is enrolled with both, Bob only with the local one."""
    footage = add_footage()
    for engine in ("local", "rekognition"):
        revision = 0 if engine == "local" else 5
        store.jobs.create(footage, engine, "1", "s", 0, 60_000, "tester", revision)
        job = store.jobs.claim("w", 60_000, engine)
        for state in (JobState.SEARCHING, JobState.COLLECTING):
            job = store.jobs.move(job, state, owner="w")
        store.tracks.set_spans(job, [ExaminedSpan(0, 60_000, SpanOutcome.EXAMINED)])
        store.jobs.move(job, JobState.SUCCEEDED, owner="w")
    for name, engines in (("Ann", ("local", "rekognition")), ("Bob", ("local",))):
        person = store.people.add(DEFAULT_CASE, name)
        for engine in engines:
            face = EnrolledFace(
                f"{engine}-{name}", engine, "1", FaceDescription(BoundingBox(0, 0, 1, 1), 99.0, 100, 50.0, 1.0)
            )
            if engine == "local":
                photo = store.people.add_photo(
                    person, name="p", sha256=name, width=1, height=1, outcome="enrolled", reason="", enrolled=face
                )
            else:
                store.people.renew_face(photo, face)
    return Timeline(store, lambda: HERE)


def test_who_was_not_asked_about_is_told(timeline):
    assert timeline.engines(DEFAULT_CASE) == ["local", "rekognition"]
    assert timeline.unasked(DEFAULT_CASE, Query(), "local") == []
    assert timeline.unasked(DEFAULT_CASE, Query(), "rekognition") == ["Bob"]
    assert timeline.unasked(DEFAULT_CASE, Query(people=["Ann"]), "rekognition") == []
    assert timeline.unasked(DEFAULT_CASE, Query(), None) == []


@pytest.mark.parametrize(
    ("name", "engine", "examined"),
    [("Ann", "rekognition", 60_000), ("Bob", "rekognition", 0), ("Bob", "local", 60_000)],
)
def test_nothing_was_examined_for_them(timeline, name, engine, examined):
    (row,) = timeline.coverage(DEFAULT_CASE, Query(people=[name]), engine)
    assert row.examined_ms == examined
