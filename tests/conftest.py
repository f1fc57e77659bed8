"""Fixtures that several tests share: the data beside the checkout, a face, installed models, a store, a recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import demo_assets
from tests.aws_stack import aws, aws_stack  # noqa: F401 -- fixtures
from vidsearch.engines.local import models as local_models
from vidsearch.model import DEFAULT_CASE, Actor, Footage, MediaFacts, StartSource
from vidsearch.settings import load_settings
from vidsearch.store import Store


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the test data that lies beside the checkout, which not every machine has."""
    given = os.environ.get("VIDSEARCH_SHARED")
    shared = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    folder = shared / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; VIDSEARCH_SHARED names the folder that has it")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """Return a public-domain portrait, the demo's; fetched once for a checkout."""
    try:
        demo_assets.fetch(demo_assets.CACHE)
    except SystemExit as exc:
        pytest.skip(str(exc))
    return demo_assets.CACHE / "astronaut.png"


@pytest.fixture(scope="session")
def models() -> Path:
    """Return the folder of installed models."""
    folder = load_settings("unused").models
    lacking = local_models.missing(folder)
    if lacking:
        pytest.skip(f"no model {lacking[0].name} in {folder}; run scripts/test, or `vidsearch models install`")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a fresh store on a file."""
    with Store(tmp_path / "data" / "vidsearch.db") as opened:
        yield opened


@pytest.fixture
def actor() -> Actor:
    """Return somebody who acts."""
    return Actor("tester")


@pytest.fixture
def add_footage(store: Store) -> Callable[..., Footage]:
    """Return a function that adds a recording of a minute, unless told otherwise, that need not exist as a file."""

    def add(
        key: str = "k1",
        *,
        camera: str = "north",
        zone: str = "UTC",
        start_ms: int = 1_000_000,
        duration_ms: int = 60_000,
        path: str = "/recordings/one.mp4",
        case_id: str = DEFAULT_CASE,
    ) -> Footage:
        facts = MediaFacts("mp4", "h264", 1920, 1080, duration_ms, 0, 25.0)
        with store.atomic():
            source = store.footage.ensure_camera(case_id, camera, zone)
            return store.footage.add(
                case_id,
                source.id,
                path=path,
                size=1000,
                mtime_ns=1,
                key=key,
                start_ms=start_ms,
                start_source=StartSource.USER,
                facts=facts,
            )

    return add
