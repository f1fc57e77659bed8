"""moto's server for the tests of the set-up, and a set-up of one's own in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from tests.aws.site import REGION, RecordingClients, Site
from vidsearch.aws.provision.names import Options

SERVICES = ("s3", "sns", "sqs", "iam", "sts", "kms", "lambda", "logs", "rekognition")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Run moto on a free port of 127.0.0.1. Its state is the process's own: use names of your own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def recording(moto_url: str) -> Iterator[RecordingClients]:
    """Return clients of that moto; made once, because making them is what takes time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        clients = RecordingClients(REGION, endpoints=dict.fromkeys(SERVICES, moto_url), attempts=2)
        for service in SERVICES:
            clients(service)
    yield clients
    clients.close()


@pytest.fixture
def make_site(recording: RecordingClients) -> Callable[..., Site]:
    """Return a function that gives a site with a prefix of its own; nothing is made on AWS yet."""

    def make(*, tls: bool = True, **options: Any) -> Site:
        prefix = options.pop("prefix", f"p{uuid.uuid4().hex[:9]}")
        recording.calls.clear()
        return Site(Options(REGION, prefix=prefix, **options), recording, tls)

    return make


@pytest.fixture(scope="session")
def lasting_site(recording: RecordingClients) -> Site:
    """Return a site that tests break and repair, one after the other."""
    made = Site(Options(REGION, prefix="lasting", tags=(("team", "cctv"),)), recording)
    made.apply()
    return made


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """Return a plain site that has been set up."""
    made = make_site(tags=(("team", "cctv"),))
    made.apply()
    return made
