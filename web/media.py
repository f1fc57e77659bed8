"""Pictures and video. Whole files go out with HTTP ranges, so that a player can jump."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from flask import Blueprint, Response, abort, request, send_file

from vidsearch.model import Appearance
from web.current import case_id, vidsearch

blueprint = Blueprint("media", __name__)

KEPT_FOR_S = 600
"""A browser may show a picture again without asking for this long; then forgotten faces are gone there too."""


@blueprint.get("/media/appearances/<appearance_id>/<any(face, frame):kind>.jpg")
def track(appearance_id: str, kind: str) -> Response:
    """Send the face or the frame kept of an appearance."""
    picture = vidsearch().pictures.best(_appearance(appearance_id), kind)
    if picture is None:
        abort(404, "No picture was kept, and the recording is not there.")
    return _jpeg(picture)


@blueprint.get("/media/photos/<int:photo_id>.jpg")
def photo(photo_id: int) -> Response:
    """Send a photo upright, as JPEG whatever it was."""
    return _jpeg(vidsearch().pictures.photo(vidsearch().store.people.photo(case_id(), photo_id)))


@blueprint.get("/media/photos/<int:photo_id>/face.jpg")
def photo_face(photo_id: int) -> Response:
    """Send the enrolled face of a photo."""
    return _jpeg(vidsearch().pictures.photo_face(vidsearch().store.people.photo(case_id(), photo_id)))


@blueprint.get("/media/appearances/<appearance_id>/original")
def original(appearance_id: str) -> Response:
    """Send the recording itself, where a browser can play it."""
    playback = vidsearch().pictures.playback(_appearance(appearance_id))
    if not playback.original:
        abort(404, "A browser cannot play this recording; there is a clip of it.")
    return _video(playback.path)


@blueprint.get("/clips/<appearance_id>.mp4")
def clip(appearance_id: str) -> Response:
    """Send the clip of an appearance, cut now where it is not there yet."""
    return _video(vidsearch().pictures.clip(_appearance(appearance_id)))


def _appearance(appearance_id: str) -> Appearance:
    return vidsearch().store.appearances.get(case_id(), appearance_id)


def _jpeg(content: bytes) -> Response:
    response = Response(content, mimetype="image/jpeg")
    response.set_etag(hashlib.sha256(content).hexdigest()[:24])
    response.headers["Cache-Control"] = f"private, max-age={KEPT_FOR_S}"
    response.make_conditional(request)
    return response


def _video(path: Path) -> Response:
    kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
    return send_file(path, mimetype=kind if kind.startswith("video/") else "video/mp4", conditional=True, max_age=0)
