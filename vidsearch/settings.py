"""Settings: every default once. ``DIR/aws.toml`` < ``DIR/settings.toml`` < ``VIDSEARCH_*`` environment < flag."""

from __future__ import annotations

import difflib
import os
import shlex
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


AWS_FILE = "aws.toml"
"""Written by ``setup_aws.py`` into the data folder; a person's own choices go to ``settings.toml``, which wins."""

MODES = ("full", "active", "tracks")
"""How footage is searched on Rekognition: all of it, only the parts in which somebody may be, or by the best pictures
of the tracks that the local engine finds."""

_LIMITS = {
    "cores": (0, 4096),
    "sample_fps": (0.1, 240),
    "threshold_local": (0, 100),
    "threshold_rekognition": (0, 100),
    "lease_s": (5, 86_400),
    "rekognition_max_jobs": (1, 1000),
    "rekognition_max_bytes": (1_000_000, 1 << 40),
    "rekognition_max_hours": (0.01, 24),
    "rekognition_deadline_s": (1, 604_800),
    "active_pad_s": (0, 60),
}
"""Least and most of the numbers among the settings."""

_WORDS = {"rekognition_mode": MODES, "aws_results": ("rekognition", "lambda")}
"""The words that a setting may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site may choose. Paths are absolute."""

    data: Path
    """Database, photos, vectors and frames: everything that belongs to the cases."""
    models: Path
    """Installed models; shared by all data folders of a user, never inside one."""
    engine: str = "local"
    """``local`` or ``rekognition``."""
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

    aws_region: str = ""
    """Region of bucket, topic, queue and Rekognition; all four must share it."""
    aws_profile: str = ""
    """Profile of the AWS credentials; empty takes boto3's usual chain."""
    aws_bucket: str = ""
    """Bucket that footage is uploaded to while it is searched."""
    aws_topic_arn: str = ""
    """SNS topic to which Rekognition says that a job is done."""
    aws_queue_url: str = ""
    """SQS queue subscribed to the topic."""
    aws_role_arn: str = ""
    """Role that Rekognition takes to publish to the topic."""
    aws_kms_key: str = ""
    """KMS key (ARN) for what is uploaded; empty uses the bucket's own encryption."""
    aws_prefix: str = "vidsearch"
    """Begins the names of collections and of objects in the bucket."""
    aws_results: str = "rekognition"
    """Where results are read: ``rekognition`` pages them, ``lambda`` reads what the Lambda function stored."""
    rekognition_mode: str = "full"
    """``full``, ``active`` or ``tracks``: see MODES."""
    threshold_rekognition: float = 0.0
    """Similarity from which Rekognition's matches count; 0 takes the one of the case's purpose."""
    rekognition_max_jobs: int = 15
    """StartFaceSearch jobs open at once, of the 20 that an account may have."""
    rekognition_max_bytes: int = 8_000_000_000
    """Recordings larger than this are split. AWS takes 10 GB today, and took 8 GB before."""
    rekognition_max_hours: float = 6.0
    """Recordings longer than this are split."""
    rekognition_deadline_s: int = 900
    """When no word of a job has come for so long, and for as long as its footage lasts, Rekognition itself is asked."""
    rekognition_keep_segments: bool = False
    """Leave what was uploaded in the bucket when its job is done."""
    active_pad_s: float = 3.0
    """Seconds before and after a face that ``active`` searches as well."""

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
    def rekognition(self) -> Path:
        """What the Rekognition engine keeps: its runs, and files on their way to the bucket."""
        return self.data / "rekognition"

    @property
    def clips(self) -> Path:
        """Playable clips cut on demand; may be deleted at any time."""
        return self.data / "clips"

    @property
    def copies(self) -> Path:
        """Recordings taken with ``--copy``."""
        return self.data / "footage"


def data_folder(data: str | Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """Return the data folder: the one named, else ``VIDSEARCH_DATA``, else the platform's. Reads no file."""
    env = os.environ if env is None else env
    folder = Path(data or env.get("VIDSEARCH_DATA") or platformdirs.user_data_dir(APP, appauthor=False))
    return folder.expanduser().absolute()


def setup_command(folder: Path) -> str:
    """Return the command that sets up AWS for a data folder, as typed here and now."""
    named = "" if folder == data_folder() else f" --data {shlex.quote(str(folder))}"
    return f"python setup_aws.py{named}"


def load_settings(data: str | Path | None = None, env: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Return the settings for a data folder; a flag that is None was not given.

    Raises UsageError where the file or a variable cannot be understood.
    """
    env = os.environ if env is None else env
    models = Path(env.get("VIDSEARCH_MODELS") or Path(platformdirs.user_cache_dir(APP, appauthor=False)) / "models")
    settings = Settings(data=data_folder(data, env), models=models.expanduser().absolute())
    given = {name: value for name, value in flags.items() if value is not None}
    values = {
        **_from_file(settings.data / AWS_FILE, f"; run `{setup_command(settings.data)}`, which writes it anew"),
        **_from_file(settings.data / "settings.toml"),
        **_typed({**_from_env(env), **given}),
    }
    return replace(settings, **values)


def _from_file(path: Path, mend: str = "") -> dict[str, Any]:
    """Return the settings in a file. Raises UsageError that names it and ends with ``mend``."""
    try:
        return _typed(_read(path))
    except UsageError as exc:
        raise UsageError(f"{path}: {exc}{mend}") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise UsageError(f"cannot be read as settings: {exc.strerror or exc}") from exc
    except ValueError as exc:  # neither TOML nor, maybe, text
        raise UsageError(f"cannot be read as settings: {exc}") from exc


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    known = {f"VIDSEARCH_{f.name.upper()}": f.name for f in fields(Settings) if f.name not in ("data", "models")}
    return {name: env[variable] for variable, name in known.items() if env.get(variable)}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {f.name: str(f.type) for f in fields(Settings)}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        near = difflib.get_close_matches(unknown[0], kinds, 1)
        meant = f"did you mean '{near[0]}'?" if near else f"the settings are: {', '.join(sorted(kinds))}"
        raise UsageError(f"unknown setting '{unknown[0]}'; {meant}")
    typed = {name: _convert(name, kinds[name], value) for name, value in values.items()}
    for name, (low, high) in _LIMITS.items():
        if not low <= typed.get(name, low) <= high:
            raise UsageError(f"setting '{name}' cannot be {typed[name]:g}; it is {low:g} to {high:g}")
    for name, words in _WORDS.items():
        if typed.get(name, words[0]) not in words:
            raise UsageError(f"setting '{name}' cannot be {typed[name]!r}; it is one of {', '.join(words)}")
    return typed


_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _convert(name: str, kind: str, value: Any) -> Any:
    try:
        if kind == "Path":
            return Path(value).expanduser().absolute()
        if kind.startswith("tuple"):
            return tuple(value.split(os.pathsep)) if isinstance(value, str) else tuple(value)
        if kind == "bool":
            return value if isinstance(value, bool) else _TRUTH[str(value).lower()]
        return {"int": int, "float": float, "str": str}[kind](value)
    except (TypeError, ValueError, KeyError) as exc:
        raise UsageError(f"setting '{name}' cannot be {value!r}") from exc
