"""The store on a real SQLite file: what goes in comes out, together or not at all."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace

import pytest

from vidsearch.errors import StoreError, UnknownRecord, UsageError, VidsearchError
from vidsearch.model import (
    Appearance,
    BoundingBox,
    EnrolledFace,
    ExaminedSpan,
    FaceDescription,
    Purpose,
    SpanOutcome,
    StartSource,
    Track,
    TrackMatch,
)

BOX = BoundingBox(0.1, 0.2, 0.3, 0.4)
FACE = FaceDescription(BOX, 99.0, 90, 50.0, 0.9)


def enrolled(face_id="f1", *, weak=False, engine="local"):
    return EnrolledFace(face_id, engine, "1", FACE, weak)


@pytest.fixture
def add_photo(store):
    def add(person, sha256="s1", face=None, outcome="enrolled"):
        return store.people.add_photo(
            person,
            name="a.jpg",
            sha256=sha256,
            width=10,
            height=20,
            outcome=outcome,
            reason="because",
            disagrees=None,
            enrolled=face,
        )

    return add


def track(track_id="t1", start=0, end=1000, detections=5):
    return Track(track_id, start, end, start, BOX, 90, detections, 98.0)


def appearance(footage, person, number=1, **changes):
    made = Appearance(
        id=f"a{number:06d}",
        case_id=footage.case_id,
        person_id=person.id,
        camera_id=footage.camera_id,
        footage_id=footage.id,
        start_ms=number * 1000,
        end_ms=number * 1000 + 500,
        best_ms=number * 1000 + 100,
        best_track="t1",
        best_box=BOX,
        face_px=90,
        face_id="f1",
        similarity=90.0,
        detections=5,
        tracks=("t1", "t2"),
        weak=False,
        engine="local",
        engine_version="1",
    )
    return replace(made, **changes)


# -- transactions ------------------------------------------------------------------------------------------------


def test_a_block_that_fails_leaves_nothing(store, actor):
    def fail_midway():
        with store.atomic():
            store.people.add("default", "Ann")
            store.audit.record(actor, "person.add", "1", case_id="default")
            raise UsageError("no")

    with pytest.raises(UsageError):
        fail_midway()
    assert store.people.list("default") == []
    assert store.audit.entries() == []


def test_a_block_inside_another_can_fail_alone(store):
    def fail_inside():
        with store.atomic():
            store.people.add("default", "Bob")
            raise UsageError("no")

    with store.atomic():
        store.people.add("default", "Ann")
        with pytest.raises(UsageError):
            fail_inside()
        store.people.add("default", "Cy")
    assert [person.name for person in store.people.list("default")] == ["Ann", "Cy"]


def test_threads_have_connections_of_their_own_and_wait_for_each_other(store):
    def add(number):
        for part in range(10):
            with store.atomic():
                store.people.add("default", f"person {number} {part}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.people.list("default")) == 60
    assert len(store._connection._open) <= 7


def test_connections_of_ended_threads_are_closed(store):
    for _ in range(5):
        thread = threading.Thread(target=store.cases.list)
        thread.start()
        thread.join()
    assert len(store._connection._open) <= 2


# -- audit and cases ---------------------------------------------------------------------------------------------


def test_the_audit_refuses_to_record_outside_a_transaction(store, actor):
    with pytest.raises(StoreError, match="transaction"):
        store.audit.record(actor, "person.add", "1")


def test_the_audit_cannot_be_changed(store, actor):
    with store.atomic():
        store.audit.record(actor, "person.add", "1", case_id="default", naïve="é", photos=[1, 2])
        store.audit.record(actor, "other", "2")
    entry = store.audit.entries(case_id="default")[0]
    assert (entry.actor, entry.via, entry.action, entry.subject) == ("tester", "cli", "person.add", "1")
    assert entry.detail == {"naïve": "é", "photos": [1, 2]}
    assert [e.subject for e in store.audit.entries(after_id=entry.id)] == ["2"]
    for statement in ("UPDATE audit SET actor = 'me'", "DELETE FROM audit"):
        with pytest.raises(StoreError, match="append-only"):
            store._connection.run(statement)


def test_cases_and_their_revisions(store):
    assert store.cases.add("fair", "The fair", Purpose.MISSING_PERSON, retention_days=30).retention_days == 30
    assert [case.id for case in store.cases.list()] == ["default", "fair"]
    assert store.cases.bump_revision("fair") == 1
    assert store.cases.bump_revision("fair") == 2
    assert store.cases.get("fair").gallery_revision == 2
    assert store.cases.get("default").gallery_revision == 0
    with pytest.raises(UsageError):
        store.cases.add("fair", "Again")
    with pytest.raises(UnknownRecord, match="default, fair"):
        store.cases.get("none")
    with pytest.raises(UnknownRecord):
        store.cases.bump_revision("none")


# -- people ------------------------------------------------------------------------------------------------------


def test_people(store):
    ann = store.people.add("default", "Ann", note="seen at the gate")
    assert store.people.get("default", ann.id) == ann
    assert store.people.by_name("default", "Ann") == ann
    assert store.people.by_name("default", "ann") is None
    store.cases.add("fair", "The fair")
    with pytest.raises(UnknownRecord):
        store.people.get("fair", ann.id)
    with pytest.raises(UsageError, match="Ann"):
        store.people.add("default", "Ann")
    bob = store.people.add("default", "Bob")
    with pytest.raises(UsageError, match="Ann"):
        store.people.rename(bob.id, "Ann")
    store.people.rename(bob.id, "Robert")
    store.people.rename(ann.id, "Ann")
    assert [person.name for person in store.people.list("default")] == ["Ann", "Robert"]


@pytest.mark.parametrize("name", ["Zoë", "日本 太郎", "<b>x</b>", "O'Hara; DROP TABLE people", "🙂", "a" * 300])
def test_names_are_kept_as_they_are(store, name):
    assert store.people.get("default", store.people.add("default", name).id).name == name


def test_photos_with_and_without_a_face(store, add_photo):
    ann = store.people.add("default", "Ann")
    usable = add_photo(ann, "s1", enrolled("f1"))
    refused = add_photo(ann, "s2", None, outcome="no_face")
    assert usable.usable
    assert (usable.face_id, usable.box, usable.engine, usable.engine_version) == ("f1", BOX, "local", "1")
    assert (usable.width, usable.height) == (10, 20)
    assert not refused.usable
    assert refused.box is None
    assert store.people.photos(ann.id) == [usable, refused]
    assert store.people.photo("default", usable.id) == usable
    assert store.people.photo_by_sha256("default", "s1") == [usable]
    assert store.people.photo_by_sha256(None, "s2") == [refused]
    assert store.people.photo_by_sha256("fair", "s1") == []
    store.people.remove_photo(refused.id)
    with pytest.raises(UnknownRecord):
        store.people.photo("default", refused.id)


def test_a_face_belongs_to_one_person(store, add_photo):
    ann, bob = store.people.add("default", "Ann"), store.people.add("default", "Bob")
    first = add_photo(ann, "s1", enrolled("f1"))
    assert add_photo(ann, "s1", enrolled("f1")) == first
    with pytest.raises(VidsearchError, match="Ann"):
        add_photo(bob, "s1", enrolled("f1"))
    assert store.people.photos(bob.id) == []


def test_a_photo_enrolled_with_two_engines_is_one_photo(store, add_photo):
    ann = store.people.add("default", "Ann")
    photo = add_photo(ann, "s1", enrolled("f1"))
    store.people._add_face(ann, photo.id, enrolled("r1", engine="rekognition"))
    assert store.people.photos(ann.id) == [photo]
    assert store.people.owners("default", "rekognition") == {"r1": (ann.id, photo.id, False)}


def test_owners_and_what_goes_with_a_person(store, add_photo, add_footage):
    ann, bob = store.people.add("default", "Ann"), store.people.add("default", "Bob")
    a = add_photo(ann, "s1", enrolled("f1"))
    b = add_photo(bob, "s2", enrolled("f2", weak=True), outcome="weak")
    assert store.people.owners("default", "local") == {"f1": (ann.id, a.id, False), "f2": (bob.id, b.id, True)}
    footage = add_footage()
    store.tracks.upsert(footage, "local", "1", [track()])
    store.matches.replace(footage, "local", "1", [(TrackMatch("t1", "f1", 90.0, 3), ann.id)], 1)
    store.appearances.replace(footage.id, "local", [appearance(footage, ann)])
    store.appearances.review("default", "a000001", "confirmed")
    store.people.remove(ann.id)
    assert store.people.owners("default", "local") == {"f2": (bob.id, b.id, True)}
    assert store.matches.for_footage(footage.id, "local", "1") == []
    assert store.appearances.find("default") == []
    assert store._connection.all("SELECT * FROM reviews") == []
    assert store.tracks.count("default") == 1


def test_a_forgotten_name_is_not_left_in_the_file(store):
    person = store.people.add("default", "Unforgettable Xylander")
    store._connection.all("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"Xylander" in store.path.read_bytes()
    store.people.remove(person.id)
    store._connection.all("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"Xylander" not in store.path.read_bytes()


# -- footage -----------------------------------------------------------------------------------------------------


def test_cameras(store):
    camera = store.footage.ensure_camera("default", "Gate / north", "Europe/Paris")
    assert store.footage.ensure_camera("default", "Gate / north", "UTC") == camera
    store.footage.set_camera(camera.id, clock_offset_ms=-3_600_000)
    store.footage.set_camera(camera.id, zone="Europe/Rome")
    changed = store.footage.camera("default", camera.id)
    assert (changed.zone, changed.clock_offset_ms) == ("Europe/Rome", -3_600_000)
    assert store.footage.camera_by_name("default", "Gate / north") == changed
    with pytest.raises(UnknownRecord, match="Gate / north"):
        store.footage.camera_by_name("default", "south")
    with pytest.raises(UnknownRecord):
        store.footage.camera("default", 99)
    assert store.footage.cameras("default") == [changed]


def test_recordings(store, add_footage):
    second = add_footage("k2", start_ms=2_000_000)
    first = add_footage("k1", start_ms=1_000_000)
    other = add_footage("k3", camera="south", start_ms=0)
    assert store.footage.list("default") == [first, second, other]
    assert store.footage.list("default", other.camera_id) == [other]
    assert store.footage.by_key("default", "k2") == second
    assert store.footage.by_key("default", "none") is None
    assert [f.id for f in store.footage.without_sha256()] == sorted([first.id, second.id, other.id])
    store.footage.set_sha256(first.id, "abc")
    store.footage.set_source(first.id, "/elsewhere.mp4", 5, 6)
    store.footage.set_missing(first.id, True)
    store.footage.set_start(first.id, 7, StartSource.FILE_NAME)
    now = store.footage.get("default", first.id)
    assert (now.sha256, now.path, now.size, now.mtime_ns, now.missing) == ("abc", "/elsewhere.mp4", 5, 6, True)
    assert (now.start_ms, now.start_source, now.facts) == (7, StartSource.FILE_NAME, first.facts)
    assert first not in store.footage.without_sha256()
    with pytest.raises(StoreError):
        add_footage("k1")
    store.footage.remove(first.id)
    with pytest.raises(UnknownRecord):
        store.footage.get("default", first.id)


# -- tracks and spans --------------------------------------------------------------------------------------------


def test_a_track_is_never_replaced_by_less_of_it(store, add_footage):
    footage = add_footage()
    store.tracks.upsert(footage, "local", "1", [track(end=5000, detections=20)])
    store.tracks.upsert(footage, "local", "1", [track(end=1000, detections=5)])
    assert store.tracks.get(footage.id, "t1").end_ms == 5000
    store.tracks.upsert(footage, "local", "1", [track(end=6000, detections=20)])
    assert store.tracks.get(footage.id, "t1").end_ms == 6000


def test_a_superseded_piece_stays_out_whatever_comes_first(store, add_footage):
    footage = add_footage()
    store.tracks.remove(footage.id, ["t2"])
    store.tracks.upsert(footage, "local", "1", [track("t1"), track("t2", 1000, 2000)])
    assert [t.id for t in store.tracks.for_footage(footage.id, "local", "1")] == ["t1"]
    store.tracks.remove(footage.id, ["t1", "unknown"])
    assert store.tracks.for_footage(footage.id, "local", "1") == []
    store.tracks.replace_all(footage, "local", "1", [track("t2")])
    assert [t.id for t in store.tracks.for_footage(footage.id, "local", "1")] == ["t2"]


def test_tracks_of_a_period_and_of_one_version(store, add_footage):
    footage = add_footage()
    store.tracks.upsert(footage, "local", "1", [track(f"t{n}", n * 1000, n * 1000 + 900) for n in range(10)])
    store.tracks.upsert(footage, "local", "2", [track("v2", 500, 600)])
    found = store.tracks.for_footage(footage.id, "local", "1", 2950, 5000)
    assert [t.id for t in found] == ["t3", "t4"]
    assert [t.id for t in store.tracks.for_footage(footage.id, "local", "2")] == ["v2"]
    assert store.tracks.count("default") == 11
    assert store.tracks.state(footage.id, "local", "2") == (1, 5)
    assert store.tracks.state(footage.id, "local", "3") == (0, 0)
    with pytest.raises(UnknownRecord):
        store.tracks.get(footage.id, "none")


def test_spans_of_several_jobs_are_one_line_of_time(store, add_footage):
    footage = add_footage()
    for start in (20_000, 0, 10_000):
        store.jobs.create(footage, "local", "1", "s", start, start + 10_000, "me")
    jobs = store.jobs.for_footage(footage.id, "local", "1", "s")
    store.tracks.set_spans(jobs[0], [ExaminedSpan(0, 10_000, SpanOutcome.EXAMINED)])
    store.tracks.set_spans(jobs[1], [ExaminedSpan(10_000, 20_000, SpanOutcome.FAILED, "no decoder")])
    store.tracks.set_spans(
        jobs[2],
        [
            ExaminedSpan(20_000, 25_000, SpanOutcome.EXAMINED),
            ExaminedSpan(25_000, 30_000, SpanOutcome.UNDECODABLE, "x"),
        ],
    )
    assert store.tracks.spans(footage.id, "local") == [
        ExaminedSpan(0, 10_000, SpanOutcome.EXAMINED),
        ExaminedSpan(10_000, 20_000, SpanOutcome.FAILED, "no decoder"),
        ExaminedSpan(20_000, 25_000, SpanOutcome.EXAMINED),
        ExaminedSpan(25_000, 30_000, SpanOutcome.UNDECODABLE, "x"),
    ]
    store.tracks.set_spans(jobs[1], [ExaminedSpan(10_000, 20_000, SpanOutcome.EXAMINED)])
    assert store.tracks.spans(footage.id, "local")[0] == ExaminedSpan(0, 25_000, SpanOutcome.EXAMINED)
    assert store.tracks.spans(footage.id, "other") == []


# -- matches -----------------------------------------------------------------------------------------------------


def test_matches_are_replaced_whole_or_by_track(store, add_footage):
    ann, bob = store.people.add("default", "Ann"), store.people.add("default", "Bob")
    footage = add_footage()
    rows = [
        (TrackMatch("t1", "f1", 80.0, 2), ann.id),
        (TrackMatch("t1", "f2", 95.0, 3), ann.id),
        (TrackMatch("t1", "f3", 60.0, 1), bob.id),
        (TrackMatch("t2", "f1", 70.0, 2, weak=True), ann.id),
    ]
    store.matches.replace(footage, "local", "1", rows, 4)
    assert store.matches.for_footage(footage.id, "local", "1") == [rows[1], rows[3], rows[2]]
    store.matches.replace(footage, "local", "1", [(TrackMatch("t2", "f1", 75.0, 2), ann.id)], 5, track_ids=["t2"])
    assert [(m.track_id, m.similarity) for m, _ in store.matches.for_footage(footage.id, "local", "1")] == [
        ("t1", 95.0),
        ("t2", 75.0),
        ("t1", 60.0),
    ]
    assert store.matches.for_footage(footage.id, "local", "2") == []
    store.matches.replace(footage, "local", "1", [], 6)
    assert store.matches.for_footage(footage.id, "local", "1") == []


def test_what_a_recording_was_matched_with(store, add_footage):
    footage = add_footage()
    assert store.matches.matched(footage.id, "local", "1", "s") is None
    store.matches.set_matched(footage.id, "local", "1", "s", 3, 2, 80)
    store.matches.set_matched(footage.id, "local", "1", "s", 4, 5, 82.5)
    assert store.matches.matched(footage.id, "local", "1", "s") == (4, 5, 82.5)
    assert store.matches.matched(footage.id, "local", "2", "s") is None


# -- appearances -------------------------------------------------------------------------------------------------


@pytest.fixture
def ann(store):
    return store.people.add("default", "Ann")


def test_replacing_tells_what_is_new_and_keeps_verdicts(store, ann, add_footage):
    footage = add_footage()
    first, second, third = (appearance(footage, ann, number) for number in (1, 2, 3))
    assert store.appearances.replace(footage.id, "local", [first, second]) == [first, second]
    store.appearances.review("default", second.id, "rejected")
    changed = replace(second, similarity=99.0)
    assert store.appearances.replace(footage.id, "local", [changed, third]) == [third]
    assert store.appearances.find("default") == [replace(changed, review="rejected"), third]
    # Another engine's appearances, and another recording's, are not touched.
    assert store.appearances.replace(footage.id, "other", []) == []
    assert len(store.appearances.find("default")) == 2


def test_a_verdict_comes_back_with_its_appearance(store, ann, add_footage):
    footage = add_footage()
    item = appearance(footage, ann)
    store.appearances.replace(footage.id, "local", [item])
    assert store.appearances.review("default", item.id, "confirmed").review == "confirmed"
    store.appearances.replace(footage.id, "local", [])
    assert store.appearances.replace(footage.id, "local", [item]) == [replace(item, review="confirmed")]
    assert store.appearances.review("default", item.id, None).review is None
    store.appearances.replace(footage.id, "local", [])
    assert store.appearances.replace(footage.id, "local", [item]) == [item]
    with pytest.raises(StoreError):
        store.appearances.review("default", item.id, "perhaps")


def test_only_some_people_s_appearances_can_be_replaced(store, ann, add_footage):
    bob = store.people.add("default", "Bob")
    footage = add_footage()
    store.appearances.replace(footage.id, "local", [appearance(footage, ann, 1), appearance(footage, bob, 2)])
    store.appearances.replace(footage.id, "local", [appearance(footage, ann, 3)], person_ids=[ann.id])
    assert [item.id for item in store.appearances.find("default")] == ["a000002", "a000003"]


def test_appearances_by_wall_clock(store, ann, add_footage):
    bob = store.people.add("default", "Bob")
    late = add_footage("k1", camera="north", start_ms=10_000_000)
    early = add_footage("k2", camera="south", start_ms=9_000_000)
    store.appearances.replace(late.id, "local", [appearance(late, ann, 1), appearance(late, bob, 2, weak=True)])
    store.appearances.replace(
        early.id, "local", [appearance(early, ann, 3), appearance(early, bob, 4, similarity=70.0)]
    )

    def ids(**filters):
        found = [item.id[-1] for item in store.appearances.find("default", **filters)]
        paging = ("limit", "offset", "newest_first")
        if not filters.keys() & set(paging):
            assert store.appearances.count("default", **filters) == len(found)
        return "".join(found)

    assert ids() == "341"
    assert ids(newest_first=True) == "143"
    assert ids(weak=None) == "3412"
    assert ids(weak=True) == "2"
    assert ids(limit=1, offset=1) == "4"
    assert ids(person_ids=[ann.id]) == "31"
    assert ids(person_ids=[]) == ""
    assert ids(camera_ids=[late.camera_id]) == "1"
    assert ids(footage_id=early.id) == "34"
    assert ids(min_similarity=80) == "31"
    assert ids(from_ms=9_003_500) == "341"
    assert ids(from_ms=9_003_501) == "41"
    assert ids(to_ms=9_004_000) == "3"
    assert ids(from_ms=9_003_501, to_ms=9_004_001) == "4"
    assert store.appearances.counts_by_person("default") == {ann.id: 2, bob.id: 1}
    # The clock of a camera is put right: its appearances move.
    store.footage.set_camera(late.camera_id, clock_offset_ms=-2_000_000)
    assert ids() == "134"
    store.footage.set_start(early.id, 0, StartSource.USER)
    assert ids() == "341"
    with pytest.raises(UnknownRecord):
        store.appearances.get("default", "none")
    assert store.appearances.get("default", "a000003").id == "a000003"


QUERIES = [
    {},
    {"newest_first": True},
    {"weak": None},
    {"from_ms": 2_000_000},
    {"from_ms": 2_000_000, "to_ms": 3_000_000, "min_similarity": 80.0},
    {"person_ids": [1]},
    {"person_ids": [1], "from_ms": 2_000_000, "newest_first": True},
    {"camera_ids": [1], "to_ms": 3_000_000},
    {"footage_id": 1},
]


@pytest.mark.parametrize("filters", QUERIES, ids=str)
def test_pages_are_read_by_index(store, ann, add_footage, filters):
    footage = add_footage()
    rows = [appearance(footage, ann, number) for number in range(2000)]
    store.appearances.replace(footage.id, "local", rows)
    seen = []
    store._connection.raw().set_trace_callback(seen.append)
    store.appearances.find("default", limit=100, **filters)
    store.appearances.count("default", **{k: v for k, v in filters.items() if k != "newest_first"})
    store._connection.raw().set_trace_callback(None)
    selects = [statement for statement in seen if "FROM appearances" in statement]
    assert len(selects) >= 2
    for statement in selects:
        plan = [row["detail"] for row in store._connection.all(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN appearances")], plan
        assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_a_hundred_thousand_appearances(store, ann, add_footage):
    footage = add_footage(duration_ms=200_000_000)
    rows = [appearance(footage, ann, number) for number in range(100_000)]
    assert len(store.appearances.replace(footage.id, "local", rows)) == 100_000
    assert store.appearances.replace(footage.id, "local", rows) == []
    assert store.appearances.count("default") == 100_000
    page = store.appearances.find("default", from_ms=90_001_000, limit=50)
    assert page[0].id == "a089001"


def test_the_audit_and_the_appearances_can_be_read_by_other_tools(store, ann, add_footage, actor):
    footage = add_footage()
    with store.atomic():
        store.appearances.replace(footage.id, "local", [appearance(footage, ann)])
        store.audit.record(actor, "test", "1")
    other = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)
    try:
        assert other.execute("SELECT count(*) FROM appearances").fetchone() == (1,)
        assert other.execute("SELECT action FROM audit").fetchone() == ("test",)
    finally:
        other.close()


def test_coverage_is_of_the_analysis_that_the_appearances_are_of(store, add_footage):
    """After an update of the engine, a part searched again must not make the rest look examined by it."""
    footage = add_footage()

    def examine(version: str, *starts: int) -> None:
        for start in starts:
            store.jobs.create(footage, "local", version, "s", start, start + 30_000, "tester")
            job = store.jobs.claim("w", 60_000, "local", version=version)
            store.tracks.set_spans(job, [ExaminedSpan(start, start + 30_000, SpanOutcome.EXAMINED)])

    def covered() -> list[tuple[int, int]]:
        whole = store.tracks.coverage("default", "local", "new", "s")
        assert whole == store.tracks.coverage("default", "local", "new", "s", footage.id)
        return [(span.start_ms, span.end_ms) for span in whole[footage.id]]

    examine("old", 0, 30_000)
    assert covered() == [(0, 60_000)]
    examine("new", 0)
    assert covered() == [(0, 60_000)], "its appearances are still those of the old one"
    store.matches.set_matched(footage.id, "local", "new", "s", 0, 1, 80.0)
    assert covered() == [(0, 30_000)]
