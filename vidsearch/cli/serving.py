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
    from vidsearch.worker import Worker

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
        supervisor = Supervisor(app)
        server = make_server(create_app(app, waits=supervisor.waits_for), host, port)
        if not no_work:
            supervisor.start()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"vidsearch is at http://{shown}:{server.effective_port} (Ctrl-C stops it)")
        try:
            server.run()
        finally:
            server.close()
            supervisor.stop()


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


class Supervisor:
    """The worker beside a server. One that ends, for a bug even, is followed by another until it is stopped."""

    def __init__(self, app: App) -> None:
        """Work on the jobs of ``app`` once started."""
        self._app = app
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin to work, in threads."""
        self._thread = threading.Thread(target=self._keep_working, name="supervisor")
        self._thread.start()

    def stop(self) -> None:
        """End the work, and wait for it to end."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def waits_for(self) -> str | None:
        """Return what the worker waits for, or None where it works or has nothing to do. Safe for threads."""
        worker = self._worker
        return self._trouble or (worker.manager.waits_for if worker else None)

    def _keep_working(self) -> None:
        while not self._stop.is_set():
            worker = threading.Thread(target=self._work, name="worker")
            worker.start()
            worker.join()
            self._worker = None
            self._stop.wait(RETRY_S)

    def _work(self) -> None:
        try:
            self._worker = self._app.worker()
            self._trouble = None
            self._worker.run_forever(self._stop)
        except VidsearchError as exc:
            self._trouble = str(exc)
            click.echo(f"vidsearch: the worker waits {RETRY_S} s: {exc}", err=True)
