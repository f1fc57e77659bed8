"""Cases: why we look."""

from __future__ import annotations

from vidsearch.errors import UnknownRecord, UsageError
from vidsearch.model import Case, Purpose
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import now_ms


class Cases:
    """The cases and the revisions of their galleries."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(
        self,
        case_id: str,
        title: str,
        purpose: Purpose = Purpose.OTHER,
        *,
        reference: str | None = None,
        retention_days: int | None = None,
    ) -> Case:
        """Add a case. Raises UsageError where the id is taken."""
        if self._row(case_id):
            raise UsageError(f"there is a case '{case_id}' already")
        self._db.run(
            "INSERT INTO cases (id, title, purpose, reference, retention_days, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (case_id, title, purpose.value, reference, retention_days, now_ms()),
        )
        return self.get(case_id)

    def get(self, case_id: str) -> Case:
        """Return a case. Raises UnknownRecord with the cases there are."""
        row = self._row(case_id)
        if row is None:
            known = ", ".join(case.id for case in self.list())
            raise UnknownRecord(f"there is no case '{case_id}'; the cases are: {known}")
        return _case(row)

    def list(self) -> list[Case]:
        """Return all cases by id."""
        return [_case(row) for row in self._db.all("SELECT * FROM cases ORDER BY id")]

    def update(self, case: Case) -> None:
        """Store what is said of a case: title, purpose, reference and retention. Raises UnknownRecord."""
        changed = self._db.run(
            "UPDATE cases SET title = ?, purpose = ?, reference = ?, retention_days = ? WHERE id = ?",
            (case.title, case.purpose.value, case.reference, case.retention_days, case.id),
        )
        if not changed:
            raise UnknownRecord(f"there is no case '{case.id}'")

    def bump_revision(self, case_id: str) -> int:
        """Say that the case's gallery changed; return its new revision."""
        row = self._db.one(
            "UPDATE cases SET gallery_revision = gallery_revision + 1 WHERE id = ? RETURNING gallery_revision",
            (case_id,),
        )
        if row is None:
            raise UnknownRecord(f"there is no case '{case_id}'")
        return int(row["gallery_revision"])

    def _row(self, case_id: str) -> Row | None:
        return self._db.one("SELECT * FROM cases WHERE id = ?", (case_id,))


def _case(row: Row) -> Case:
    return Case(
        row["id"],
        row["title"],
        Purpose(row["purpose"]),
        row["reference"],
        row["retention_days"],
        row["gallery_revision"],
    )
