"""Keep the chatter of a library's C++ code off the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what C++ code writes to stderr while the block runs; the runtime of the detector offers no other way.

    Not for blocks in which another thread may have something to say, so only around making an interpreter.
    """
    try:
        stream = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # stderr is not a file here (a test, a windowed program): there is nothing to redirect.
        yield
        return
    sys.stderr.flush()
    kept = os.dup(stream)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream)
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)
