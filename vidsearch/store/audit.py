"""Who did what, when, why: rows are added with what they tell of, and never changed."""

from __future__ import annotations

import json
from typing import Any

from vidsearch.errors import StoreError
from vidsearch.model import Actor, AuditEntry
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import now_ms


class Audit:
    """The append-only audit."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def record(self, actor: Actor, action: str, subject: str, *, case_id: str | None = None, **detail: Any) -> None:
        """Add an entry, in the transaction of what it tells of.

        Args:
            actor: Who acts.
            action: What is done, such as ``photo.add``.
            subject: The id of what it is done to.
            case_id: The case it belongs to.
            detail: What else a reader needs; values must fit JSON.

        Raises:
            StoreError: Outside ``atomic()``: the change and its entry could come apart.
        """
        if not self._db.in_transaction:
            raise StoreError(f"'{action}' must be recorded in the transaction of the change it tells of")
        self._db.run(
            "INSERT INTO audit (at_ms, actor, via, case_id, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                now_ms(),
                actor.name,
                actor.via,
                case_id,
                action,
                subject,
                json.dumps(detail, ensure_ascii=False, sort_keys=True),
            ),
        )

    def entries(self, case_id: str | None = None, after_id: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Return entries in the order they were made, of one case or of everything, after the one with ``after_id``."""
        chosen = "case_id = :case_id AND" if case_id is not None else ""
        rows = self._db.all(
            f"SELECT * FROM audit WHERE {chosen} id > :after_id ORDER BY id LIMIT :limit",
            {"case_id": case_id, "after_id": after_id, "limit": limit},
        )
        return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        row["id"],
        row["at_ms"],
        row["actor"],
        row["via"],
        row["case_id"],
        row["action"],
        row["subject"],
        json.loads(row["detail"]),
    )
