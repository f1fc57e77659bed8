"""Find what is missing before it hurts."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidsearch.engines import LOCAL
from vidsearch.errors import VidsearchError
from vidsearch.settings import Settings, setup_command

LIBRARIES = (
    "av",
    "cv2",
    "numpy",
    "dlib",
    "onnxruntime",
    "ai_edge_litert",
    "PIL",
    "pillow_heif",
    "flask",
    "waitress",
    "boto3",
)

LITTLE_DISK = 2_000_000_000
"""Bytes; a search that fills the disk stops."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    good: bool
    detail: str
    mend: str = ""
    """The command or act that mends it."""


def examine(settings: Settings) -> list[Finding]:
    """Look at libraries, models, ffmpeg, the data folder, the recordings and, where it is used, AWS."""
    return [
        _libraries(),
        _models(settings),
        _ffmpeg(),
        *_data_folder(settings),
        _disk(settings),
        *_aws(settings),
    ]


def _aws(settings: Settings) -> list[Finding]:
    """Look at AWS where the settings name anything of it."""
    if settings.engine == LOCAL and not settings.aws_region:
        how = setup_command(settings.data)
        return [Finding("AWS", True, f"not set up; only needed for --engine rekognition ({how})")]
    from vidsearch.aws.doctor import examine_aws
    from vidsearch.aws.session import Clients
    from vidsearch.engines.rekognition.load import collections_of

    clients = Clients(settings.aws_region, settings.aws_profile, attempts=2)
    try:
        found = examine_aws(settings, clients, collections_of(settings))
    finally:
        clients.close()
    return [Finding(one.what, one.good, one.detail, one.mend) for one in found]


def _libraries() -> Finding:
    broken = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as exc:
            broken.append(f"{name} ({exc})")
    if broken:
        return Finding("libraries", False, ", ".join(broken), "pip install --force-reinstall vidsearch")
    return Finding("libraries", True, f"{len(LIBRARIES)} load")


def _models(settings: Settings) -> Finding:
    from vidsearch.engines.local import models

    missing = models.missing(settings.models)
    if missing:
        return Finding(
            "models", False, f"not installed: {', '.join(model.name for model in missing)}", "vidsearch models install"
        )
    return Finding("models", True, f"in {settings.models}")


def _ffmpeg() -> Finding:
    from vidsearch.media.ffmpeg import binary

    return _try("ffmpeg", binary, "pip install imageio-ffmpeg")


def _data_folder(settings: Settings) -> list[Finding]:
    from vidsearch.store import Store

    if not settings.database.exists():
        return [Finding("data", True, f"{settings.data} is made by the first command that needs it")]
    findings = [_try("data", lambda: _opened(settings), "see the message")]
    if findings[0].good:
        store = Store.open(settings.database)
        try:
            gone = [
                f.path for case in store.cases.list() for f in store.footage.list(case.id) if not Path(f.path).exists()
            ]
        finally:
            store.close()
        detail = f"not there: {', '.join(gone[:3])}" + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
        findings.append(
            Finding("recordings", not gone, detail if gone else "all there", "vidsearch footage relink FOLDER")
        )
    return findings


def _opened(settings: Settings) -> str:
    from vidsearch.store import Store

    Store.open(settings.database).close()
    return str(settings.database)


def _disk(settings: Settings) -> Finding:
    folder = next(parent for parent in (settings.data, *settings.data.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free >= LITTLE_DISK, f"{free / 1e9:.1f} GB free at {folder}", "free some space")


def _try(what: str, look: Callable[[], str], mend: str) -> Finding:
    try:
        return Finding(what, True, look())
    except VidsearchError as exc:
        return Finding(what, False, str(exc), mend)
