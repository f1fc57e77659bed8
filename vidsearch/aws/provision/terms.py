"""What must be known before faces are searched on Amazon Rekognition, and the record that somebody has read it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vidsearch.aws.provision.record import assignment, write
from vidsearch.errors import UsageError

FILE = "aws-terms.toml"
VERSION = "2026-11"
"""Changes whenever the text does; then it is shown again."""

TEXT = """\
Before faces are searched on Amazon Rekognition

 1. Police use. AWS has had a moratorium since 2020 on police departments using Rekognition's face comparison in
    criminal investigations, extended in 2021 until further notice; finding missing people is exempt. Whether your use
    is covered is a question for your counsel and the AWS Service Terms in force, https://aws.amazon.com/service-terms/
 2. Threshold. For anything that can affect somebody's rights AWS asks for a similarity of 99 % or more. vidsearch
    shows suspects from 99 %, and missing people lower, with a notice.
 3. Human review. A match is a lead, never proof and never the only reason to act. A person trained for it looks at
    every match before anything follows from it, and the organisation says in public that it uses the technique.
 4. No sustained surveillance of a person without independent review, unless somebody's life is at stake.
 5. Your pictures. AWS may use what its AI services are sent to improve them, unless the organisation has opted out with
    an AI services opt-out policy (AWS Organizations). Set it before the first search.
 6. Law. Face data are biometric data. Whether, where and how long you may keep them is for your law and your data
    protection officer; everything is sent to and kept in the region that you name.

This is a summary, not legal advice; the AWS Service Terms and your law go before it.
"""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has read which text when."""

    version: str
    who: str
    when: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.when} by {self.who} (text of {self.version})"


def acknowledged(data: Path) -> Acknowledgement | None:
    """Return the acknowledgement recorded in a data folder, or None where there is none of the present text."""
    try:
        with (data / FILE).open("rb") as stream:
            found = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{data / FILE}: cannot be read: {exc}; delete it and acknowledge the terms again") from exc
    if found.get("text_version") != VERSION:
        return None
    return Acknowledgement(VERSION, str(found.get("who", "")), str(found.get("when", "")))


def record(data: Path, who: str, when: datetime | None = None) -> Acknowledgement:
    """Record that somebody has read the text, and return the record."""
    at = (when or datetime.now(UTC)).isoformat(timespec="seconds")
    made = Acknowledgement(VERSION, who, at)
    lines = [
        "# Written by setup_aws.py: who has read what must be known before faces are searched on Amazon Rekognition.",
        assignment("acknowledged_terms", str(made)),
        assignment("text_version", made.version),
        assignment("who", made.who),
        assignment("when", made.when),
    ]
    write(data / FILE, "\n".join(lines) + "\n")
    return made
