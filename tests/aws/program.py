"""The program in processes of its own against AWS on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Program:
    """`vidsearch --data DIR` with variables that lead to the stack."""

    data: Path
    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "VIDSEARCH_DATA": str(self.data)}

    def python(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run Python and return what it said."""
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def __call__(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of vidsearch."""
        done = self.python("-m", "vidsearch", *words, code=code)
        assert "testing" not in done.stdout + done.stderr, "a credential"
        return done

    def json(self, *words: str | Path) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def matches(self, engine: str) -> list[dict[str, Any]]:
        """Return the appearances that an engine found."""
        return [row for row in self.json("matches") if row["engine"] == engine]
