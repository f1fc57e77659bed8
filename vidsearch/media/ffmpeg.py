"""Run ffmpeg. ffmpeg-python writes the command lines; the binary is the system's, else the bundled one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any, Final

import ffmpeg
import imageio_ffmpeg
from ffmpeg.nodes import Stream

from vidsearch.errors import FFmpegFailed

LAST_BYTES: Final = 4096
"""How much of the end of ffmpeg's messages is looked at."""


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


def run(command: Stream | Sequence[str], *, timeout_s: float | None = None) -> None:
    """Run ffmpeg to its end, silently.

    Args:
        command: What ffmpeg-python built, or the arguments after the program's name.
        timeout_s: Seconds after which it is ended.

    Raises:
        FFmpegFailed: With the last line that ffmpeg wrote.
    """
    args = ffmpeg.get_args(command, overwrite_output=True) if isinstance(command, Stream) else list(command)
    line = [binary(), "-nostdin", "-hide_banner", "-loglevel", "error", *args]
    # To a file, not a pipe: of a damaged recording ffmpeg may have a great deal to say.
    with tempfile.TemporaryFile() as messages:
        try:
            done = subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise FFmpegFailed(f"ffmpeg was ended after {timeout_s:g} s") from exc
        except OSError as exc:
            raise FFmpegFailed(f"{line[0]} cannot be run: {exc.strerror or exc}") from exc
        if done.returncode:
            raise FFmpegFailed(f"ffmpeg failed: {_last_line(messages) or f'exit code {done.returncode}'}")


def _last_line(messages: IO[Any]) -> str:
    size = messages.seek(0, 2)
    messages.seek(max(0, size - LAST_BYTES))
    lines = messages.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
