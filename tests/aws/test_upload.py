"""Uploads to a real S3 server over HTTP (moto's): killed, cut off, throttled, forgotten, changed on the way."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.s3 import models as s3_models
from moto.server import ThreadedMotoServer

from tests.fakes.s3_proxy import SLOW_DOWN, Asked, S3Proxy
from vidsearch.aws import parts, unfinished
from vidsearch.aws.session import Clients
from vidsearch.aws.upload import Uploader
from vidsearch.errors import (
    AwsDenied,
    AwsNotFound,
    AwsRefused,
    AwsThrottled,
    AwsUnreachable,
    DiskFull,
    EngineBusy,
    SourceUnavailable,
)

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
PART = 256 * 1024
"""So that the tests are quick; `test_parts_as_large_as_s3_wants_them` takes real ones."""
BUCKET = "vidsearch-test"
KEY = "vidsearch/uploads/one.mp4"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LEAST_PART", 1024)
    monkeypatch.setattr(s3_models, "S3_UPLOAD_PART_MIN_SIZE", 1024)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def proxy(server: str) -> Iterator[S3Proxy]:
    made = S3Proxy(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def direct(server: str) -> Iterator[object]:
    """Return a client that does not go through the proxy."""
    session = boto3.Session("testing", "testing", region_name="eu-west-1")
    client = session.client("s3", endpoint_url=server)
    yield client
    client.close()


@pytest.fixture
def s3(direct) -> Iterator[object]:
    """Return a client that does not go through the proxy, with a fresh bucket."""
    client = direct
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield client
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def clients(proxy: S3Proxy) -> Iterator[Clients]:
    made = Clients("eu-west-1", attempts=3, endpoints={"s3": proxy.url})
    yield made
    made.close()


@pytest.fixture
def uploader(clients: Clients, s3: object) -> Uploader:
    return Uploader(clients, BUCKET, part_bytes=PART, threads=2)


def make(path: Path, size: int, seed: int = 1) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Return a file of seven parts, the last one short."""
    return make(tmp_path / "film.mp4", 6 * PART + 12_345)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "one.json"


def arrived(s3, path: Path, key: str = KEY) -> bool:
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return hashlib.sha256(body).digest() == hashlib.sha256(path.read_bytes()).digest()


