"""Open ONNX models for one thread."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as states

from vidsearch.errors import EngineError, ModelMissing

_REFUSALS = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoModel,
    states.NotImplemented,
    states.RuntimeException,
    RuntimeError,
    ValueError,
)
"""What onnxruntime raises for a file that is not a model it can run; they have no base of their own."""


def open_session(model: Path) -> ort.InferenceSession:
    """Return a session that runs on the calling thread and gives memory back after each run.

    Raises ModelMissing where there is no such file, EngineError where it is not an ONNX model.
    """
    if not model.is_file():
        raise ModelMissing(f"{model} is not there; run `vidsearch models install`, or mend the path in the settings")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except _REFUSALS as exc:
        raise EngineError(f"{model} cannot be used as an ONNX model: {str(exc).splitlines()[0]}") from exc
