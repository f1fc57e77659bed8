"""The browser's door: parse, call one function, show."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from flask import Flask, render_template
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map

from vidsearch.app import App
from vidsearch.errors import (
    EngineError,
    IllegalTransition,
    SourceUnavailable,
    StoreError,
    UnknownRecord,
    UsageError,
    VidsearchError,
)
from web import footage, jobs, media, people, timeline
from web.current import case_id, search_state, vidsearch
from web.figures import FIGURES
from web.security import protect, secret_key
from web.words import FILTERS

MAX_UPLOAD = 100 * 1024 * 1024
"""Bytes of one request: some twenty pictures as cameras make them, or hundreds as telephones send them."""

STATUS: dict[type[VidsearchError], int] = {
    UnknownRecord: 404,
    UsageError: 400,
    IllegalTransition: 409,
    SourceUnavailable: 404,
    EngineError: 503,
    StoreError: 503,
}
"""HTTP status of our own errors; 400 for the rest."""

TITLES = {
    400: "That did not work",
    403: "Refused",
    404: "Not found",
    405: "Not found",
    409: "That is not possible now",
    413: "Too much at once",
    416: "Not found",
    500: "Something went wrong",
    503: "Not ready",
}

log = logging.getLogger(__name__)


def create_app(app: App, host: str = "127.0.0.1", *, waits: Callable[[], str | None] = lambda: None) -> Flask:
    """Return the browser UI over an open ``app``, to be reached under ``host`` or any name of this machine.

    ``waits`` tells what a worker in this process waits for, if it waits.
    """
    flask = Flask(__name__, static_url_path="/static")
    settings = app.settings
    flask.config.update(
        SECRET_KEY=secret_key(settings.data),
        MAX_CONTENT_LENGTH=MAX_UPLOAD,
        SESSION_COOKIE_NAME=f"vidsearch_{hashlib.sha256(str(settings.data).encode()).hexdigest()[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
    )
    flask.extensions["vidsearch"] = app
    flask.extensions["vidsearch_waits"] = waits
    flask.jinja_env.trim_blocks = flask.jinja_env.lstrip_blocks = True
    flask.jinja_env.filters.update(FILTERS)
    flask.jinja_env.globals.update(FIGURES)
    flask.url_map.converters["int"] = _Number
    protect(flask, host)
    for blueprint in (timeline.blueprint, people.blueprint, footage.blueprint, jobs.blueprint, media.blueprint):
        flask.register_blueprint(blueprint)
    flask.context_processor(_common)
    flask.register_error_handler(HTTPException, _http_error)
    flask.register_error_handler(VidsearchError, _our_error)
    flask.register_error_handler(Exception, _bug)
    return flask


class _Number(IntegerConverter):
    """A number in an address, no larger than the database can hold."""

    def __init__(self, map: Map) -> None:
        """Make the converter."""
        super().__init__(map, max=2**63 - 1)


def _common() -> dict[str, object]:
    """Return what every page shows: the case and how a search is going."""
    app = vidsearch()
    return {
        "case": app.store.cases.get(case_id()),
        "threshold": app.threshold(case_id()),
        "searching": search_state(),
    }


def _error_page(status: int, message: str) -> tuple[str, int]:
    title = TITLES.get(status, TITLES[400])
    return render_template("errors/error.html", status=status, title=title, message=message), status


def _http_error(error: HTTPException) -> tuple[str, int]:
    status = error.code or 500
    if isinstance(error, CSRFError):
        return _error_page(
            status, "This form is too old to be sent. Go back, load the page again, and send it once more."
        )
    if status == 413:
        return _error_page(
            status, f"At most {MAX_UPLOAD // 1024**2} MB can be sent at once. Send fewer photos at a time."
        )
    if status == 404 and error.description == type(error).description:
        return _error_page(status, "There is no such page.")
    return _error_page(status, error.description or "")


def _our_error(error: VidsearchError) -> tuple[str, int]:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    return _error_page(status, _sentence(str(error)))


def _bug(error: Exception) -> tuple[str, int]:
    log.exception("a page failed", exc_info=error)
    message = "This is a fault in vidsearch. Nothing found so far is lost; the details are where vidsearch was started."
    # The ordinary page asks the database for the case, which may be what failed.
    return render_template("errors/bare.html", title=TITLES[500], message=message), 500


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
