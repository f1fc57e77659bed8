"""boto3 clients, made once for a process, with retries chosen on purpose."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsNotSetUp

ATTEMPTS = 6
"""Times a call is made before a throttled or failed answer is believed. The mode ``standard`` is chosen on purpose: it
backs off with full jitter, up to 20 s, and retries throttling, 5xx and lost connections. It would also retry
``LimitExceededException``, which means that every job slot is taken; whoever starts jobs waits for a slot instead."""

CONNECT_S, READ_S = 10, 70
"""Time-outs. Reading outlasts a long poll of 20 s and a slow answer of IndexFaces."""


class Clients:
    """The clients of one region and profile. Safe for several threads, as boto3's clients are; its sessions are not."""

    def __init__(
        self, region: str, profile: str = "", *, attempts: int = ATTEMPTS, endpoints: Mapping[str, str] | None = None
    ) -> None:
        """Prepare; nothing is asked of AWS yet.

        Args:
            region: The region of all resources.
            profile: Profile of the credentials; empty takes boto3's usual chain.
            attempts: Times a call is made at most.
            endpoints: Service -> URL, where it is not AWS's own (``AWS_ENDPOINT_URL_*`` work without this).
        """
        self.region = region
        self._profile = profile
        self._attempts = attempts
        self._endpoints = dict(endpoints or {})
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._made: dict[tuple[str, int], Any] = {}

    def __call__(self, service: str, *, attempts: int | None = None) -> Any:
        """Return the client of a service. Raises AwsNotSetUp for an unknown profile, region or address.

        ``attempts`` is for callers that have their own way to try again: times a call is made at most.
        """
        key = (service, attempts or self._attempts)
        with self._lock:
            if key not in self._made:
                try:
                    with translated(f"connect to {service}"):
                        self._made[key] = self._make(*key)
                except ValueError as exc:  # botocore has no error of its own for an address that is none
                    raise AwsNotSetUp(f"cannot connect to {service}: {exc}; set AWS_ENDPOINT_URL right") from exc
            return self._made[key]

    def _make(self, service: str, attempts: int) -> Any:
        if self._session is None:
            self._session = boto3.Session(profile_name=self._profile or None, region_name=self.region or None)
        return self._session.client(
            service,
            endpoint_url=self._endpoints.get(service),
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                user_agent_extra="vidsearch",
                max_pool_connections=25,
            ),
        )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._made.values():
                client.close()
            self._made.clear()
