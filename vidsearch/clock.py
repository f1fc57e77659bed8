"""Wall clocks: zones, instants, and when a recording began. Standard library only.

Inside the program an instant is integer milliseconds of the Unix epoch, in UTC; zones are IANA names.
"""

from __future__ import annotations

import difflib
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from vidsearch.errors import UsageError
from vidsearch.model import MediaFacts, StartSource

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

AGREE_MS: Final = 60_000
"""Two clocks that differ by no more than this agree."""


# -- instants ----------------------------------------------------------------------------------------------------------


def parse_instant(text: str, zone: str) -> int:
    """Return the instant that an ISO 8601 text means, in milliseconds.

    Without an offset it is local time in ``zone``. Of an hour that happens twice, when summer time ends, the first is
    taken (see ``is_ambiguous``); an hour left out, when summer time begins, is moved forward, as clocks are.

    Raises UsageError.
    """
    return _instant(_parsed(text), zone)


def parse_end(text: str, zone: str) -> int:
    """Return the instant a period ends at: as ``parse_instant``, but a bare date means the end of that day."""
    when = _parsed(text)
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text.strip()):
        when += timedelta(days=1)
    return _instant(when, zone)


def period(from_: str | None, to: str | None, zone: str) -> tuple[int | None, int | None]:
    """Return a period's instants, None where it is open. Raises UsageError, also where it ends before it begins."""
    begin = parse_instant(from_, zone) if from_ else None
    end = parse_end(to, zone) if to else None
    if begin is not None and end is not None and begin >= end:
        raise UsageError(f"the period from {from_} to {to} is empty: it ends before it begins")
    return begin, end


def is_left_out(text: str, zone: str) -> bool:
    """Whether a local time never was, because summer time began. False for a text with an offset. Raises UsageError."""
    when = _parsed(text)
    return when.tzinfo is None and wall_clock(_instant(when, zone), zone).replace(tzinfo=None) != when


def is_ambiguous(text: str, zone: str) -> bool:
    """Tell whether a local time happened twice in a zone. With an offset it never did. Raises UsageError."""
    return _happened_twice(_parsed(text), zone)


def wall_clock(ms: int, zone: str) -> datetime:
    """Return an instant on the clocks of a zone, aware. Raises UsageError for an unknown zone."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(_zone(zone))


def iso(ms: int, zone: str) -> str:
    """Return an instant as ISO 8601 with the zone's offset; milliseconds only where there are any."""
    return wall_clock(ms, zone).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def duration_text(ms: int) -> str:
    """Return a length of time for people: ``0.4 s``, ``42 s``, ``3 min 07 s``, ``2 h 05 min``, ``3 d 04 h``."""
    if ms < 9_950:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    minutes = round(ms / 60_000)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(ms / 3_600_000)
    return f"{hours // 24} d {hours % 24:02d} h"


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise UsageError(
            f"'{text}' is not a time: write 2026-11-02T18:24:00, with an offset such as +01:00 or Z"
        ) from exc


