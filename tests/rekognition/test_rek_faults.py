"""Runs on bad days: every fault that the local Rekognition knows, and crashes. Nothing is lost, nothing paid twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.aws_stack import AwsPlace
from tests.faces import finish, pages, picture
from tests.fakes.crash_start import INSTANTS
from tests.rekognition.conftest import CASE, told
from tests.rekognition_engine import CopyCutter, WholeCutter, resources_of
from vidsearch.aws.upload import Uploader
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition import sending
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.errors import (
    AwsDenied,
    AwsNotFound,
    AwsNotSetUp,
    AwsRefused,
    AwsUnreachable,
    EngineBusy,
    UnknownRecord,
)
from vidsearch.model import SpanOutcome

Open = Callable[..., RekognitionEngine]
Faulty = Callable[..., None]
Starts = Callable[[], list[bool]]


def keys(aws: AwsPlace) -> list[str]:
    listed = aws.clients("s3").list_objects_v2(Bucket=aws.bucket)
    return [found["Key"] for found in listed.get("Contents", [])]


def found(engine: RekognitionEngine, ref: str) -> tuple[list[Any], list[Any]]:
    read = pages(engine, ref)
    return [track for page in read for track in page.tracks], [match for page in read for match in page.matches]


# -- starting --------------------------------------------------------------------------------------------------------


def test_an_answer_that_is_lost_is_asked_for_again(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, starts: Starts
) -> None:
    faults(lost_answer_every={"StartFaceSearch": 1})
    with pytest.raises(AwsUnreachable):
        engine.start(work, "t1")
    faults()
    assert engine.start(work, "t1") == "t1"
    assert finish(engine, "t1")["t1"].error is None
    assert starts() == [True, False, False, False, False]
    assert found(engine, "t1")[1]


def test_a_later_attempt_finds_the_job_whose_answer_was_lost(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.engines.rekognition.calls.START_TRIES", 1)
    faults(lost_answer_every={"StartFaceSearch": 1})
    with pytest.raises(AwsUnreachable):
        engine.start(work, "t1")
    faults()
    assert engine.start(work, "t2") == "t2"
    assert finish(engine, "t2")["t2"].error is None
    assert starts().count(True) == 1


def test_two_attempts_at_the_same_are_both_told_and_paid_for_once(
    engine: RekognitionEngine, open_engine: Open, work: RunRequest, starts: Starts
) -> None:
    other = open_engine()
    engine.start(work, "t1")
    other.start(work, "t2")
    assert finish(engine, "t1")["t1"].error is None
    assert finish(other, "t2")["t2"].error is None
    assert starts() == [True]
    assert found(engine, "t1") == found(other, "t2")


def test_a_new_face_makes_it_another_question(
    engine: RekognitionEngine, work: RunRequest, starts: Starts, pixels: np.ndarray
) -> None:
    engine.start(work, "t1")
    told(engine, "t1")
    engine.start(work, "t2")
    assert starts() == [True]
    time.sleep(0.01)
    engine.enrol(CASE, picture(pixels[:, ::-1]))
    engine.start(work, "t3")
    assert starts() == [True, True]
    assert finish(engine, "t2", "t3")


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_process_killed_while_it_starts_a_job_costs_nothing(
    instant: str,
    open_engine: Open,
    aws: AwsPlace,
    work: RunRequest,
    tmp_path: Path,
    starts: Starts,
    pixels: np.ndarray,
) -> None:
    setup = open_engine("crash")
    setup.enrol(CASE, picture(pixels))
    setup.close()
    stack = {"endpoints": aws.stack.endpoints, "resources": asdict(resources_of(aws))}
    given = [str(tmp_path / "crash"), str(work.path), CASE, instant, "t1", json.dumps(stack)]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.fakes.crash_start", *given],
        env={**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{Path.cwd() / 'tests'}"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-800:]
    engine = open_engine("crash", cutter=CopyCutter())
    assert engine.start(work, "t1") == "t1"
    assert finish(engine, "t1")["t1"].error is None
    taken = aws.server.calls.told()["starts"]
    assert [start["new"] for start in taken].count(True) == 1
    assert len({json.dumps(start["request"], sort_keys=True) for start in taken}) == 1
    assert found(engine, "t1")[1]
    assert keys(aws) == []
    assert list((tmp_path / "crash" / "cuts").iterdir()) == []


def test_no_slot_is_told_at_once_and_waited_for(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, starts: Starts
) -> None:
    faults(max_jobs=0)
    begun = time.monotonic()
    with pytest.raises(EngineBusy, match="all job slots"):
        engine.start(work, "t1")
    assert time.monotonic() - begun < 3
    faults()
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None
    assert starts() == [True]


def test_many_runs_share_few_slots_and_all_finish(
    open_engine: Open, aws: AwsPlace, work: RunRequest, faults: Faulty, starts: Starts, pixels: np.ndarray
) -> None:
    engines = [open_engine("shared", max_jobs=2) for _ in range(2)]
    engines[0].enrol(CASE, picture(pixels))
    faults(max_jobs=2, job_s=0.2, duplicate=2, reorder=3, strangers=1, reorder_wait_s=0.2)
    waiting = {f"t{number}": engines[number % 2] for number in range(10)}
    running: dict[str, RekognitionEngine] = {}
    done: set[str] = set()
    until = time.monotonic() + 90
    while len(done) < 10 and time.monotonic() < until:
        for token, engine in list(waiting.items()):
            try:
                engine.start(replace(work, footage_key=token), token)
            except EngineBusy:
                continue
            running[token] = waiting.pop(token)
        for engine in engines:
            for completion in engine.completions(0.1):
                assert running[completion.run_ref] is engine
                assert completion.error is None
                engine.acknowledge(completion)
                done.add(completion.run_ref)
    assert len(done) == 10
    assert starts() == [True] * 10
    assert keys(aws) == []


def test_a_new_role_is_given_time(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults(deny_starts=2)
    for _ in range(2):
        with pytest.raises(EngineBusy, match="new role"):
            engine.start(work, "t1")
    engine.start(work, "t1")
    faults(deny_starts=1)
    with pytest.raises(AwsDenied) as denied:
        engine.start(replace(work, footage_key="other"), "t2")  # the role worked once
    assert "PassRole" in str(denied.value)


def test_a_role_that_stays_unknown_is_an_error(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ROLE_MS", -1)
    faults(deny_starts=9, deny_with="InvalidParameterException")
    with pytest.raises(AwsRefused):
        engine.start(work, "t1")


@pytest.mark.parametrize("every", [2, 3])
def test_throttled_and_broken_calls_are_made_again(
    open_engine: Open, work: RunRequest, faults: Faulty, pixels: np.ndarray, starts: Starts, every: int
) -> None:
    faults(throttle_every={"*": every}, error_every={"*": every + 2})
    engine = open_engine()
    engine.enrol(CASE, picture(pixels))
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None
    assert found(engine, "t1")[1]
    assert starts() == [True]


def test_a_collection_that_is_gone_stops_the_run_before_anything_is_sent(
    engine: RekognitionEngine, work: RunRequest, aws: AwsPlace
) -> None:
    collection = engine._collections.find(CASE)
    aws.rekognition.delete_collection(CollectionId=collection)
    with pytest.raises(AwsNotFound, match="deleted behind our back"):
        engine.start(work, "t1")
    assert keys(aws) == []
    engine.restore(CASE)
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None


def test_an_object_that_is_gone_is_uploaded_again(engine: RekognitionEngine, work: RunRequest, aws: AwsPlace) -> None:
    engine.upload(work, "t1")
    (key,) = keys(aws)
    aws.clients("s3").delete_object(Bucket=aws.bucket, Key=key)
    with pytest.raises(EngineBusy, match="uploaded again"):
        engine.start(work, "t1")
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None


def test_a_bucket_that_rekognition_cannot_read_is_named(
    open_engine: Open, work: RunRequest, aws: AwsPlace, pixels: np.ndarray
) -> None:
    engine = open_engine(
        resources=resources_of(aws, bucket="bucket-in-another-region"), uploader=Uploader(aws.clients, aws.bucket)
    )
    engine.enrol(CASE, picture(pixels))
    with pytest.raises(AwsRefused, match=r"bucket-in-another-region.*region") as refused:
        engine.start(work, "t1")
    assert "\n" not in str(refused.value)


def test_a_token_used_for_something_else_says_so(
    engine: RekognitionEngine, work: RunRequest, open_engine: Open, starts: Starts
) -> None:
    engine.start(work, "t1")
    finish(engine, "t1")
    with engine._database.changing() as db:
        db.execute("DELETE FROM runs")  # as after engine.db was restored from a copy
    engine._sending._bounds = replace(engine._sending._bounds, threshold=50.0)
    with pytest.raises(AwsRefused, match="under this job's token"):
        engine.start(work, "t1")
    assert starts() == [True]


@pytest.mark.parametrize("lacking", ["bucket", "queue_url", "topic_arn", "role_arn"])
def test_a_setting_that_is_missing_is_named(open_engine: Open, work: RunRequest, aws: AwsPlace, lacking: str) -> None:
    engine = open_engine(resources=resources_of(aws, **{lacking: ""}), uploader=Uploader(aws.clients, aws.bucket))
    with pytest.raises(AwsNotSetUp, match=f"aws_{lacking}"):
        engine.start(work, "t1")


# -- what is not searched --------------------------------------------------------------------------------------------


def test_nothing_is_paid_where_nobody_is_looked_for(open_engine: Open, work: RunRequest, starts: Starts) -> None:
    engine = open_engine()
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None
    (page,) = pages(engine, "t1")
    assert [(span.start_ms, span.end_ms, span.outcome) for span in page.spans] == [(0, 5_000, SpanOutcome.SKIPPED)]
    assert "nobody is enrolled" in page.spans[0].reason
    assert starts() == []


def test_nothing_is_paid_where_nobody_was_seen(
    engine: RekognitionEngine, work: RunRequest, starts: Starts, aws: AwsPlace
) -> None:
    engine.start(replace(work, spans=()), "t1")
    assert finish(engine, "t1")["t1"].error is None
    (page,) = pages(engine, "t1")
    assert page.spans[0].outcome is SpanOutcome.SKIPPED
    assert starts() == []
    assert "StartFaceSearch" not in aws.server.calls.told()["operations"]


def test_only_the_parts_asked_for_are_cut(engine: RekognitionEngine, work: RunRequest) -> None:
    cutter = engine._sending._cutter
    assert isinstance(cutter, WholeCutter)
    engine.prepare(replace(work, spans=((500, 1_000), (2_000, 3_000))), "t1")
    assert cutter.asked == [[(500, 1_000), (2_000, 3_000)]]
    engine.prepare(replace(work, spans=((500, 1_000), (2_000, 3_000))), "t1")
    assert len(cutter.asked) == 1


# -- word ------------------------------------------------------------------------------------------------------------


def test_a_message_that_is_lost_is_made_up_for(
    open_engine: Open, work: RunRequest, faults: Faulty, pixels: np.ndarray
) -> None:
    faults(lose_every=1)
    engine = open_engine(deadline_ms=1_000, again_ms=500)
    engine.enrol(CASE, picture(pixels))
    engine.start(work, "t1")
    assert finish(engine, "t1")["t1"].error is None
    assert found(engine, "t1")[1]


@pytest.mark.parametrize("error_status", [False, True])
def test_a_job_that_fails_says_why_and_is_tried_again_by_the_next_attempt(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, starts: Starts, aws: AwsPlace, error_status: bool
) -> None:
    faults(fail_every=1, fail_message="Unsupported codec/format.", error_status=error_status)
    engine.start(work, "t1")
    error = finish(engine, "t1")["t1"].error
    assert error is not None
    assert "Unsupported codec/format" in error
    assert "\n" not in error
    with pytest.raises(UnknownRecord, match="no results"):
        engine.results("t1")
    assert keys(aws) == []
    faults()
    engine.start(work, "t2")
    assert finish(engine, "t2")["t2"].error is None
    assert starts() == [True, True]


def test_a_queue_that_is_gone_is_told_to_whoever_waits(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, aws: AwsPlace
) -> None:
    faults(job_s=30)
    aws.clients("sqs").delete_queue(QueueUrl=aws.queue_url)
    engine.start(work, "t1")
    with pytest.raises(AwsNotSetUp, match="setup_aws") as lost:
        engine.completions(10)
    assert "\n" not in str(lost.value)


# -- results ---------------------------------------------------------------------------------------------------------


def test_pages_survive_small_ones_empty_ones_expired_tokens_and_a_crash(
    engine: RekognitionEngine, work: RunRequest, faults: Faulty, open_engine: Open
) -> None:
    engine.start(work, "t1")
    told(engine, "t1")
    whole = found(engine, "t1")
    assert whole[0]
    faults(page_size=3, empty_pages=True, expire_after_pages=2)
    small = pages(engine, "t1")
    assert len(small) > 4
    assert [track for page in small for track in page.tracks] == whole[0]
    assert [match for page in small for match in page.matches] == whole[1]
    other = open_engine()
    faults(page_size=3, empty_pages=True)
    for page, cursor in zip(small, [None, *(page.next_cursor for page in small)], strict=False):
        again = other.results("t1", cursor)
        assert (again.tracks, again.matches, again.spans) == (page.tracks, page.matches, page.spans)


def test_results_that_amazon_dropped_say_so(engine: RekognitionEngine, work: RunRequest) -> None:
    engine.start(work, "t1")
    finish(engine, "t1")
    engine._runs.change("t1", job_id="0" * 64)
    with pytest.raises(UnknownRecord, match=r"7 days.*search again"):
        engine.results("t1")


# -- copies ----------------------------------------------------------------------------------------------------------


def test_copies_go_when_they_are_not_needed(
    open_engine: Open, work: RunRequest, aws: AwsPlace, tmp_path: Path, pixels: np.ndarray
) -> None:
    engine = open_engine(cutter=CopyCutter())
    engine.enrol(CASE, picture(pixels))
    cuts = tmp_path / "engine" / "cuts"
    engine.prepare(work, "t1")
    assert len(list(cuts.iterdir())) == 1
    engine.upload(work, "t1")
    assert list(cuts.iterdir()) == []
    assert len(keys(aws)) == 1
    engine.start(work, "t1")
    told(engine, "t1")
    assert len(keys(aws)) == 1
    finish(engine, "t1")
    assert keys(aws) == []
    assert work.path.exists()


def test_copies_in_the_bucket_can_be_kept(
    open_engine: Open, work: RunRequest, aws: AwsPlace, pixels: np.ndarray
) -> None:
    engine = open_engine(keep_segments=True)
    engine.enrol(CASE, picture(pixels))
    engine.start(work, "t1")
    finish(engine, "t1")
    assert len(keys(aws)) == 1


def test_what_is_cancelled_before_it_started_leaves_nothing(
    open_engine: Open, work: RunRequest, aws: AwsPlace, tmp_path: Path, starts: Starts, pixels: np.ndarray
) -> None:
    engine = open_engine(cutter=CopyCutter())
    engine.enrol(CASE, picture(pixels))
    engine.prepare(work, "t1")
    engine.cancel("t1")
    engine.upload(work, "t2")
    engine.cancel("t2")
    assert keys(aws) == []
    assert list((tmp_path / "engine" / "cuts").iterdir()) == []
    assert starts() == []


def test_a_cancelled_job_takes_up_its_slot_until_it_ends(
    open_engine: Open, work: RunRequest, aws: AwsPlace, faults: Faulty, starts: Starts, pixels: np.ndarray
) -> None:
    faults(job_s=1.5)
    engine = open_engine(max_jobs=1)
    engine.enrol(CASE, picture(pixels))
    engine.start(work, "t1")
    engine.cancel("t1")
    other = replace(work, footage_key="other")
    with pytest.raises(EngineBusy):
        engine.start(other, "t2")
    assert len(keys(aws)) == 2
    for _ in range(100):
        assert engine.completions(0.1) == []
        if len(keys(aws)) == 1:
            break
    assert engine.start(other, "t2")
    assert finish(engine, "t2")["t2"].error is None
    # It was paid for: whoever asks again gets what it found.
    engine.start(work, "t3")
    assert finish(engine, "t3")["t3"].error is None
    assert found(engine, "t3")[1]
    assert starts() == [True, True]


def test_how_much_is_uploaded_is_told(engine: RekognitionEngine, work: RunRequest) -> None:
    seen: list[float | None] = []
    put = engine._sending._uploader.put

    def telling(*given: Any, on_bytes: Callable[[int, int], None], **named: Any) -> Any:
        def both(done: int, total: int) -> None:
            on_bytes(done, total)
            seen.append(engine.progress("t1"))

        return put(*given, on_bytes=both, **named)

    engine._sending._uploader.put = telling  # type: ignore[method-assign]
    assert engine.progress("t1") is None
    engine.upload(work, "t1")
    assert seen[-1] == 1.0
    assert engine.progress("t1") is None


def test_no_credential_is_kept(engine: RekognitionEngine, work: RunRequest, tmp_path: Path) -> None:
    engine.start(work, "t1")
    finish(engine, "t1")
    engine.close()
    for path in (tmp_path / "engine").rglob("*"):
        if path.is_file():
            assert b"testing" not in path.read_bytes()
