"""What a search on Rekognition costs, from what the store and the local engine know of a case."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from click.testing import CliRunner

from vidsearch.cli import cli
from vidsearch.errors import ModelMissing, UsageError
from vidsearch.estimating import Estimating
from vidsearch.model import (
    DEFAULT_CASE,
    BoundingBox,
    EnrolledFace,
    ExaminedSpan,
    FaceDescription,
    Footage,
    Segment,
    SpanOutcome,
    Track,
)
from vidsearch.planning import Plan, Planner
from vidsearch.settings import Settings, load_settings
from vidsearch.states import JobState

HOUR_MS = 3_600_000
BOX = BoundingBox(0.1, 0.1, 0.2, 0.2)
FACE = FaceDescription(BOX, 99.0, 90, 50.0, 0.9)


def track(start_ms: int, end_ms: int) -> Track:
    return Track(f"t{start_ms}", start_ms, end_ms, start_ms, BOX, 90, 5, 99.0)


@dataclass
class Known:
    """What the local engine knows: recording -> tracks and spans looked at."""

    tracks: dict[str, list[Track]] = field(default_factory=dict)
    seen: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def found(self, footage: Footage) -> tuple[list[Track], list[ExaminedSpan]]:
        spans = [ExaminedSpan(a, b, SpanOutcome.EXAMINED) for a, b in self.seen.get(footage.key, [])]
        return self.tracks.get(footage.key, []), spans


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def settings(tmp_path) -> Settings:
    return replace(load_settings(tmp_path / "data"), active_pad_s=3.0)


@pytest.fixture
def hour(add_footage) -> Footage:
    return add_footage(duration_ms=HOUR_MS)


def no_encoding(_facts):
    return []


def no_engine():
    raise AssertionError("an estimate of a case asks no engine")


@pytest.fixture
def estimating(store, settings, known) -> Estimating:
    planner = Planner(store, no_engine, lambda *_: [], None, 1, settings.local_engine, no_encoding)
    return Estimating(store, settings, planner.wanted, known.found, no_engine)


def job(store, footage: Footage, settings_key: str, start_ms: int, end_ms: int, state: JobState, revision: int = 0):
    with store.atomic():
        store.jobs.create(footage, "rekognition", "fm7", settings_key, start_ms, end_ms, "tester", revision)
    claimed = store.jobs.claim("w1", 60_000, engine="rekognition")
    path = {
        JobState.SEARCHING: [JobState.SEARCHING],
        JobState.SUCCEEDED: [JobState.SEARCHING, JobState.COLLECTING, JobState.SUCCEEDED],
        JobState.FAILED: [JobState.FAILED],
    }[state]
    for step in path:
        changes = {"run_ref": "job-1"} if step is JobState.SEARCHING else {}
        claimed = store.jobs.move(claimed, step, owner="w1", **changes)


def enrol(store, engine: str = "local", name: str = "Ann") -> None:
    with store.atomic():
        person = store.people.by_name(DEFAULT_CASE, name) or store.people.add(DEFAULT_CASE, name)
        store.people.add_photo(
            person,
            name="a.jpg",
            sha256=name,
            width=1,
            height=1,
            outcome="enrolled",
            reason="",
            enrolled=EnrolledFace(f"face of {name}", engine, "1", FACE),
        )
        store.cases.bump_revision(DEFAULT_CASE)


def minutes(way) -> tuple[float, float | None]:
    quantity = way.quantity("video_minute")
    return float(quantity.least), None if quantity.most is None else float(quantity.most)


# -- a case ----------------------------------------------------------------------------------------------------------


def test_footage_nobody_has_looked_at(estimating, hour):
    given = estimating.of_case(DEFAULT_CASE)
    assert minutes(given.way("full")) == (60, 60)
    assert minutes(given.way("active")) == (0, 60)
    assert given.way("tracks").now.most is None
    assert given.need.tracks_an_hour is None


def test_active_minutes_are_known_where_the_local_engine_has_looked(estimating, known, hour):
    known.seen[hour.key] = [(0, HOUR_MS)]
    known.tracks[hour.key] = [track(60_000, 114_000), track(1_000_000, 1_024_000)]
    given = estimating.of_case(DEFAULT_CASE)
    # Each with three seconds in front and behind: 60 s and 30 s.
    assert minutes(given.way("active")) == (1.5, 1.5)
    assert given.need.tracks == 2
    assert given.way("tracks").now.exact


def test_what_was_not_looked_at_is_expected_as_what_was(estimating, known, hour, add_footage):
    add_footage("k2", duration_ms=2 * HOUR_MS, start_ms=10_000_000, path="/recordings/two.mp4")
    known.seen[hour.key] = [(0, HOUR_MS)]
    known.tracks[hour.key] = [track(start * 1000, start * 1000 + 500) for start in range(1, 31)]
    given = estimating.of_case(DEFAULT_CASE)
    assert given.need.tracks_an_hour == 30
    way = given.way("tracks")
    assert way.guessed
    assert way.quantity("image").least == 30 + 60
    least, most = minutes(given.way("active"))
    assert most == least + 120


def test_too_little_history_is_none(estimating, known, hour):
    known.seen[hour.key] = [(0, 60_000)]
    known.tracks[hour.key] = [track(1000, 2000)]
    assert estimating.of_case(DEFAULT_CASE).need.tracks_an_hour is None


def test_period_and_camera_limit_it(estimating, hour, add_footage):
    add_footage("k2", camera="south", duration_ms=HOUR_MS, path="/recordings/two.mp4")
    assert minutes(estimating.of_case(DEFAULT_CASE).way("full")) == (120, 120)
    assert minutes(estimating.of_case(DEFAULT_CASE, cameras=["south"]).way("full")) == (60, 60)
    # The recordings begin at 00:16:40 on the first of January 1970.
    later = estimating.of_case(DEFAULT_CASE, cameras=["south"], from_="1970-01-01T00:46:40")
    assert minutes(later.way("full")) == (30, 30)


def test_what_rekognition_has_searched_is_not_paid_again_until_somebody_is_added(store, estimating, hour):
    enrol(store, "rekognition")
    job(store, hour, "full", 0, HOUR_MS // 2, JobState.SUCCEEDED, revision=1)
    given = estimating.of_case(DEFAULT_CASE)
    assert minutes(given.way("full")) == (30, 30)
    assert given.way("full").each.least == Decimal("6.002")
    # Work by the track is another thing, and so is a search of the active parts.
    assert minutes(given.way("active")) == (0, 60)
    enrol(store, "rekognition", "Bea")
    assert minutes(estimating.of_case(DEFAULT_CASE).way("full")) == (60, 60)


def test_who_is_enrolled_with_the_search_was_in_no_question_before(store, estimating, hour):
    enrol(store, "rekognition")
    job(store, hour, "full", 0, HOUR_MS, JobState.SUCCEEDED, revision=1)
    assert minutes(estimating.of_case(DEFAULT_CASE).way("full")) == (0, 0)
    enrol(store, "local", "Bea")
    assert minutes(estimating.of_case(DEFAULT_CASE).way("full")) == (60, 60)
    (photo,) = [photo for one in store.people.list(DEFAULT_CASE) for photo in store.people.photos(one.id)][1:]
    store.people.refuse(photo, "rekognition", "1", "too_small", "too small")
    given = estimating.of_case(DEFAULT_CASE)
    assert (minutes(given.way("full")), given.need.photos) == ((0, 0), 0)


def test_what_is_with_amazon_already_is_paid_for_and_what_failed_is_not(store, estimating, hour):
    job(store, hour, "full", 0, 600_000, JobState.FAILED)
    job(store, hour, "full", 600_000, 1_800_000, JobState.SEARCHING)
    assert minutes(estimating.of_case(DEFAULT_CASE).way("full")) == (40, 40)


def test_tracks_sent_for_one_person_serve_all_later_ones(store, estimating, known, hour):
    known.seen[hour.key] = [(0, HOUR_MS)]
    known.tracks[hour.key] = [track(1000, 2000), track(HOUR_MS - 60_000, HOUR_MS - 50_000)]
    job(store, hour, "tracks-fps5", 0, HOUR_MS // 2, JobState.SUCCEEDED)
    enrol(store, "rekognition")
    assert estimating.of_case(DEFAULT_CASE).need.tracks == 1


def test_photos_that_rekognition_has_not_enrolled_yet(store, estimating, hour):
    enrol(store, "local", "Ann")
    enrol(store, "rekognition", "Bea")
    need = estimating.of_case(DEFAULT_CASE).need
    assert (need.photos, need.photos_searched) == (1, 2)


def test_without_models_what_the_store_knows_is_taken(store, settings, hour):
    def missing(_footage):
        raise ModelMissing

    with store.atomic():
        store.jobs.create(hour, "local", "1-a", "fps5", 0, HOUR_MS, "tester", 0)
    claimed = store.jobs.claim("w1", 60_000, engine="local")
    claimed = store.jobs.move(claimed, JobState.SEARCHING, owner="w1")
    with store.atomic():
        store.tracks.upsert(hour, "local", "1-a", [track(1000, 2000), track(5000, 9000)])
        store.tracks.set_spans(claimed, [ExaminedSpan(0, HOUR_MS, SpanOutcome.EXAMINED)])
    for state in (JobState.COLLECTING, JobState.SUCCEEDED):
        claimed = store.jobs.move(claimed, state, owner="w1")
    planner = Planner(store, no_engine, lambda *_: [], None, 1, settings.local_engine, no_encoding)
    given = Estimating(store, settings, planner.wanted, missing, no_engine).of_case(DEFAULT_CASE)
    assert given.need.tracks == 2
    assert given.way("active").now.exact


def test_no_footage_says_how_to_ask_all_the_same(estimating):
    with pytest.raises(UsageError, match="--hours N"):
        estimating.of_case(DEFAULT_CASE)


def test_hours_that_nobody_has(estimating):
    given = estimating.of_case(DEFAULT_CASE, hours=1200, photos=2, suspects=3)
    assert given.way("full").now.money() == "about $7,200"
    assert given.way("full").each.money() == "about $7,200"
    assert given.way("full").later.money() == "about $21,600"
    assert given.way("tracks").each.least == Decimal("0.006")
    assert given.way("tracks").now.most is None
    known = estimating.of_case(DEFAULT_CASE, hours=1200, tracks_an_hour=60)
    assert known.way("tracks").now.money() == "about $72.00"


def test_the_size_of_footage_is_the_cases_own(store, estimating, hour):
    assert estimating.of_case(DEFAULT_CASE).need.gigabytes_an_hour == Decimal("0.000001")
    assert estimating.of_case(DEFAULT_CASE, hours=5).need.gigabytes_an_hour == Decimal("0.000001")


def test_a_region_that_is_set_up_is_taken(store, settings, known, hour):
    settings = replace(settings, aws_region="eu-west-1")
    planner = Planner(store, no_engine, lambda *_: [], None, 1, settings.local_engine, no_encoding)
    estimating = Estimating(store, settings, planner.wanted, known.found, no_engine)
    assert estimating.of_case(DEFAULT_CASE).prices.region == "eu-west-1"
    assert estimating.of_case(DEFAULT_CASE, region="us-east-1").prices.region == "us-east-1"


# -- a planned search ------------------------------------------------------------------------------------------------


def plan_for(footage: Footage, pieces: list[Segment]) -> Plan:
    return Plan(
        DEFAULT_CASE, 99.0, [(footage, pieces)], [], [], [], [], 0.0, 0, [(footage, (float("-inf"), float("inf")))]
    )


class Engine:
    """An engine that charges by the minute."""


class TracksEngine:
    """And one that charges by the track."""

    def __init__(self, unsent: int) -> None:
        self._unsent = unsent
        self.asked: list[str] = []

    def unsent(self, gallery: str, footage_keys) -> int:
        self.asked += footage_keys
        return self._unsent

    def questions(self, gallery: str, *, more: bool) -> int:
        return 2 if more else 0


def for_search(store, settings, known, engine) -> Estimating:
    planner = Planner(store, no_engine, lambda *_: [], None, 1, settings.local_engine, no_encoding)
    return Estimating(store, settings, planner.wanted, known.found, lambda: engine)


def test_the_price_of_a_planned_search_is_of_what_it_searches(store, settings, known, hour):
    plan = plan_for(hour, [Segment(hour.id, 0, HOUR_MS // 2)])
    cost = for_search(store, settings, known, Engine()).of_search(plan)
    assert minutes(cost.estimate.way("full")) == (plan.searched_ms / 60_000,) * 2 == (30, 30)
    assert cost.costs
    assert cost.lines[0].startswith("on Rekognition, all of it: about $3.0")
    assert cost.lines[-1].startswith("prices of ")


def test_the_price_of_the_active_parts(store, settings, known, hour):
    known.seen[hour.key] = [(0, HOUR_MS)]
    known.tracks[hour.key] = [track(60_000, 114_000)]
    settings = replace(settings, rekognition_mode="active")
    plan = plan_for(hour, [Segment(hour.id, 0, HOUR_MS, ((57_000, 117_000),))])
    cost = for_search(store, settings, known, Engine()).of_search(plan)
    assert minutes(cost.estimate.way("active")) == (plan.searched_ms / 60_000,) * 2 == (1, 1)
    assert cost.lines[0].startswith("on Rekognition, only where a face may be: about $0.10")


def test_the_price_by_the_track_is_of_what_amazon_was_not_sent(store, settings, known, hour):
    known.seen[hour.key] = [(0, HOUR_MS)]
    settings = replace(settings, rekognition_mode="tracks")
    engine = TracksEngine(unsent=700)
    cost = for_search(store, settings, known, engine).of_search(plan_for(hour, []))
    assert engine.asked == [hour.key]
    assert cost.lines[0] == "on Rekognition, by the track: about $0.70 (702 pictures at $0.001)"
    assert cost.costs
    assert not for_search(store, settings, known, TracksEngine(unsent=0)).of_search(plan_for(hour, [])).costs


def test_nothing_to_search_costs_nothing(store, settings, known, hour):
    cost = for_search(store, settings, known, Engine()).of_search(plan_for(hour, []))
    assert not cost.costs


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def umask():
    """The command makes new files its user's alone, for its whole process; here that is the tests'."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(data, *words: str):
    return CliRunner().invoke(cli, ["--data", str(data), *words], catch_exceptions=True)


