"""``vidsearch serve`` and ``vidsearch work``: the browser UI and workers."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from vidsearch.cli.context import Context
from vidsearch.errors import VidsearchError

if TYPE_CHECKING:
    from vidsearch.app import App

DEFAULT_PORT = 8080

RETRY_S = 30
"""How long a worker of ``serve`` waits after it could not work, such as on a full disk."""


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(serve)
    cli.add_command(work)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Only this machine's own addresses are taken.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0 takes any free port."
)
@click.option("--cores", type=click.IntRange(min=1), help="Worker processes. Default: every core.")
@click.option("--engine", metavar="NAME", help="`local` or `rekognition`. Default: as in the settings.")
@click.option("--no-work", is_flag=True, help="Serve only; a `vidsearch work` elsewhere does the jobs.")
@click.pass_obj
def serve(ctx: Context, host: str, port: int, cores: int | None, engine: str | None, no_work: bool) -> None:
    """Serve the browser UI, and work on what is queued."""
    from web import create_app
    from web.server import make_server

    with ctx.open(cores=cores, engine=engine) as app:
        server = make_server(create_app(app), host, port)
        stop = threading.Event()
        worker = None if no_work else _start_worker(app, stop)
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"vidsearch is at http://{shown}:{server.effective_port} (Ctrl-C stops it)")
        try:
            server.run()
        finally:
            server.close()
            stop.set()
            if worker:
                worker.join()


@click.command()
@click.option("--cores", type=click.IntRange(min=1), help="Worker processes. Default: every core.")
@click.option("--engine", metavar="NAME", help="`local` or `rekognition`. Default: as in the settings.")
@click.pass_obj
def work(ctx: Context, cores: int | None, engine: str | None) -> None:
    """Work on what is queued until stopped. Several workers may share one data folder."""
    with ctx.open(cores=cores, engine=engine) as app:
        stop = threading.Event()
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
        click.echo("working; Ctrl-C stops", err=True)
        app.worker().run_forever(stop)


def _start_worker(app: App, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=_keep_working, args=(app, stop), name="supervisor")
    thread.start()
    return thread


def _keep_working(app: App, stop: threading.Event) -> None:
    """Work until stopped. A worker that ends for any other reason, a bug included, is followed by another."""
    while not stop.is_set():
        worker = threading.Thread(target=_work, args=(app, stop), name="worker")
        worker.start()
        worker.join()
        stop.wait(RETRY_S)


def _work(app: App, stop: threading.Event) -> None:
    try:
        app.worker().run_forever(stop)
    except VidsearchError as exc:
        click.echo(f"vidsearch: the worker waits {RETRY_S} s: {exc}", err=True)
