"""The price table: what comes with vidsearch, what a site corrects, what is refused."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from vidsearch.errors import UsageError
from vidsearch.pricing import KNOWN_REGION, PAGE, UNITS, load_prices, money

OWN = '{ usd = 0.12, as_of = 2026-11-25, source = "our invoice" }'


def own(data: Path, text: str) -> Path:
    (data / "prices.toml").write_text(text, encoding="utf-8")
    return data


def test_the_packaged_table_is_whole_dated_and_sourced(tmp_path):
    prices = load_prices(tmp_path)
    assert prices.region == KNOWN_REGION
    assert set(prices.by_name) == set(UNITS)
    for price in prices.by_name.values():
        assert price.as_of >= datetime.date(2026, 1, 1)
        assert price.source
        assert all(usd > 0 for _, usd in price.steps)
    assert prices["video_minute"].first == Decimal("0.10")
    assert prices["image"].first == Decimal("0.0010")
    assert prices["face_month"].first == Decimal("0.00001")


def test_steps_are_charged_one_after_the_other(tmp_path):
    image = load_prices(tmp_path)["image"]
    assert image.of(0) == 0
    assert image.of(-3) == 0
    assert image.of(1) == Decimal("0.001")
    assert image.of(1_000_000) == 1000
    assert image.of(1_000_001) == Decimal("1000.0008")
    assert image.of(5_000_000) == 1000 + 3200
    assert image.of(6_000_000) == 1000 + 3200 + 600


def test_twelve_hundred_hours(tmp_path):
    assert money(load_prices(tmp_path)["video_minute"].of(1200 * 60)) == "about $7,200"


def test_another_region_shows_what_is_known_and_says_so(tmp_path):
    prices = load_prices(tmp_path, "eu-west-1")
    assert prices.borrowed == tuple(UNITS)
    assert "us-east-1; those of eu-west-1 are not known" in prices.notice
    assert PAGE in prices.notice
    assert str(prices.as_of) in prices.notice
    assert prices.region_of("image") == KNOWN_REGION


def test_a_site_corrects_one_price(tmp_path):
    own(tmp_path, f"[regions.eu-west-1]\nvideo_minute = {OWN}\n")
    prices = load_prices(tmp_path, "eu-west-1")
    assert prices["video_minute"].first == Decimal("0.12")
    assert prices["video_minute"].source == "our invoice"
    assert prices["image"].first == Decimal("0.0010")
    assert "video_minute" not in prices.borrowed
    assert prices.region_of("video_minute") == "eu-west-1"
    # The other region is as it was.
    assert load_prices(tmp_path)["video_minute"].first == Decimal("0.10")


def test_the_date_shown_is_the_oldest(tmp_path):
    own(tmp_path, '[regions.us-east-1]\nface_month = { usd = 0.00002, as_of = 2024-01-02, source = "x" }\n')
    assert load_prices(tmp_path).as_of == datetime.date(2024, 1, 2)


def test_a_site_replaces_the_table(tmp_path):
    rows = "\n".join(f"{name} = {OWN}" for name in UNITS)
    own(tmp_path, f"replace = true\n[regions.eu-west-1]\n{rows}\n")
    assert load_prices(tmp_path, "eu-west-1")["face_month"].first == Decimal("0.12")
    with pytest.raises(UsageError, match="has no price 'video_minute' for us-east-1"):
        load_prices(tmp_path)


def test_whole_dollars_free_things_and_steps_are_taken(tmp_path):
    own(
        tmp_path,
        '[regions.us-east-1]\nvideo_minute = { usd = 1, as_of = 2026-11-25, source = "x" }\n'
        'put_thousand = { usd = 0, as_of = 2026-11-25, source = "x" }\n'
        'image = { usd = [[0, 1], [10, 0.5]], as_of = 2026-11-25, source = "x" }\n',
    )
    prices = load_prices(tmp_path)
    assert (prices["video_minute"].first, prices["put_thousand"].first) == (1, 0)
    assert prices["image"].of(12) == 11


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[regions.us-east-1]\nvideo_minute = 0.1\n", "write { usd"),
        ('[regions.us-east-1]\nvideo_minute = { usd = 0.1, source = "x" }\n', "as_of = 2026"),
        ("[regions.us-east-1]\nvideo_minute = { usd = 0.1, as_of = 2026-11-25 }\n", "source = "),
        ('[regions.us-east-1]\nvideo_minute = { usd = -0.1, as_of = 2026-11-25, source = "x" }\n', "0 or more"),
        ('[regions.us-east-1]\nvideo_minute = { usd = nan, as_of = 2026-11-25, source = "x" }\n', "0 or more"),
        ('[regions.us-east-1]\nvideo_minute = { usd = inf, as_of = 2026-11-25, source = "x" }\n', "0 or more"),
        ('[regions.us-east-1]\nvideo_minute = { usd = true, as_of = 2026-11-25, source = "x" }\n', "0 or more"),
        ('[regions.us-east-1]\nvideo_minute = { usd = "0.1", as_of = 2026-11-25, source = "x" }\n', "0 or more"),
        ('[regions.us-east-1]\nvideo_minute = { usd = 0.1, as_of = "2026-11-25", source = "x" }\n', "without quotes"),
        ('[regions.us-east-1]\nvideo_minute = { usd = 0.1, as_of = 2026-11-25T01:00:00, source = "x" }\n', "date"),
        ('[regions.us-east-1]\nvideo_minute = { usd = 0.1, as_of = 2026-11-25, source = " " }\n', "where the price"),
        ('[regions.us-east-1]\nvideo_minute = { usd = 1, as_of = 2026-11-25, source = "x", per = 1 }\n', "write { usd"),
        ('[regions.us-east-1]\nimage = { usd = [], as_of = 2026-11-25, source = "x" }\n', "begin with 0"),
        ('[regions.us-east-1]\nimage = { usd = [[1, 2]], as_of = 2026-11-25, source = "x" }\n', "begin with 0"),
        ('[regions.us-east-1]\nimage = { usd = [[0, 2], [0, 1]], as_of = 2026-11-25, source = "x" }\n', "rising"),
        ('[regions.us-east-1]\nimage = { usd = [[0, 2, 3]], as_of = 2026-11-25, source = "x" }\n', "steps are"),
        ('[regions.us-east-1]\nimage = { usd = [0, 2], as_of = 2026-11-25, source = "x" }\n', "steps are"),
        (f"[regions.us-east-1]\nvideo_hour = {OWN}\n", "unknown price 'video_hour'; the prices are: video_minute"),
        (f"[regions.nowhere]\nvideo_minute = {OWN}\n", "named after an AWS region"),
        (f"[us-east-1]\nvideo_minute = {OWN}\n", "unknown entry 'us-east-1'"),
        ("regions = 3\n", "holds tables"),
        ("replace = 1\n", "true or false"),
        ("[regions.us-east-1\n", "cannot be read as prices"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_in_one_line(tmp_path, text, said):
    own(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        load_prices(tmp_path)
    assert said in str(refused.value)
    assert "prices.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "prices.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as prices"):
        load_prices(tmp_path)


@pytest.mark.parametrize("region", ["nowhere", "us_east_1", "eu-west-1; rm", "EU-WEST-1", "x" * 100])
def test_a_region_that_is_none_is_refused(tmp_path, region):
    with pytest.raises(UsageError, match="AWS region"):
        load_prices(tmp_path, region)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "nothing"),
        ("0.002", "less than a cent"),
        ("0.005", "about $0.01"),
        ("3.171", "about $3.17"),
        ("99.99", "about $99.99"),
        ("100.4", "about $100"),
        ("720.49", "about $720"),
        ("999.6", "about $1,000"),
        ("7202.35", "about $7,200"),
        ("72549", "about $72,500"),
        ("1234567", "about $1,230,000"),
    ],
)
def test_money_is_not_more_exact_than_it_can_be(amount, text):
    assert money(Decimal(amount)) == text
