"""A process that is killed at a given instant of starting a job at Amazon.

``python -m tests.fakes.crash_start FOLDER RECORDING GALLERY INSTANT TOKEN STACK``, where STACK is JSON: endpoints and
resources.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.faces import request
from tests.rekognition_engine import CopyCutter
from vidsearch.aws.session import Clients
from vidsearch.aws.upload import Uploader
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.engines.rekognition.ports import Resources

INSTANTS = {
    "cut": ("_runs", "note_cut", False),
    "before upload": ("_uploader", "put", False),
    "after upload": ("_uploader", "put", True),
    "slot": ("_runs", "take_slot", True),
    "started": ("_calls", "start_face_search", True),
}
"""Instant -> where it is: part of ``Sending``, its method, and whether it is behind that or before it."""


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    folder, recording, gallery, instant, token, stack = sys.argv[1:]
    told = json.loads(stack)
    clients = Clients("us-east-1", endpoints=told["endpoints"])
    resources = Resources(**told["resources"])
    uploader = Uploader(clients, resources.bucket)
    engine = RekognitionEngine(
        Path(folder), clients, CopyCutter(), uploader, resources, poll_s=1, limiter=Limiter.none()
    )
    part, name, behind = INSTANTS[instant]
    holder = getattr(engine._sending, part)
    real = getattr(holder, name)

    def dying(*given: Any, **named: Any) -> Any:
        if behind:
            real(*given, **named)
        die()

    setattr(holder, name, dying)
    engine.start(request(Path(recording), 0, 5_000, gallery=gallery), token)


if __name__ == "__main__":
    main()
