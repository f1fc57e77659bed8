"""Jobs: a state machine whose every move is compare-and-set, and leases that say who works on what."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterable, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from vidsearch.errors import IllegalTransition, LeaseLost, UnknownRecord
from vidsearch.model import Footage, Job, JobEvent
from vidsearch.states import ACTIVE, TRANSITIONS, JobState
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import listed, now_ms

_OPEN_SQL = "state IN ('queued', 'preparing', 'uploading', 'searching', 'collecting')"
"""Word for word the condition of the index ``jobs_open``, or SQLite would not use it."""

_OPEN_OF_ENGINE = f"""
engine = :engine AND {_OPEN_SQL}
AND (:version IS NULL OR engine_version = :version) AND (:settings_key IS NULL OR settings_key = :settings_key)
"""

_CLAIMABLE = f"""
{_OPEN_OF_ENGINE}
AND (lease_owner IS NULL OR lease_until_ms < :now OR lease_owner IN (SELECT value FROM json_each(:dead)))
"""
"""Queued jobs have no lease; an active one may be taken when its lease is gone, has run out, or is a dead worker's."""

_CLAIM = f"""
UPDATE jobs
SET state = CASE state WHEN 'queued' THEN 'preparing' ELSE state END,
    lease_owner = :owner, lease_until_ms = :until, updated_ms = :now
WHERE id = (SELECT id FROM jobs WHERE {_CLAIMABLE} {{chosen}} ORDER BY id LIMIT 1)
RETURNING *
"""

_CHANGES = frozenset({"run_ref", "error"})
"""Columns that a move may set along with the state."""


@dataclass(frozen=True, slots=True)
class FootageJobs:
    """The jobs of one analysis of a recording, put together."""

    lengths_ms: dict[JobState, int]
    """How much of the recording is in each state."""
    errors: builtins.list[str]
    """The different errors of the failed ones."""


