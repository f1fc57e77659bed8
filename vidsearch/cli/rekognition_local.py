"""``vidsearch rekognition-local``: a Rekognition on this machine."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import click

from vidsearch.cli.context import Context

DEFAULT_PORT = 5198
DEFAULT_MODEL_VERSION = "7.0"


def register(cli: click.Group) -> None:
    """Add the command."""
    cli.add_command(rekognition_local)


def _model_version(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[0-9.]+", value):
        raise click.BadParameter(f"'{value}' is not a version such as {DEFAULT_MODEL_VERSION}")
    return value


@click.command("rekognition-local")
@click.option("--host", default="127.0.0.1", show_default=True, help="Only this machine's own addresses are taken.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0 takes any free port."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keeps collections, jobs and results. Default: rekognition-local in the data folder.",
)
@click.option(
    "--model-version",
    default=DEFAULT_MODEL_VERSION,
    show_default=True,
    callback=_model_version,
    help="FaceModelVersion of collections made from now on.",
)
@click.option("--faults", metavar="FILE|JSON", help="What goes wrong, to order: see docs/rekognition-local.md.")
@click.option("--cores", type=click.IntRange(min=1), help="Worker processes. Default: every core.")
@click.pass_obj
def rekognition_local(
    ctx: Context, host: str, port: int, folder: Path | None, model_version: str, faults: str | None, cores: int | None
) -> None:
    """Serve the part of Amazon Rekognition that face search needs, on this machine, with real faces.

    Videos are read from S3 and completions published to SNS at AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_SNS.
    """
    from vidsearch.app import usable_cores
    from vidsearch.aws.session import Clients
    from vidsearch.rekognition_local.faults import Faults
    from vidsearch.rekognition_local.server import LocalRekognition
    from vidsearch.rekognition_local.service import DEFAULT_REGION

    settings = ctx.settings(cores=cores)
    os.umask(0o077)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: stop.set())
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    clients = Clients(region, settings.aws_profile)
    server = LocalRekognition(
        folder or settings.data / "rekognition-local",
        settings.models,
        clients=clients,
        host=host,
        port=port,
        faults=Faults.parse(faults) if faults else Faults(),
        model_version=model_version,
        cores=usable_cores(settings),
    )
    with server:
        _say(server, region)
        stop.wait()
    clients.close()


def _say(server: Any, region: str) -> None:
    click.echo(f"export AWS_ENDPOINT_URL_REKOGNITION={server.url}  # rekognition-local ({region}); Ctrl-C stops it")
    for service in ("S3", "SNS"):
        if not (os.environ.get(f"AWS_ENDPOINT_URL_{service}") or os.environ.get("AWS_ENDPOINT_URL")):
            click.echo(f"vidsearch: AWS_ENDPOINT_URL_{service} is not set: {service} is Amazon's own", err=True)