def _instant(when: datetime, zone: str) -> int:
    if when.tzinfo is None:
        when = when.replace(tzinfo=_zone(zone), fold=0)
    try:
        return (when - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as exc:
        raise UsageError(f"{when.isoformat()} is beyond the calendar") from exc


def _happened_twice(when: datetime, zone: str) -> bool:
    if when.tzinfo is not None:
        return False
    first = when.replace(tzinfo=_zone(zone), fold=0).utcoffset()
    second = when.replace(tzinfo=_zone(zone), fold=1).utcoffset()
    return first is not None and second is not None and first > second


# -- zones -------------------------------------------------------------------------------------------------------------


def check_zone(name: str) -> str:
    """Return the name of a zone that exists. Raises UsageError, with the name most like it."""
    _zone(name)
    return name


def local_zone() -> str:
    """Return the IANA name of this machine's zone: ``TZ``, then what the system says, else ``UTC``."""
    for find in (_zone_of_environment, _zone_of_link, _zone_of_file, _zone_of_windows):
        name = find()
        if name and _exists(name):
            return name
    return _zone_of_offset()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as exc:
        near = difflib.get_close_matches(name, available_timezones(), 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else "write an IANA name such as Europe/Berlin"
        raise UsageError(f"'{name}' is not a time zone: {hint}") from exc


def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _zone_of_environment() -> str | None:
    return os.environ.get("TZ", "").lstrip(":") or None


def _zone_of_link() -> str | None:
    try:
        target = Path("/etc/localtime").resolve().as_posix()
    except OSError:
        return None
    _, found, name = target.partition("zoneinfo/")
    return name.removeprefix("posix/").removeprefix("right/") if found else None


def _zone_of_file() -> str | None:
    try:
        return Path("/etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _zone_of_windows() -> str | None:
    try:
        import winreg
    except ImportError:
        return None
    path = r"SYSTEM\CurrentControlSet\Control\TimeZoneInformation"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:  # type: ignore[attr-defined,unused-ignore]
            name = str(winreg.QueryValueEx(key, "TimeZoneKeyName")[0])  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return None
    return _WINDOWS.get(name.split("\0")[0])


def _zone_of_offset() -> str:
    """Return a zone with this machine's offset from UTC where nothing names its zone; whole hours only."""
    hours, rest = divmod(-time.timezone, 3600)
    return f"Etc/GMT{-hours:+d}" if hours and not rest and -14 <= -hours <= 12 else "UTC"


_WINDOWS: Final = {
    "AUS Eastern Standard Time": "Australia/Sydney",
    "Arab Standard Time": "Asia/Riyadh",
    "Arabian Standard Time": "Asia/Dubai",
    "Argentina Standard Time": "America/Buenos_Aires",
    "Atlantic Standard Time": "America/Halifax",
    "Central America Standard Time": "America/Guatemala",
    "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw",
    "Central Standard Time": "America/Chicago",
    "Central Standard Time (Mexico)": "America/Mexico_City",
    "China Standard Time": "Asia/Shanghai",
    "E. Africa Standard Time": "Africa/Nairobi",
    "E. South America Standard Time": "America/Sao_Paulo",
    "Eastern Standard Time": "America/New_York",
    "Egypt Standard Time": "Africa/Cairo",
    "FLE Standard Time": "Europe/Kiev",
    "GMT Standard Time": "Europe/London",
    "GTB Standard Time": "Europe/Bucharest",
    "Greenwich Standard Time": "Atlantic/Reykjavik",
    "India Standard Time": "Asia/Calcutta",
    "Iran Standard Time": "Asia/Tehran",
    "Israel Standard Time": "Asia/Jerusalem",
    "Korea Standard Time": "Asia/Seoul",
    "Mountain Standard Time": "America/Denver",
    "New Zealand Standard Time": "Pacific/Auckland",
    "Pacific Standard Time": "America/Los_Angeles",
    "Pakistan Standard Time": "Asia/Karachi",
    "Romance Standard Time": "Europe/Paris",
    "Russian Standard Time": "Europe/Moscow",
    "SA Pacific Standard Time": "America/Bogota",
    "SE Asia Standard Time": "Asia/Bangkok",
    "Singapore Standard Time": "Asia/Singapore",
    "South Africa Standard Time": "Africa/Johannesburg",
    "Taipei Standard Time": "Asia/Taipei",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Turkey Standard Time": "Europe/Istanbul",
    "UTC": "UTC",
    "W. Australia Standard Time": "Australia/Perth",
    "W. Central Africa Standard Time": "Africa/Lagos",
    "W. Europe Standard Time": "Europe/Berlin",
}
"""Windows' own names to IANA's (CLDR's windowsZones, territory 001), of the zones most people live in."""


# -- file names --------------------------------------------------------------------------------------------------------

_YEAR: Final = r"(?<!\d)(?P<year>19[89]\d|20\d\d)"
_MONTH: Final = r"(?P<month>0[1-9]|1[0-2])"
_DAY: Final = r"(?P<day>0[1-9]|[12]\d|3[01])"
_TIME: Final = (
    r"(?P<hour>[01]\d|2[0-3])[-_.:h]?(?P<minute>[0-5]\d)[-_.:m]?(?P<second>[0-5]\d)(?:[.,]?(?P<milli>\d{3}))?(?!\d)"
)
_GAP: Final = r"(?:[-_ T.@+]{0,3}|[ _-]+at[ _-]+)"

_DATE_TIME: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}[-_.]?{_MONTH}[-_.]?{_DAY}{_GAP}{_TIME}",
        # Japanese and Chinese recorders.
        r"(?P<year>20\d\d)年(?P<month>\d{1,2})月(?P<day>\d{1,2})日[ _-]*"
        r"(?P<hour>\d{1,2})[時时点:](?P<minute>\d{1,2})(?:[分:](?:(?P<second>\d{1,2})秒?)?)?",
        # Day first only with dots, as it is written where that is the custom; 02-11-2026 could be either.
        rf"(?<!\d){_DAY}\.{_MONTH}\.(?P<year>20\d\d){_GAP}{_TIME}",
        # macOS: "2026-11-02 at 6.24.00 PM"
        rf"{_YEAR}-{_MONTH}-{_DAY} at "
        r"(?P<hour>\d{1,2})[.:](?P<minute>[0-5]\d)[.:](?P<second>[0-5]\d)\s(?P<half>[AP])M",
    )
)
_EPOCH_DIGITS: Final = re.compile(r"(?<!\d)(?P<seconds>1\d{9})(?P<milli>\d{3})?(?!\d)")
_TIME_FIRST: Final = re.compile(r"^(?P<hour>[01]\d|2[0-3])[-_.:](?P<minute>[0-5]\d)[-_.:](?P<second>[0-5]\d)(?!\d)")
_DATE: Final = (
    re.compile(rf"{_YEAR}[-_./]?{_MONTH}[-_./]?{_DAY}(?!\d)"),
    re.compile(r"(?P<year>20\d\d)年(?P<month>\d{1,2})月(?P<day>\d{1,2})日"),
)
_FRIGATE: Final = re.compile(
    rf"{_YEAR}-{_MONTH}-{_DAY}/(?P<hour>[01]\d|2[0-3])/[^/]+/(?P<minute>[0-5]\d)\.(?P<second>[0-5]\d)\.mp4$"
)
_UTC_NAMES: Final = ("PXL_",)
"""Pixel phones name their files in UTC."""


