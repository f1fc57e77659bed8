"""The command line as a user meets it: real program, real recording, real face."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from footage_maker import crossing

from vidsearch.cli.show import table


@pytest.fixture(scope="module")
def recording(tmp_path_factory, astronaut):
    folder = tmp_path_factory.mktemp("nvr") / "Gate"
    folder.mkdir()
    return crossing(folder / "cam_20261102_182400.mp4", astronaut, seconds=9, visits=((1.0, 3.5), (6.5, 8.0)))


@pytest.fixture(scope="module")
def run(tmp_path_factory, models):
    data = tmp_path_factory.mktemp("data")

    def call(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "VIDSEARCH_MODELS": str(models), "VIDSEARCH_ZONE": "Europe/Paris"}
        done = subprocess.run(
            [sys.executable, "-m", "vidsearch", "--data", str(data), *map(str, words)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture(scope="module")
def searched(run, recording, astronaut):
    """A data folder with one person, one recording and one finished search."""
    run("person", "add", "Eileen", astronaut)
    run("footage", "add", recording, "--camera", "Gate 2")
    run("search")
    return run


def test_a_visit_is_one_row_with_clock_times(searched):
    rows = json.loads(searched("matches", "--json").stdout)
    assert [(row["person"], row["camera"]) for row in rows] == [("Eileen", "Gate 2")] * 2
    first, second = rows
    assert first["start_s"] == pytest.approx(1.0, abs=0.5)
    assert first["end_s"] == pytest.approx(3.4, abs=0.5)
    assert second["start_s"] == pytest.approx(6.5, abs=0.5)
    assert first["start_time"].startswith("2026-11-02T18:24:01")
    assert first["start_time"].endswith("+01:00")
    assert first["similarity"] >= 80
    assert first["detections"] >= 5
    assert set(first) >= {"footage", "end_time", "best_s", "review", "engine"}


def test_a_second_search_has_nothing_to_do(searched):
    assert "nothing new" in searched("search").stdout


def test_json_and_csv_and_table_tell_the_same(searched):
    table = searched("matches").stdout
    assert "100 %" in table
    assert "never proof" in table
    lines = searched("matches", "--csv").stdout.splitlines()
    assert lines[0].startswith("person,camera,start_time")
    assert len(lines) == 3


def test_probe_tells_who_and_where(searched, astronaut):
    answer = json.loads(searched("probe", astronaut, "--json").stdout)
    assert [candidate["person"] for candidate in answer["gallery"]] == ["Eileen"]
    assert len(answer["seen"]) == 2


def test_footage_list_shows_coverage(searched):
    (row,) = json.loads(searched("footage", "list", "--json").stdout)
    assert row["state"] == "searched"
    assert row["examined_s"] == pytest.approx(row["duration_s"], abs=0.2)
    assert len(row["sha256"]) == 64


def test_a_person_enrolled_later_is_found_without_the_recording(run, tmp_path_factory, astronaut, recording, models):
    data = tmp_path_factory.mktemp("later")
    copy = data / "gone.mp4"
    copy.write_bytes(recording.read_bytes())

    def call(*words: object, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "vidsearch", "--data", str(data), *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "VIDSEARCH_MODELS": str(models)},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    call("footage", "add", copy, "--camera", "Hall")
    call("search")
    assert json.loads(call("matches", "--json")) == []
    copy.unlink()
    call("person", "add", "Eileen", astronaut)
    call("search")
    assert len(json.loads(call("matches", "--json"))) == 2
    call("person", "forget", "Eileen", "--yes")
    assert json.loads(call("matches", "--json")) == []


def test_errors_are_one_line_that_says_what_to_do(run, tmp_path):
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Sir")
    done = run("person", "add", "Nobody", text, code=1)
    assert "not_an_image" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    done = run("footage", "add", tmp_path / "none.mp4", code=1)
    assert len(done.stderr.splitlines()) == 1
    done = run("search", "--camera", "No such", code=1)
    assert "no camera is called" in done.stderr
    done = run("serach", code=2)
    assert len(done.stderr.splitlines()) == 1
    done = run("matches", "--person", "Nemo", code=1)
    assert "nobody is called 'Nemo'" in done.stderr


def test_every_command_has_help(run):
    for words in (
        ["person"],
        ["footage"],
        ["search"],
        ["matches"],
        ["probe"],
        ["serve"],
        ["work"],
        ["models"],
        ["doctor"],
    ):
        assert "Usage:" in run(*words, "--help").stdout


@pytest.mark.parametrize("group", ["person", "footage", "models"])
def test_a_command_without_its_subcommand_shows_its_help_in_lines(run, group):
    told = run(group, code=2).stderr.splitlines()
    assert told[0].startswith("Usage: ")
    assert "Commands:" in told


def test_a_folder_without_recordings_is_told_from_one_of_refused_recordings(run, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert f"nothing in {tmp_path} is named like a recording" in run("footage", "add", tmp_path, code=1).stderr


def test_doctor_names_a_missing_model_and_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vidsearch", "--data", str(tmp_path), "doctor"],
        capture_output=True,
        text=True,
        env={**os.environ, "VIDSEARCH_MODELS": str(tmp_path / "none")},
    )
    assert done.returncode == 1
    assert "vidsearch models install" in done.stdout


def test_relink_finds_a_moved_recording(run, searched, recording):
    moved = Path(recording).with_name("moved.mp4")
    Path(recording).rename(moved)
    try:
        assert "moved.mp4" in searched("footage", "relink", moved.parent).stdout
        (row,) = json.loads(searched("footage", "list", "--json").stdout)
        assert row["path"] == str(moved)
    finally:
        moved.rename(recording)
        searched("footage", "relink", recording.parent)


@pytest.mark.skipif(os.name == "nt", reason="names of files there hold no control characters, and modes mean little")
def test_names_act_on_no_terminal_and_files_are_their_users_alone(models, tmp_path, recording, astronaut):
    data, folder = tmp_path / "data", tmp_path / "in"
    data.mkdir(mode=0o755)
    folder.mkdir()
    evil = folder / "\x1b]0;owned\x07.mp4"
    evil.write_bytes(recording.read_bytes())
    table = tmp_path / "people.csv"
    table.write_text(f"a\x1bb,{astronaut}\nEileen,{astronaut}\n", encoding="utf-8")

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "vidsearch", "--data", str(data), *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "VIDSEARCH_MODELS": str(models)},
            timeout=120,
        )
        return done.stdout + done.stderr

    imported = run("person", "import", table)
    assert "1 of 2 photos enrolled" in imported
    shown = run("footage", "add", folder, "--camera", "\x1b[2J") + run("footage", "list") + run("footage", "add", evil)
    assert "owned" in shown
    assert "\x1b" not in shown + imported
    assert "\x07" not in shown
    open_to_others = [path for path in data.rglob("*") if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_a_threshold_that_no_worker_would_keep_to_is_refused(run):
    assert "in the settings" in run("search", "--no-wait", "--threshold", "90", code=2).stderr


def test_a_cell_stays_one_cell_in_a_pipe(capsys):
    table(("camera", "file"), [("Gate\t2\n", "\x1b[2Jx")])
    assert capsys.readouterr().out == "Gate 2\ufffd\t\ufffd[2Jx\n"
