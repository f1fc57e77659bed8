"""Open ``rekognition.db``: collections, jobs, their results and the messages still to be sent."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, DiskFull

SCHEMA_VERSION = 1

_PATIENCE_S = 2.0
"""How long a folder may still be in use by a server that is stopping."""

_SCHEMA = """
CREATE TABLE keys (                   -- what page tokens are signed with
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE collections (
    id TEXT PRIMARY KEY,
    gallery TEXT NOT NULL,            -- the engine's gallery: never the one of a deleted collection of the same name
    model_version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    tags TEXT NOT NULL                -- JSON
) WITHOUT ROWID;

CREATE TABLE faces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id TEXT NOT NULL UNIQUE,
    engine_face TEXT NOT NULL,        -- the engine's id; several faces share it where only ExternalImageId differs
    image_id TEXT NOT NULL,
    external_id TEXT NOT NULL,        -- empty where none was given
    confidence REAL NOT NULL,
    box TEXT NOT NULL,                -- JSON: BoundingBox in the enrolled picture
    UNIQUE (collection, engine_face, external_id)
);

CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    token TEXT,
    request TEXT NOT NULL,            -- JSON, without the token, keys sorted
    etag TEXT NOT NULL,               -- of the object when the job was started
    size INTEGER NOT NULL,
    object_version TEXT,
    created_ms INTEGER NOT NULL,
    status TEXT NOT NULL,             -- IN_PROGRESS, SUCCEEDED, FAILED
    message TEXT,
    video TEXT,                       -- JSON: VideoMetadata
    expired INTEGER NOT NULL DEFAULT 0  -- page tokens made to expire by a fault
);
CREATE INDEX jobs_by_token ON jobs (token);
CREATE INDEX jobs_open ON jobs (number) WHERE status = 'IN_PROGRESS';

CREATE TABLE people (                 -- who was seen in a job's video
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    person INTEGER NOT NULL,
    confidence REAL NOT NULL,
    matches TEXT NOT NULL,            -- JSON: FaceMatches
    PRIMARY KEY (job, person)
) WITHOUT ROWID;

CREATE TABLE sightings (              -- and when and where
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    ms INTEGER NOT NULL,
    person INTEGER NOT NULL,
    box TEXT NOT NULL,                -- JSON: left, top, width, height
    PRIMARY KEY (job, ms, person)
) WITHOUT ROWID;
CREATE INDEX sightings_by_person ON sightings (job, person, ms);

CREATE TABLE contents (               -- what is known of objects, whatever their keys
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    engine TEXT NOT NULL,             -- the version that analysed it
    sha256 TEXT NOT NULL,
    facts TEXT,                       -- JSON: MediaFacts; NULL where it is not to be searched
    message TEXT,                     -- and why
    PRIMARY KEY (etag, size, engine)
) WITHOUT ROWID;

CREATE TABLE outbox (                 -- messages to be published
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    body TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
);
"""


class State:
    """One connection, shared by the threads of the server: what they do with it is short."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it where it is new. Raises a StoreError where it cannot be used."""
        self._path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as exc:
            raise DatabaseUnusable(f"{path} cannot be made: {exc}") from exc
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._db.row_factory = sqlite3.Row
        with self.reading() as db:
            # One server at a time: two would both do every job.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
        with self.changing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise DatabaseTooNew(f"{self._path} was written by a newer vidsearch; update vidsearch to open it")
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO keys VALUES ('pages', ?)", (secrets.token_bytes(32),))
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, to this thread alone."""
        with self._lock, self._translated():
            yield self._db

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction that ends with the block, all of it or nothing."""
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def key(self) -> bytes:
        """Return what page tokens are signed with."""
        with self.reading() as db:
            return bytes(db.execute("SELECT value FROM keys WHERE name = 'pages'").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as exc:
            if "full" in str(exc):
                raise DiskFull from exc
            if "locked" in str(exc):
                raise DatabaseUnusable(f"{self._path.parent} is in use by another rekognition-local") from exc
            raise DatabaseUnusable(f"{self._path} cannot be used: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            raise DatabaseUnusable(f"{self._path} is damaged: {exc}") from exc
