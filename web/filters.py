"""Which appearances a timeline shows, as it stands in the address bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for
from werkzeug.datastructures import MultiDict

from vidsearch import clock
from vidsearch.errors import UsageError
from vidsearch.timeline import Query

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """The choices of the timeline's tools."""

    by: str = "camera"
    """What a lane is: ``camera`` or ``person``."""
    people: tuple[int, ...] = ()
    cameras: tuple[int, ...] = ()
    from_: str = ""
    to: str = ""
    min_similarity: float | None = None
    footage: int | None = None
    """Only in one recording."""
    engine: str = ""
    """Whose appearances: an engine's name, ``all``, or empty for the usual engine's."""
    usual_engine: str | None = None
    """The engine whose appearances are shown unless others are asked for; None means those of all."""
    weak: bool = False
    """Show what only resembles a weak photo, and nothing else."""

    zone: str = "UTC"
    """Whose clock ``from_`` and ``to`` are on, where they do not say."""

    @classmethod
    def parse(cls, args: MultiDict[str, str], zone: str, usual_engine: str | None = None) -> Filters:
        """Read the choices from a query string. Raises UsageError where they make no sense."""
        return cls(
            zone=zone,
            usual_engine=usual_engine,
            engine=args.get("engine", "").strip(),
            by="person" if args.get("by") == "person" else "camera",
            people=_numbers(args.getlist("person")),
            cameras=_numbers(args.getlist("camera")),
            from_=args.get("from", "").strip(),
            to=args.get("to", "").strip(),
            min_similarity=_similarity(args.get("min", "").strip()),
            footage=args.get("footage", type=int),
            weak=args.get("weak") == "1",
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out on purpose."""
        chosen = (self.people, self.cameras, self.from_, self.to, self.footage, self.engine)
        return any(chosen) or self.min_similarity is not None

    @property
    def shown_engine(self) -> str | None:
        """The engine whose appearances are shown, or None for those of all."""
        return None if self.engine == "all" else self.engine or self.usual_engine

    def query(self, page: int | None = None) -> Query:
        """Return the question for the read model: a page of rows, or everything."""
        return Query(
            person_ids=self.people,
            camera_ids=self.cameras,
            from_=self._instant(self.from_),
            to=self._instant(self.to),
            min_similarity=self.min_similarity,
            footage_id=self.footage,
            engine=self.shown_engine,
            weak=self.weak,
            limit=PAGE_SIZE if page else None,
            offset=PAGE_SIZE * (page - 1) if page else 0,
        )

    def _instant(self, text: str) -> str | None:
        return clock.iso(clock.parse_instant(text, self.zone), "UTC") if text else None

    def args(self, **changes: object) -> dict[str, object]:
        """Return the query string's parts, with changes; a change to None leaves a part out."""
        parts: dict[str, object] = {
            "by": self.by if self.by != "camera" else None,
            "person": list(self.people),
            "camera": list(self.cameras),
            "from": self.from_,
            "to": self.to,
            "min": None if self.min_similarity is None else f"{self.min_similarity:g}",
            "footage": self.footage,
            "engine": self.engine,
            "weak": "1" if self.weak else None,
            **changes,
        }
        return {name: value for name, value in parts.items() if value not in (None, "", [])}

    def url(self, endpoint: str = "timeline.index", **changes: object) -> str:
        """Return the address of these choices, with changes."""
        # url_for writes a list as a repeated parameter, which is how it is read back.
        return url_for(endpoint, **self.args(**changes))  # type: ignore[arg-type]


def _numbers(values: Sequence[str]) -> tuple[int, ...]:
    if not all(value.isascii() and value.isdigit() and len(value) < 16 for value in values):
        raise UsageError("a person or camera is named by its number")
    return tuple(dict.fromkeys(int(value) for value in values))


def _similarity(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as exc:
        raise UsageError("the least similarity is a number from 0 to 100") from exc
    if not 0 <= value <= 100:
        raise UsageError("the least similarity is a number from 0 to 100")
    return value
