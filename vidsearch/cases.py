"""Cases: say why we look, and change it; every change leaves an audit row."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any

from vidsearch.errors import UsageError
from vidsearch.model import Actor, Case, Purpose
from vidsearch.store import Store

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""Also a name of folders and a part of names at Amazon; a dash in front would be taken for an option."""

ID_RULE = "1 to 64 of the letters a to z and A to Z, digits, and _ . - (not in front)"
MOST_DAYS = 36_500


class CaseBook:
    """The cases of a data folder."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        actor: Actor,
        case_id: str,
        title: str,
        purpose: Purpose,
        *,
        reference: str | None = None,
        retention_days: int | None = None,
    ) -> Case:
        """Add a case.

        Args:
            actor: Who does it.
            case_id: Its id: see ID_RULE. It never changes.
            title: What it is called on screens.
            purpose: Why we look; Rekognition's threshold follows from it.
            reference: The site's own file number.
            retention_days: Days after which what was found may be purged; None keeps it.

        Raises:
            UsageError: The id is taken or is none, or a value cannot be used.
        """
        if not _ID.fullmatch(case_id):
            raise UsageError(f"'{case_id}' cannot be the id of a case; it is {ID_RULE}")
        title, reference = _line(title, "title"), _line(reference, "reference") if reference else None
        _check_days(retention_days)
        with self._store.atomic():
            case = self._store.cases.add(case_id, title, purpose, reference=reference, retention_days=retention_days)
            self._store.audit.record(actor, "case.add", case.id, case_id=case.id, **_said(case))
        return case

    def change(
        self,
        actor: Actor,
        case_id: str,
        *,
        title: str | None = None,
        purpose: Purpose | None = None,
        reference: str | None = None,
        retention_days: int | None = None,
    ) -> Case:
        """Change what is said of a case; None leaves as it is.

        An empty ``reference`` and 0 ``retention_days`` take it away. What does not change leaves no audit row.

        Raises:
            UnknownRecord: There is no such case.
            UsageError: A value cannot be used.
        """
        with self._store.atomic():
            old = new = self._store.cases.get(case_id)
            if title is not None:
                new = replace(new, title=_line(title, "title"))
            if purpose is not None:
                new = replace(new, purpose=purpose)
            if reference is not None:
                new = replace(new, reference=_line(reference, "reference") if reference.strip() else None)
            if retention_days is not None:
                _check_days(retention_days or None)
                new = replace(new, retention_days=retention_days or None)
            if new != old:
                before, after = _said(old), _said(new)
                changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
                self._store.cases.update(new)
                self._store.audit.record(actor, "case.set", case_id, case_id=case_id, **changed)
        return new

    def list(self) -> list[Case]:
        """Return all cases by id."""
        return self._store.cases.list()


def _line(text: str, what: str) -> str:
    line = " ".join(text.split())
    if not line or len(line) > 300:
        raise UsageError(f"a {what} has 1 to 300 characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in line):
        raise UsageError(f"a {what} cannot have control characters")
    return line


def _check_days(days: int | None) -> None:
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise UsageError(f"a retention is 1 to {MOST_DAYS:,} days")


def _said(case: Case) -> dict[str, Any]:
    return {
        "title": case.title,
        "purpose": case.purpose.value,
        "reference": case.reference,
        "retention_days": case.retention_days,
    }