def unfinished_uploads(s3) -> list[str]:
    return [upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def cut_short(uploader: Uploader, film: Path, state: Path, after: int = 2 * PART) -> None:
    """Leave an upload of which some parts are there."""
    reached = [0]
    with pytest.raises(EngineBusy):
        uploader.put(
            film, KEY, state=state, on_bytes=lambda done, _: reached.append(done), stop=lambda: reached[-1] >= after
        )


# -- the ordinary way ------------------------------------------------------------------------------------------------


def test_a_large_file_goes_in_parts_and_arrives_whole(uploader, proxy, s3, film, state):
    told: list[tuple[int, int]] = []
    there = uploader.put(film, KEY, state=state, on_bytes=lambda done, total: told.append((done, total)))
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert (there.key, there.size) == (KEY, film.stat().st_size)
    assert there.checksum == parts.checksum_of(film, there.size, PART)
    assert there.checksum.endswith("-7")
    assert told == sorted(told)
    assert told[-1] == (there.size, there.size)
    assert len(told) >= 7
    assert list(state.parent.iterdir()) == []
    head = s3.head_object(Bucket=BUCKET, Key=KEY)
    assert head["ContentType"] == "video/mp4"


def test_every_part_carries_its_checksum(uploader, proxy, film, state):
    uploader.put(film, KEY, state=state)
    sent = [asked for asked in proxy.asked if asked.operation == "UploadPart"]
    assert all(asked.headers["x-amz-checksum-crc32"] for asked in sent)
    created = next(asked for asked in proxy.asked if asked.operation == "CreateMultipartUpload")
    assert created.headers["x-amz-checksum-algorithm"] == "CRC32"


def test_a_small_file_goes_whole(uploader, proxy, s3, tmp_path, state):
    path = make(tmp_path / "small.mp4", PART)
    there = uploader.put(path, KEY, state=state)
    assert arrived(s3, path)
    assert proxy.count("PutObject") == 1
    assert proxy.count("CreateMultipartUpload") == 0
    assert there.checksum == parts.checksum_of(path, PART, 0)


def test_an_empty_file_arrives(uploader, s3, tmp_path, state):
    path = make(tmp_path / "empty.mp4", 0)
    there = uploader.put(path, KEY, state=state)
    assert (there.size, arrived(s3, path)) == (0, True)


def test_what_is_there_is_not_sent_again(uploader, proxy, film, state):
    first = uploader.put(film, KEY, state=state)
    proxy.asked.clear()
    told: list[int] = []
    assert uploader.put(film, KEY, state=state, on_bytes=lambda done, _: told.append(done)) == first
    assert proxy.parts() == []
    assert told == [first.size]


def test_a_kms_key_is_asked_for(clients, proxy, s3, film, tmp_path, state):
    uploader = Uploader(clients, BUCKET, kms_key="arn:aws:kms:eu-west-1:123456789012:key/k", part_bytes=PART)
    uploader.put(film, KEY, state=state)
    uploader.put(make(tmp_path / "small.mp4", 10), "small", state=state)
    for operation in ("CreateMultipartUpload", "PutObject"):
        asked = next(asked for asked in proxy.asked if asked.operation == operation)
        assert asked.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert asked.headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith("key/k")


def test_exists_and_remove(uploader, film, tmp_path, state):
    assert uploader.exists(KEY) is None
    there = uploader.put(film, KEY, state=state)
    assert uploader.exists(KEY) == there
    assert uploader.exists(KEY[:-1]) is None
    uploader.remove(KEY)
    assert uploader.exists(KEY) is None
    uploader.remove(KEY)


def test_names_with_odd_letters(uploader, s3, tmp_path, state):
    path = make(tmp_path / "Süd eingang+1.mp4", 10)
    key = "vidsearch/Süd eingang+1 & 2.mp4"
    assert uploader.put(path, key, state=state).key == key
    assert uploader.exists(key) is not None


def test_versions_are_told_and_removed(uploader, s3, tmp_path, state):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    there = uploader.put(make(tmp_path / "small.mp4", 10), KEY, state=state)
    assert there.version_id
    uploader.remove(KEY, version_id=there.version_id)
    assert "Versions" not in s3.list_object_versions(Bucket=BUCKET)


def test_parts_as_large_as_s3_wants_them(clients, proxy, s3, tmp_path, state, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    path = make(tmp_path / "film.mp4", 11 * MIB)
    there = Uploader(clients, BUCKET, part_bytes=1).put(path, KEY, state=state)
    assert sorted(proxy.parts()) == [1, 2, 3]
    assert arrived(s3, path)
    assert there.checksum == parts.checksum_of(path, 11 * MIB, 5 * MIB)


# -- going on --------------------------------------------------------------------------------------------------------


def test_kill_in_the_middle_then_go_on(uploader, proxy, s3, film, state):
    proxy.delay_s = 0.15
    command = [sys.executable, str(ROOT / "tests/fakes/crash_upload.py"), proxy.url, BUCKET, str(film), KEY, str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=with_root()) as process:
        seen = [process.stdout.readline() for _ in range(3)]
        process.kill()
    assert int(seen[-1].split()[0]) == 3 * PART
    proxy.settle()
    before = proxy.parts()
    assert 3 <= len(before) < 7
    proxy.delay_s = 0
    told: list[int] = []
    uploader.put(film, KEY, state=state, on_bytes=lambda done, _: told.append(done))
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert proxy.count("CreateMultipartUpload") == 1
    assert told == sorted(told)
    assert unfinished_uploads(s3) == []


def test_kill_at_any_instant(uploader, proxy, s3, film, state):
    """No part is sent twice that was told to be there, whenever the process dies."""
    chance = random.Random(7)
    proxy.delay_s = 0.05
    command = [sys.executable, str(ROOT / "tests/fakes/crash_upload.py"), proxy.url, BUCKET, str(film), KEY, str(state)]
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=with_root()) as process:
            # Until the first part is there, a process mostly loads boto3.
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            process.kill()
        proxy.settle()
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]


def test_kill_between_the_last_part_and_the_record(uploader, proxy, s3, film, state):
    """The answer to the last call is lost with the process: the object is found."""
    cut_short(uploader, film, state)
    held = state.read_bytes()
    uploader.put(film, KEY, state=state)
    state.write_bytes(held)
    proxy.asked.clear()
    uploader.put(film, KEY, state=state)
    assert proxy.parts() == []
    assert not state.exists()


def test_stop_then_go_on(uploader, proxy, s3, film, state):
    cut_short(uploader, film, state)
    assert state.exists()
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]


def test_other_part_size_in_the_settings_goes_on_with_the_old_one(clients, uploader, proxy, s3, film, state):
    cut_short(uploader, film, state)
    Uploader(clients, BUCKET, part_bytes=2 * PART).put(film, KEY, state=state)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert arrived(s3, film)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"bucket": 1}',
        b"\xff\xfe",
        b'{"bucket":"b","key":"k","upload_id":"u","mark":"m","part_bytes":0}',
    ],
)
def test_a_damaged_state_starts_anew(uploader, s3, film, state, content):
    state.parent.mkdir()
    state.write_bytes(content)
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert not state.exists()


