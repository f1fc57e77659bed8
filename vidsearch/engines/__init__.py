"""The engines. Each is loaded only when it is asked for, and there is no falling back from one to another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from vidsearch.engine import Engine
from vidsearch.errors import UsageError
from vidsearch.settings import Settings

LOCAL = "local"
"""The engine that needs nothing but this machine."""

REKOGNITION = "rekognition"
"""Amazon's."""


@dataclass(frozen=True, slots=True)
class EngineTools:
    """What engines need of other adapters; wiring hands it in."""

    reader: Any
    """Reads recordings for engines that look at them on this machine."""
    executor: Callable[[], Executor]
    """Makes the executor that such an engine sends its work through."""
    cutter: Callable[[], Any]
    """Returns what makes files of recordings, for engines that are sent some."""
    local: Callable[[], Engine]
    """Returns the local engine, for engines that have it look first."""


def _local(settings: Settings, tools: EngineTools) -> Engine:
    from vidsearch.engines.local.engine import LocalEngine

    return LocalEngine(
        settings.local_engine,
        settings.models,
        tools.reader,
        tools.executor,
        cores=settings.cores,
        sample_fps=settings.sample_fps,
        detector=settings.detector,
        embedder=settings.embedder,
    )


def _rekognition(settings: Settings, tools: EngineTools) -> Engine:
    from vidsearch.engines.rekognition.load import load_rekognition

    return load_rekognition(settings, tools.cutter(), tools.local)


ENGINES: dict[str, Callable[[Settings, EngineTools], Engine]] = {LOCAL: _local, REKOGNITION: _rekognition}
"""Name -> loader."""


def load_engine(settings: Settings, tools: EngineTools) -> Engine:
    """Return the engine named in the settings.

    Raises UsageError where there is no such engine, EngineUnusable where it cannot work.
    """
    if settings.engine not in ENGINES:
        raise UsageError(f"there is no engine '{settings.engine}'; the engines are: {', '.join(sorted(ENGINES))}")
    return ENGINES[settings.engine](settings, tools)
