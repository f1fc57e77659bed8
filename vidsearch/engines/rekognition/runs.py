"""The runs in ``engine.db``: what was asked of Amazon, how far it is, and what came of it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsearch.cuts import Cut, Span, Stretch
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition.database import Database, now_ms
from vidsearch.errors import EngineRefused, UnknownRecord

NEW, CUT, SENT, STARTING, STARTED, DONE = "new", "cut", "sent", "starting", "started", "done"
"""States of a run, in order. ``starting``: StartFaceSearch was or will be called, and its answer is not known."""

_NOT_STARTED = f"state NOT IN ('{STARTED}', '{DONE}')"

SUCCEEDED, FAILED, SKIPPED = "SUCCEEDED", "FAILED", "SKIPPED"
"""Outcomes of a run that is done."""

KEPT_MS = 6 * 24 * 3_600_000
"""What a later attempt takes over from an earlier one is not older than this: Amazon keeps results for 7 days."""

ABANDONED_MS = 7 * 24 * 3_600_000
"""What was prepared and not started for so long, nobody will start."""

IDLE_MS = 60_000
"""A run that is being cut or uploaded is touched more often than this while somebody is at it."""

FORGOTTEN_MS = 3_600_000
"""A run that was about to be started so long ago, and of which nobody asked again, does not take up a job slot."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands."""

    token: str
    name: str
    footage: str
    gallery: str
    start_ms: int
    end_ms: int
    spans: tuple[Span, ...] | None
    width: int
    state: str
    source: Path | None
    made: bool
    stretches: tuple[Stretch, ...]
    object_key: str | None
    version_id: str
    request: str | None
    job_id: str | None
    started_ms: int | None
    outcome: str | None
    reason: str | None
    acknowledged: bool
    cancelled: bool

    @property
    def length_ms(self) -> int:
        """How long the file plays that Amazon is given."""
        return sum(stretch.length_ms for stretch in self.stretches)


