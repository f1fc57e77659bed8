"""Read the networks that dlib serialised (``.dat``) with numpy alone.

A dlib network is written as a chain of templates, each starting with its name as a length-prefixed string, so the
layers can be found by name and only the numbers behind the ones that matter are read. Integers are a control byte
(count of bytes, top bit: negative) and little-endian bytes; floats are a mantissa and a power of two; tensors are a
version, four sizes and float32 values. Source: dlib 19/20, ``serialize.h``, ``dnn/tensor.h``, ``dnn/layers.h``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import EngineError

Floats = NDArray[np.float32]

_LAYER = re.compile(rb"\x01[\x04-\x20](con_[456]|affine_|bn_con2|fc_[23])")
"""A string's length (one byte of length, then the length itself) and the name of a layer that carries weights."""

_INFINITE_EXPONENT = 32000
"""Exponents from here on stand for infinity and NaN."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution. ``weights`` are filters and then biases, flat."""

    weights: Floats
    filters: int
    rows: int
    columns: int
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Affine:
    """A factor and an offset for each channel; what batch normalisation becomes once trained."""

    gamma: Floats
    beta: Floats


@dataclass(frozen=True, slots=True)
class Dense:
    """A fully connected layer without bias: (inputs, outputs)."""

    weights: Floats


Layer = Convolution | Affine | Dense


def read_layers(path: Path) -> list[Layer]:
    """Return the layers with weights of a dlib network, from the output back to the input reversed: input first.

    Raises EngineError where the file is not such a network.
    """
    data = path.read_bytes()
    layers: list[Layer] = []
    position = 0
    try:
        while found := _LAYER.search(data, position):
            reader = _Reader(data, found.start())
            name = reader.text()
            if name != found.group(1):
                position = found.start() + 1
                continue
            layers.append(_read_layer(name.decode("ascii"), reader))
            position = reader.position
    except (IndexError, ValueError) as exc:
        raise EngineError(f"{path}: not a network as dlib writes it") from exc
    if not layers:
        raise EngineError(f"{path}: no layers found; is it a dlib network?")
    return layers


def _read_layer(name: str, reader: _Reader) -> Layer:
    if name.startswith("con_"):
        weights = reader.tensor()
        filters, rows, columns, stride_y, stride_x, pad_y, pad_x = (reader.integer() for _ in range(7))
        return Convolution(weights, filters, rows, columns, (stride_y, stride_x), (pad_y, pad_x))
    if name == "affine_":
        values = reader.tensor()
        half = values.size // 2
        return Affine(values[:half], values[half:])
    if name == "bn_con2":
        return _folded_normalisation(reader)
    reader.integer()
    inputs = reader.integer()
    values = reader.tensor()
    return Dense(values.reshape(inputs, -1))


def _folded_normalisation(reader: _Reader) -> Affine:
    """Fold the running statistics of a batch normalisation into a factor and an offset."""
    values = reader.tensor()
    half = values.size // 2
    for _ in range(10):  # two alias tensors: version, four sizes each
        reader.integer()
    reader.tensor()  # means of the last batch
    reader.tensor()  # inverse deviations of the last batch
    mean, variance = reader.tensor(), reader.tensor()
    reader.integer()
    reader.integer()
    for _ in range(4):  # learning rate and weight decay multipliers
        reader.real()
    gamma = values[:half] / np.sqrt(variance + np.float32(reader.real()))
    return Affine(gamma, values[half:] - gamma * mean)


class _Reader:
    """A position in serialised bytes."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def integer(self) -> int:
        control = self._data[self.position]
        count = control & 0x0F
        start = self.position + 1
        value = int.from_bytes(self._data[start : start + count], "little")
        self.position = start + count
        return -value if control & 0x80 else value

    def text(self) -> bytes:
        length = self.integer()
        value = self._data[self.position : self.position + length]
        self.position += length
        return value

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        return mantissa * 2.0**exponent if exponent < _INFINITE_EXPONENT else float("inf")

    def tensor(self) -> Floats:
        version = self.integer()
        if version != 2:
            raise ValueError(f"tensor version {version}")
        count = 1
        for _ in range(4):
            count *= self.integer()
        values = np.frombuffer(self._data, "<f4", count, self.position)
        self.position += 4 * count
        return values
