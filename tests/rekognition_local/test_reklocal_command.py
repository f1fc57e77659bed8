"""The command and the script, as processes of their own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.aws_stack import REGION, SERVICES, AwsPlace
from vidsearch.aws.session import Clients

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(aws: AwsPlace, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``vidsearch rekognition-local`` and give the process and its URL. Kills it if it is still there."""
    environment = {**os.environ, **aws.stack.environment(), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "vidsearch", "rekognition-local", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(
        [*command, "--cores", "1", *options], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready
            line = process.stdout.readline()
            assert line.startswith("export AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:")
            yield process, line.split("=")[1].split()[0]
        finally:
            process.kill()


@contextmanager
def client_of(aws: AwsPlace, url: str) -> Iterator[Any]:
    endpoints = {**dict.fromkeys(SERVICES, aws.stack.moto_url), "rekognition": url}
    clients = Clients(REGION, endpoints=endpoints, attempts=2)
    yield clients("rekognition")
    clients.close()


def test_killed_in_the_middle_of_a_job_it_goes_on(
    aws: AwsPlace, clip: Path, portrait: dict[str, bytes], tmp_path: Path
) -> None:
    video = aws.upload(clip, "clip.mp4")
    with serving(aws, tmp_path, "--faults", '{"job_s": 600}', "--model-version", "6.5") as (process, url):
        with client_of(aws, url) as client:
            assert client.create_collection(CollectionId="people")["FaceModelVersion"] == "6.5"
            client.index_faces(CollectionId="people", Image=portrait, ExternalImageId="eileen")
            job = client.start_face_search(
                Video=video, CollectionId="people", NotificationChannel=aws.channel, ClientRequestToken="once"
            )["JobId"]
        process.kill()
    with serving(aws, tmp_path) as (process, url):
        (message,) = aws.messages()
        assert (message["JobId"], message["Status"]) == (job, "SUCCEEDED")
        with client_of(aws, url) as client:
            persons = client.get_face_search(JobId=job)["Persons"]
        assert {match["Face"]["ExternalImageId"] for person in persons for match in person["FaceMatches"]} == {"eileen"}
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    _gone, left = psutil.wait_procs(workers, timeout=10)
    assert not left
    # Collections describe faces: nobody else may read them.
    assert (tmp_path / "rekognition.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "serves this machine only"),
        (["--faults", "{}x"], "the faults are not JSON"),
        (["--model-version", "seven"], "is not a version such as 7.0"),
    ],
)
def test_what_it_does_not_take_is_one_line(tmp_path: Path, models: Path, options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "vidsearch", "rekognition-local", "--folder", str(tmp_path / "f"), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith("vidsearch: AWS_")]) == 1


def test_the_whole_stack_runs_a_command(models: Path, tmp_path: Path) -> None:
    script = (
        "import boto3, json, os;"
        "r = boto3.client('rekognition'); r.create_collection(CollectionId='mine');"
        "print(json.dumps([r.list_collections()['CollectionIds'], boto3.client('sts').get_caller_identity()['Account'],"
        " os.environ['VIDSEARCH_DATA'], os.environ['AWS_ENDPOINT_URL_S3']])); exit(7)"
    )
    environment = {**os.environ, "AWS_PROFILE": "somebody"}
    command = [sys.executable, str(ROOT / "scripts" / "aws_local.py"), "--data", str(tmp_path / "data"), "--"]
    done = subprocess.run(
        [*command, "python", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 7, done.stderr
    names, account, data, s3 = json.loads(done.stdout.splitlines()[-1])
    assert (names, account, data) == (["mine"], "123456789012", str(tmp_path / "data"))
    assert s3.startswith("http://127.0.0.1:")
