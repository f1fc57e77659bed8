"""Run AWS on this machine: moto, our own Rekognition, and what setup_aws.py makes in them. See scripts/aws-local."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parents[1]
ACCOUNT = "123456789012"
"""Of everybody, at moto."""

REGION = "us-east-1"
SERVICES = ("S3", "SNS", "SQS", "IAM", "STS")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Credentials that are none. Without them boto3 might find real ones, and a mistake would reach a real account."""

FORGOTTEN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
"""Variables that would lead elsewhere."""


class Failed(Exception):
    """The stack could not be started; the reason in one line."""


def main(words: Sequence[str]) -> int:
    """Start the stack, run the command or wait, stop the stack; return the exit code."""
    given = _arguments(words)
    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: stop.set())
    try:
        with ExitStack() as stack:
            data = given.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidsearch-aws-")))
            _check_not_real(data)
            own = stack.enter_context(running(data, given.faults))
            if given.command:
                return _run(given.command, environment(own), stop)
            _tell(own)
            stop.wait()
    except Failed as exc:
        print(f"aws-local: {exc}", file=sys.stderr)
        return 1
    return 0


def _check_not_real(data: Path) -> None:
    """Refuse a data folder that was set up for an account of Amazon's: what is written there would be lost."""
    file = data / "aws.toml"
    if file.exists() and ACCOUNT not in file.read_text(encoding="utf-8"):
        raise Failed(f"{data} is set up for a real account; take another folder with --data")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/aws-local", description="AWS on this machine, to play with.")
    parser.add_argument("--data", type=Path, help="data folder (default: one that goes when this ends)")
    parser.add_argument("--faults", help="what goes wrong: see docs/rekognition-local.md")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="runs inside, and everything ends with it")
    return parser.parse_args(words)


@contextmanager
def running(data: Path, faults: str | None = None) -> Iterator[dict[str, str]]:
    """Start the stack over a data folder, give the variables that lead to it, and stop it in the end.

    moto runs in this process and looks at its variables, which are changed for good, so that
    nothing leads to a real account.
    """
    for name in FORGOTTEN:
        os.environ.pop(name, None)
    os.environ.update(CREDENTIALS)
    own = {**CREDENTIALS, "VIDSEARCH_DATA": str(data.absolute())}
    with _moto() as moto:
        # Whatever else is asked goes to moto as well, and not to Amazon.
        own |= {"AWS_ENDPOINT_URL": moto, **{f"AWS_ENDPOINT_URL_{service}": moto for service in SERVICES}}
        with _rekognition(environment(own), faults) as rekognition:
            own["AWS_ENDPOINT_URL_REKOGNITION"] = rekognition
            _set_up(environment(own))
            yield own


@contextmanager
def _moto() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def _rekognition(environment: Mapping[str, str], faults: str | None) -> Iterator[str]:
    command = [sys.executable, "-m", "vidsearch", "rekognition-local", "--port", "0"]
    command += ["--faults", faults] if faults else []
    # In a session of its own: Ctrl-C is ours to handle, and it is stopped after what uses it.
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if "=" not in said:
                raise Failed("rekognition-local could not be started; the line above says why")
            yield said.partition("=")[2].split()[0]
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _set_up(environment: Mapping[str, str]) -> None:
    """Make bucket, role, topic and queue as anybody would, where the script for it is there."""
    script = ROOT / "setup_aws.py"
    if not script.exists():
        return
    command = [sys.executable, str(script), "--region", REGION, "--acknowledge-terms", "--yes"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise Failed("setup_aws.py failed; its words are above")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command that runs inside the stack."""
    # So that the command finds `vidsearch` and `python` of this checkout.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **own}


def _run(command: Sequence[str], environment: Mapping[str, str], stop: threading.Event) -> int:
    """Run a command to its end, or to ours."""
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as exc:
        raise Failed(f"{command[0]} cannot be run: {exc.strerror or exc}") from exc
    with process:
        while process.poll() is None:
            if stop.wait(0.1):
                process.terminate()
                process.wait()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _tell(own: Mapping[str, str]) -> None:
    print("# AWS on this machine. In another terminal paste these lines, then use vidsearch, boto3 or the AWS CLI:")
    for name in FORGOTTEN:
        print(f"unset {name}")
    for name, value in own.items():
        print(f"export {name}={shlex.quote(value)}")
    print("# Ctrl-C here stops everything.", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
