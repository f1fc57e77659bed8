"""Be `vidsearch` for the scoring script, which knows nothing of engines that charge.

    as_vidsearch.py ENGINE WORDS --data DIR COMMAND …

`search` gets the further WORDS, `matches` prints only what ENGINE found, and everything else goes through.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence


def main(engine: str, more: str, words: Sequence[str]) -> int:
    """Run vidsearch and return its exit code."""
    command = words[2]
    added = shlex.split(more) if command == "search" else []
    listing = command == "matches"
    done = subprocess.run(
        [sys.executable, "-m", "vidsearch", *words, *added], stdout=subprocess.PIPE if listing else None, check=False
    )
    if listing:
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        print(json.dumps([row for row in rows if row["engine"] == engine]))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
