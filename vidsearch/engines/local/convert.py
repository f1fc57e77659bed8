"""Turn dlib's two face networks into ONNX. The only place that imports ``onnx``.

dlib's own build runs them on one slow core; onnxruntime gives the same numbers (a test holds the descriptor to 1e-5)
twenty times faster. The graphs are dlib's ``anet_type`` (``dnn_face_recognition_ex.cpp``) and the fully convolutional
part of ``mmod_human_face_detector``; image pyramids are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vidsearch.engines.local.dlib_format import Affine, Convolution, Dense, Layer, read_layers
from vidsearch.errors import EngineError

CONVERTER = 1
"""Grows whenever the written graphs would give other numbers."""

_AVERAGE = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
"""What dlib's ``input_rgb_image`` takes off red, green and blue before it divides by 256."""

_CHIP = 150
_OPSET, _IR = 17, 9


def convert_embedder(source: Path, target: Path) -> None:
    """Write ``dlib_face_recognition_resnet_model_v1.dat`` as ONNX: chips [n,3,150,150] (RGB, 0–255) to [n,128]."""
    layers = read_layers(source)
    if len(layers) != 59 or not isinstance(layers[-1], Dense):
        raise EngineError(f"{source}: not dlib's face recognition network")
    pairs = [_pair(layers, i) for i in range(0, len(layers) - 1, 2)]
    graph = _Graph()
    x = graph.op("Relu", graph.convolution(graph.normalised("chips"), 3, *pairs[0]))
    x = graph.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    size, channels = ((_CHIP - 7) // 2 + 1 - 3) // 2 + 1, 32
    for i in range(1, len(pairs), 2):
        x, size, channels = _residual(graph, x, size, channels, pairs[i], pairs[i + 1])
    x = graph.op("Flatten", graph.op("GlobalAveragePool", x))
    y = graph.op("MatMul", x, graph.constant(layers[-1].weights))
    graph.save(target, ("chips", ["n", 3, _CHIP, _CHIP]), (y, ["n", 128]))


def convert_detector(source: Path, target: Path) -> None:
    """Write ``mmod_human_face_detector.dat`` as ONNX: image [n,3,h,w] (RGB, 0–255) to scores [n,1,h/8,w/8]."""
    layers = read_layers(source)
    graph = _Graph()
    x, channels, i = graph.normalised("image"), 3, 0
    while i < len(layers):
        convolution = layers[i]
        affine = layers[i + 1] if i + 1 < len(layers) else None
        if not isinstance(convolution, Convolution) or isinstance(affine, Dense):
            raise EngineError(f"{source}: not dlib's face detector")
        if isinstance(affine, Affine):
            x = graph.op("Relu", graph.convolution(x, channels, convolution, affine))
            i += 2
        else:
            x = graph.convolution(x, channels, convolution, None)
            i += 1
        channels = convolution.filters
    graph.save(target, ("image", ["n", 3, "h", "w"]), (x, ["n", 1, "rows", "columns"]))


def _pair(layers: Sequence[Layer], i: int) -> tuple[Convolution, Affine]:
    convolution, affine = layers[i], layers[i + 1]
    if not isinstance(convolution, Convolution) or not isinstance(affine, Affine):
        raise EngineError("the network's layers come in an order that is not dlib's")
    return convolution, affine


def _residual(
    graph: _Graph,
    x: str,
    size: int,
    channels: int,
    first: tuple[Convolution, Affine],
    second: tuple[Convolution, Affine],
) -> tuple[str, int, int]:
    """Add one residual block; where it halves the size, the short cut is pooled and padded as dlib does."""
    filters = first[0].filters
    y = graph.op("Relu", graph.convolution(x, channels, *first))
    y = graph.convolution(y, filters, *second)
    short = x
    if first[0].stride[0] == 2:
        main, pooled = (size - 3) // 2 + 1, (size - 2) // 2 + 1
        short = graph.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        if main < pooled:
            y = graph.pad(y, [0, 0, 0, 0, 0, 0, pooled - main, pooled - main])
        if channels < filters:
            short = graph.pad(short, [0, 0, 0, 0, 0, filters - channels, 0, 0])
        size = pooled
    return graph.op("Relu", graph.op("Add", y, short)), size, filters


class _Graph:
    """An ONNX graph that grows."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._names = 0

    def constant(self, values: NDArray[Any]) -> str:
        name = self._name()
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._name()
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def pad(self, x: str, pads: list[int]) -> str:
        return self.op("Pad", x, self.constant(np.array(pads, np.int64)))

    def normalised(self, name: str) -> str:
        return self.op("Div", self.op("Sub", name, self.constant(_AVERAGE)), self.constant(np.array(256, np.float32)))

    def convolution(self, x: str, channels: int, layer: Convolution, affine: Affine | None) -> str:
        count = layer.filters
        weights = layer.weights[:-count].reshape(count, channels, layer.rows, layer.columns)
        bias = layer.weights[-count:]
        if affine is not None:
            weights = weights * affine.gamma.reshape(-1, 1, 1, 1)
            bias = bias * affine.gamma + affine.beta
        top, left = layer.padding
        return self.op(
            "Conv",
            x,
            self.constant(weights.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            kernel_shape=[layer.rows, layer.columns],
            strides=list(layer.stride),
            pads=[top, left, top, left],
        )

    def save(self, path: Path, source: tuple[str, list[Any]], result: tuple[str, list[Any]]) -> None:
        graph = helper.make_graph(
            self._nodes,
            "vidsearch",  # not the file: the same network is to give the same bytes
            [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])],
            [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, result[1])],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())

    def _name(self) -> str:
        self._names += 1
        return f"t{self._names}"