def test_the_command_shows_three_ways(tmp_path):
    done = run(tmp_path, "estimate", "--hours", "1200", "--faces-per-hour", "60", "--suspects", "10")
    assert done.exit_code == 0
    assert "1,200 hours of footage" in done.output
    rows = [line.split("\t") for line in done.output.splitlines() if "\t" in line]
    assert [row[0] for row in rows] == ["all of it", "only where a face may be", "by the track"]
    assert rows[0][1:5] == ["72,000 minutes", "about $7,200", "about $7,200", "about $72,000"]
    assert rows[1][2] == "at most about $7,200"
    assert rows[2][2:4] == ["about $72.00 expected", "less than a cent"]
    assert "check https://aws.amazon.com/rekognition/pricing/" in done.output


def test_the_command_prints_json(tmp_path):
    done = run(tmp_path, "estimate", "--hours", "1200", "--json")
    held = json.loads(done.stdout)
    assert held["ways"]["full"]["now"]["most"] == pytest.approx(7200, abs=5)
    assert held["ways"]["tracks"]["now"]["most"] is None


@pytest.mark.parametrize(
    "words",
    [
        ["estimate"],
        ["estimate", "--hours", "1", "--region", "nowhere"],
        ["estimate", "--hours", "1", "--from", "yesterday"],
        ["estimate", "--hours", "0"],
        ["estimate", "--hours", "nan"],
        ["estimate", "--hours", "1", "--faces-per-hour", "nan"],
        ["estimate", "--hours", "1", "--photos", "0"],
    ],
)
def test_requests_that_cannot_be_meant(tmp_path, words):
    done = run(tmp_path, *words)
    assert done.exit_code != 0
    assert isinstance(done.exception, UsageError | SystemExit)


def test_a_spoilt_price_table_is_told(tmp_path):
    (tmp_path / "prices.toml").write_text("nonsense")
    assert isinstance(run(tmp_path, "estimate", "--hours", "1").exception, UsageError)
