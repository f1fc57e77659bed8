"""``vidsearch search``: look through what is not yet searched."""

from __future__ import annotations

import datetime
import shutil
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsearch.cli.context import Context, case_option
from vidsearch.cli.paying import agree, mark
from vidsearch.cli.show import SearchProgress, clock_text, plain, size_text
from vidsearch.clock import duration_text, iso
from vidsearch.errors import DiskFull, SourceUnavailable, StoreError, UnknownRecord, UsageError, VidsearchError
from vidsearch.states import JobState

if TYPE_CHECKING:
    from vidsearch.app import App
    from vidsearch.model import Appearance
    from vidsearch.planning import Plan
    from vidsearch.worker import Worker

FAILURES_SHOWN = 3
"""Recordings named where some could not be searched."""

UPDATE_S = 0.5
"""The progress bar moves this often."""


def register(cli: click.Group) -> None:
    """Add the command."""
    cli.add_command(search)


@click.command()
@click.option("--from", "from_", metavar="TIME", help="Only from this time on, in the camera's zone (ISO 8601).")
@click.option("--to", metavar="TIME", help="Only up to this time.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given again.")
@click.option("--cores", type=click.IntRange(min=1), help="Worker processes. Default: every core.")
@click.option("--threshold", type=click.FloatRange(0, 100), help="Similarity from which a match counts.")
@click.option("--engine", metavar="NAME", help="`local` or `rekognition`. Default: as in the settings.")
@click.option("--by-track", is_flag=True, help="Rekognition: pay by the face seen, not by the minute.")
@click.option("--active-only", is_flag=True, help="Rekognition: pay only for the parts in which a face may be.")
@click.option("--no-wait", is_flag=True, help="Only queue; a running `vidsearch serve` or `work` does the rest.")
@click.option("--yes", is_flag=True, help="Do not ask: neither where the disk may be too small nor before paying.")
@case_option
@click.pass_obj
def search(
    ctx: Context,
    from_: str | None,
    to: str | None,
    cameras: tuple[str, ...],
    cores: int | None,
    threshold: float | None,
    engine: str | None,
    by_track: bool,
    active_only: bool,
    no_wait: bool,
    yes: bool,
) -> None:
    """Search what is not yet searched. Ctrl-C pauses; the same search again goes on."""
    if by_track and active_only:
        raise UsageError("--by-track and --active-only are two ways of searching: choose one")
    mode = "tracks" if by_track else "active" if active_only else None
    if no_wait and threshold is not None:
        raise UsageError("a worker names people at its own threshold: set it in the settings, or wait")
    with ctx.open(cores=cores, engine=engine, rekognition_mode=mode) as app:
        if mode and not app.engine().capabilities.priced:
            raise UsageError("--by-track and --active-only are for an engine that charges: add --engine rekognition")
        limit = app.threshold(ctx.case_id) if threshold is None else threshold
        mark(app, ctx.case_id, cameras, from_, to)
        plan = app.search.plan(ctx.case_id, threshold=limit, cameras=cameras, from_=from_, to=to)
        _announce(app, plan, yes)
        agreed = agree(app, plan, yes)
        job_ids = app.search.submit(app.actor, plan, agreed=agreed)
        if no_wait:
            click.echo(f"queued {len(job_ids)} pieces; a running `vidsearch serve` or `vidsearch work` does them")
            return
        show = _Show(app, ctx.case_id)
        if job_ids:
            again = _same_search(engine, mode)
            _work(app, ctx, plan, job_ids, show, again)
        show.found(app.search.rematch(ctx.case_id, limit, ask=True))
        _conclude(app, ctx, plan, job_ids)


def _announce(app: App, plan: Plan, yes: bool) -> None:
    """Say what will be done, how long it should take and what it needs."""
    for footage in plan.unavailable:
        click.echo(
            f"recording {footage.id} is not there ({plain(footage.path)}): attach its drive or relink it", err=True
        )
    if not plan.pieces:
        empty = "there are no recordings yet; add some with `vidsearch footage add`"
        nothing = "nothing new to analyse" if app.store.footage.list(plan.case_id) else empty
        click.echo("matching what was analysed before" if plan.rematch else nothing)
        return
    done_at = datetime.datetime.now().astimezone() + datetime.timedelta(seconds=plan.expected_s)
    click.echo(
        f"{duration_text(plan.total_ms)} of video in {plan.recordings} recording{'s' * (plan.recordings != 1)}; "
        f"about {clock_text(plan.expected_s)}, until {done_at:%H:%M}; about {size_text(plan.disk_bytes)} of disk"
    )
    if plan.encoded_ms:
        click.echo(f"{duration_text(plan.encoded_ms)} of it must be encoded as H.264 on this machine before it is sent")
    free = shutil.disk_usage(app.settings.data).free
    if plan.disk_bytes > free and not yes:
        raise DiskFull(
            f"{app.settings.data} has {size_text(free)} free and about {size_text(plan.disk_bytes)} are needed: "
            "free some space, search a shorter period, or say --yes"
        )


