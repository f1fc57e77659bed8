"""Serve Rekognition's JSON protocol on a loopback address."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vidsearch.aws.protocol import JSON_TYPE, plain
from vidsearch.aws.session import Clients
from vidsearch.errors import UsageError
from vidsearch.rekognition_local.faults import Calls, FaultPlan, Faults, LostAnswer
from vidsearch.rekognition_local.service import Service

log = logging.getLogger(__name__)

MAX_BODY = 16 << 20
"""Of a request. A picture of 5 MB takes 7 as base64; CompareFaces has two."""

FORM = "application/x-www-form-urlencoded"


class LocalRekognition:
    """The server. Made running; use it in a ``with`` statement, or close it."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        *,
        clients: Clients | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        model_version: str = "7.0",
        cores: int = 1,
        executor: Callable[[], Executor] | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        """Open the folder and serve.

        Args:
            folder: Keeps collections, faces, jobs and results; a later server over it goes on.
            models: The installed models of the local engine.
            clients: For S3 and SNS. None takes boto3's usual chain, in ``us-east-1`` where no region is set.
            host: A loopback address.
            port: 0 takes any free one.
            faults: What goes wrong, to order.
            model_version: FaceModelVersion of collections made from now on.
            cores: Pieces of a video analysed at once.
            executor: Makes what the analysis runs in; processes of this machine where not given.
            now: Milliseconds of the epoch; the clock where not given.

        Raises UsageError for an address that others can reach, ModelMissing, a StoreError.
        """
        require_loopback(host)
        self.plan = FaultPlan(faults or Faults())
        self.calls = Calls()
        self._service = Service(
            folder,
            models,
            clients,
            self.plan,
            self.calls,
            model_version=model_version,
            cores=cores,
            executor=executor,
            now=now or (lambda: time.time_ns() // 1_000_000),
        )
        try:
            self._server = _Server((host, port), self)
        except OSError as exc:
            self._service.close()
            raise UsageError(f"cannot serve at {host}:{port}: {exc.strerror or exc}; choose another --port") from exc
        try:
            self._service.start()
        except BaseException:
            self._server.server_close()
            self._service.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="rekognition-local")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is; AWS_ENDPOINT_URL_REKOGNITION."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}"

    def answer(self, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and JSON for a call. Raises LostAnswer."""
        return self._service.answer(target, body)

    def close(self) -> None:
        """Stop. Jobs that are not done are done by the next server over the folder."""
        self._server.shutdown()
        self._thread.join()
        self._service.stop()
        self._server.cut()
        self._server.server_close()
        self._service.close()

    def __enter__(self) -> LocalRekognition:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def require_loopback(host: str) -> None:
    """Raise UsageError unless only this machine can reach an address: the server asks nobody who they are."""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host != "localhost":
        raise UsageError(
            f"rekognition-local serves this machine only: the host is 127.0.0.1, ::1 or localhost, not {host}"
        )


class _Server(ThreadingHTTPServer):
    """A thread for each connection, all of which end with the server."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: LocalRekognition) -> None:
        self.owner = owner
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Cut the connections that clients keep open, so that their threads end."""
        with self._lock:
            for held in self._open:
                with suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 120
    # Head and body in one packet, and at once: otherwise every answer waits 40 ms for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            return
        body = self.rfile.read(length)
        if not self._is_local():
            self._send(403, {"Message": "this server answers only to names of this machine"})
        elif self.path == "/":
            self._operation(body)
        elif self.path == "/faults":
            self._change_faults(body)
        else:
            self._send(404, {"Message": "there is nothing here"})

    def do_GET(self) -> None:
        owner = self.server.owner
        pages: Mapping[str, Callable[[], dict[str, Any]]] = {
            "/calls": owner.calls.told,
            "/faults": lambda: owner.plan.faults.as_json(),
        }
        if not self._is_local():
            self._send(403, {"Message": "this server answers only to names of this machine"})
        elif self.path in pages:
            self._send(200, pages[self.path]())
        else:
            self._send(404, {"Message": "there is nothing here; POST / for Rekognition, /faults and /calls for tests"})

    def do_DELETE(self) -> None:
        if self._is_local() and self.path == "/calls":
            self.server.owner.calls.clear()
            self._send(200, {})
        else:
            self._send(404, {"Message": "there is nothing here"})

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _operation(self, body: bytes) -> None:
        try:
            status, answer = self.server.owner.answer(self.headers.get("X-Amz-Target", ""), body)
        except LostAnswer:
            self.close_connection = True
            return
        self._send(status, answer)

    def _change_faults(self, body: bytes) -> None:
        try:
            faults = Faults.of(json.loads(body or b"{}"))
        except (UsageError, ValueError) as exc:
            self._send(400, {"Message": str(exc)})
            return
        self.server.owner.plan.replace(faults)
        self._send(200, faults.as_json())

    def _length(self) -> int | None:
        """Return the length of the body, or None where the request was refused for it."""
        text = self.headers.get("Content-Length", "")
        if text.isdecimal() and int(text) <= MAX_BODY:
            return int(text)
        self.close_connection = True
        self._send(413 if text.isdecimal() else 411, {"Message": f"a request has 0 to {MAX_BODY} bytes, and says so"})
        return None

    def _is_local(self) -> bool:
        """Return whether no web page asks: those know this server by another name, or the browser tells of them."""
        if "Origin" in self.headers:
            return False
        name = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
        try:
            require_loopback(name)
        except UsageError:
            return False
        # What forms send, browsers of old send without telling of the page; about the rest they ask, and get no leave.
        kind = self.headers.get("Content-Type", "")
        return self.command != "POST" or (kind.startswith("application/") and not kind.startswith(FORM))

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer, default=plain).encode()
        self.send_response(status)
        self.send_header("Content-Type", JSON_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
