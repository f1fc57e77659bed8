"""Open ``engine.db``, in which the Rekognition engine keeps what it has with Amazon: collections, faces, runs.

No biometric data is in it, and no credentials.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, DiskFull, EngineError

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE facts (                  -- what holds for the whole folder: 'folder', 'model' …
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE collections (            -- that were made for galleries
    name TEXT PRIMARY KEY,
    gallery TEXT NOT NULL,
    generation INTEGER NOT NULL,      -- the highest one of a gallery is in use
    model TEXT NOT NULL,              -- Amazon's FaceModelVersion
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX collections_by_gallery ON collections (gallery, generation);

CREATE TABLE faces (
    collection TEXT NOT NULL,
    face_id TEXT NOT NULL,            -- ours
    gallery TEXT NOT NULL,
    aws_id TEXT NOT NULL,             -- Amazon's FaceId
    picture TEXT NOT NULL,            -- SHA-256
    described TEXT NOT NULL,          -- the FaceDescription as JSON
    weak INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (collection, face_id)
) WITHOUT ROWID;
CREATE INDEX faces_by_gallery ON faces (gallery, face_id);

CREATE TABLE runs (
    token TEXT PRIMARY KEY,           -- of the attempt; a later attempt takes the row over
    work TEXT NOT NULL,               -- names what is asked, the same for every attempt
    name TEXT NOT NULL,               -- of the cut and of the object
    footage TEXT NOT NULL,
    gallery TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    spans TEXT NOT NULL,              -- JSON, or null
    width INTEGER NOT NULL,           -- of the recording's pictures
    state TEXT NOT NULL,              -- new, cut, sent, starting, started, done
    source TEXT,                      -- the file that is sent
    made INTEGER NOT NULL DEFAULT 0,  -- whether it is ours to delete
    stretches TEXT,                   -- JSON: out_ms, source_ms, length_ms
    object_key TEXT,
    version_id TEXT NOT NULL DEFAULT '',
    request TEXT,                     -- of StartFaceSearch, as JSON: written down before it is sent
    asked_ms INTEGER,
    job_id TEXT,
    started_ms INTEGER,
    looked_ms INTEGER,                -- when Amazon was last asked about it
    outcome TEXT,                     -- SUCCEEDED, FAILED, SKIPPED
    reason TEXT,                      -- one line
    touched_ms INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    cleaned INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX runs_by_work ON runs (work);
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_by_job ON runs (job_id);

CREATE TABLE inbox (                  -- word that came of jobs
    job_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    via TEXT NOT NULL,                -- queue, asked, bucket
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE seen_footage (           -- recordings whose faces belong into a gallery's collection of faces seen
    gallery TEXT NOT NULL,
    footage TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,  -- whether all that was found in it so far was sent
    PRIMARY KEY (gallery, footage)
) WITHOUT ROWID;

CREATE TABLE seen (                   -- tracks of which Amazon was sent the best picture
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    gallery TEXT NOT NULL,
    track TEXT NOT NULL,
    footage TEXT NOT NULL,
    aws_id TEXT NOT NULL,             -- Amazon's FaceId; empty where it saw no face, ? until it has answered
    at_ms INTEGER NOT NULL,
    UNIQUE (gallery, track)
);
CREATE INDEX seen_by_footage ON seen (footage, gallery);

CREATE TABLE asked (                  -- what was answered about an enrolled face when so much had been seen
    gallery TEXT NOT NULL,
    face_id TEXT NOT NULL,
    newest INTEGER NOT NULL,
    answer TEXT NOT NULL,             -- JSON: [track, similarity] of each sighting
    PRIMARY KEY (gallery, face_id)
) WITHOUT ROWID;
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

    @property
    def folder(self) -> str:
        """A word that tells this data folder apart from others that use the same account: made with the database."""
        return self.fact("folder")

    def fact(self, name: str) -> str:
        """Return a fact about the folder, or an empty text."""
        with self.reading() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def set_fact(self, name: str, value: str) -> None:
        """Keep a fact about the folder."""
        with self.changing() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

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

    def _prepare(self) -> None:
        with self.changing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise DatabaseTooNew(f"{self._path} was written by a newer vidsearch; update vidsearch to open it")
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        db.execute(statement)
                db.execute("INSERT INTO facts VALUES ('folder', ?)", (secrets.token_hex(4),))
            if version < SCHEMA_VERSION:
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _connection(self) -> sqlite3.Connection:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is not None:
            return held
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        with self._lock:
            # Threads that send faces come and go by the thousand.
            for thread in [thread for thread in self._open if not thread.is_alive()]:
                self._open.pop(thread).close()
            self._open[threading.current_thread()] = db
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        # What Amazon was asked for must be on the disk before it is asked: it costs money.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        self._local.connection = db
        return db


def now_ms() -> int:
    """Return the wall clock in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


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
