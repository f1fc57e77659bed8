"""Tables and progress for people; plain lines where the output goes into a pipe."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

TOLD_FROM = 0.05
"""Share that must be done before its speed is believed of the rest."""

PLAIN_EVERY_S = 10.0
"""In a pipe, progress is a line at most this often."""


def plain(text: str) -> str:
    """Return a text without what would act on a terminal: file and camera names may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs") or c in "\t\u200d" else "\ufffd" for c in text
    )


def console(stderr: bool = False) -> Console:
    """Return a console for stdout or stderr; in a pipe it neither colours nor wraps."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Print rows as a table, or with tabs between the cells in a pipe."""
    out = console()
    if not out.is_terminal:
        for row in rows:
            print("\t".join(plain(str(cell)).replace("\t", " ") for cell in row))
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    for row in rows:
        grid.add_row(*(escape(plain(str(cell))) for cell in row))
    out.print(grid)


def size_text(size: float) -> str:
    """Return bytes in the unit people use: ``3.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@contextmanager
def counting(total: int, what: str) -> Iterator[Counter]:
    """Show how many of ``total`` are done while the block runs."""
    counter = Counter(total, what)
    with counter:
        yield counter


class Counter:
    """A bar on a terminal; nothing in a pipe, where the outcome lines themselves tell."""

    def __init__(self, total: int, what: str) -> None:
        """Make a counter; nothing is shown for a handful."""
        self._shown = total > 3 and sys.stdout.isatty()
        self._progress = Progress(
            TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
        )
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> None:
        if self._shown:
            self._progress.start()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._progress.stop()

    def line(self, text: str) -> None:
        """Print a line above the bar and count one."""
        text = plain(text)
        if self._shown:
            self._progress.console.print(escape(text), soft_wrap=True)
            self._progress.advance(self._task)
        else:
            print(text, flush=True)


class SearchProgress:
    """Rate, share and time left of a running search, with lines for what is found."""

    def __init__(self, total_ms: int, expected_s: float, doing: str = "searching") -> None:
        """``total_ms`` is the length of recording to analyse; ``expected_s`` is believed until a piece is done."""
        self._total = max(1, total_ms)
        self._expected = expected_s
        self._begun = time.monotonic()
        self._said = self._begun
        self._live = sys.stdout.isatty()
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[note]}"),
            transient=True,
        )
        self._task = self._bar.add_task("search", total=self._total, rate="", left="", note="")
        self._note = ""

    def __enter__(self) -> SearchProgress:
        """Begin to show."""
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        if self._live:
            self._bar.stop()

    def found(self, text: str) -> None:
        """Print an appearance as it is found."""
        text = plain(text)
        if self._live:
            self._bar.console.print(escape(text), soft_wrap=True)
        else:
            print(text, flush=True)

    def update(self, done_ms: float, note: str = "") -> None:
        """Show how much is done, and in a few words what is waited for."""
        passed = time.monotonic() - self._begun
        # What little is done at first tells nothing of the rest.
        told = done_ms >= TOLD_FROM * self._total and passed > 0
        rate = done_ms / 1000 / passed if told else 0.0
        left = (self._total - done_ms) / 1000 / rate if rate else self._expected - passed
        speed = f"{rate:.1f} x real time" if rate else f"first pieces, {clock_text(passed)} so far"
        words = speed, f"{clock_text(left)} left" if left > 0 else ""
        if self._live:
            self._bar.update(self._task, completed=done_ms, rate=words[0], left=words[1], note=escape(plain(note)))
        elif note and note != self._note:
            print(plain(note), flush=True)
        elif time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            print(f"{100 * done_ms / self._total:.0f} % · {' · '.join(filter(None, words))}", flush=True)
        self._note = note


def clock_text(seconds: float) -> str:
    """Return a time to wait: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
