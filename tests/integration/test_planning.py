"""What is not yet searched, for engines that are sent footage, ask about one gallery and charge for it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from vidsearch.engine import Capabilities, MediaLimits
from vidsearch.errors import UsageError
from vidsearch.media.acceptance import encoding_reasons
from vidsearch.model import DEFAULT_CASE, BoundingBox, EnrolledFace, ExaminedSpan, FaceDescription, SpanOutcome
from vidsearch.planning import FULL_SHARE, Planner
from vidsearch.search import Search
from vidsearch.states import JobState
from vidsearch.store.tracks import ASKED_BEFORE

HOUR = 3_600_000
GB = 10**9


class Far:
    """As much of an engine as a plan asks for."""

    NAME = "far"
    version = gallery_version = "1"
    settings_key = "full"
    capabilities = Capabilities(reads_in_place=False, priced=True)
    capacity = 15
    media_limits = MediaLimits(max_bytes=8 * GB, max_duration_ms=6 * HOUR, segment_ms=6 * HOUR)


@pytest.fixture
def active():
    return {}


@pytest.fixture
def search(store, tmp_path, active):
    engine = Far()

    def worth_it(footage):
        return active[footage.id]

    planner = Planner(store, lambda: engine, lambda case, limit: [], None, 2, tmp_path, encoding_reasons)
    made = Search(store, lambda: engine, planner, lambda *_, **__: [], lambda *_: [], lambda *_: None)
    made.far = engine
    made.planner = planner
    made.only_active = lambda: setattr(planner, "_active", worth_it)
    return made


@pytest.fixture
def recording(store, add_footage, tmp_path):
    def add(key="k1", hours=1.0, size=GB):
        path = tmp_path / f"{key}.mp4"
        path.write_bytes(b"")
        footage = add_footage(key, path=str(path), duration_ms=round(hours * HOUR), start_ms=0)
        store._connection.run("UPDATE footage SET size = ? WHERE id = ?", (size, footage.id))
        return store.footage.get(DEFAULT_CASE, footage.id)

    return add


@pytest.fixture
def enrol(store):
    def add(name, engine="far"):
        face = FaceDescription(BoundingBox(0, 0, 1, 1), 99.0, 100, 50.0, 1.0)
        with store.atomic():
            person = store.people.by_name(DEFAULT_CASE, name) or store.people.add(DEFAULT_CASE, name)
            number = len(store.people.photos(person.id))
            store.people.add_photo(
                person,
                name="photo",
                sha256=f"{name}{number}",
                width=1,
                height=1,
                outcome="enrolled",
                reason="",
                enrolled=EnrolledFace(f"{engine}-{name}-{number}", engine, "1", face),
            )
            store.cases.bump_revision(DEFAULT_CASE)
        return person

    return add


def pieces(plan):
    return [(footage.key, piece.start_ms, piece.end_ms) for footage, many in plan.segments for piece in many]


def plan(search, **period):
    return search.plan(DEFAULT_CASE, threshold=99.0, **period)


def succeed(store):
    for job in store.jobs.list(DEFAULT_CASE, JobState.QUEUED):
        taken = store.jobs.claim("w", 60_000, "far", job_ids=[job.id])
        for state in (JobState.UPLOADING, JobState.SEARCHING, JobState.COLLECTING, JobState.SUCCEEDED):
            taken = store.jobs.move(taken, state, owner="w")


def submit(search, actor, store):
    ids = search.submit(actor, plan(search))
    succeed(store)
    return ids


@pytest.mark.parametrize(
    ("hours", "size", "count"),
    [
        (1, GB, 1),
        (6, 5 * GB, 1),
        (6.5, GB, 2),
        (25, GB, 5),
        (4, 8 * GB, 2),
        (4, 30 * GB, 5),
        (24, 80 * GB, 12),
        (12, GB, 3),
    ],
)
def test_recordings_are_cut_below_both_limits(search, recording, hours, size, count):
    footage = recording(hours=hours, size=size)
    found = search.planner.pieces(footage)
    assert len(found) == count
    assert found[0].start_ms == 0
    assert found[-1].end_ms == footage.facts.duration_ms
    assert all(one.end_ms == other.start_ms for one, other in pairwise(found))
    longest = max(piece.end_ms - piece.start_ms for piece in found)
    assert longest <= 6 * HOUR
    assert longest / footage.facts.duration_ms * size <= FULL_SHARE * 8 * GB + GB / 100


def test_nobody_is_searched_for_for_money(search, recording, actor):
    recording()
    with pytest.raises(UsageError, match="nobody is enrolled"):
        search.submit(actor, plan(search))


def test_nothing_is_searched_twice(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    assert len(submit(search, actor, store)) == 1
    assert plan(search).pieces == 0
    recording("k2")
    assert pieces(plan(search)) == [("k2", 0, HOUR)]


def test_a_new_face_must_be_searched_for_and_a_forgotten_one_not(search, recording, enrol, actor, store):
    recording()
    ann = enrol("Ann")
    submit(search, actor, store)
    enrol("Bob")
    assert plan(search).pieces == 1
    submit(search, actor, store)
    assert plan(search).pieces == 0
    with store.atomic():
        store.people.remove(ann.id)
        store.cases.bump_revision(DEFAULT_CASE)
    assert plan(search).pieces == 0


def test_who_will_be_enrolled_with_the_search_is_in_the_plan_that_is_paid_for(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    submit(search, actor, store)
    enrol("Bob", engine="local")
    agreed = plan(search)
    assert agreed.searched_ms == HOUR

    def renew(actor, case_id):
        (photo,) = store.people.outdated(case_id, "far", "1")
        with store.atomic():
            face = FaceDescription(BoundingBox(0, 0, 1, 1), 99.0, 100, 50.0, 1.0)
            store.people.renew_face(photo, EnrolledFace("far-Bob", "far", "1", face))
            store.cases.bump_revision(case_id)

    search._renew = renew
    assert len(search.submit(actor, agreed)) == 1


def test_more_than_was_agreed_to_is_not_queued(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    submit(search, actor, store)
    agreed = plan(search)
    enrol("Bob")
    with pytest.raises(UsageError, match="search again"):
        search.submit(actor, agreed)
    assert store.jobs.counts(DEFAULT_CASE) == {JobState.SUCCEEDED: 1}


def test_what_waits_to_ask_about_an_older_gallery_is_dropped(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    search.submit(actor, plan(search))
    enrol("Bob")
    search.submit(actor, plan(search))
    assert store.jobs.counts(DEFAULT_CASE) == {JobState.CANCELLED: 1, JobState.QUEUED: 1}
    succeed(store)
    assert plan(search).pieces == 0


def test_a_period_is_cut_to_and_the_rest_follows(search, recording, enrol, actor, store):
    recording(hours=2)
    enrol("Ann")
    some = {"from_": "1970-01-01T00:30:00", "to": "1970-01-01T01:00:00"}
    assert pieces(plan(search, **some)) == [("k1", HOUR // 2, HOUR)]
    search.submit(actor, plan(search, **some))
    succeed(store)
    assert plan(search, **some).pieces == 0
    assert pieces(plan(search)) == [("k1", 0, HOUR // 2), ("k1", HOUR, 2 * HOUR)]
    assert plan(search).searched_ms == 2 * HOUR - HOUR // 2


def test_another_limit_does_not_search_again(search, recording, enrol, actor, store):
    recording(hours=9)
    enrol("Ann")
    submit(search, actor, store)
    search.far.media_limits = replace(search.far.media_limits, segment_ms=2 * HOUR)
    assert plan(search).pieces == 0


def test_only_the_active_parts_are_counted(search, recording, enrol, active):
    footage = recording(hours=7)
    enrol("Ann")
    active[footage.id] = [(1_000, 61_000), (7 * HOUR // 2 - 5_000, 7 * HOUR // 2 + 5_000)]
    search.only_active()
    found = plan(search)
    assert [piece.active for _, many in found.segments for piece in many] == [
        ((1_000, 61_000), (7 * HOUR // 2 - 5_000, 7 * HOUR // 2)),
        ((7 * HOUR // 2, 7 * HOUR // 2 + 5_000),),
    ]
    assert found.searched_ms == 70_000
    assert found.total_ms == 7 * HOUR


def test_what_was_stopped_before_it_was_sent_keeps_its_token(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    ids = search.submit(actor, plan(search))
    before = store.jobs.get(ids[0])
    search.pause(actor, DEFAULT_CASE, ids)
    search.submit(actor, plan(search))
    assert (store.jobs.get(ids[0]).token, store.jobs.get(ids[0]).attempt) == (before.token, 1)


def test_what_was_paused_goes_on_under_its_token_however_it_is_resumed(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    ids = search.submit(actor, plan(search))
    before = store.jobs.get(ids[0])
    search.pause(actor, DEFAULT_CASE, ids)
    search.resume(actor, DEFAULT_CASE, ids)
    assert (store.jobs.get(ids[0]).token, store.jobs.get(ids[0]).state) == (before.token, JobState.QUEUED)


def begin(store):
    job = store.jobs.claim("w", 60_000, "far")
    job = store.jobs.move(job, JobState.UPLOADING, owner="w")
    return store.jobs.move(job, JobState.SEARCHING, owner="w", run_ref="r")


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_what_must_be_asked_again_is_counted_again(search, recording, enrol, actor, store, state):
    recording()
    enrol("Ann")
    search.submit(actor, plan(search))
    store.jobs.move(begin(store), state, owner="w")
    found = plan(search)
    assert (len(found.resumed), found.searched_ms) == (1, HOUR)


def test_what_is_paid_for_is_not_cancelled_by_a_search_of_another_kind(search, recording, enrol, actor, store):
    recording("k1")
    recording("k2")
    enrol("Ann")
    search.submit(actor, plan(search))
    paid = begin(store)
    search.far.settings_key = "active"
    search.submit(actor, plan(search))
    states = {job.settings_key + str(job.id == paid.id): job.state for job in store.jobs.list(DEFAULT_CASE)}
    assert states == {"fullTrue": "searching", "fullFalse": "cancelled", "activeFalse": "queued"}
    search.far.version = "2"
    search.submit(actor, plan(search))
    assert store.jobs.get(paid.id).state == JobState.CANCELLED, "nobody collects what an earlier version found"


def test_what_amazon_works_on_is_not_paused(search, recording, enrol, actor, store):
    recording()
    enrol("Ann")
    ids = search.submit(actor, plan(search))
    job = store.jobs.claim("w", 60_000, "far")
    job = store.jobs.move(job, JobState.UPLOADING, owner="w")
    store.jobs.move(job, JobState.SEARCHING, owner="w", run_ref="r")
    search.pause(actor, DEFAULT_CASE, ids)
    assert store.jobs.get(ids[0]).state == JobState.SEARCHING
    assert plan(search).searched_ms == 0, "it is paid for"


def test_a_recording_that_is_gone_is_not_queued(search, recording, enrol):
    footage = recording()
    enrol("Ann")
    Path(footage.path).unlink()
    found = plan(search)
    assert (found.pieces, [one.id for one in found.unavailable]) == (0, [footage.id])


def test_a_recording_searched_before_somebody_was_enrolled_is_to_be_searched_again(
    search, recording, enrol, actor, store
):
    footage = recording()
    enrol("Ann")
    submit(search, actor, store)
    of = ("far", "1", "full")
    assert store.jobs.of_recordings(DEFAULT_CASE, *of)[footage.id].lengths_ms == {JobState.SUCCEEDED: HOUR}

    def covered():
        return store.tracks.coverage(DEFAULT_CASE, *of)[footage.id]

    (job,) = store.jobs.list(DEFAULT_CASE)
    store.tracks.set_spans(job, [ExaminedSpan(0, HOUR, SpanOutcome.EXAMINED)])
    assert [span.outcome for span in covered()] == [SpanOutcome.EXAMINED]
    enrol("Bob")
    assert store.jobs.of_recordings(DEFAULT_CASE, *of) == {}
    # For Bob nothing was examined.
    assert [(span.outcome, span.reason) for span in covered()] == [(SpanOutcome.SKIPPED, ASKED_BEFORE)]
    search.submit(actor, plan(search))
    (job, _) = store.jobs.list(DEFAULT_CASE)
    store.tracks.set_spans(job, [ExaminedSpan(0, HOUR // 2, SpanOutcome.EXAMINED)])
    assert [(span.end_ms, span.outcome) for span in covered()] == [
        (HOUR // 2, SpanOutcome.EXAMINED),
        (HOUR, SpanOutcome.SKIPPED),
    ]
    assert store.jobs.of_recordings(DEFAULT_CASE, *of)[footage.id].lengths_ms == {JobState.QUEUED: HOUR}


def test_what_must_be_encoded_first_is_told(search, recording, enrol, store):
    one, other = recording("k1"), recording("k2")
    enrol("Ann")
    facts = json.loads(store._connection.one("SELECT facts FROM footage WHERE id = ?", (one.id,))["facts"])
    as_is = facts | {"pixel_format": "yuv420p"}

    def become(footage, facts):
        store._connection.run("UPDATE footage SET facts = ? WHERE id = ?", (json.dumps(facts), footage.id))

    become(one, as_is)
    become(other, as_is)
    before = plan(search)
    become(other, as_is | {"codec": "hevc"})
    found = plan(search)
    assert (before.encoded_ms, found.encoded_ms) == (0, HOUR)
    assert found.expected_s > before.expected_s
    assert found.disk_bytes == GB
