"""Page tokens: signed, short-lived, and opaque to whoever holds them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from vidsearch.rekognition_local.refusals import invalid_page_token

LIFETIME_MS = 24 * 3_600_000
"""A token is good for a day."""

_MAC = 12


class Pages:
    """Makes and reads tokens."""

    def __init__(self, key: bytes, now: Callable[[], int]) -> None:
        """``now`` gives milliseconds of the epoch."""
        self._key = key
        self._now = now

    def token(self, listing: str, place: list[Any]) -> str:
        """Return a token for the page of a listing that begins after a place."""
        body = json.dumps([listing, self._now(), place], separators=(",", ":")).encode()
        return base64.b64encode(self._mac(body) + body).decode()

    def place(self, listing: str, token: str) -> list[Any]:
        """Return the place of a token. Raises a Refusal where it is not one of this listing, or too old."""
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise invalid_page_token() from exc
        mac, body = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise invalid_page_token()
        named, made_ms, place = json.loads(body)
        if named != listing or self._now() - made_ms > LIFETIME_MS:
            raise invalid_page_token()
        return list(place)

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:_MAC]
