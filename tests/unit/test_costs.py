"""What the three ways of searching on Rekognition cost, as arithmetic."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from vidsearch.cost_text import confirm_text
from vidsearch.costs import Looked, Need, Range, estimate
from vidsearch.pricing import Prices, load_prices


@pytest.fixture
def prices(tmp_path) -> Prices:
    return load_prices(tmp_path)


def looked(minutes: int, active: int = 0, unseen: int = 0) -> Looked:
    return Looked(Decimal(minutes), Decimal(active), Decimal(unseen))


def test_by_the_minute_everything_is_paid_again_for_whoever_comes_later(prices):
    need = Need(
        looked(72_000), looked(72_000, 0, 72_000), looked(72_000, 0, 72_000), photos=2, photos_each=3, suspects=4
    )
    way = estimate(need, prices).way("full")
    assert way.now == Range.exactly(Decimal("7200.004"))
    assert way.each == Range.exactly(Decimal("7200.006"))
    assert way.later == Range.exactly(4 * Decimal("7200.006"))
    assert way.now.money() == "about $7,200"


def test_what_is_searched_already_is_not_paid_now_but_again_later(prices):
    need = Need(looked(0), looked(0), looked(600, 60, 0))
    given = estimate(need, prices)
    assert given.way("full").now.money() == "nothing"
    assert given.way("full").each == Range.exactly(Decimal("60.002"))
    assert given.way("active").each == Range.exactly(Decimal("6.002"))


def test_footage_is_paid_for_in_the_bucket(prices):
    way = estimate(Need(looked(600), looked(600), looked(600), Decimal(3)), prices).way("full")
    stored, put = way.quantity("storage_gb_month"), way.quantity("put_thousand")
    assert stored == Range.exactly(1)
    assert put == Range.exactly(Decimal("1.92"))
    assert way.now.least == 60 + Decimal("0.023") + Decimal("0.0096")


def test_active_parts_are_known_where_footage_was_looked_at(prices):
    need = Need(looked(600), looked(600, 45, 0), looked(600, 45, 0), Decimal(3))
    way = estimate(need, prices).way("active")
    assert way.quantity("video_minute") == Range.exactly(45)
    assert way.now.exact
    # As much less is uploaded.
    assert way.quantity("storage_gb_month") == Range.exactly(Decimal("0.075"))


def test_active_parts_are_bounds_where_it_was_not(prices):
    way = estimate(Need(looked(600), looked(600, 45, 100), looked(600, 45, 100)), prices).way("active")
    assert way.quantity("video_minute") == Range(Decimal(45), Decimal(145))
    assert way.now.money() == "about $4.50 to $14.50"
    unknown = estimate(Need(looked(600), looked(600, 0, 600), looked(600, 0, 600)), prices).way("active")
    assert unknown.now.money() == "at most about $60.00"


def test_by_the_track_whoever_comes_later_costs_photos(prices):
    need = Need(
        looked(600), looked(600), looked(600), tracks=5000, photos=2, photos_searched=3, photos_each=4, suspects=10
    )
    way = estimate(need, prices).way("tracks")
    assert way.quantity("image") == Range.exactly(5007)
    assert way.now == Range.exactly(Decimal("5.007"))
    assert way.each == Range.exactly(Decimal("0.012"))
    assert way.later == Range.exactly(Decimal("0.12"))
    assert way.month == Range.exactly(5002 * Decimal("0.00001"))
    assert not way.guessed


def test_tracks_nobody_knows_have_no_upper_bound(prices):
    need = Need(looked(600), looked(600), looked(600), tracks=5000, tracks_unseen_minutes=Decimal(60))
    way = estimate(need, prices).way("tracks")
    assert way.now == Range(Decimal(5), None)
    assert way.now.money() == "about $5.00 at least"
    assert way.month.most is None
    none = Need(looked(600), looked(600), looked(600), tracks_unseen_minutes=Decimal(600), photos=1)
    assert estimate(none, prices).way("tracks").now.money() == "not known"


def test_tracks_are_guessed_from_what_there_was(prices):
    need = Need(
        looked(600), looked(600), looked(600), tracks=50, tracks_unseen_minutes=Decimal(90), tracks_an_hour=Decimal(100)
    )
    way = estimate(need, prices).way("tracks")
    assert way.guessed
    assert way.quantity("image") == Range.exactly(200)


def test_a_million_pictures_make_the_next_cheaper(prices):
    need = Need(looked(1), looked(1), looked(1), tracks=3_000_000)
    assert estimate(need, prices).way("tracks").now == Range.exactly(1000 + 1600)


def test_by_the_track_is_worth_it_up_to_six_thousand_faces_an_hour(prices):
    assert estimate(Need(looked(1), looked(1), looked(1)), prices).tracks_worth == 6000


def test_nothing_costs_nothing(prices):
    given = estimate(Need(looked(0), looked(0), looked(0)), prices)
    assert [way.now.money() for way in given.ways] == ["nothing"] * 3
    assert [way.items for way in given.ways] == [()] * 3


def test_the_json_has_numbers_and_says_of_when_they_are(prices):
    need = Need(
        looked(72_000), looked(72_000, 0, 72_000), looked(72_000), tracks_unseen_minutes=Decimal(72_000), photos=1
    )
    held = json.loads(json.dumps(estimate(need, prices).as_json()))
    assert held["ways"]["full"]["now"] == {"least": 7200.002, "most": 7200.002}
    assert held["ways"]["active"]["now"]["most"] == 7200.002
    assert held["ways"]["tracks"]["now"] == {"least": 0.002, "most": None}
    assert held["ways"]["tracks"]["each_suspect"]["most"] == 0.003
    assert held["ways"]["full"]["items"][0]["what"] == "video_minute"
    assert held["prices"]["video_minute"]["usd"] == 0.1
    assert held["prices"]["video_minute"]["region"] == "us-east-1"
    assert held["as_of"] in held["notice"]
    assert held["faces_an_hour"] is None
    assert held["faces_an_hour_worth"] == 6000


def test_what_is_said_before_paying(prices):
    need = Need(
        looked(1200), looked(1200, 90, 0), looked(1200, 90, 0), Decimal(1), tracks=700, photos=1, photos_searched=1
    )
    given = estimate(need, prices)
    full = confirm_text(given)
    assert full[0] == "on Rekognition, all of it: about $120 (20 h 00 min of video at $0.10 a minute, photos and S3)"
    assert "costs about $120 again; by the track (--by-track) it is less than a cent" in full[1]
    assert full[-1].startswith("prices of 2026-")
    active = confirm_text(given, "active")
    assert active[0].startswith("on Rekognition, only where a face may be: about $9.0")
    tracks = confirm_text(given, "tracks")
    assert tracks[0] == "on Rekognition, by the track: about $0.70 (703 pictures at $0.001)"
    assert "less than a cent; the faces kept, about $0.01 a month" in tracks[1]
