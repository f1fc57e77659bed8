"""What the engine is handed: who cuts, who uploads, and where Amazon's resources are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidsearch.cuts import Cut, Span
from vidsearch.errors import AwsNotSetUp
from vidsearch.model import MediaFacts


class Cutter(Protocol):
    """Makes a file that Rekognition takes of parts of a recording."""

    def cut(
        self,
        path: Path,
        facts: MediaFacts,
        size: int,
        spans: Sequence[Span],
        out: Path,
        *,
        max_bytes: int,
        max_ms: int,
        on_progress: Callable[[float], None] | None = ...,
        stop: Callable[[], bool] | None = ...,
    ) -> Cut:
        """Return a cut; the recording itself where it can be taken as it is."""
        ...


class Sent(Protocol):
    """What is in the bucket after an upload."""

    @property
    def version_id(self) -> str | None:
        """The object's version, where the bucket keeps versions."""
        ...


class Uploader(Protocol):
    """Puts files into the bucket."""

    def put(
        self,
        path: Path,
        key: str,
        *,
        state: Path,
        on_bytes: Callable[[int, int], None] = ...,
        stop: Callable[[], bool] = ...,
    ) -> Sent:
        """Send a file, going on where it was cut short."""
        ...

    def remove(self, key: str, *, state: Path | None = None, version_id: str = "") -> None:
        """Remove an object and what an unfinished upload left."""
        ...

    def exists(self, key: str) -> Sent | None:
        """Return what is there, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What ``setup_aws.py`` made, as the settings tell it."""

    bucket: str = ""
    queue_url: str = ""
    topic_arn: str = ""
    role_arn: str = ""
    prefix: str = "vidsearch"
    """Begins the names of collections and objects."""

    def require(self) -> None:
        """Raise AwsNotSetUp where something needed for footage is not told."""
        for name in ("bucket", "queue_url", "topic_arn", "role_arn"):
            if not getattr(self, name):
                raise AwsNotSetUp(f"the setting aws_{name} is empty: run `python setup_aws.py`, or set it in aws.toml")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much goes to Amazon."""

    max_jobs: int
    max_bytes: int
    max_ms: int
    threshold: float
    """FaceMatchThreshold: what is less similar is never told of."""
    keep: bool
    """Leave what was uploaded in the bucket."""
