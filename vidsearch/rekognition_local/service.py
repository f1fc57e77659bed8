"""Put the parts together, and take a call from its JSON to the JSON of its answer."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vidsearch.aws.protocol import Malformed, Protocol
from vidsearch.aws.session import Clients
from vidsearch.engines.local.engine import LocalEngine
from vidsearch.engines.local.worker import WorkerPool
from vidsearch.media.frames import FrameReader
from vidsearch.rekognition_local.analysis import Analysis
from vidsearch.rekognition_local.collections import Collections
from vidsearch.rekognition_local.faces import Faces
from vidsearch.rekognition_local.faults import Calls, FaultPlan
from vidsearch.rekognition_local.images import Images
from vidsearch.rekognition_local.jobs import Jobs
from vidsearch.rekognition_local.messages import Messages
from vidsearch.rekognition_local.pages import Pages
from vidsearch.rekognition_local.refusals import Refusal, internal
from vidsearch.rekognition_local.state import State
from vidsearch.rekognition_local.work import JobWorker

log = logging.getLogger(__name__)

DEFAULT_REGION = "us-east-1"
SAMPLE_FPS = 5.0
"""Pictures looked at per second of video."""

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]


class Service:
    """Everything behind the HTTP server."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        clients: Clients | None,
        plan: FaultPlan,
        calls: Calls,
        *,
        model_version: str,
        cores: int,
        executor: Callable[[], Executor] | None,
        now: Callable[[], int],
    ) -> None:
        """See ``LocalRekognition``."""
        aws = clients or Clients(DEFAULT_REGION)
        self._own_clients = aws if clients is None else None
        self._plan, self._calls = plan, calls
        self._stop = threading.Event()
        self._protocol = Protocol("rekognition")
        self._state = State(folder / "rekognition.db")
        try:
            self._engine = LocalEngine(
                folder / "local-engine",
                models,
                FrameReader(),
                executor or (lambda: WorkerPool(cores)),
                cores=cores,
                sample_fps=SAMPLE_FPS,
            )
        except BaseException:
            self._state.close()
            raise
        pages = Pages(self._state.key(), now)
        region = aws.region or DEFAULT_REGION
        self._collections = Collections(
            self._state, self._engine, pages, plan, now, region=region, model_version=model_version
        )
        faces = Faces(self._state, self._engine, Images(aws), self._collections, pages, plan)
        self._messages = Messages(self._state, aws, plan, now, self._stop)
        analysis = Analysis(self._state, aws, self._engine, folder / "incoming", plan, self._stop.is_set)
        self._worker = JobWorker(
            self._state, self._engine, analysis, self._collections, faces, self._messages, plan, now, self._stop
        )
        jobs = Jobs(self._state, aws, self._collections, pages, plan, calls, now, self._worker.thread.wake)
        self._operations = _operations(self._collections, faces, jobs)

    def start(self) -> None:
        """Begin to do jobs and to send messages."""
        self._collections.sweep()
        self._worker.thread.start()
        self._messages.thread.start()

    def answer(self, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and JSON for a call. Raises LostAnswer."""
        try:
            operation = self._protocol.operation_of(target)
            self._calls.count(operation)
            answer = self._carried_out(operation, body)
        except Malformed as exc:
            refusal = Refusal(exc.code, str(exc))
        except Refusal as exc:
            refusal = exc
        else:
            self._plan.after(operation)
            return 200, answer
        self._calls.refused(refusal)
        return refusal.status, {"__type": refusal.code, "Code": refusal.code, "Message": str(refusal)}

    def _carried_out(self, operation: str, body: bytes) -> dict[str, Any]:
        self._stop.wait(self._plan.delay_s(operation))
        self._plan.before(operation)
        if operation not in self._operations:
            raise Refusal(
                "UnknownOperationException", f"rekognition-local has no {operation}; it has what face search needs"
            )
        try:
            values = json.loads(body or b"{}")
        except ValueError as exc:
            raise Malformed("SerializationException", "the request is not JSON") from exc
        if not isinstance(values, dict):
            raise Malformed("SerializationException", "the request is not a JSON object")
        return self._checked(operation, self._protocol.request(operation, values))

    def _checked(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation. What breaks in it, or breaks the model in its answer, is a bug and a 500."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self._operations[operation], request)
            error = done.exception()
        if isinstance(error, Refusal):
            raise error
        faults = [f"{type(error).__name__}: {error}"] if error else []
        faults = faults or self._protocol.answer_faults(operation, done.result())
        if faults:
            self._calls.bug(f"{operation}: {'; '.join(faults)}")
            log.error("%s: %s", operation, "; ".join(faults), exc_info=error)
            raise internal()
        return done.result()

    def stop(self) -> None:
        """Have everything that runs or waits come to its end."""
        self._stop.set()

    def close(self) -> None:
        """Stop what runs and close everything."""
        self.stop()
        self._worker.thread.join()
        self._messages.thread.join()
        self._engine.close()
        self._state.close()
        if self._own_clients is not None:
            self._own_clients.close()


def _operations(collections: Collections, faces: Faces, jobs: Jobs) -> dict[str, Operation]:
    return {
        "CreateCollection": collections.create,
        "DeleteCollection": collections.delete,
        "DescribeCollection": collections.describe,
        "ListCollections": collections.listed,
        "ListTagsForResource": collections.list_tags,
        "TagResource": collections.tag,
        "UntagResource": collections.untag,
        "DetectFaces": faces.detect,
        "CompareFaces": faces.compare,
        "IndexFaces": faces.index,
        "ListFaces": faces.listed,
        "DeleteFaces": faces.delete,
        "SearchFaces": faces.search,
        "SearchFacesByImage": faces.search_by_image,
        "StartFaceSearch": jobs.start,
        "GetFaceSearch": jobs.get,
    }
