"""Cases: added, changed, listed, each change with its audit row."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from vidsearch.cases import CaseBook
from vidsearch.cli import cli
from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.model import Purpose


@pytest.fixture
def cases(store) -> CaseBook:
    return CaseBook(store)


def audit(store, case_id: str) -> list[tuple[str, dict[str, object]]]:
    return [(entry.action, entry.detail) for entry in store.audit.entries(case_id)]


def test_a_case_is_added_with_an_audit_row(store, cases, actor):
    made = cases.add(
        actor, "2026-114", "  Robbery at the  harbour ", Purpose.SUSPECT, reference="KA 12/26", retention_days=180
    )
    assert (made.id, made.title, made.purpose) == ("2026-114", "Robbery at the harbour", Purpose.SUSPECT)
    assert (made.reference, made.retention_days) == ("KA 12/26", 180)
    said = {"title": made.title, "purpose": "suspect", "reference": "KA 12/26", "retention_days": 180}
    assert audit(store, "2026-114") == [("case.add", said)]
    assert store.audit.entries("2026-114")[0].actor == actor.name


@pytest.mark.parametrize("case_id", ["a", "A.b_c-9", "x" * 64, "_x", "9"])
def test_ids_that_are_taken(cases, actor, case_id):
    assert cases.add(actor, case_id, "t", Purpose.OTHER).id == case_id


@pytest.mark.parametrize("case_id", ["", "x" * 65, "a/b", "a b", "ä", "-x", ".", "..", ".x", "a\n", "a:b", "a\0"])
def test_ids_that_are_none(store, cases, actor, case_id):
    with pytest.raises(UsageError, match="1 to 64") as refused:
        cases.add(actor, case_id, "t", Purpose.OTHER)
    assert [case.id for case in store.cases.list()] == ["default"]
    assert "it is 1 to 64 of the letters" in str(refused.value)


def test_an_id_that_is_taken_already_leaves_nothing(store, cases, actor):
    cases.add(actor, "a", "first", Purpose.OTHER)
    with pytest.raises(UsageError, match="already"):
        cases.add(actor, "a", "second", Purpose.OTHER)
    assert [action for action, _ in audit(store, "a")] == ["case.add"]


def test_what_changes_is_told_with_what_was_before(store, cases, actor):
    cases.add(actor, "a", "t", Purpose.OTHER)
    changed = cases.change(actor, "a", purpose=Purpose.MISSING_PERSON, retention_days=30)
    assert changed == store.cases.get("a")
    assert changed.purpose is Purpose.MISSING_PERSON
    assert audit(store, "a")[-1] == (
        "case.set",
        {"purpose": ["other", "missing_person"], "retention_days": [None, 30]},
    )


def test_what_stays_leaves_no_row(store, cases, actor):
    cases.add(actor, "a", "t", Purpose.OTHER)
    cases.change(actor, "a", title="t", purpose=Purpose.OTHER)
    assert len(audit(store, "a")) == 1


def test_reference_and_retention_are_taken_away(cases, actor):
    cases.add(actor, "a", "t", Purpose.OTHER, reference="r", retention_days=3)
    changed = cases.change(actor, "a", reference="", retention_days=0)
    assert (changed.reference, changed.retention_days) == (None, None)


def test_the_galleries_revision_stays(store, cases, actor):
    cases.add(actor, "a", "t", Purpose.OTHER)
    with store.atomic():
        store.cases.bump_revision("a")
    assert cases.change(actor, "a", title="u").gallery_revision == 1


def test_values_that_cannot_be_used(cases, actor):
    with pytest.raises(UsageError, match="title has 1 to 300"):
        cases.add(actor, "a", "  ", Purpose.OTHER)
    with pytest.raises(UsageError, match="control characters"):
        cases.add(actor, "a", "x\x1b[2J", Purpose.OTHER)
    with pytest.raises(UsageError, match="retention"):
        cases.add(actor, "a", "t", Purpose.OTHER, retention_days=0)
    with pytest.raises(UsageError, match="retention"):
        cases.change(actor, "default", retention_days=-1)
    with pytest.raises(UnknownRecord, match="no case 'b'"):
        cases.change(actor, "b", title="t")


# -- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def umask():
    """The command makes new files its user's alone, for its whole process; here that is the tests'."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(data, *words: str):
    return CliRunner().invoke(cli, ["--data", str(data), "case", *words])


def test_add_list_set(tmp_path):
    added = run(tmp_path, "add", "2026-9", "--title", "Anna is missing", "--purpose", "missing_person")
    assert added.exit_code == 0
    assert "similarity 90" in added.output
    assert "a person must check each" in added.output
    changed = run(tmp_path, "set", "2026-9", "--purpose", "suspect", "--reference", "R 1")
    assert "similarity 99" in changed.output
    assert json.loads(run(tmp_path, "list", "--json").stdout)[0] == {
        "id": "2026-9",
        "title": "Anna is missing",
        "purpose": "suspect",
        "reference": "R 1",
        "retention_days": None,
        "threshold_rekognition": 99.0,
    }
    assert "2026-9\tAnna is missing\tsuspect\tR 1\t" in run(tmp_path, "list").stdout
    assert "nothing to change" in run(tmp_path, "set", "2026-9", "--purpose", "suspect").output


def test_commands_that_cannot_be_meant(tmp_path):
    assert isinstance(run(tmp_path, "set", "default").exception, UsageError)
    assert isinstance(run(tmp_path, "set", "gone", "--title", "t").exception, UnknownRecord)
    assert isinstance(run(tmp_path, "add", "a/b", "--title", "t", "--purpose", "other").exception, UsageError)
    assert run(tmp_path, "add", "a", "--title", "t", "--purpose", "curiosity").exit_code == 2
    assert run(tmp_path, "add", "a", "--purpose", "other").exit_code == 2
