"""Settings: every default once. ``DIR/settings.toml`` < ``VIDSEARCH_*`` environment < flag."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from vidsearch.errors import UsageError

APP = "vidsearch"

MERGE_GAP_MS = 2_000
"""Tracks of one person on one camera at most this far apart are one appearance."""


_LIMITS = {"cores": (0, 4096), "sample_fps": (0.1, 240), "threshold_local": (0, 100), "lease_s": (5, 86_400)}
"""Least and most of the numbers among the settings."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site may choose. Paths are absolute."""

    data: Path
    """Database, photos, vectors and frames: everything that belongs to the cases."""
    models: Path
    """Installed models; shared by all data folders of a user, never inside one."""
    engine: str = "local"
    zone: str = ""
    """IANA zone of cameras that name none; empty means the zone of this machine."""
    cores: int = 0
    """Worker processes of the local engine; 0 means every core this process may use."""
    sample_fps: float = 5.0
    """Pictures looked at per second of recording."""
    threshold_local: float = 80.0
    """Similarity from which the local engine's matches count."""
    lease_s: int = 60
    """A job whose worker has not been heard of for this long may be taken over."""
    footage_folders: tuple[str, ...] = ()
    """Folders on this machine from which recordings may be added in the browser."""
    detector: str = ""
    """A site's own ONNX detector instead of the installed one (path), or empty."""
    embedder: str = ""
    """A site's own ONNX embedder instead of the installed one (path), or empty."""
    log_level: str = "warning"

    @property
    def database(self) -> Path:
        """The application's database."""
        return self.data / "vidsearch.db"

    @property
    def photos(self) -> Path:
        """Originals of the enrolled photos."""
        return self.data / "photos"

    @property
    def local_engine(self) -> Path:
        """Biometric data of the local engine, in a folder of its own."""
        return self.data / "local-engine"

    @property
    def clips(self) -> Path:
        """Playable clips cut on demand; may be deleted at any time."""
        return self.data / "clips"

    @property
    def copies(self) -> Path:
        """Recordings taken with ``--copy``."""
        return self.data / "footage"


def load_settings(data: str | Path | None = None, env: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Return the settings for a data folder; a flag that is None was not given.

    Raises UsageError where the file or a variable cannot be understood.
    """
    env = os.environ if env is None else env
    folder = Path(data or env.get("VIDSEARCH_DATA") or platformdirs.user_data_dir(APP, appauthor=False))
    models = Path(env.get("VIDSEARCH_MODELS") or Path(platformdirs.user_cache_dir(APP, appauthor=False)) / "models")
    settings = Settings(data=folder.expanduser().absolute(), models=models.expanduser().absolute())
    values = {**_from_file(settings.data / "settings.toml"), **_from_env(env)}
    values.update({name: value for name, value in flags.items() if value is not None})
    return replace(settings, **_typed(values))


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{path}: cannot be read as settings: {exc}") from exc


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    known = {f"VIDSEARCH_{f.name.upper()}": f.name for f in fields(Settings) if f.name not in ("data", "models")}
    return {name: env[variable] for variable, name in known.items() if env.get(variable)}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {f.name: str(f.type) for f in fields(Settings)}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise UsageError(f"unknown setting '{unknown[0]}'; the settings are: {', '.join(sorted(kinds))}")
    typed = {name: _convert(name, kinds[name], value) for name, value in values.items()}
    for name, (low, high) in _LIMITS.items():
        if not low <= typed.get(name, low) <= high:
            raise UsageError(f"setting '{name}' cannot be {typed[name]:g}; it is {low:g} to {high:g}")
    return typed


def _convert(name: str, kind: str, value: Any) -> Any:
    try:
        if kind == "Path":
            return Path(value).expanduser().absolute()
        if kind.startswith("tuple"):
            return tuple(value.split(os.pathsep)) if isinstance(value, str) else tuple(value)
        return {"int": int, "float": float, "str": str}[kind](value)
    except (TypeError, ValueError) as exc:
        raise UsageError(f"setting '{name}' cannot be {value!r}") from exc
