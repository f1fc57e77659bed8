"""What botocore's model of a service allows, made once into checks: results have many thousand values."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that a value breaks."""

    where: str
    """Path of the member as the service writes it: ``image.s3Object.name``, ``faceIds.1.member``."""
    told: str
    """The constraint, with the value."""
    typed: bool = False
    """A wrong type or an unknown member, rather than a constraint on a value."""

    def under(self, name: str) -> Breach:
        """Return it as seen from a member above."""
        return replace(self, where=f"{name}.{self.where}" if self.where else name)

    def __str__(self) -> str:
        """Return it in the service's words."""
        return f"Value {self.told.format(where=self.where)}"


Check = Callable[[Any], Iterable[Breach]]

_NONE: tuple[Breach, ...] = ()

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "blob": (bytes,),
    "timestamp": (datetime, float, int),
}


class Constraints:
    """The checks of one service's shapes. Safe for several threads."""

    def __init__(self) -> None:
        self._made: dict[str, Check] = {}
        self._lock = threading.RLock()

    def of(self, shape: Shape) -> Check:
        """Return the check of a shape: it yields every breach of a value."""
        with self._lock:
            if shape.name not in self._made:
                # A shape may hold itself: until its check is made, this finds it later.
                self._made[shape.name] = lambda value: self._made[shape.name](value)
                self._made[shape.name] = self._make(shape)
            return self._made[shape.name]

    def _make(self, shape: Shape) -> Check:
        if isinstance(shape, StructureShape):
            return self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        return _scalar(shape)

    def _structure(self, shape: StructureShape) -> Check:
        members = {name: (self.of(member), _lowered(name)) for name, member in shape.members.items()}
        required = tuple(shape.required_members)

        def check(value: Any) -> Iterable[Breach]:
            if not isinstance(value, Mapping):
                return [_wrong_type(value, "an object")]
            found = [Breach(_lowered(name), _must("null", "not be null")) for name in required if name not in value]
            for name, one in value.items():
                known = members.get(name)
                if known is None:
                    found.append(Breach(name, _must(_quoted(one), "be one that the model has"), typed=True))
                    continue
                for breach in known[0](one):
                    found.append(breach.under(known[1]))
            return found

        return check

    def _list(self, shape: ListShape) -> Check:
        inner, bounds = self.of(shape.member), _Bounds(shape)

        def check(value: Any) -> Iterable[Breach]:
            if not isinstance(value, list | tuple):
                return [_wrong_type(value, "a list")]
            found = list(bounds.length(len(value), value))
            for number, one in enumerate(value, 1):
                for breach in inner(one):
                    found.append(breach.under("member").under(str(number)))
            return found

        return check

    def _map(self, shape: MapShape) -> Check:
        keys, values, bounds = self.of(shape.key), self.of(shape.value), _Bounds(shape)

        def check(value: Any) -> Iterable[Breach]:
            if not isinstance(value, Mapping):
                return [_wrong_type(value, "an object")]
            found = list(bounds.length(len(value), value))
            for key, one in value.items():
                found += [breach.under("key") for breach in keys(key)]
                found += [breach.under("member").under(str(key)) for breach in values(one)]
            return found

        return check


class _Bounds:
    """The least and the most that a shape allows, of a length or of a number."""

    def __init__(self, shape: Shape) -> None:
        self._low, self._high = shape.metadata.get("min"), shape.metadata.get("max")

    def length(self, length: int, value: Any) -> Iterable[Breach]:
        return self._outside(length, value, "length")

    def number(self, value: float) -> Iterable[Breach]:
        return self._outside(value, value, "value")

    def _outside(self, size: float, value: Any, what: str) -> Iterable[Breach]:
        if self._low is not None and size < self._low:
            return [Breach("", _must(_quoted(value), f"have {what} greater than or equal to {self._low}"))]
        if self._high is not None and size > self._high:
            return [Breach("", _must(_quoted(value), f"have {what} less than or equal to {self._high}"))]
        return _NONE


def _scalar(shape: Shape) -> Check:
    kinds = _TYPES[shape.type_name]
    bounds = _Bounds(shape)
    enum = shape.metadata.get("enum") or ()
    pattern = _compiled(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    is_bool = shape.type_name == "boolean"

    def check(value: Any) -> Iterable[Breach]:
        if not isinstance(value, kinds) or isinstance(value, bool) != is_bool:
            return [_wrong_type(value, f"a {shape.type_name}")]
        if isinstance(value, str):
            found = list(bounds.length(len(value), value))
            if enum and value not in enum:
                found.append(Breach("", _must(_quoted(value), f"satisfy enum value set: [{', '.join(enum)}]")))
            if pattern is not None and not pattern.fullmatch(value):
                words = f"satisfy regular expression pattern: {shape.metadata['pattern']}"
                found.append(Breach("", _must(_quoted(value), words)))
            return found
        # How long a blob may be is left to whoever reads it: there are errors of their own for too large pictures.
        return _NONE if is_bool or not isinstance(value, int | float) else bounds.number(value)

    return check


def _wrong_type(value: Any, expected: str) -> Breach:
    return Breach("", _must(_quoted(value), f"be {expected}"), typed=True)


def _must(value: str, what: str) -> str:
    escaped = f"{value} at '\0' failed to satisfy constraint: Member must {what}".replace("{", "{{").replace("}", "}}")
    return escaped.replace("\0", "{where}")


def _quoted(value: Any) -> str:
    return f"'{value}'"


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern of the model, which is Java's: Python has no classes such as ``\p{L}``."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