class _Show:
    """Print each appearance once."""

    def __init__(self, app: App, case_id: str) -> None:
        self._app = app
        self._people = {person.id: person.name for person in app.store.people.list(case_id)}
        self.bar: SearchProgress | None = None

    def found(self, appearances: Sequence[Appearance]) -> None:
        """Print new appearances, by clock time."""
        for item in appearances:
            footage = self._app.store.footage.get(item.case_id, item.footage_id)
            camera = self._app.store.footage.camera(item.case_id, item.camera_id)
            at = iso(footage.start_ms + camera.clock_offset_ms + item.start_ms, camera.zone)
            weak = " (possible: resembles a weak photo)" if item.weak else ""
            line = f"{at}  {self._people.get(item.person_id, '?')}  {camera.name}  {item.similarity:.1f}{weak}"
            if self.bar:
                self.bar.found(line)
            else:
                click.echo(plain(line))


def _same_search(engine: str | None, mode: str | None) -> str:
    """Return the command that goes on with a search."""
    words = ["vidsearch search", f"--engine {engine}" if engine else ""]
    words.append({"tracks": "--by-track", "active": "--active-only"}.get(mode or "", ""))
    return " ".join(filter(None, words))


def _work(app: App, ctx: Context, plan: Plan, job_ids: list[int], show: _Show, again: str) -> None:
    """Run the jobs in this process, or wait for whoever runs them; pause on Ctrl-C."""
    worker = app.worker(threshold=plan.threshold, on_found=show.found)
    left = threading.Event()
    with SearchProgress(plan.total_ms, plan.expected_s) as bar:
        show.bar = bar
        watcher = threading.Thread(target=_watch, args=(app, ctx.case_id, job_ids, worker, bar, left), daemon=True)
        watcher.start()
        try:
            worker.run(job_ids)
        except KeyboardInterrupt:
            worker.manager.pause()
            app.search.pause(app.actor, ctx.case_id, job_ids)
            raise VidsearchError(f"paused; nothing is lost: `{again}` goes on from here") from None
        finally:
            left.set()
            watcher.join()
            show.bar = None


def _watch(
    app: App, case_id: str, job_ids: list[int], worker: Worker, bar: SearchProgress, left: threading.Event
) -> None:
    """Move the bar: what is done in the database, and the running pieces as far as this process knows of them."""
    while not left.wait(UPDATE_S):
        # The worker meets the same trouble with the database, and reports it.
        with suppress(StoreError, UnknownRecord):
            done = app.search.progress(case_id, job_ids).done_ms
            running = sum(share * (job.end_ms - job.start_ms) for job, share in worker.manager.progress())
            bar.update(done + running, _note(app, worker))


def _note(app: App, worker: Worker) -> str:
    """Say what is waited for, or sent, where that takes its time."""
    waits, beginning = worker.manager.waits_for, worker.manager.beginning
    if waits:
        return f"waiting: {waits}"
    if app.engine().capabilities.reads_in_place:
        return ""
    if beginning is None:
        away = worker.manager.running
        return f"waiting for Amazon: {away} piece{'s' * (away != 1)}" if away else ""
    name = Path(app.store.footage.get(beginning.case_id, beginning.footage_id).path).name
    share = app.engine().progress(beginning.token)
    # In a pipe each new note is a line of its own.
    shown = sys.stdout.isatty() and share is not None
    return f"cutting and sending {name}" + (f" ({100 * (share or 0.0):.0f} %)" if shown else "")


def _conclude(app: App, ctx: Context, plan: Plan, job_ids: list[int]) -> None:
    """Say what came of it; exit 1 where a part could not be searched."""
    progress = app.search.progress(ctx.case_id, job_ids)
    name = app.engine().NAME
    total = app.store.appearances.count(ctx.case_id, engine=name)
    failed = progress.counts.get(JobState.FAILED, 0)
    if plan.pieces:
        click.echo(f"searched {duration_text(progress.searched_ms)}; {total} appearances in all")
    elif total:
        click.echo(f"{total} appearances in all")
    for other, jobs in app.store.jobs.left_of_engines(ctx.case_id).items():
        if other != name:
            click.echo(f"{jobs} pieces of another search wait: `vidsearch search --engine {other}` goes on with them")
    if failed:
        raise SourceUnavailable(
            f"{failed} of {len(job_ids)} pieces could not be searched: {_failures(app, ctx, job_ids)}"
        )
    if plan.unavailable and not plan.pieces:
        gone = len(plan.unavailable)
        are = "recording is" if gone == 1 else "recordings are"
        raise SourceUnavailable(f"{gone} {are} not there; run `vidsearch footage relink FOLDER`")


def _failures(app: App, ctx: Context, job_ids: list[int]) -> str:
    """Say which recordings could not be searched and why, the first few."""
    wanted = set(job_ids)
    reasons: dict[str, str] = {}
    for job in app.store.jobs.list(ctx.case_id, JobState.FAILED):
        if job.id in wanted:
            name = Path(app.store.footage.get(job.case_id, job.footage_id).path).name
            reasons.setdefault(name, job.error or "no reason was kept")
    shown = [f"{plain(name)}: {reason}" for name, reason in list(reasons.items())[:FAILURES_SHOWN]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more, see `vidsearch footage list`" if more else "")
