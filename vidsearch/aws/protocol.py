"""Check requests and answers of a JSON service of AWS against botocore's own model of it, without any network."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.session import Session
from botocore.validate import ParamValidator

JSON_TYPE = "application/x-amz-json-1.1"


class Malformed(Exception):
    """A request that no operation can be made of; ``code`` is what the service answers."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Protocol:
    """One service as botocore's model describes it. Stateless, so safe for several threads."""

    def __init__(self, service: str) -> None:
        self._model: ServiceModel = Session().get_service_model(service)
        self._prefix: str = self._model.metadata["targetPrefix"]
        self.operations: frozenset[str] = frozenset(self._model.operation_names)

    def operation_of(self, target: str) -> str:
        """Return the operation that an ``X-Amz-Target`` header names. Raises Malformed."""
        prefix, _, name = target.partition(".")
        if prefix != self._prefix or name not in self.operations:
            raise Malformed("UnknownOperationException", "")
        return name

    def errors_of(self, operation: str) -> frozenset[str]:
        """Return the codes of the errors that the model names for an operation."""
        return frozenset(shape.error_code for shape in self._operation(operation).error_shapes)

    def request(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's members as Python values: blobs as bytes, members that are null left out.

        Raises Malformed in the service's own words for what breaks the model.
        """
        shape = self._operation(operation).input_shape
        if shape is None:
            return {}
        values = _decoded(body, shape, operation)
        broken = list(_broken(values, shape, ""))
        if broken:
            some = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected: "
            raise Malformed("ValidationException", some + "; ".join(broken))
        report = ParamValidator().validate(values, shape)
        if report.has_errors():
            raise Malformed("SerializationException", " ".join(report.generate_report().split()))
        assert isinstance(values, dict)
        return values

    def answer_faults(self, operation: str, answer: Mapping[str, Any]) -> list[str]:
        """Return what in an answer breaks the model; an empty list where it keeps to it."""
        shape = self._operation(operation).output_shape
        if shape is None:
            return [f"{operation} answers nothing"] if answer else []
        report = ParamValidator().validate(dict(answer), shape)
        typed = " ".join(report.generate_report().split()) if report.has_errors() else ""
        return [*_broken(answer, shape, ""), *filter(None, [typed])]

    def _operation(self, name: str) -> OperationModel:
        return self._model.operation_model(name)


def plain(value: Any) -> Any:
    """Return an answer's value as JSON has it: bytes as base64, times as seconds of the epoch."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.timestamp() if isinstance(value, datetime) else value


def _decoded(value: Any, shape: Shape, where: str) -> Any:
    """Return JSON as Python values. Values of the wrong type stay, for the validator to tell of."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = shape.members
        return {
            name: _decoded(one, members[name], name) if name in members else one
            for name, one in value.items()
            if one is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_decoded(one, shape.member, where) for one in value]
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise Malformed("SerializationException", f"{where} is not base64") from exc
    return value


def _broken(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """Yield the constraints of the model that a value breaks, as the service words them.

    botocore itself checks types, unknown and lacking members, and least values; not patterns, most values or lengths.
    """
    if isinstance(shape, StructureShape):
        if isinstance(value, Mapping):
            yield from _broken_members(value, shape, where)
    elif isinstance(shape, ListShape):
        if isinstance(value, list | tuple):
            yield from _length(len(value), value, shape, where)
            for number, one in enumerate(value, 1):
                yield from _broken(one, shape.member, f"{where}.{number}.member")
    elif isinstance(shape, MapShape):
        if isinstance(value, Mapping):
            yield from _length(len(value), value, shape, where)
            for key, one in value.items():
                yield from _broken(key, shape.key, f"{where}.key")
                yield from _broken(one, shape.value, f"{where}.{key}.member")
    else:
        yield from _broken_scalar(value, shape, where)


def _broken_members(value: Mapping[str, Any], shape: StructureShape, where: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{_path(where, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in shape.members.items():
        if name in value:
            yield from _broken(value[name], member, _path(where, name))


def _path(where: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{where}.{name}" if where else name


def _broken_scalar(value: Any, shape: Shape, where: str) -> Iterator[str]:
    # How long a blob may be is left to whoever reads it: there are errors of their own for pictures that are too large.
    if isinstance(value, str):
        yield from _length(len(value), value, shape, where)
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            yield _constraint(value, where, f"satisfy enum value set: [{', '.join(enum)}]")
        pattern = shape.metadata.get("pattern")
        if pattern and not _compiled(pattern).fullmatch(value):
            yield _constraint(value, where, f"satisfy regular expression pattern: {pattern}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield _constraint(value, where, f"have value greater than or equal to {low}")
        if high is not None and value > high:
            yield _constraint(value, where, f"have value less than or equal to {high}")


def _length(length: int, value: Any, shape: Shape, where: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        yield _constraint(value, where, f"have length greater than or equal to {low}")
    if high is not None and length > high:
        yield _constraint(value, where, f"have length less than or equal to {high}")


def _constraint(value: Any, where: str, what: str) -> str:
    return f"Value '{value}' at '{where}' failed to satisfy constraint: Member must {what}"


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern of the model, which is Java's: Python has no classes such as ``\p{L}``."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
