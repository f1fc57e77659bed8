"""The real program's worker on Rekognition for tests that kill it: `crash_amazon.py DATA STOP_AT MARKER`.

When the second job comes to the state STOP_AT it writes MARKER and waits to be killed. Besides states, STOP_AT may be
``asked`` (Amazon has started the job, and nobody here knows yet) or ``stored`` (its results are in the database, and
its message is still in the queue). An empty STOP_AT never waits.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from vidsearch.app import open_app
from vidsearch.model import Actor, Job
from vidsearch.settings import load_settings


def wait_to_be_killed(marker: Path) -> NoReturn:
    marker.write_text("")
    marker.rename(marker.with_suffix(".ready"))
    while True:
        time.sleep(600)


def main(data: Path, stop_at: str, marker: Path) -> None:
    seen: set[int] = set()

    def event(job: Job) -> None:
        seen.add(job.id)
        if job.state == stop_at and len(seen) > 1:
            wait_to_be_killed(marker)

    def after(owner: Any, name: str) -> None:
        call, times = getattr(owner, name), 0

        def stopping(*arguments: Any, **more: Any) -> Any:
            nonlocal times
            answer = call(*arguments, **more)
            times += 1
            if times > 1:
                wait_to_be_killed(marker)
            return answer

        setattr(owner, name, stopping)

    def before(owner: Any, name: str) -> None:
        def stopping(*arguments: Any, **more: Any) -> NoReturn:
            wait_to_be_killed(marker)

        setattr(owner, name, stopping)

    with open_app(load_settings(data, engine="rekognition"), actor=Actor("tester")) as app:
        engine: Any = app.engine()
        if stop_at == "asked":
            after(engine._sending._calls, "start_face_search")
        if stop_at == "stored":
            before(engine, "acknowledge")
        app.worker(on_event=event).run(app.store.jobs.open_ids("default"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