def from_file_name(name: str) -> datetime | None:
    """Return the start that a recorder wrote into a file's name, or None.

    The first time of a name counts (``…_20261102182400_20261102190000`` ends with the second). The name may be a path:
    where the file has only the time of day, the nearest folder with a date gives that (``2026-11-02/18.24.00.dav``).

    Naive, in the camera's zone; aware, in UTC, where the name counts from the epoch or its maker is known to use UTC.
    """
    path = name.replace("\\", "/")
    own = path.rsplit("/", 1)[-1]
    match = _FRIGATE.search(path)
    if match:
        return _from_match(match, utc=True)
    for pattern in _DATE_TIME:
        for match in pattern.finditer(own):
            found = _from_match(match, utc=own.startswith(_UTC_NAMES))
            if found:
                return found
    match = _EPOCH_DIGITS.search(own)
    if match:
        return _EPOCH + timedelta(seconds=int(match["seconds"]), milliseconds=int(match["milli"] or 0))
    return _time_with_folder(path, own)


def _time_with_folder(path: str, own: str) -> datetime | None:
    clock = _TIME_FIRST.search(own)
    if not clock:
        return None
    folders = path[: -len(own)]
    dates = [match for pattern in _DATE for match in pattern.finditer(folders)]
    if not dates:
        return None
    nearest = max(dates, key=lambda match: match.start())
    return _from_parts({**nearest.groupdict(), **clock.groupdict()})


def _from_match(match: re.Match[str], *, utc: bool) -> datetime | None:
    found = _from_parts(match.groupdict())
    return found.replace(tzinfo=UTC) if found and utc else found


def _from_parts(parts: dict[str, str | None]) -> datetime | None:
    hour = int(parts["hour"] or 0)
    if parts.get("half"):
        hour = hour % 12 + (12 if str(parts["half"]).upper() == "P" else 0)
    try:
        return datetime(
            int(parts["year"] or 0),
            int(parts["month"] or 0),
            int(parts["day"] or 0),
            hour,
            int(parts["minute"] or 0),
            int(parts.get("second") or 0),
            int(parts.get("milli") or 0) * 1000,
        )
    except ValueError:
        return None  # 31 February is part of a serial number


# -- the start of a recording ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """When a recording's zero was, by its camera's clock, and how we know."""

    start_ms: int
    source: StartSource
    warning: str | None = None


def resolve_start(path: Path, facts: MediaFacts, mtime_ms: int, given: str | None, zone: str) -> Start:
    """Return when a recording began: as the user says, else the container, else its name, else the file's date.

    Where container and name disagree by more than a minute the name wins, with a warning: programs that export or
    convert recordings stamp the container with the time of the export, but keep the name. (Phones stamp the end of the
    recording; that is recognised and no disagreement.)

    Args:
        path: The file, with its folders.
        facts: What probing it told.
        mtime_ms: When the file was last written.
        given: What the user says, ISO 8601, or None.
        zone: The camera's zone, for times without an offset.

    Raises:
        UsageError: ``given`` is no time, or the zone is unknown.
    """
    if given:
        return Start(parse_instant(given, zone), StartSource.USER)
    named = from_file_name(path.as_posix())
    by_name = _instant(named, zone) if named else None
    by_container = _instant(datetime.fromisoformat(facts.created), zone) if facts.created else None
    if by_name is not None and named is not None:
        twice = f"{named} happened twice in {zone}; the first is taken" if _happened_twice(named, zone) else None
        if by_container is None or abs(by_container - by_name - facts.duration_ms) <= AGREE_MS:
            return Start(by_name, StartSource.FILE_NAME, twice)
        if abs(by_container - by_name) > AGREE_MS:
            return Start(by_name, StartSource.FILE_NAME, _disagreement(by_container, by_name, zone))
    if by_container is not None:
        return Start(by_container, StartSource.CONTAINER)
    guess = mtime_ms - facts.duration_ms
    return Start(
        guess,
        StartSource.FILE_DATE,
        f"its start is a guess from the file's date: {iso(guess // 1000 * 1000, zone)}; give --start if it is wrong",
    )


def _disagreement(by_container: int, by_name: int, zone: str) -> str:
    named, stamped = (iso(ms // 1000 * 1000, zone) for ms in (by_name, by_container))
    return (
        f"the file's name says {named}, the container {stamped} (often the time of an export): "
        "the name is taken; give --start if it is wrong"
    )
