"""The real program's worker for tests that kill it: `crash_search.py DATA STOP_AT MARKER`.

It works off the queued jobs of DATA with the local engine. When the second job comes to the state STOP_AT, it writes
MARKER, with the ids of its own worker processes, and waits to be killed. An empty STOP_AT never waits.
"""

import sys
import time
from pathlib import Path

import psutil

from vidsearch.app import App, open_app
from vidsearch.engine import MediaLimits
from vidsearch.model import Actor, Job
from vidsearch.settings import load_settings

SEGMENT_MS = 6_000


def open_with_short_ranges(data: Path) -> App:
    """Open the program so that a recording of seconds becomes several jobs."""
    app = open_app(load_settings(data, cores=2), actor=Actor("tester"))
    app.engine().media_limits = MediaLimits(segment_ms=SEGMENT_MS)
    return app


def main(data: Path, stop_at: str, marker: Path) -> None:
    seen: set[int] = set()

    def event(job: Job) -> None:
        seen.add(job.id)
        if job.state == stop_at and len(seen) > 1:
            marker.write_text(" ".join(str(child.pid) for child in psutil.Process().children(recursive=True)))
            marker.rename(marker.with_suffix(".ready"))
            time.sleep(600)

    with open_with_short_ranges(data) as app:
        app.worker(on_event=event).run(app.store.jobs.open_ids("default"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
