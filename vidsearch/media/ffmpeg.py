"""Run ffmpeg. ffmpeg-python writes the command lines; the binary is the system's, else the bundled one."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import ffmpeg
import imageio_ffmpeg
from ffmpeg.nodes import Stream

from vidsearch.errors import DiskFull, FFmpegFailed

LAST_BYTES: Final = 4096
"""How much of the end of ffmpeg's messages is looked at."""

LOOK_S: Final = 0.2
"""How often ``meanwhile`` is called."""

NO_SPACE: Final = "No space left on device"
"""How ffmpeg says, in every version, that the disk is full."""

CHANGED_TIMES: Final = re.compile(rb"(?i)non.monoton|invalid dts|timestamps are unset|pts.*<.*dts")
"""Warnings of times that are not written as they were given; worded a little differently in each version."""

MOST_WARNINGS: Final = 10_000
"""Lines of warnings that are looked at."""

SAYS_NOTHING: Final = "Conversion failed!"
"""What some versions say last of all, behind the reason."""


if sys.platform == "win32":
    APART: Final[dict[str, Any]] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    APART: Final[dict[str, Any]] = {"start_new_session": True}
"""Keeps the terminal's Ctrl-C from ffmpeg: it is for us, who end ffmpeg then and do not take its end for a failure."""


class Stopped(FFmpegFailed):
    """The work was stopped on request."""


def binary() -> str:
    """Return the path of ffmpeg: the system's, else the one that came with imageio-ffmpeg.

    Raises FFmpegFailed where there is neither.
    """
    system = shutil.which("ffmpeg")
    if system:
        return system
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise FFmpegFailed("there is no ffmpeg: install it, or `pip install imageio-ffmpeg`") from exc


@cache
def times_kept(program: str = "") -> Mapping[str, str]:
    """Return the option with which ffmpeg gives pictures the times they have.

    Without it version 5 fills up to a constant rate: with the fine clock that exact times need, 90,000 pictures a
    second. Versions before 5.1 call it ``vsync``, which newer ones no longer know.
    """
    line = [program or binary(), "-hide_banner", "-h", "long"]
    try:
        said = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False, **APART).stdout
    except OSError as exc:
        raise FFmpegFailed(f"{line[0]} cannot be run: {exc.strerror or exc}") from exc
    return {"fps_mode" if b"-fps_mode" in said else "vsync": "vfr"}


def run(
    command: Stream | Sequence[str],
    *,
    timeout_s: float | None = None,
    program: str = "",
    meanwhile: Callable[[], None] | None = None,
    times_as_given: bool = False,
) -> None:
    """Run ffmpeg to its end, silently.

    Args:
        command: What ffmpeg-python built, or the arguments after the program's name.
        timeout_s: Seconds after which it is ended; not together with ``meanwhile``.
        program: Path of the ffmpeg to run; empty takes ``binary()``.
        meanwhile: Called a few times a second while it runs. What it raises ends ffmpeg, and is raised.
        times_as_given: Take it for a failure where ffmpeg changes a time on its own, of which it only warns.

    Raises:
        FFmpegFailed: With the last line that ffmpeg wrote.
        DiskFull: Where that line says so.
    """
    with _started(command, program, subprocess.DEVNULL, times_as_given=times_as_given) as process:
        # Not ``wait(timeout)``, which notices the end up to 50 ms late.
        ending = threading.Thread(target=process.wait, name="waits for ffmpeg")
        ending.start()
        try:
            ending.join(LOOK_S if meanwhile else timeout_s)
            while ending.is_alive():
                if meanwhile is None:
                    raise FFmpegFailed(f"ffmpeg was ended after {timeout_s:g} s")
                meanwhile()
                ending.join(LOOK_S)
        finally:
            _end(process)
            ending.join()


class Feed:
    """What ffmpeg reads: to be written to like a file, and sent on."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """``pipe`` is the standard input of a running ffmpeg."""
        self._pipe = pipe
        self._held: list[bytes] = []
        # PyAV prints and forgets a Ctrl-C that comes while Python code writes for it. In this there is none.
        self.write: Final[Callable[[bytes], None]] = self._held.append
        """Take data, to be sent."""
        self.ended = False
        """ffmpeg takes no more: whoever writes may stop. Why, is told when the block ends."""

    def send(self) -> None:
        """Hand ffmpeg what was written, waiting until it has taken it. Never raises for an ffmpeg that is gone."""
        data = b"".join(self._held)
        self._held.clear()
        try:
            self._pipe.write(data)
        except BrokenPipeError:
            self.ended = True


@contextmanager
def fed(command: Stream | Sequence[str], *, program: str = "") -> Iterator[Feed]:
    """Run ffmpeg on what is written to the feed that is given out, until the block ends; then the rest is sent.

    Raises FFmpegFailed or DiskFull, as ``run``; also where ffmpeg ends before it has taken everything.
    """
    with _started(command, program, subprocess.PIPE) as process:
        assert process.stdin is not None
        feed = Feed(process.stdin)
        yield feed
        feed.send()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
    if feed.ended:
        raise FFmpegFailed("ffmpeg ended before it had read everything")


def size_of(made: Path) -> int:
    """Return the bytes of a file that ffmpeg made. Raises FFmpegFailed where it made none."""
    try:
        return made.stat().st_size
    except OSError as exc:
        raise FFmpegFailed(f"ffmpeg made no {made.name}: {exc.strerror or exc}") from exc


@contextmanager
def _started(
    command: Stream | Sequence[str], program: str, stdin: int, *, times_as_given: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Give ffmpeg while it runs, and raise afterwards what went wrong. It never outlives the block."""
    args = ffmpeg.get_args(command, overwrite_output=True) if isinstance(command, Stream) else list(command)
    level = "warning" if times_as_given else "error"
    line = [program or binary(), "-nostdin", "-hide_banner", "-loglevel", level, *args]
    # To a file, not a pipe: of a damaged recording ffmpeg may have a great deal to say.
    with tempfile.TemporaryFile() as messages:
        process = None
        try:
            with _ctrl_c_put_off():
                process = subprocess.Popen(line, stdin=stdin, stdout=subprocess.DEVNULL, stderr=messages, **APART)
            yield process
        except OSError as exc:
            if process is not None:
                raise
            raise FFmpegFailed(f"{line[0]} cannot be run: {exc.strerror or exc}") from exc
        finally:
            if process is not None:
                _end(process)
        if process.returncode:
            said = _last_lines(messages)
            if any(NO_SPACE in one for one in said):
                raise DiskFull
            raise FFmpegFailed(f"ffmpeg failed: {said[-1] if said else f'exit code {process.returncode}'}")
        if times_as_given and _changed_times(messages):
            raise FFmpegFailed("ffmpeg changed times that it did not like")


@contextmanager
def _ctrl_c_put_off() -> Iterator[None]:
    """Let a Ctrl-C wait for the end of the block: in the midst of a start it would leave an ffmpeg nobody knows of."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:
        yield
        return
    came = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: came.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came.is_set():
        signal.raise_signal(signal.SIGINT)


def _changed_times(messages: IO[Any]) -> bool:
    """Tell whether ffmpeg, whatever its version, warned of times that it changed."""
    messages.seek(0)
    return any(CHANGED_TIMES.search(line) for line in islice(messages, MOST_WARNINGS))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _last_lines(messages: IO[Any]) -> list[str]:
    size = messages.seek(0, 2)
    messages.seek(max(0, size - LAST_BYTES))
    lines = messages.read().decode(errors="replace").split("\n")
    return [line.strip() for line in lines if line.strip() and line.strip() != SAYS_NOTHING]