class Jobs:
    """The jobs of all cases."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # -- queueing ------------------------------------------------------------------------------------------------

    def create(
        self,
        footage: Footage,
        engine: str,
        engine_version: str,
        settings_key: str,
        start_ms: int,
        end_ms: int,
        actor: str,
        gallery_revision: int = 0,
    ) -> bool:
        """Queue the work on [start_ms, end_ms) of a recording; False where it was queued before, whatever became of it.

        ``gallery_revision`` is only for engines whose runs ask about one gallery.
        """
        now = now_ms()
        identity = [footage.case_id, footage.key, engine, engine_version, settings_key, gallery_revision, start_ms, now]
        created = self._db.run(
            "INSERT INTO jobs (case_id, footage_id, engine, engine_version, settings_key, gallery_revision, start_ms, "
            "end_ms, token, actor, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (
                footage.case_id,
                footage.id,
                engine,
                engine_version,
                settings_key,
                gallery_revision,
                start_ms,
                end_ms,
                _token("/".join(map(str, identity)), 1),
                actor,
                now,
                now,
            ),
        )
        return created > 0

    def pause(self, job_ids: Iterable[int]) -> int:
        """Stop open jobs for now, whoever works on them; return how many. Their workers find their leases gone."""
        return self._stop(JobState.PAUSED, job_ids)

    def cancel(self, job_ids: Iterable[int]) -> int:
        """Stop open and paused jobs until they are retried; return how many."""
        return self._stop(JobState.CANCELLED, job_ids)

    def resume(self, job_ids: Iterable[int], *, same_attempt: bool = False) -> int:
        """Queue paused jobs again, as a new attempt with a new token; return how many.

        ``same_attempt`` keeps attempt and token, so that what an engine has begun under the token is gone on with.
        """
        if not same_attempt:
            return self._queue_again((JobState.PAUSED,), job_ids)
        return self._db.run(
            "UPDATE jobs SET state = 'queued', updated_ms = ? "
            "WHERE state = 'paused' AND id IN (SELECT value FROM json_each(?))",
            (now_ms(), listed(job_ids)),
        )

    def retry(self, job_ids: Iterable[int]) -> int:
        """Queue failed and cancelled jobs again, as a new attempt with a new token; return how many."""
        return self._queue_again((JobState.FAILED, JobState.CANCELLED), job_ids)

    # -- working -------------------------------------------------------------------------------------------------

    def claim(
        self,
        owner: str,
        lease_ms: int,
        engine: str,
        *,
        version: str | None = None,
        settings_key: str | None = None,
        job_ids: Iterable[int] | None = None,
        dead_owners: Iterable[str] = (),
    ) -> Job | None:
        """Take the oldest job nobody works on, or return None.

        That is a queued one, which goes to preparing, or one left in an active state without a lease, with a lease that
        has run out or with one of ``dead_owners``, which keeps its state and goes on from there.

        Args:
            owner: Who takes it.
            lease_ms: How long it is theirs unless renewed.
            engine: The engine whose jobs are meant.
            version: Only jobs for this version of it: another one's results would be something else.
            settings_key: Only jobs for these settings of it.
            job_ids: Only these jobs.
            dead_owners: Owners known not to live any more.
        """
        now = now_ms()
        values = {
            "owner": owner,
            "until": now + lease_ms,
            "now": now,
            "engine": engine,
            "version": version,
            "settings_key": settings_key,
            "dead": listed(dead_owners),
        }
        if job_ids is None:
            row = self._db.one(_CLAIM.format(chosen=""), values)
            return _job(row) if row else None
        wanted = set(job_ids)
        while True:
            job_id = self._first_in(wanted, f"SELECT id FROM jobs WHERE {_CLAIMABLE} ORDER BY id", values)
            if job_id is None:
                return None
            row = self._db.one(_CLAIM.format(chosen="AND id = :only"), {**values, "only": job_id})
            if row:
                return _job(row)
            # Another worker was quicker; look for the next.

    def move(self, job: Job, state: JobState, *, owner: str, **changes: str | None) -> Job:
        """Move a job from the state it was read in, if it is still there and still ``owner``'s; return it as it is now.

        A stop gives the lease back. ``changes`` may set ``run_ref`` and ``error``.

        Raises:
            IllegalTransition: There is no such edge in ``states.TRANSITIONS``.
            LeaseLost: Another worker has it, somebody stopped it, or it was removed.
        """
        if (JobState(job.state), state) not in TRANSITIONS:
            raise IllegalTransition(f"job {job.id} may not go from {job.state} to {state}")
        return self._set(job, owner, state, changes)

    def note_run(self, job: Job, *, owner: str, run_ref: str) -> Job:
        """Keep the engine's reference to its run. Raises LeaseLost as ``move`` does."""
        return self._set(job, owner, JobState(job.state), {"run_ref": run_ref})

    def hold(self, job: Job, *, owner: str) -> None:
        """Make sure, inside a transaction that stores a job's results, that the job is still ``owner``'s.

        Raises LeaseLost as ``move`` does.
        """
        self._set(job, owner, JobState(job.state), {})

    def renew(self, owner: str, lease_ms: int) -> int:
        """Lengthen all leases of an owner; return how many there are."""
        return self._db.run("UPDATE jobs SET lease_until_ms = ? WHERE lease_owner = ?", (now_ms() + lease_ms, owner))

    def release(self, owner: str) -> int:
        """Give all leases of an owner back; its jobs keep their states and go on with whoever claims them."""
        return self._db.run("UPDATE jobs SET lease_owner = NULL, lease_until_ms = NULL WHERE lease_owner = ?", (owner,))

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, job_id: int) -> Job:
        """Return a job. Raises UnknownRecord."""
        row = self._db.one("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if row is None:
            raise UnknownRecord(f"there is no job {job_id}")
        return _job(row)

    def list(
        self,
        case_id: str,
        state: JobState | None = None,
        footage_id: int | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Job]:
        """Return jobs of a case, newest first, of one state or recording where asked."""
        rows = self._db.all(
            "SELECT * FROM jobs WHERE case_id = :case_id AND (:state IS NULL OR state = :state) "
            "AND (:footage_id IS NULL OR footage_id = :footage_id) ORDER BY id DESC LIMIT :limit OFFSET :offset",
            {
                "case_id": case_id,
                "state": state,
                "footage_id": footage_id,
                "limit": -1 if limit is None else limit,
                "offset": offset,
            },
        )
        return [_job(row) for row in rows]

    def for_footage(
        self, footage_id: int, engine: str, engine_version: str, settings_key: str, *, since_revision: int = 0
    ) -> builtins.list[Job]:
        """Return the jobs of one analysis of a recording, by start: those that asked a gallery so new or newer."""
        rows = self._db.all(
            "SELECT * FROM jobs WHERE footage_id = ? AND engine = ? AND engine_version = ? AND settings_key = ? "
            "AND gallery_revision >= ? ORDER BY start_ms, gallery_revision",
            (footage_id, engine, engine_version, settings_key, since_revision),
        )
        return [_job(row) for row in rows]

    def done(self, footage_id: int, engine: str, engine_version: str, settings_key: str) -> int:
        """Return how many jobs of one analysis of a recording have succeeded."""
        row = self._db.one(
            "SELECT count(*) AS jobs FROM jobs WHERE footage_id = ? AND engine = ? AND engine_version = ? "
            "AND settings_key = ? AND state = 'succeeded'",
            (footage_id, engine, engine_version, settings_key),
        )
        return int(row["jobs"]) if row else 0

    def of_recordings(
        self, case_id: str, engine: str, engine_version: str, settings_key: str, footage_id: int | None = None
    ) -> dict[int, FootageJobs]:
        """Return recording -> what one analysis of it has done, of a whole case or of one recording.

        Recordings without jobs are left out, and jobs that asked about a gallery as it is no more.
        """
        where = (
            "case_id = :case_id AND engine = :engine AND engine_version = :version AND settings_key = :key "
            # Asked about a gallery without its newest face: to be asked again.
            "AND (gallery_revision = 0 OR gallery_revision >= "
            "(SELECT coalesce(max(revision), 0) FROM enrolled_faces WHERE case_id = :case_id AND engine = :engine)) "
            + ("AND footage_id = :footage_id" if footage_id is not None else "")
        )
        values = {
            "case_id": case_id,
            "engine": engine,
            "version": engine_version,
            "key": settings_key,
            "footage_id": footage_id,
        }
        found: dict[int, FootageJobs] = {}
        for row in self._db.all(
            f"SELECT footage_id, state, sum(end_ms - start_ms) AS length FROM jobs WHERE {where} "
            "GROUP BY footage_id, state",
            values,
        ):
            jobs = found.setdefault(row["footage_id"], FootageJobs({}, []))
            jobs.lengths_ms[JobState(row["state"])] = row["length"]
        for row in self._db.all(
            f"SELECT DISTINCT footage_id, error FROM jobs WHERE {where} AND state = 'failed' AND error IS NOT NULL "
            "ORDER BY error",
            values,
        ):
            found[row["footage_id"]].errors.append(row["error"])
        return found

    def newest_of_engines(self, case_id: str) -> builtins.list[tuple[str, str, str]]:
        """Return (engine, version, settings key) of the newest job of each engine that a case was searched with."""
        rows = self._db.all(
            "SELECT engine, engine_version, settings_key, max(id) FROM jobs WHERE case_id = ? GROUP BY engine "
            "ORDER BY engine",
            (case_id,),
        )
        return [(row["engine"], row["engine_version"], row["settings_key"]) for row in rows]

    def left_of_engines(self, case_id: str) -> dict[str, int]:
        """Return engine -> jobs of a case that wait for somebody to go on with them, open ones included."""
        rows = self._db.all(
            f"SELECT engine, count(*) AS jobs FROM jobs WHERE case_id = ? AND (state = 'paused' OR {_OPEN_SQL}) "
            "GROUP BY engine",
            (case_id,),
        )
        return {row["engine"]: row["jobs"] for row in rows}

    def by_run(self, engine: str, run_ref: str) -> builtins.list[Job]:
        """Return the jobs that know an engine's run."""
        rows = self._db.all("SELECT * FROM jobs WHERE run_ref = ? AND engine = ? ORDER BY id", (run_ref, engine))
        return [_job(row) for row in rows]

    def events(self, job_id: int) -> builtins.list[JobEvent]:
        """Return the history of a job, oldest first."""
        rows = self._db.all(
            "SELECT at_ms, old, new, attempt, owner, error FROM job_events WHERE job_id = ? ORDER BY id", (job_id,)
        )
        return [JobEvent(*row) for row in rows]

    def counts(self, case_id: str) -> dict[JobState, int]:
        """Return how many jobs of a case are in each state; states without any are left out."""
        rows = self._db.all("SELECT state, count(*) AS jobs FROM jobs WHERE case_id = ? GROUP BY state", (case_id,))
        return {JobState(row["state"]): row["jobs"] for row in rows}

    def totals(self, case_id: str, job_ids: Iterable[int] | None = None) -> dict[JobState, tuple[int, int]]:
        """Return, for each state, how many jobs of a case (among ``job_ids``) are in it and how many ms they cover."""
        chosen = "" if job_ids is None else "AND id IN (SELECT value FROM json_each(:job_ids))"
        rows = self._db.all(
            f"SELECT state, count(*) AS jobs, sum(end_ms - start_ms) AS length FROM jobs "
            f"WHERE case_id = :case_id {chosen} GROUP BY state",
            {"case_id": case_id, "job_ids": None if job_ids is None else listed(job_ids)},
        )
        return {JobState(row["state"]): (row["jobs"], row["length"]) for row in rows}

    def running_totals(self, case_id: str) -> dict[JobState, tuple[int, int]]:
        """Return what ``totals`` does of the search under way: what is open, and what stopped since it was queued.

        Empty where nothing is open.
        """
        # A queued job has not moved since it was queued; of an active one its history tells.
        since = self._db.one(
            "SELECT min(CASE state WHEN 'queued' THEN updated_ms ELSE (SELECT max(at_ms) FROM job_events "
            "WHERE job_id = jobs.id AND new = 'queued') END) AS queued_ms "
            f"FROM jobs WHERE case_id = ? AND {_OPEN_SQL}",
            (case_id,),
        )
        if since is None or since["queued_ms"] is None:
            return {}
        rows = self._db.all(
            "SELECT state, count(*) AS jobs, sum(end_ms - start_ms) AS length FROM jobs "
            f"WHERE case_id = ? AND ({_OPEN_SQL} OR updated_ms >= ?) GROUP BY state",
            (case_id, since["queued_ms"]),
        )
        return {JobState(row["state"]): (row["jobs"], row["length"]) for row in rows}

    def errors(self, case_id: str, job_ids: Iterable[int] | None = None) -> builtins.list[str]:
        """Return the different errors of the failed jobs of a case (among ``job_ids``)."""
        chosen = "" if job_ids is None else "AND id IN (SELECT value FROM json_each(:job_ids))"
        rows = self._db.all(
            f"SELECT DISTINCT error FROM jobs WHERE case_id = :case_id AND state = 'failed' AND error IS NOT NULL "
            f"{chosen} ORDER BY error",
            {"case_id": case_id, "job_ids": None if job_ids is None else listed(job_ids)},
        )
        return [row["error"] for row in rows]

    def open_ids(self, case_id: str, like: Job | None = None) -> builtins.list[int]:
        """Return the jobs of a case that go on without anybody doing anything.

        With ``like``, only those that a worker who does that one does too: its engine, version and settings.
        """
        only, words = "", [case_id]
        if like is not None:
            only = "AND engine = ? AND engine_version = ? AND settings_key = ?"
            words += [like.engine, like.engine_version, like.settings_key]
        rows = self._db.all(f"SELECT id FROM jobs WHERE case_id = ? AND {_OPEN_SQL} {only} ORDER BY id", words)
        return [row["id"] for row in rows]

    def any_open(
        self,
        engine: str,
        job_ids: Iterable[int] | None = None,
        *,
        version: str | None = None,
        settings_key: str | None = None,
    ) -> bool:
        """Whether an engine (in one version, with one set of settings) has open jobs, whoever works on them."""
        query = f"SELECT id FROM jobs WHERE {_OPEN_OF_ENGINE} ORDER BY id"
        values = {"engine": engine, "version": version, "settings_key": settings_key}
        if job_ids is None:
            return self._db.one(f"{query} LIMIT 1", values) is not None
        return self._first_in(set(job_ids), query, values) is not None

    def outdated(self, case_id: str, engine: str, engine_version: str, settings_key: str) -> builtins.list[int]:
        """Return an engine's open jobs of a case that wait for another version or other settings than these."""
        rows = self._db.all(
            f"SELECT id FROM jobs WHERE case_id = ? AND engine = ? AND {_OPEN_SQL} "
            "AND (engine_version <> ? OR settings_key <> ?)",
            (case_id, engine, engine_version, settings_key),
        )
        return [row["id"] for row in rows]

    def unasked(self, case_id: str, engine: str, before_revision: int) -> builtins.list[int]:
        """Return queued and paused jobs of a case that would ask about a gallery older than ``before_revision``."""
        rows = self._db.all(
            "SELECT id FROM jobs WHERE case_id = ? AND engine = ? AND state IN ('queued', 'paused') "
            "AND gallery_revision < ? AND gallery_revision > 0",
            (case_id, engine, before_revision),
        )
        return [row["id"] for row in rows]

    def with_runs(self, job_ids: Iterable[int]) -> builtins.list[int]:
        """Return those of ``job_ids`` whose run an engine works on or has done, not yet collected."""
        rows = self._db.all(
            "SELECT id FROM jobs WHERE state IN ('searching', 'collecting') AND run_ref IS NOT NULL "
            "AND id IN (SELECT value FROM json_each(?))",
            (listed(job_ids),),
        )
        return [row["id"] for row in rows]

    def owners(self) -> builtins.list[str]:
        """Return everybody who holds a lease."""
        rows = self._db.all("SELECT DISTINCT lease_owner FROM jobs WHERE lease_owner IS NOT NULL")
        return [row["lease_owner"] for row in rows]

    def owned(self, owner: str) -> builtins.list[int]:
        """Return the jobs that an owner holds."""
        return [row["id"] for row in self._db.all("SELECT id FROM jobs WHERE lease_owner = ?", (owner,))]

    def speed(self, engine: str) -> float | None:
        """Return how many seconds of recording one run does in a second, or None before there is a history.

        Taken from the newest 200 jobs done.
        """
        row = self._db.one(self._db.queries["speed_of_engine"], {"engine": engine})
        if row is None or not row["working_ms"]:
            return None
        return float(row["recording_ms"] / row["working_ms"])

    # -- parts ---------------------------------------------------------------------------------------------------

    def _first_in(self, wanted: Set[int], query: str, values: dict[str, Any]) -> int | None:
        """Return the first id of a query that is wanted. Thousands of ids are faster to look up here than in SQL."""
        with closing(self._db.each(query, values)) as rows:
            return next((row["id"] for row in rows if row["id"] in wanted), None)

    def _set(self, job: Job, owner: str, state: JobState, changes: dict[str, str | None]) -> Job:
        unknown = set(changes) - _CHANGES
        if unknown:
            raise ValueError(f"a move cannot change {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {**changes, "state": state.value, "updated_ms": now_ms()}
        if state not in ACTIVE:
            values |= {"lease_owner": None, "lease_until_ms": None}
        columns = ", ".join(f"{name} = :{name}" for name in values)
        row = self._db.one(
            f"UPDATE jobs SET {columns} "
            "WHERE id = :id AND state = :old AND attempt = :attempt AND lease_owner = :owner RETURNING *",
            {**values, "id": job.id, "old": job.state, "attempt": job.attempt, "owner": owner},
        )
        if row is None:
            raise LeaseLost(f"job {job.id} is no longer {owner}'s to move to {state}")
        return _job(row)

    def _stop(self, state: JobState, job_ids: Iterable[int]) -> int:
        sources = [old.value for old, new in TRANSITIONS if new is state]
        return self._db.run(
            "UPDATE jobs SET state = :state, lease_owner = NULL, lease_until_ms = NULL, updated_ms = :now "
            "WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN (SELECT value FROM json_each(:sources))",
            {"state": state.value, "now": now_ms(), "ids": listed(job_ids), "sources": listed(sources)},
        )

    def _queue_again(self, states: Sequence[JobState], job_ids: Iterable[int]) -> int:
        with self._db.atomic():
            rows = self._db.all(
                "SELECT id, token, attempt FROM jobs WHERE id IN (SELECT value FROM json_each(?)) "
                "AND state IN (SELECT value FROM json_each(?))",
                (listed(job_ids), listed(state.value for state in states)),
            )
            now = now_ms()
            self._db.many(
                "UPDATE jobs SET state = 'queued', attempt = attempt + 1, token = ?, run_ref = NULL, error = NULL, "
                "updated_ms = ? WHERE id = ?",
                [(_token(row["token"], row["attempt"] + 1), now, row["id"]) for row in rows],
            )
            return len(rows)


def _token(identity: str, attempt: int) -> str:
    """Return the token of an attempt, 64 characters. A later attempt's identity is the token before it."""
    return hashlib.sha256(f"{identity}/{attempt}".encode()).hexdigest()


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        case_id=row["case_id"],
        footage_id=row["footage_id"],
        engine=row["engine"],
        engine_version=row["engine_version"],
        settings_key=row["settings_key"],
        gallery_revision=row["gallery_revision"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        state=row["state"],
        attempt=row["attempt"],
        token=row["token"],
        run_ref=row["run_ref"],
        error=row["error"],
        lease_owner=row["lease_owner"],
        lease_until_ms=row["lease_until_ms"],
        updated_ms=row["updated_ms"],
    )
