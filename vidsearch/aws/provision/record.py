"""The files that the set-up leaves in the data folder: the program's settings, and what was chosen."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidsearch.aws.provision.names import Names, Options
from vidsearch.errors import DiskFull, StoreError, UsageError
from vidsearch.settings import AWS_FILE

CHOICES_FILE = "aws-setup.toml"
"""What the set-up was told, so that the same command without options repairs the same set-up."""


def assignment(name: str, value: Any) -> str:
    """Return a line of TOML. JSON's strings and truth values are TOML's too."""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable for its owner only. Raises DiskFull or StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        if exc.errno == 28:
            raise DiskFull from exc
        raise StoreError(f"cannot write {path}: {exc.strerror}; name a folder of yours with --data") from exc


def settings(names: Names, queue_url: str) -> dict[str, str]:
    """Return the program's settings for what was made."""
    return {
        "aws_region": names.region,
        "aws_profile": names.options.profile,
        "aws_bucket": names.bucket,
        "aws_topic_arn": names.topic_arn,
        "aws_queue_url": queue_url,
        "aws_role_arn": names.role_arn,
        "aws_kms_key": names.key,
        "aws_prefix": names.prefix,
        "aws_results": "lambda" if names.options.function else "rekognition",
    }


def settings_text(values: dict[str, str]) -> str:
    """Return the settings file's text."""
    head = (
        "# Written by setup_aws.py, and written again whenever it runs. Your own choices belong in settings.toml\n"
        "# beside it, which wins. No credentials are kept here: they come from the profile or boto3's usual chain.\n"
    )
    return head + "".join(assignment(name, value) + "\n" for name, value in values.items())


def save(data: Path, names: Names, queue_url: str) -> Path:
    """Write the settings and the choices, and return the settings' path."""
    options = names.options
    chosen = {f.name: getattr(options, f.name) for f in fields(Options) if f.name != "tags"}
    lines = ["# Written by setup_aws.py: what it was told, so that it needs no options the next time."]
    lines += [assignment(name, value) for name, value in chosen.items()]
    lines += [
        "[tags]",
        *(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in options.tags),
    ]
    write(data / CHOICES_FILE, "\n".join(lines) + "\n")
    write(data / AWS_FILE, settings_text(settings(names, queue_url)))
    return data / AWS_FILE


def choices(data: Path) -> dict[str, Any]:
    """Return what an earlier run was told, or nothing. Raises UsageError where the file cannot be understood."""
    path = data / CHOICES_FILE
    try:
        with path.open("rb") as stream:
            found = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{path}: cannot be read: {exc}; delete it and name your options again") from exc
    known = {f.name: str(f.type) for f in fields(Options)}
    tags = found.pop("tags", {})
    kinds = {"str": str, "bool": bool, "int": int}
    if any(name not in known or type(value) is not kinds[known[name]] for name, value in found.items()):
        raise UsageError(f"{path}: cannot be understood; delete it and name your options again")
    return {**found, "tags": tuple((str(key), str(value)) for key, value in tags.items())}


def options(before: dict[str, Any], given: dict[str, Any]) -> Options:
    """Return the options: what is given now, and for the rest what an earlier run was told."""
    if given.get("make_key") or given.get("key"):
        before = {name: value for name, value in before.items() if name not in ("make_key", "key")}
    return Options(**{"region": "", **before, **given})


def clear(data: Path, names: Names) -> list[Path]:
    """Delete the files of this set-up, and return which were there; the acknowledgement of the terms stays."""
    chosen, written = choices(data), _settings_in(data)
    removed = []
    for path, said in (
        (data / AWS_FILE, (written.get("aws_prefix"), written.get("aws_region"))),
        (data / CHOICES_FILE, (chosen.get("prefix"), chosen.get("region"))),
    ):
        if said == (names.prefix, names.region):
            path.unlink()
            removed.append(path)
    return removed


def _settings_in(data: Path) -> dict[str, Any]:
    """Return what aws.toml says; nothing where it is not there, or not as we or a template would write it."""
    try:
        return tomllib.loads((data / AWS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
