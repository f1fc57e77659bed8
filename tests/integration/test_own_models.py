"""A site's own detector and embedder instead of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from faces import Lasting, finish, load, local_engine, picture, request
from footage_maker import crossing
from onnx import TensorProto, helper, numpy_helper

from vidsearch.engines.local import models as catalogue
from vidsearch.engines.local.own_detector import OnnxDetector
from vidsearch.errors import EngineError, ModelMissing


@pytest.fixture(scope="module")
def executor() -> Iterator[Lasting]:
    lasting = Lasting()
    yield lasting
    lasting.end()


def save(path: Path, nodes: list, constants: list, source: list, outputs: list[tuple[str, list]], **words: str) -> str:
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, source)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    helper.set_model_props(model, {f"vidsearch.{name}": value for name, value in words.items()})
    onnx.save(model, path)
    return str(path)


def constant(name: str, values: list) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.float32), name)


def fixed_detector(path: Path, box: list[float]) -> str:
    """Write a detector that says the same of every picture."""
    constants = [constant("b", [box, [0, 0, 5, 5]]), constant("s", [0.9, 0.2]), constant("zero", 0)]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["b", "nothing"], ["boxes"]),
        helper.make_node("Add", ["s", "nothing"], ["scores"]),
    ]
    return save(path, nodes, constants, [1, 3, "h", "w"], [("boxes", [2, 4]), ("scores", [2])])


def mean_embedder(path: Path, **words: str) -> str:
    """Write an embedder that describes a face by its 16 mean brightnesses."""
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Div", ["flat", "top"], ["vector"]),
    ]
    return save(path, nodes, [constant("top", 255)], ["n", 3, 112, 112], [("vector", ["n", 48])], **words)


def test_an_own_detector_is_asked(tmp_path: Path, models: Path, executor: Lasting, astronaut: Path) -> None:
    portrait = load(astronaut)
    ours = local_engine(tmp_path / "ours", models, executor)
    (known,) = ours.describe(picture(portrait))
    x0, y0, x1, y1 = known.box.to_pixels(512, 512)
    path = fixed_detector(tmp_path / "own.onnx", [x0 + 128, y0 + 128, x1 + 128, y1 + 128])  # photos are padded by 128
    own = local_engine(tmp_path / "own", models, executor, detector=path)
    (found,) = own.describe(picture(portrait))
    assert found.face_px == pytest.approx(known.face_px, abs=2)
    assert found.confidence == pytest.approx(90)
    assert found.frontal == 0.5, "without points nobody knows"
    assert own.version != ours.version
    assert [face.score for face in OnnxDetector(Path(path), 0.5).find(portrait)] == [pytest.approx(0.9)]


def test_an_own_embedder_describes_in_its_own_way(
    tmp_path: Path, models: Path, executor: Lasting, astronaut: Path
) -> None:
    path = mean_embedder(tmp_path / "own.onnx", middle="2.0", steepness="3.0")
    engine = local_engine(tmp_path / "engine", models, executor, embedder=path)
    clip = crossing(tmp_path / "clip.mp4", astronaut, seconds=4)
    face = engine.enrol("g", picture(load(astronaut)))
    ref = engine.start(request(clip, 0, 4_000), "t")
    assert finish(engine, ref)[ref].error is None
    (match,) = engine.match("g", "footage")
    assert match.face_id == face.face_id
    assert match.similarity > 80


def test_models_that_keep_no_contract_are_refused(
    tmp_path: Path, models: Path, executor: Lasting, astronaut: Path
) -> None:
    silent = mean_embedder(tmp_path / "silent.onnx")
    with pytest.raises(EngineError, match=r"vidsearch\.middle"):
        local_engine(tmp_path, models, executor, embedder=silent)
    wrong = mean_embedder(tmp_path / "wrong.onnx", middle="-1", steepness="x")
    with pytest.raises(EngineError):
        local_engine(tmp_path, models, executor, embedder=wrong)
    with pytest.raises(EngineError, match="boxes"):
        OnnxDetector(models / catalogue.VERIFIER, 0.5)
    with pytest.raises(ModelMissing):
        local_engine(tmp_path, models, executor, detector=str(tmp_path / "none.onnx"))
