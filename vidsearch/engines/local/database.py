"""Open ``engine.db``, the file that holds the local engine's biometric data and nothing else."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, DiskFull, EngineError

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE faces (
    gallery TEXT NOT NULL,
    face_id TEXT NOT NULL,
    version TEXT NOT NULL,
    weak INTEGER NOT NULL,
    described TEXT NOT NULL,          -- the FaceDescription as JSON
    vector BLOB NOT NULL,             -- float32
    jpeg BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (gallery, face_id)
) WITHOUT ROWID;

CREATE TABLE ranges (                 -- what has been analysed
    footage TEXT NOT NULL,
    version TEXT NOT NULL,            -- engine version and settings
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    spans TEXT NOT NULL,              -- JSON
    PRIMARY KEY (footage, version, start_ms, end_ms)
) WITHOUT ROWID;

CREATE TABLE runs (                   -- tokens under which ranges were asked for
    token TEXT PRIMARY KEY,
    footage TEXT NOT NULL,
    version TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_by_footage ON runs (footage);

CREATE TABLE pieces (                 -- tracks within one range: those of one root are one track
    id TEXT PRIMARY KEY,
    footage TEXT NOT NULL,
    version TEXT NOT NULL,
    range_start INTEGER NOT NULL,
    range_end INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    best_ms INTEGER NOT NULL,
    best_box TEXT NOT NULL,           -- JSON: left, top, width, height
    face_px INTEGER NOT NULL,
    quality REAL NOT NULL,
    detections INTEGER NOT NULL,
    confidence REAL NOT NULL,
    lead TEXT NOT NULL,               -- JSON: sightings just before the range
    tail TEXT NOT NULL,               -- JSON: last sightings, where it may go on
    previous TEXT,                    -- the piece it goes on from
    root TEXT NOT NULL,               -- the first piece of the chain
    shots BLOB NOT NULL,              -- (ms int64, px float32, quality float32) for each vector
    vectors BLOB NOT NULL,            -- float32
    path BLOB NOT NULL DEFAULT x''    -- (ms after range_start uint32, box in 65535ths 4 × uint16) for each sighting
) WITHOUT ROWID;
CREATE INDEX pieces_by_root ON pieces (footage, version, root, start_ms);
CREATE INDEX pieces_by_previous ON pieces (previous);
CREATE INDEX pieces_by_range ON pieces (footage, version, range_start);
CREATE INDEX pieces_root ON pieces (root);
"""


class Database:
    """Connections to ``engine.db``: one for each thread, any number of processes."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it where it is new. Raises a StoreError where it cannot be used."""
        self._path = path
        self._local = threading.local()
        self._open: dict[threading.Thread, sqlite3.Connection] = {}
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise DatabaseUnusable(f"{path.parent} cannot be made: {exc.strerror or exc}") from exc
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self.changing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise DatabaseTooNew(f"{self._path} was written by a newer vidsearch; update vidsearch to open it")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    if statement.strip():
                        db.execute(statement)
            if version == 1:
                db.execute("ALTER TABLE faces ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0")
            if version in (1, 2):
                db.execute("ALTER TABLE pieces ADD COLUMN path BLOB NOT NULL DEFAULT x''")
            if version < SCHEMA_VERSION:
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the thread's connection."""
        with _translated(self._path):
            yield self._connection()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give the thread's connection inside a transaction that ends with the block, all of it or nothing."""
        with _translated(self._path):
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def forget_log(self) -> None:
        """Empty the write-ahead log, so that nothing deleted is left in it. Best effort: readers may hold it."""
        with self.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()

    def _connection(self) -> sqlite3.Connection:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is not None:
            return held
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        with self._lock:
            # Whoever asks in a thread for each question would otherwise run out of files.
            for thread in [thread for thread in self._open if not thread.is_alive()]:
                self._open.pop(thread).close()
            self._open[threading.current_thread()] = db
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        # Deleted vectors are overwritten with zeros: forgetting somebody means it.
        db.execute("PRAGMA secure_delete = ON")
        self._local.connection = db
        return db


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise our errors for SQLite's."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "full" in str(exc):
            raise DiskFull from exc
        raise DatabaseUnusable(f"{path} cannot be used: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise EngineError(f"{path} is damaged: {exc}") from exc
