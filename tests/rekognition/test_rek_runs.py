"""Runs in engine.db: attempts, slots, what is taken over."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vidsearch.cuts import Cut, Stretch
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition import runs as module
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.engines.rekognition.runs import Runs
from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, EngineRefused, UnknownRecord


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "engine.db")
    yield made
    made.close()


@pytest.fixture
def runs(database: Database) -> Runs:
    return Runs(database)


def test_a_run_is_made_once(runs: Runs, work: RunRequest) -> None:
    first = runs.ensure(work, "t1", 0)
    assert first.state == "new"
    runs.note_cut("t1", Cut(Path("/tmp/x.mp4"), (Stretch(0, 5, 10), Stretch(10, 50, 20)), 9, made=True))
    again = runs.ensure(work, "t1", 0)
    assert (again.state, again.name, again.made, again.length_ms) == ("cut", first.name, True, 30)
    assert again.stretches == (Stretch(0, 5, 10), Stretch(10, 50, 20))


def test_a_run_asks_about_somebody(runs: Runs, work: RunRequest) -> None:
    with pytest.raises(EngineRefused, match="names none"):
        runs.ensure(replace(work, gallery=None), "t1", 0)


def test_unknown_runs(runs: Runs) -> None:
    with pytest.raises(UnknownRecord):
        runs.get("t1")
    with pytest.raises(UnknownRecord):
        runs.change("t1", state="cut")


def test_slots_are_counted_over_all(runs: Runs, work: RunRequest) -> None:
    for number in range(3):
        runs.ensure(replace(work, footage_key=f"f{number}"), f"t{number}", 0)
    assert runs.take_slot("t0", "{}", 2) is not None
    assert runs.take_slot("t0", "{}", 2) is not None  # its own slot does not stand in its way
    assert runs.take_slot("t1", "{}", 2) is not None
    assert runs.take_slot("t2", "{}", 2) is None
    runs.change("t0", state="started", job_id="j0")
    assert runs.take_slot("t2", "{}", 2) is None
    runs.change("t0", state="done", outcome="SUCCEEDED")
    assert runs.take_slot("t2", "{}", 2) is not None


def test_a_start_that_nobody_asked_about_again_frees_its_slot(
    runs: Runs, work: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.ensure(work, "t1", 0)
    runs.take_slot("t1", "{}", 1)
    runs.ensure(replace(work, footage_key="other"), "t2", 0)
    assert runs.take_slot("t2", "{}", 1) is None
    monkeypatch.setattr(module, "FORGOTTEN_MS", -1)
    assert runs.take_slot("t2", "{}", 1) is not None


def test_a_request_is_written_down_once(runs: Runs, work: RunRequest) -> None:
    runs.ensure(work, "t1", 0)
    first = runs.take_slot("t1", '{"first": 1}', 5)
    again = runs.take_slot("t1", '{"second": 2}', 5)
    assert first is not None
    assert again is not None
    assert again.request == first.request == '{"first": 1}'
    assert runs.back("t1", "sent").request is None


# -- a later attempt at the same -------------------------------------------------------------------------------------


def started(runs: Runs, work: RunRequest, token: str, **values: object) -> None:
    runs.ensure(work, token, 0)
    runs.take_slot(token, "{}", 99)
    runs.change(token, **{"state": "started", "job_id": "j1", "started_ms": now_ms(), **values})


def test_a_job_that_goes_on_is_shared_with_whoever_waits_for_it(runs: Runs, work: RunRequest) -> None:
    started(runs, work, "t1")
    again = runs.ensure(work, "t2", 0)
    assert (again.state, again.job_id) == ("started", "j1")
    assert runs.get("t1").state == "started"
    runs.ensure(replace(work, footage_key="other"), "t3", 0)
    assert runs.take_slot("t3", "{}", 2) is not None, "it takes up one slot"


def test_a_start_that_is_not_known_has_one_owner(runs: Runs, work: RunRequest) -> None:
    runs.ensure(work, "t1", 0)
    runs.take_slot("t1", '{"first": 1}', 5)
    assert runs.ensure(work, "t2", 0).request == '{"first": 1}'
    assert runs.find("t1") is None


def test_a_process_that_was_stalled_undoes_nothing(runs: Runs, work: RunRequest) -> None:
    started(runs, work, "t1")
    stale = runs.take_slot("t1", '{"second": 2}', 5)
    assert stale is not None
    assert (stale.state, stale.job_id) == ("started", "j1")
    runs.back("t1", "sent")
    assert runs.started("t1", "j2").job_id == "j1"
    runs.change("t1", state="done", outcome="SUCCEEDED")
    assert runs.started("t1", "j1").state == "done"


def test_results_that_are_there_are_taken_over_and_stay_where_they_were(runs: Runs, work: RunRequest) -> None:
    started(runs, work, "t1", state="done", outcome="SUCCEEDED", acknowledged=1)
    again = runs.ensure(work, "t2", 0)
    assert (again.state, again.job_id, again.acknowledged) == ("done", "j1", False)
    assert runs.get("t1").acknowledged


@pytest.mark.parametrize("outcome", ["FAILED", "SKIPPED"])
def test_what_came_to_nothing_is_not_taken_over(runs: Runs, work: RunRequest, outcome: str) -> None:
    started(runs, work, "t1", state="done", outcome=outcome)
    assert runs.ensure(work, "t2", 0).state == "new"


def test_what_was_asked_before_somebody_was_enrolled_is_no_answer(runs: Runs, work: RunRequest) -> None:
    started(runs, work, "t1")
    assert runs.ensure(work, "t2", now_ms() + 1).state == "new"


def test_what_is_too_old_to_be_kept_is_not_taken_over(
    runs: Runs, work: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(runs, work, "t1")
    monkeypatch.setattr(module, "KEPT_MS", -1)
    assert runs.ensure(work, "t2", 0).state == "new"


@pytest.mark.parametrize(
    "other", [{"footage_key": "x"}, {"gallery": "x"}, {"start_ms": 1}, {"end_ms": 9}, {"spans": ((0, 5),)}]
)
def test_another_question_is_another_run(runs: Runs, work: RunRequest, other: dict[str, object]) -> None:
    started(runs, work, "t1")
    assert runs.ensure(replace(work, **other), "t2", 0).state == "new"  # type: ignore[arg-type]


def test_an_upload_that_somebody_is_at_is_left_to_them(
    runs: Runs, work: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = runs.ensure(work, "t1", 0)
    assert runs.ensure(work, "t2", 0).name != mine.name
    runs.remove("t2")
    monkeypatch.setattr(module, "IDLE_MS", -1)
    assert runs.ensure(work, "t2", 0).name == mine.name


def test_of_several_processes_one_asks_about_a_late_job(runs: Runs, work: RunRequest, database: Database) -> None:
    started(runs, work, "t1", started_ms=now_ms() - 10_000)
    runs.note_cut("t1", Cut(Path("x"), (Stretch(0, 0, 5_000),), 1, made=False))
    runs.change("t1", state="started")
    assert Runs(database).overdue(60_000, 1_000) == []
    assert [run.token for run in runs.overdue(1_000, 60_000)] == ["t1"]
    assert Runs(database).overdue(1_000, 60_000) == []
    runs.note_cut("t1", Cut(Path("x"), (Stretch(0, 0, 50_000),), 1, made=False))
    runs.change("t1", state="started")
    assert runs.overdue(1_000, 0) == []  # as long as its footage lasts


# -- the file --------------------------------------------------------------------------------------------------------


def test_threads_that_ended_leave_no_connection(database: Database) -> None:
    for _ in range(10):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: database.set_fact(str(number), "x"), range(16)))
    assert len(database._open) <= 1 + 2 * 4


def test_two_folders_have_different_words(tmp_path: Path) -> None:
    words = []
    for name in ("one", "two", "one"):
        database = Database(tmp_path / name / "engine.db")
        words.append(database.folder)
        database.close()
    assert words[0] == words[2] != words[1]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path, database: Database) -> None:
    with database.changing() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseTooNew):
        Database(tmp_path / "engine.db")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusable):
        Database(tmp_path / "file" / "engine.db")