class Runs:
    """All runs of a data folder. Safe for several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- one run -------------------------------------------------------------------------------------------------

    def get(self, token: str) -> Run:
        """Return a run. Raises UnknownRecord."""
        run = self.find(token)
        if run is None:
            raise UnknownRecord(f"the rekognition engine knows no run '{token}'")
        return run

    def find(self, token: str) -> Run | None:
        """Return a run, or None."""
        with self._database.reading() as db:
            row = db.execute("SELECT * FROM runs WHERE token = ?", (token,)).fetchone()
        return _run(row) if row else None

    def of_job(self, job_id: str) -> Run | None:
        """Return the run of a job of Amazon's, or None."""
        with self._database.reading() as db:
            row = db.execute("SELECT * FROM runs WHERE job_id = ?", (job_id,)).fetchone()
        return _run(row) if row else None

    def ensure(self, request: RunRequest, token: str, changed_ms: int) -> Run:
        """Return the run of an attempt; one that an earlier attempt at the same left behind is taken over.

        So what was cut, uploaded or paid for is not cut, uploaded or paid for again. What was asked before
        ``changed_ms``, when the gallery's last face was enrolled, is not an answer any more.
        """
        if request.gallery is None:
            raise EngineRefused("the rekognition engine searches for the people of a case; this run names none")
        asked = [request.gallery, request.footage_key, request.start_ms, request.end_ms, request.spans]
        work = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        with self._database.changing() as db:
            row = db.execute("SELECT * FROM runs WHERE token = ?", (token,)).fetchone()
            if row is None and not _take_over(db, work, token, changed_ms):
                _insert(db, request, token, work)
            elif row is not None:
                db.execute("UPDATE runs SET touched_ms = ?, cancelled = 0 WHERE token = ?", (now_ms(), token))
            return _run(db.execute("SELECT * FROM runs WHERE token = ?", (token,)).fetchone())

    def change(self, token: str, **values: Any) -> Run:
        """Change columns of a run and return it as it is then. Raises UnknownRecord where it was taken away."""
        return self._change(token, "", values)

    def note_cut(self, token: str, cut: Cut) -> Run:
        """Keep what was cut."""
        stretches = json.dumps([[one.out_ms, one.source_ms, one.length_ms] for one in cut.stretches])
        return self.change(token, state=CUT, source=str(cut.path), made=int(cut.made), stretches=stretches)

    def back(self, token: str, state: str) -> Run:
        """Bring a run whose start was refused back to an earlier state; its request will be written anew.

        One that another process has started meanwhile stays so.
        """
        return self._change(token, f"AND {_NOT_STARTED}", {"state": state, "request": None, "asked_ms": None})

    def started(self, token: str, job_id: str) -> Run:
        """Note the job that Amazon made of a run, once."""
        values = {"state": STARTED, "job_id": job_id, "started_ms": now_ms()}
        return self._change(token, f"AND {_NOT_STARTED}", values)

    def cleaned(self, token: str, *, kept: bool) -> None:
        """Note that the copies of a run are gone; ``kept``: all but the one in the bucket, which is to stay."""
        with self._database.changing() as db:
            db.execute(
                "UPDATE runs SET cleaned = 1, object_key = CASE WHEN ? THEN object_key END WHERE token = ?",
                (kept, token),
            )

    def remove(self, token: str) -> None:
        """Forget a run."""
        with self._database.changing() as db:
            db.execute("DELETE FROM runs WHERE token = ?", (token,))

    # -- slots ---------------------------------------------------------------------------------------------------

    def take_slot(self, token: str, request: str, most: int) -> Run | None:
        """Write down the request that is about to be sent, once and for all; None where ``most`` jobs are open.

        A run that another process has started meanwhile is returned as it is.
        """
        now = now_ms()
        with self._database.changing() as db:
            taken = db.execute(
                "SELECT count(DISTINCT coalesce(job_id, token)) FROM runs "
                "WHERE token <> ? AND (state = ? OR (state = ? AND touched_ms > ?))",
                (token, STARTED, STARTING, now - FORGOTTEN_MS),
            ).fetchone()[0]
            if taken >= most:
                return None
            db.execute(
                "UPDATE runs SET state = ?, request = coalesce(request, ?), asked_ms = coalesce(asked_ms, ?), "
                f"touched_ms = ? WHERE token = ? AND {_NOT_STARTED}",
                (STARTING, request, now, now, token),
            )
        return self.get(token)

    # -- many runs -----------------------------------------------------------------------------------------------

    def open_jobs(self) -> list[Run]:
        """Return the runs whose job goes on at Amazon as far as we know, whoever started them."""
        return self._select("state = 'started'")

    def overdue(self, deadline_ms: int, again_ms: int) -> list[Run]:
        """Return open jobs of which no word came for ``deadline_ms`` and for as long as their footage lasts.

        One that was asked about less than ``again_ms`` ago is left out.
        """
        now = now_ms()
        late = [run for run in self.open_jobs() if now - (run.started_ms or 0) > max(deadline_ms, run.length_ms)]
        due = []
        for run in late:
            with self._database.changing() as db:
                # Of several processes one asks.
                asks = db.execute(
                    "UPDATE runs SET looked_ms = ? WHERE token = ? AND coalesce(looked_ms, 0) <= ?",
                    (now, run.token, now - again_ms),
                ).rowcount
            if asks:
                due.append(run)
        return due

    def ended(self, tokens: Iterable[str] | None = None) -> list[Run]:
        """Return the runs, or those of some, that are done and not acknowledged."""
        chosen = "" if tokens is None else "AND token IN (SELECT value FROM json_each(?))"
        return self._select(
            f"state = 'done' AND acknowledged = 0 AND cancelled = 0 {chosen}",
            () if tokens is None else (json.dumps(sorted(tokens)),),
        )

    def to_clean(self) -> list[Run]:
        """Return runs that nobody needs any more, or asked about for a week, and whose copies are still there."""
        return self._select(
            "(state = 'done' AND cleaned = 0 AND (acknowledged = 1 OR cancelled = 1)) "
            "OR (state IN ('new', 'cut', 'sent') AND touched_ms < ?)",
            (now_ms() - ABANDONED_MS,),
        )

    def is_shared(self, run: Run) -> bool:
        """Whether another run of the same job of Amazon's has still to be read, or cleaned up after."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT 1 FROM runs WHERE job_id = ? AND token <> ? AND (cleaned = 0 OR acknowledged = 0) "
                "AND cancelled = 0",
                (run.job_id, run.token),
            ).fetchone()
        return row is not None

    def of_footage(self, footage: str) -> list[Run]:
        """Return the runs of a recording, whatever became of them."""
        return self._select("footage = ?", (footage,))

    def names_in_use(self) -> set[str]:
        """Return the names of cuts that may still be needed."""
        with self._database.reading() as db:
            return {row[0] for row in db.execute("SELECT name FROM runs WHERE cleaned = 0")}

    def _change(self, token: str, only: str, values: dict[str, Any]) -> Run:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._database.changing() as db:
            db.execute(
                f"UPDATE runs SET {columns}, touched_ms = ? WHERE token = ? {only}",
                (*values.values(), now_ms(), token),
            )
        return self.get(token)

    def _select(self, where: str, words: tuple[Any, ...] = ()) -> list[Run]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT * FROM runs WHERE {where} ORDER BY touched_ms", words).fetchall()
        return [_run(row) for row in rows]


def _take_over(db: sqlite3.Connection, work: str, token: str, changed_ms: int) -> bool:
    """Give an earlier attempt's run to this one. False where there is none, or it cannot be used.

    A job of Amazon's is shared: whoever made the earlier attempt may still wait for it, or read it. What has not become
    a job has one owner.
    """
    now = now_ms()
    row = db.execute(
        "SELECT * FROM runs WHERE work = ? AND ((state IN ('new', 'cut', 'sent') AND touched_ms < ?) "
        "OR (asked_ms > ? AND asked_ms > ? AND (state IN ('starting', 'started') OR outcome = 'SUCCEEDED'))) "
        "ORDER BY state = 'done' DESC, touched_ms DESC LIMIT 1",
        (work, now - IDLE_MS, now - KEPT_MS, changed_ms),
    ).fetchone()
    if row is None:
        return False
    if row["state"] in (STARTED, DONE):
        columns = {**dict(row), "token": token, "touched_ms": now, "acknowledged": 0, "cancelled": 0}
        db.execute(
            f"INSERT INTO runs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", [*columns.values()]
        )
    else:
        db.execute(
            "UPDATE runs SET token = ?, cancelled = 0, acknowledged = 0, touched_ms = ? WHERE token = ?",
            (token, now, row["token"]),
        )
    return True


def _insert(db: sqlite3.Connection, request: RunRequest, token: str, work: str) -> None:
    name = hashlib.sha256(token.encode()).hexdigest()[:32]
    db.execute(
        "INSERT INTO runs (token, work, name, footage, gallery, start_ms, end_ms, spans, width, state, touched_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', ?)",
        (
            token,
            work,
            name,
            request.footage_key,
            request.gallery,
            request.start_ms,
            request.end_ms,
            json.dumps(request.spans),
            request.facts.width,
            now_ms(),
        ),
    )


def _run(row: sqlite3.Row) -> Run:
    spans = json.loads(row["spans"])
    return Run(
        token=row["token"],
        name=row["name"],
        footage=row["footage"],
        gallery=row["gallery"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        spans=None if spans is None else tuple((start, end) for start, end in spans),
        width=row["width"],
        state=row["state"],
        source=Path(row["source"]) if row["source"] else None,
        made=bool(row["made"]),
        stretches=tuple(Stretch(*one) for one in json.loads(row["stretches"] or "[]")),
        object_key=row["object_key"],
        version_id=row["version_id"],
        request=row["request"],
        job_id=row["job_id"],
        started_ms=row["started_ms"],
        outcome=row["outcome"],
        reason=row["reason"],
        acknowledged=bool(row["acknowledged"]),
        cancelled=bool(row["cancelled"]),
    )
