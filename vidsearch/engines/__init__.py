"""The engines. Each is loaded only when it is asked for, and there is no falling back from one to another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from vidsearch.engine import Engine
from vidsearch.errors import UsageError
from vidsearch.settings import Settings

MakeExecutor = Callable[[], Executor]


def _local(settings: Settings, reader: Any, executor: MakeExecutor) -> Engine:
    from vidsearch.engines.local.engine import LocalEngine

    return LocalEngine(
        settings.local_engine,
        settings.models,
        reader,
        executor,
        cores=settings.cores,
        sample_fps=settings.sample_fps,
        detector=settings.detector,
        embedder=settings.embedder,
    )


ENGINES: dict[str, Callable[[Settings, Any, MakeExecutor], Engine]] = {"local": _local}
"""Name -> loader."""


def load_engine(settings: Settings, reader: Any, executor: MakeExecutor) -> Engine:
    """Return the engine named in the settings.

    Args:
        settings: What the site chose.
        reader: Reads recordings for engines that look at them on this machine.
        executor: Makes the executor that such an engine sends its work through.

    Raises UsageError where there is no such engine, ModelMissing where it cannot work.
    """
    if settings.engine not in ENGINES:
        raise UsageError(f"there is no engine '{settings.engine}'; the engines are: {', '.join(sorted(ENGINES))}")
    return ENGINES[settings.engine](settings, reader, executor)
