"""Check requests and answers of a JSON service of AWS against botocore's own model of it, without any network."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.session import Session
from botocore.validate import ParamValidator

from vidsearch.aws.constraints import Constraints

JSON_TYPE = "application/x-amz-json-1.1"


class Malformed(Exception):
    """A request that no operation can be made of; ``code`` is what the service answers."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Protocol:
    """One service as botocore's model describes it. Safe for several threads."""

    def __init__(self, service: str) -> None:
        self._model: ServiceModel = Session().get_service_model(service)
        self._prefix: str = self._model.metadata["targetPrefix"]
        self._constraints = Constraints()
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
        # botocore itself checks types, unknown and lacking members and least values; not patterns, lengths or maxima.
        broken = [str(breach) for breach in self._constraints.of(shape)(values) if not breach.typed]
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
        return [str(breach) for breach in self._constraints.of(shape)(answer)]

    def _operation(self, name: str) -> OperationModel:
        return self._model.operation_model(name)


def plain(value: Any) -> Any:
    """Return what JSON lacks as it is sent, for ``json.dumps``: bytes as base64, times as seconds of the epoch."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


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
