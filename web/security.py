"""What stands between this machine's browser and everybody else's pages.

The screens have no log-in yet, so whoever can reach the port can act. They are therefore served to this machine only,
under names of this machine only (a page elsewhere that points its own name at 127.0.0.1 is refused), and requests that
other pages make a browser send are refused.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from flask import Flask, Response, abort, request
from flask_wtf.csrf import CSRFProtect

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content security policy of every answer: our own files, nothing inline, nothing from elsewhere."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def protect(flask: Flask, host: str) -> None:
    """Put the checks and headers of this module around every request; ``host`` is the name listened on."""
    CSRFProtect(flask)
    # Before flask-wtf's own hook, so that a foreign page learns nothing, not even that its token is wrong.
    flask.before_request_funcs.setdefault(None, []).insert(0, lambda: _check(host))
    flask.after_request(_add_headers)


def is_loopback(host: str) -> bool:
    """Whether a name or address without port means this machine and nothing else."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """Return the name in a Host header, without its port; empty where there is none to be had."""
    if header.startswith("["):
        name, bracket, port = header.partition("]")
        return name + bracket if bracket and (not port or port.startswith(":")) else ""
    name, _, port = header.partition(":")
    return name if not port or port.isdigit() else ""


def secret_key(folder: Path) -> str:
    """Return the key that signs sessions: kept in the data folder, readable by its owner only.

    Kept, so that a form that was open while the server restarted can still be sent. Where the folder cannot be
    written, a key for this process alone.
    """
    path = folder / "web.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path) or secrets.token_hex(32)
    except OSError:
        return secrets.token_hex(32)
    key = secrets.token_hex(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(key)
    return key


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _check(host: str) -> None:
    """Refuse requests under a foreign name, and those that another page made the browser send."""
    name = host_name(request.environ.get("HTTP_HOST", ""))
    if not (is_loopback(name) or (name and name.lower() == host.lower())):
        abort(403, "vidsearch answers only under the names of this machine, such as http://127.0.0.1.")
    site = request.headers.get("Sec-Fetch-Site")
    if request.method not in SAFE_METHODS:
        if not _is_our_page(site):
            abort(403, "This came from another page. Go back to vidsearch and try again.")
    elif site == "cross-site" and request.headers.get("Sec-Fetch-Mode") != "navigate":
        abort(403, "Other pages may link to vidsearch, and not use its pictures and data.")


def _is_our_page(site: str | None) -> bool:
    """Whether a page of ours, or no page at all, made this request; ``site`` is what the browser says of it."""
    origin = request.headers.get("Origin")
    if origin == "null":
        # What a browser sends for a form of a page without a referrer, ours too: then only its own word counts.
        return site == "same-origin"
    # Another port of this machine is "same-site", and is somebody else's page all the same.
    ours = f"{request.scheme}://{request.environ.get('HTTP_HOST', '')}"
    return site in (None, "same-origin", "none") and origin in (None, ours)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    # Faces and places belong to the case: no shared cache, and a page is asked for again each time.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