def test_a_part_that_is_not_the_files_is_sent_again(uploader, proxy, s3, film, state):
    cut_short(uploader, film, state)
    upload = json.loads(state.read_bytes())["upload_id"]
    s3.upload_part(Bucket=BUCKET, Key=KEY, UploadId=upload, PartNumber=1, Body=b"x" * PART)
    s3.upload_part(Bucket=BUCKET, Key=KEY, UploadId=upload, PartNumber=2, Body=b"short")
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 1, 2, 2, 3, 4, 5, 6, 7]


def test_a_changed_source_starts_anew_and_aborts_the_old_upload(uploader, proxy, s3, film, state):
    cut_short(uploader, film, state)
    old = unfinished_uploads(s3)
    make(film, film.stat().st_size, seed=2)
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert len(old) == 1
    assert unfinished_uploads(s3) == []
    assert proxy.count("AbortMultipartUpload") == 1


def test_another_key_in_the_state_starts_anew(uploader, s3, film, state):
    cut_short(uploader, film, state)
    uploader.put(film, "other", state=state)
    assert arrived(s3, film, "other")
    assert unfinished_uploads(s3) == []


def test_an_upload_that_s3_forgot_starts_anew(uploader, proxy, s3, film, state):
    cut_short(uploader, film, state)
    for upload in unfinished_uploads(s3):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload)
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert proxy.count("CreateMultipartUpload") == 2


def forgotten(s3):
    """Answer as S3 does for an upload that was aborted; moto answers 500."""
    said = b"<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>"

    def answer(asked: Asked):
        lost = asked.operation == "UploadPart" and asked.query["uploadId"] not in unfinished_uploads(s3)
        return (404, said) if lost else None

    return answer


def test_an_upload_aborted_on_the_way_starts_anew_once(uploader, proxy, s3, film, state):
    told: list[int] = []
    proxy.answer = forgotten(s3)

    def meddle(done: int, _total: int) -> None:
        told.append(done)
        if done == 2 * PART and proxy.count("CreateMultipartUpload") == 1:
            for upload in unfinished_uploads(s3):
                s3.abort_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload)

    uploader.put(film, KEY, state=state, on_bytes=meddle)
    assert arrived(s3, film)
    assert told == sorted(told)
    assert proxy.count("CreateMultipartUpload") == 2


def test_an_upload_that_is_always_aborted_is_given_up(uploader, proxy, s3, film, state):
    proxy.answer = forgotten(s3)

    def meddle(_done: int, _total: int) -> None:
        for upload in unfinished_uploads(s3):
            s3.abort_multipart_upload(Bucket=BUCKET, Key=KEY, UploadId=upload)

    with pytest.raises(AwsRefused, match="ends the upload"):
        uploader.put(film, KEY, state=state, on_bytes=meddle)


def test_the_lost_answer_to_completing_is_no_failure(uploader, proxy, s3, film, state):
    lost = []

    def answer(asked: Asked):
        if asked.operation == "CompleteMultipartUpload" and not lost:
            lost.append(1)
            return "lose the answer"
        return None

    proxy.answer = answer
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert proxy.count("CreateMultipartUpload") == 1


# -- trouble ---------------------------------------------------------------------------------------------------------


def test_throttling_is_waited_out(uploader, proxy, s3, film, state):
    refused = []

    def answer(asked: Asked):
        if asked.operation == "UploadPart" and len(refused) < 2:
            refused.append(asked)
            return 503, SLOW_DOWN
        return None

    proxy.answer = answer
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert len(refused) == 2


def test_lasting_throttling_is_said_in_one_line_and_the_next_call_goes_on(uploader, proxy, s3, film, state):
    proxy.answer = lambda asked: (503, SLOW_DOWN) if asked.query.get("partNumber") == "4" else None
    with pytest.raises(AwsThrottled, match=r"cannot upload film.mp4 to s3://.*slow down") as caught:
        uploader.put(film, KEY, state=state)
    assert "\n" not in str(caught.value)
    before = sorted(proxy.parts())
    assert len(before) >= 3
    proxy.answer = lambda asked: None
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]


