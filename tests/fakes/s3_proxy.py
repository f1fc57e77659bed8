"""A proxy in front of an S3 server that keeps a record of what is asked, and can be slow, refuse, or lose the line."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


@dataclass(frozen=True)
class Asked:
    """A request that arrived whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def operation(self) -> str:
        """The S3 operation, as far as an upload needs it."""
        if self.method == "PUT":
            return "UploadPart" if "partNumber" in self.query else "PutObject"
        if self.method == "POST":
            return "CreateMultipartUpload" if "uploads" in self.query else "CompleteMultipartUpload"
        if self.method == "DELETE":
            return "AbortMultipartUpload" if "uploadId" in self.query else "DeleteObject"
        if self.method == "HEAD":
            return "HeadObject"
        return "ListParts" if "uploadId" in self.query else "List"


class S3Proxy:
    """Listens on 127.0.0.1. ``answer`` may return a status and body instead of the server's, or None, or "lose"."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], tuple[int, bytes] | str | None] = lambda asked: None
        self.delay_s = 0.0
        self.busy = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, operation: str) -> int:
        return sum(asked.operation == operation for asked in list(self.asked))

    def parts(self) -> list[int]:
        """Return the numbers of the parts that arrived, in order of arrival."""
        return [int(asked.query["partNumber"]) for asked in list(self.asked) if asked.operation == "UploadPart"]

    def settle(self) -> None:
        """Wait until nothing is on its way to the server."""
        time.sleep(0.2)
        while self.busy:
            time.sleep(0.02)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                    return
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
                asked = Asked(self.command, url.path, query, {k.lower(): v for k, v in self.headers.items()})
                with proxy._lock:
                    proxy.busy += 1
                try:
                    self.answer_to(asked, body)
                finally:
                    with proxy._lock:
                        proxy.busy -= 1

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on  # noqa: N815

            def answer_to(self, asked: Asked, body: bytes) -> None:
                time.sleep(proxy.delay_s)
                made = proxy.answer(asked)
                if made == "lose":
                    self.close_connection = True
                    return
                if isinstance(made, tuple):
                    self.reply(made[0], {"Content-Type": "application/xml"}, made[1])
                    return
                with proxy._lock:
                    proxy.asked.append(asked)
                connection = http.client.HTTPConnection(proxy.upstream.hostname, proxy.upstream.port)
                try:
                    kept = {k: v for k, v in self.headers.items() if not re.match("(?i)expect|connection", k)}
                    connection.request(self.command, self.path, body, kept)
                    response = connection.getresponse()
                    content = response.read()
                finally:
                    connection.close()
                if made == "lose the answer":
                    self.close_connection = True
                    return
                headers = {k: v for k, v in response.getheaders() if k.lower() not in ("connection", "server", "date")}
                self.reply(response.status, headers, content)

            def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") or headers.get("content-length")
                head = self.command == "HEAD" and length
                self.send_header("Content-Length", str(length if head else len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        return Handler
