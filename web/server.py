"""Serve the screens with waitress, to this machine only."""

from __future__ import annotations

import socket

from flask import Flask
from waitress import create_server
from waitress.server import BaseWSGIServer

from vidsearch.errors import UsageError
from web.security import is_loopback

THREADS = 8
"""A browser opens six connections at a time, and each picture or piece of video takes a thread."""

MAX_BODY = 110 * 1024 * 1024
"""A little above the limit on uploads in ``web``, so that its page says what was too large."""


def make_server(flask: Flask, host: str, port: int) -> BaseWSGIServer:
    """Return a server bound to ``host`` and ``port`` (0: any free one), not yet running.

    Raises UsageError where the host is not this machine, or the port is taken.
    """
    if not is_loopback(host):
        raise UsageError(
            "until people can log in, vidsearch serves this machine only (127.0.0.1 or ::1); "
            f"it does not listen on {host}"
        )
    # A name may stand for two addresses; one is enough, and has one port.
    address = "127.0.0.1" if host.strip(".").lower() == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        bound = socket.create_server((address, port), family=family)
    except OSError as exc:
        raise UsageError(f"cannot listen on {host}, port {port} ({exc.strerror or exc}); try another --port") from exc
    return create_server(flask, sockets=[bound], threads=THREADS, max_request_body_size=MAX_BODY, ident=None)