def test_the_network_lost_midway_and_back(uploader, proxy, s3, film, state):
    proxy.answer = lambda asked: "lose" if len(proxy.parts()) >= 3 else None
    with pytest.raises(AwsUnreachable, match="check the network"):
        uploader.put(film, KEY, state=state)
    proxy.answer = lambda asked: None
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert proxy.count("CreateMultipartUpload") == 1


def test_nobody_listens(s3, film, state):
    clients = Clients("eu-west-1", attempts=1, endpoints={"s3": "http://127.0.0.1:9"})
    with pytest.raises(AwsUnreachable, match="check the network"):
        Uploader(clients, BUCKET).put(film, KEY, state=state)
    clients.close()


def test_no_such_bucket(clients, s3, film, state):
    with pytest.raises(AwsNotFound, match="bucket"):
        Uploader(clients, "nobody-has-this").put(film, KEY, state=state)
    with pytest.raises(AwsNotFound, match="bucket"):
        Uploader(clients, "nobody-has-this").exists(KEY)
    with pytest.raises(AwsNotFound, match=r"does not exist; run `python setup_aws.py`"):
        Uploader(clients, "nobody-has-this").exists(KEY)


def test_a_missing_permission_is_named(uploader, proxy, film, state):
    said = (
        b"<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/u is not authorized to perform: "
        b"s3:PutObject on resource: x</Message></Error>"
    )
    proxy.answer = lambda asked: (403, said) if asked.operation == "CreateMultipartUpload" else None
    with pytest.raises(AwsDenied, match=r"permission s3:PutObject is missing"):
        uploader.put(film, KEY, state=state)
    assert not state.exists()


def test_no_credentials(film, state, proxy, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    clients = Clients("eu-west-1", endpoints={"s3": proxy.url})
    with pytest.raises(AwsDenied, match="no AWS credentials"):
        Uploader(clients, BUCKET).put(film, KEY, state=state)
    clients.close()


def test_what_arrives_damaged_is_removed_and_told(uploader, clients, s3, film, state):
    def damage(parsed, **_):
        parsed["ChecksumCRC32"] = "AAAAAA==-7"

    events = clients("s3").meta.events
    events.register("after-call.s3.HeadObject", damage)
    with pytest.raises(AwsRefused, match="arrived damaged"):
        uploader.put(film, KEY, state=state)
    assert uploader.exists(KEY) is None
    events.unregister("after-call.s3.HeadObject", damage)
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)


def test_a_wrong_size_is_found_where_the_service_tells_no_checksum(uploader, clients, film, state):
    def damage(parsed, **_):
        parsed.pop("ChecksumCRC32", None)
        parsed["ContentLength"] = 7

    clients("s3").meta.events.register("after-call.s3.HeadObject", damage)
    with pytest.raises(AwsRefused, match="arrived damaged"):
        uploader.put(film, KEY, state=state)


def test_another_file_under_the_key_is_replaced(uploader, s3, film, state):
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"something else")
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)


def test_no_source(uploader, tmp_path, state):
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        uploader.put(tmp_path / "gone.mp4", KEY, state=state)


def test_the_source_changes_on_the_way(uploader, s3, film, state):
    def meddle(done: int, _total: int) -> None:
        if done == 3 * PART:
            with film.open("ab") as stream:
                stream.write(b"more")

    with pytest.raises(SourceUnavailable, match="changed while it was uploaded"):
        uploader.put(film, KEY, state=state, on_bytes=meddle)
    assert unfinished_uploads(s3) == []
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)


def test_the_source_is_cut_off_on_the_way(uploader, s3, film, state):
    def meddle(done: int, _total: int) -> None:
        if done == 2 * PART:
            os.truncate(film, 3 * PART)

    with pytest.raises(SourceUnavailable):
        uploader.put(film, KEY, state=state, on_bytes=meddle)
    uploader.put(film, KEY, state=state)
    assert arrived(s3, film)


def test_an_error_of_the_listener_passes_through_and_nothing_is_lost(uploader, proxy, s3, film, state):
    def refuse(_done: int, _total: int) -> None:
        raise LookupError("the lease is lost")

    with pytest.raises(LookupError):
        uploader.put(film, KEY, state=state, on_bytes=refuse)
    assert threading.active_count() < 40
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("upload")]
    uploader.put(film, KEY, state=state)
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]


def test_the_disk_of_the_state_is_full(uploader, s3, film, state, monkeypatch):
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unfinished.os, "fsync", full)
    with pytest.raises(DiskFull):
        uploader.put(film, KEY, state=state)


# -- several at once -------------------------------------------------------------------------------------------------


