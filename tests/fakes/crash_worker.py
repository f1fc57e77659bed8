"""A worker process for tests that kill it: `crash_worker.py DATA STOP_AT MARKER RUN_S`.

It works off all jobs of DATA with the scripted engine. At the point STOP_AT it writes MARKER and waits to be killed;
the points are the job states, and `started`, `page` and `named` between them. An empty STOP_AT never waits.
"""

import sys
import time
from pathlib import Path

from tests.fakes.scripted import ScriptedEngine
from vidsearch.engine import Page, RunRequest
from vidsearch.jobs import JobManager
from vidsearch.matching import Matching
from vidsearch.model import Job
from vidsearch.store import Store

THRESHOLD = 80.0


def main(data: Path, stop_at: str, marker: Path, run_s: float) -> None:
    def reached(point: str) -> None:
        if point == stop_at:
            marker.touch()
            time.sleep(600)

    class Engine(ScriptedEngine):
        def start(self, request: RunRequest, token: str) -> str:
            run_ref = super().start(request, token)
            reached("started")
            return run_ref

        def results(self, run_ref: str, cursor: str | None = None) -> Page:
            if cursor:
                reached("page")
            return super().results(run_ref, cursor)

    with Store(data / "vidsearch.db") as store:
        engine = Engine(data / "engine", run_s=run_s)
        matching = Matching(store, lambda: engine)

        def collected(job: Job) -> None:
            matching.match(store.footage.get(job.case_id, job.footage_id), THRESHOLD)
            reached("named")

        manager = JobManager(
            store,
            engine,
            check_source=lambda footage: None,
            on_collected=collected,
            lease_s=60,
            on_event=lambda job: reached(job.state),
        )
        manager.run(lambda: False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
