"""The one way to the database: a connection per thread, transactions, and SQLite's errors in our words."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from vidsearch.errors import DatabaseUnusable, DiskFull, IllegalTransition, StoreError

BUSY_S = 30.0
"""How long a statement waits for another process's transaction. Ours take milliseconds; slow disks may need seconds."""

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with it."""

LITTLE_SPACE = 4 * 1024 * 1024
"""With less free than this, in bytes, an input/output error is taken for a full disk: the write-ahead log and its index
grow in pieces of 32 KiB to a few megabytes, and some file systems answer EIO where ENOSPC is meant."""

ILLEGAL_MOVE = "illegal job transition"
"""What the trigger on ``jobs`` says."""

Parameters = Sequence[Any] | Mapping[str, Any]
Row = sqlite3.Row


class Connection:
    """A database file as all threads of this process see it. Every thread gets a connection of its own on first use.

    ``queries`` holds the named joins of ``queries.sql``.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet. Raises DatabaseUnusable where this Python's SQLite is too old."""
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise DatabaseUnusable(
                f"this Python has SQLite {sqlite3.sqlite_version}, and {'.'.join(map(str, OLDEST_SQLITE))} or newer is "
                "needed; use a newer Python"
            )
        self.path = path
        self.queries = load_queries()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, sqlite3.Connection] = {}
        self._local = threading.local()

    # -- statements ----------------------------------------------------------------------------------------------

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a statement and return its rows."""
        with self.translated():
            return self.raw().execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Run a statement and return its first row, or None; the statement ends, whatever rows are left."""
        rows = self.all(sql, parameters)
        return rows[0] if rows else None

    def each(self, sql: str, parameters: Parameters = ()) -> Generator[Row, None, None]:
        """Run a statement and yield its rows as they are found. Close the iterator before writing."""
        with self.translated(), closing(self.raw().execute(sql, parameters)) as cursor:
            yield from cursor

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement and return how many rows it changed."""
        with self.translated():
            return self.raw().execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Parameters = ()) -> int:
        """Run an INSERT and return the row's id."""
        with self.translated():
            return self.raw().execute(sql, parameters).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each of ``rows``."""
        with self.translated():
            self.raw().executemany(sql, rows)

    # -- transactions --------------------------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside ``atomic()``."""
        return self.raw().in_transaction

    def atomic(self) -> AbstractContextManager[None]:
        """Make everything in the block happen, or nothing. Inside another block it is a part that can fail alone."""
        return self._part() if self.in_transaction else self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            # The write lock is taken at the start: a transaction that reads first and writes later could find that
            # another process wrote in between, and SQLite would refuse it without waiting.
            self.run("BEGIN IMMEDIATE")
            yield
            self.run("COMMIT")
        except BaseException:
            # A full disk ends the whole transaction by itself; then there is nothing left to undo.
            if self.in_transaction:
                self.run("ROLLBACK")
            raise

    @contextmanager
    def _part(self) -> Iterator[None]:
        self.run("SAVEPOINT part")
        try:
            yield
            self.run("RELEASE part")
        except BaseException:
            if self.in_transaction:
                self.run("ROLLBACK TO part")
                self.run("RELEASE part")
            raise

    # -- connections ---------------------------------------------------------------------------------------------

    def raw(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            self._remember(connection)
        return connection

    def close(self) -> None:
        """Close the connections of all threads. The next statement opens a new one."""
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()
            self._local = threading.local()

    def _remember(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            for thread in [thread for thread in self._open if not thread.is_alive()]:
                self._open.pop(thread).close()
            self._open[threading.current_thread()] = connection

    def _connect(self) -> sqlite3.Connection:
        with self.translated():
            # check_same_thread is off only so that close() can close what other threads opened.
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                connection.row_factory = sqlite3.Row
                _use_wal(connection)
                # FULL: what was reported as found or recorded in the audit stays after a power cut. Commits are a few a
                # second beside seconds of analysis, so the fsync of each costs nothing that anybody would notice.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA cache_size = -32768")
                # What is forgotten is overwritten, not only unlinked: names and matches of people.
                connection.execute("PRAGMA secure_delete = ON")
            except BaseException:
                connection.close()
                raise
            return connection

    # -- errors --------------------------------------------------------------------------------------------------

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn SQLite's errors inside the block into ours."""
        try:
            yield
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def _error(self, exc: sqlite3.Error) -> Exception:
        folder = self.path.parent
        primary = (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _free(folder) < LITTLE_SPACE):
            return DiskFull(
                f"the disk of {folder} is full; free some space and run the same command again, "
                "nothing found so far is lost"
            )
        if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            return DatabaseUnusable(
                f"{self.path} cannot be written ({exc}); make the folder {folder} writable for you, "
                "or choose another with --data DIR"
            )
        if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return DatabaseUnusable(
                f"{self.path} is damaged or is not a database ({exc}); put back a copy, or choose another folder with "
                "--data DIR"
            )
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"{self.path} is held by another process for {BUSY_S:.0f} s; try again when it is done")
        if primary == sqlite3.SQLITE_IOERR:
            return DatabaseUnusable(f"{self.path} cannot be read or written ({exc}); check the disk that holds it")
        if ILLEGAL_MOVE in str(exc):
            return IllegalTransition()
        return StoreError(f"{self.path}: {exc}")


def load_queries() -> dict[str, str]:
    """Return the statements of ``queries.sql`` by name: each follows a line ``-- name: what it answers``."""
    text = resources.files("vidsearch.store").joinpath("queries.sql").read_text(encoding="utf-8")
    queries: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("-- ") and ":" in line and line[3:].split(":")[0].isidentifier():
            name = line[3:].split(":")[0]
            queries[name] = ""
        elif name and not line.startswith("--"):
            queries[name] += line + "\n"
    return queries


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the database to the write-ahead log, so that readers and the writer never wait for each other.

    The switch needs the file for itself and does not use the busy timeout, so it is tried until that has run out.
    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            continue
        if mode != "wal":
            raise DatabaseUnusable("the data folder's file system cannot share memory; choose a folder on a local disk")
        return


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return LITTLE_SPACE
