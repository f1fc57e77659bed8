"""What Amazon charges: a dated table that comes with vidsearch and that a site may correct."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidsearch.errors import UsageError

KNOWN_REGION = "us-east-1"
"""Its prices are shown where those of another region are not known."""

FILE = "prices.toml"
"""The table's name, in the package and in the data folder."""

PAGE = "https://aws.amazon.com/rekognition/pricing/"

UNITS = {
    "video_minute": "a minute of video searched",
    "image": "a picture enrolled or searched for",
    "face_month": "a face kept, a month",
    "storage_gb_month": "a gigabyte in S3, a month",
    "put_thousand": "a thousand uploads to S3",
}
"""The prices there are, and what each is for."""

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_FIELDS = {"usd", "as_of", "source"}


@dataclass(frozen=True, slots=True)
class Price:
    """What one thing costs, in US dollars."""

    steps: tuple[tuple[int, Decimal], ...]
    """(amount in a month from which it holds, price of one), beginning with 0."""
    as_of: datetime.date
    """When it was read."""
    source: str

    @property
    def first(self) -> Decimal:
        """The price of the first one."""
        return self.steps[0][1]

    def of(self, amount: Decimal | int) -> Decimal:
        """Return what so many cost in one month, counted from the first step: what else is used is not known."""
        ends = [*(Decimal(start) for start, _ in self.steps[1:]), max(Decimal(amount), Decimal(0))]
        total = Decimal(0)
        for (start, each), end in zip(self.steps, ends, strict=True):
            total += max(Decimal(0), min(Decimal(amount), end) - start) * each
        return total


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one region."""

    region: str
    by_name: Mapping[str, Price]
    """Name, as in UNITS -> price."""
    borrowed: tuple[str, ...] = ()
    """Names of prices that are KNOWN_REGION's, because this region's are not known."""

    def __getitem__(self, name: str) -> Price:
        return self.by_name[name]

    def region_of(self, name: str) -> str:
        """Return the region that a price is of."""
        return KNOWN_REGION if name in self.borrowed else self.region

    @property
    def as_of(self) -> datetime.date:
        """The day of the oldest of them."""
        return min(price.as_of for price in self.by_name.values())

    @property
    def notice(self) -> str:
        """What must be said beside every amount."""
        where = self.region
        if self.borrowed:
            where = f"{KNOWN_REGION}; those of {self.region} are not known here and may be higher"
        return f"prices of {self.as_of}, {where}; check {PAGE} before relying on it"


def load_prices(data: Path, region: str = "") -> Prices:
    """Return the prices of a region: those that came with vidsearch, corrected by ``prices.toml`` in the data folder.

    Args:
        data: The data folder.
        region: Name of the region; empty takes KNOWN_REGION.

    Raises:
        UsageError: That is no region, or the file in the data folder cannot be understood.
    """
    region = region or KNOWN_REGION
    if not _REGION.fullmatch(region):
        raise UsageError(f"'{region}' is not the name of an AWS region, such as eu-west-1")
    packaged = resources.files("vidsearch").joinpath(FILE).read_text(encoding="utf-8")
    replaced, own = _own(data / FILE)
    table = own if replaced else _joined(_parsed(packaged, FILE)[1], own)
    here, known = table.get(region, {}), table.get(KNOWN_REGION, {})
    found = {name: here.get(name) or known.get(name) for name in UNITS}
    lacking = [name for name, price in found.items() if price is None]
    if lacking:
        raise UsageError(f"{data / FILE} has no price '{lacking[0]}' for {region}, nor for {KNOWN_REGION}; add one")
    borrowed = tuple(name for name in UNITS if name not in here)
    return Prices(region, {name: price for name, price in found.items() if price is not None}, borrowed)


def money(amount: Decimal) -> str:
    """Return an amount for people, not more exact than it can be: ``about $7,200``, ``about $3.17``, ``nothing``."""
    if amount == 0:
        return "nothing"
    if amount < Decimal("0.005"):
        return "less than a cent"
    if amount < 100:
        return f"about ${amount.quantize(Decimal('0.01'), ROUND_HALF_UP)}"
    digits = max(0, amount.adjusted() - 2)
    return f"about ${int(amount.scaleb(-digits).quantize(Decimal(1), ROUND_HALF_UP)) * 10**digits:,}"


Table = dict[str, dict[str, Price]]
"""Region -> name -> price."""


def _own(path: Path) -> tuple[bool, Table]:
    """Return a site's own table, and whether it replaces ours."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return False, {}
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: cannot be read as prices: {exc}") from exc
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> tuple[bool, Table]:
    try:
        held = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"{name}: cannot be read as prices: {exc}") from exc
    replace = held.pop("replace", False)
    regions = held.pop("regions", {})
    if held:
        raise UsageError(f"{name}: unknown entry '{min(held)}'; there may be [regions.…] tables and `replace`")
    if not isinstance(replace, bool) or not isinstance(regions, dict):
        raise UsageError(f"{name}: `replace` is true or false, and `regions` holds tables")
    return replace, {region: _region(prices, f"{name}: regions.{region}") for region, prices in regions.items()}


def _region(prices: Any, where: str) -> dict[str, Price]:
    if not isinstance(prices, dict) or not _REGION.fullmatch(where.rpartition("regions.")[2]):
        raise UsageError(f"{where} is not a table named after an AWS region, such as eu-west-1")
    unknown = sorted(set(prices) - set(UNITS))
    if unknown:
        raise UsageError(f"{where}: unknown price '{unknown[0]}'; the prices are: {', '.join(UNITS)}")
    return {name: _price(price, f"{where}.{name}") for name, price in prices.items()}


def _price(held: Any, where: str) -> Price:
    if not isinstance(held, dict) or set(held) != _FIELDS:
        raise UsageError(f'{where}: write {{ usd = 0.10, as_of = 2026-11-25, source = "where it was read" }}')
    as_of, source = held["as_of"], held["source"]
    # A date with a time is a date to Python; here it is a mistake.
    if type(as_of) is not datetime.date:
        raise UsageError(f"{where}: as_of is a date without quotes, such as 2026-11-25")
    if not isinstance(source, str) or not source.strip():
        raise UsageError(f"{where}: source says where the price was read")
    usd = held["usd"]
    steps = usd if isinstance(usd, list) else [[0, usd]]
    return Price(tuple(_step(step, where) for step in _rising(steps, where)), as_of, source)


def _rising(steps: list[Any], where: str) -> list[Any]:
    starts: list[Any] = [step[0] if isinstance(step, list) and len(step) == 2 else None for step in steps]
    whole = all(type(start) is int for start in starts)
    if not whole or not starts or starts[0] != 0 or any(later <= start for start, later in pairwise(starts)):
        raise UsageError(f"{where}: steps are [amount from which, price] and begin with 0, rising")
    return steps


def _step(step: list[Any], where: str) -> tuple[int, Decimal]:
    start, usd = step
    if isinstance(usd, bool) or not isinstance(usd, int | Decimal) or not Decimal(usd).is_finite() or usd < 0:
        raise UsageError(f"{where}: a price is a number of US dollars, 0 or more")
    return start, Decimal(usd)


def _joined(table: Table, own: Table) -> Table:
    return {region: {**table.get(region, {}), **own.get(region, {})} for region in {*table, *own}}