def test_two_processes_on_one_key_send_it_once(uploader, proxy, s3, film, state):
    proxy.delay_s = 0.05
    command = [sys.executable, str(ROOT / "tests/fakes/crash_upload.py"), proxy.url, BUCKET, str(film), KEY, str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=with_root()) as process:
        process.stdout.readline()
        uploader.put(film, KEY, state=state)
        rest = process.stdout.read()
    assert "done" in rest
    assert process.returncode == 0
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert arrived(s3, film)


def test_the_second_goes_on_where_the_first_is_killed(uploader, proxy, s3, film, state):
    proxy.delay_s = 0.1
    command = [sys.executable, str(ROOT / "tests/fakes/crash_upload.py"), proxy.url, BUCKET, str(film), KEY, str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=with_root()) as process:
        process.stdout.readline()
        killer = threading.Timer(0.3, process.kill)
        killer.start()
        uploader.put(film, KEY, state=state)
        killer.join()
    assert arrived(s3, film)
    assert proxy.count("CreateMultipartUpload") == 1


def test_threads_on_one_key_take_turns(uploader, proxy, s3, film, state):
    threads = [threading.Thread(target=uploader.put, args=(film, KEY), kwargs={"state": state}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(proxy.parts()) == [1, 2, 3, 4, 5, 6, 7]
    assert list(state.parent.iterdir()) == []


def test_stopped_while_another_works(uploader, film, state):
    with unfinished.alone(state, lambda: False), pytest.raises(EngineBusy, match="another process"):
        uploader.put(film, KEY, state=state, stop=lambda: True)


# -- leftovers -------------------------------------------------------------------------------------------------------


def test_remove_ends_an_unfinished_upload(uploader, s3, film, state):
    cut_short(uploader, film, state)
    uploader.remove(KEY, state=state)
    assert unfinished_uploads(s3) == []
    assert not state.exists()
    cut_short(uploader, film, state)
    uploader.remove(KEY)
    assert unfinished_uploads(s3) == []


def test_leftovers_are_aborted_but_those_at_work_are_kept(uploader, s3, film, state, tmp_path):
    s3.create_multipart_upload(Bucket=BUCKET, Key="vidsearch/uploads/lost.mp4")
    s3.create_multipart_upload(Bucket=BUCKET, Key="vidsearch/uploads/at-work.mp4")
    s3.create_multipart_upload(Bucket=BUCKET, Key="another-program/x")
    assert uploader.abort_leftovers("vidsearch/", keep={"vidsearch/uploads/at-work.mp4"}) == 1
    keys = {upload["Key"] for upload in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]}
    assert keys == {"vidsearch/uploads/at-work.mp4", "another-program/x"}


# -- parts -----------------------------------------------------------------------------------------------------------


def test_parts_grow_so_that_ten_thousand_are_enough():
    for size in (0, 1, PART, PART + 1, 8_000_000_000, 160 << 30, 5 << 40):
        length = parts.part_size(size, 16 * MIB)
        pieces = parts.cut(size, length)
        assert len(pieces) <= 10_000
        assert length >= 16 * MIB
        assert sum(piece.size for piece in pieces) == size
        assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
        assert all(piece.size <= 5 << 30 for piece in pieces)
    assert parts.part_size(10, 1) == parts.LEAST_PART
    with pytest.raises(AwsRefused, match="5 TiB"):
        parts.part_size((5 << 40) + 1, PART)


def test_a_part_reads_like_a_file_of_its_own(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    with parts.PartReader(path, parts.Part(2, 10, 20)) as reader:
        assert reader.read() == bytes(range(10, 30))
        assert reader.read(5) == b""
        assert reader.seek(-5, 2) == 15
        assert reader.read(100) == bytes(range(25, 30))
        assert reader.seek(0) == 0
        assert reader.read(3) == bytes((10, 11, 12))
        assert reader.tell() == 3


def test_parts_are_read_in_blocks(clients, s3, tmp_path, state):
    """What is in memory does not grow with the parts: the client gets a reader of the file, and no bytes."""
    path = make(tmp_path / "film.mp4", 32 * MIB)
    taken: list[int] = []

    def look(request, **_):
        assert not isinstance(request.body, bytes | bytearray)
        taken.append(tracemalloc.get_traced_memory()[1])

    clients("s3").meta.events.register("before-send.s3.UploadPart", look)
    tracemalloc.start()
    try:
        Uploader(clients, BUCKET, part_bytes=16 * MIB, threads=2).put(path, KEY, state=state, stop=lambda: bool(taken))
    except EngineBusy:
        pass
    finally:
        tracemalloc.stop()
    # The server of the tests is in this process too, and holds what it got; until the first part leaves, it has none.
    assert taken[0] < 12 * MIB


def with_root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
