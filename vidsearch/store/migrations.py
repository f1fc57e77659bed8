"""The application's schema: one function per change, all applied in one transaction with their records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database, Migrations

from vidsearch.errors import DatabaseTooNew, DatabaseUnusable
from vidsearch.states import TRANSITIONS
from vidsearch.store.connection import Connection

migrations = Migrations("vidsearch")


def migrate(connection: Connection, changes: Migrations = migrations) -> None:
    """Bring a database to the schema of this version; two processes may do it at once.

    Raises:
        DatabaseTooNew: A newer vidsearch has changed it.
        DatabaseUnusable: It belongs to another program.
    """
    raw = connection.raw()
    with connection.translated():
        if not _pending(connection.path, raw, changes):
            return
    with connection.atomic(), connection.translated():
        # Plugins of sqlite-utils that happen to be installed have no business in this database.
        changes.apply(Database(raw, recursive_triggers=False, execute_plugins=False))


def _pending(path: Path, raw: sqlite3.Connection, changes: Migrations) -> bool:
    tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if changes.migrations_table not in tables:
        if tables:
            raise DatabaseUnusable(f"{path} is another program's database; choose another folder with --data DIR")
        return True
    applied = {
        row[0]
        for row in raw.execute(f"SELECT name FROM {changes.migrations_table} WHERE migration_set = ?", (changes.name,))
    }
    known = {migration.name for migration in changes._migrations}
    if applied - known:
        raise DatabaseTooNew(
            f"{path} was written by a newer vidsearch (it has '{max(applied - known)}'); update vidsearch to open it"
        )
    return applied != known


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one.

    ``executescript`` would commit first, and a migration that failed half way would stay half applied.
    """
    statement = ""
    for part in script.split(";")[:-1]:
        # A semicolon may also stand in a comment, in a text, or inside a trigger.
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    rest = statement + script.rpartition(";")[2]
    if rest.strip():
        raise ValueError(f"unfinished statement: {rest.strip()[:60]}")


def _run(db: Database, script: str) -> None:
    for statement in statements(script):
        db.conn.execute(statement)


@migrations()
def m001_cases_people_footage(db: Database) -> None:
    """Cases and what belongs to them. Every row that tells of a person or a recording carries its case."""
    _run(
        db,
        """
        CREATE TABLE cases (
            id TEXT PRIMARY KEY,
            title TEXT NOT NULL,
            purpose TEXT NOT NULL CHECK (purpose IN ('missing_person', 'suspect', 'other')),
            reference TEXT,
            retention_days INTEGER CHECK (retention_days > 0),
            gallery_revision INTEGER NOT NULL DEFAULT 0,
            created_ms INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE people (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases(id),
            name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
            note TEXT NOT NULL DEFAULT '',
            created_ms INTEGER NOT NULL,
            UNIQUE (case_id, name)
        ) STRICT;

        CREATE TABLE photos (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases(id),
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            width INTEGER,
            height INTEGER,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            disagrees REAL,
            created_ms INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX photos_person ON photos(person_id);
        CREATE INDEX photos_sha256 ON photos(case_id, sha256);

        CREATE TABLE enrolled_faces (
            face_id TEXT NOT NULL,
            case_id TEXT NOT NULL REFERENCES cases(id),
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            photo_id INTEGER NOT NULL REFERENCES photos(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            left REAL NOT NULL, top REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL,
            confidence REAL NOT NULL,
            face_px INTEGER NOT NULL,
            sharpness REAL NOT NULL,
            frontal REAL NOT NULL,
            weak INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (case_id, engine, face_id)
        ) STRICT;
        CREATE INDEX enrolled_faces_photo ON enrolled_faces(photo_id);
        CREATE INDEX enrolled_faces_person ON enrolled_faces(person_id);

        CREATE TABLE cameras (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases(id),
            name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
            zone TEXT NOT NULL,
            clock_offset_ms INTEGER NOT NULL DEFAULT 0,
            UNIQUE (case_id, name)
        ) STRICT;

        CREATE TABLE footage (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases(id),
            camera_id INTEGER NOT NULL REFERENCES cameras(id),
            path TEXT NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            key TEXT NOT NULL,
            sha256 TEXT,
            start_ms INTEGER NOT NULL,
            start_source TEXT NOT NULL,
            duration_ms INTEGER NOT NULL,
            facts TEXT NOT NULL,
            missing INTEGER NOT NULL DEFAULT 0,
            created_ms INTEGER NOT NULL,
            UNIQUE (case_id, key)
        ) STRICT;
        CREATE INDEX footage_camera ON footage(camera_id, start_ms);
        CREATE INDEX footage_key ON footage(key);
        """,
    )


@migrations()
def m002_jobs(db: Database) -> None:
    """Jobs, the table of allowed moves, and triggers that keep history and refuse any other move."""
    _run(
        db,
        """
        CREATE TABLE job_transitions (
            old TEXT NOT NULL, new TEXT NOT NULL, PRIMARY KEY (old, new)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases(id),
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            settings_key TEXT NOT NULL,
            gallery_revision INTEGER NOT NULL DEFAULT 0,
            start_ms INTEGER NOT NULL,
            end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
            state TEXT NOT NULL DEFAULT 'queued',
            attempt INTEGER NOT NULL DEFAULT 1,
            token TEXT NOT NULL,
            run_ref TEXT,
            error TEXT,
            lease_owner TEXT,
            lease_until_ms INTEGER,
            actor TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            updated_ms INTEGER NOT NULL,
            UNIQUE (footage_id, engine, engine_version, settings_key, gallery_revision, start_ms)
        ) STRICT;
        CREATE INDEX jobs_case ON jobs(case_id, id);
        CREATE INDEX jobs_done ON jobs(engine, state, id);
        CREATE INDEX jobs_run ON jobs(run_ref) WHERE run_ref IS NOT NULL;
        CREATE INDEX jobs_lease ON jobs(lease_owner) WHERE lease_owner IS NOT NULL;
        CREATE INDEX jobs_open ON jobs(engine, id)
            WHERE state IN ('queued', 'preparing', 'uploading', 'searching', 'collecting');

        CREATE TABLE job_events (
            id INTEGER PRIMARY KEY,
            job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
            at_ms INTEGER NOT NULL,
            old TEXT,
            new TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            owner TEXT,
            error TEXT
        ) STRICT;
        CREATE INDEX job_events_job ON job_events(job_id);

        CREATE TRIGGER jobs_created AFTER INSERT ON jobs BEGIN
            INSERT INTO job_events (job_id, at_ms, old, new, attempt, owner)
            VALUES (NEW.id, NEW.updated_ms, NULL, NEW.state, NEW.attempt, NEW.lease_owner);
        END;

        CREATE TRIGGER jobs_illegal BEFORE UPDATE OF state ON jobs
        WHEN OLD.state <> NEW.state
         AND NOT EXISTS (SELECT 1 FROM job_transitions WHERE old = OLD.state AND new = NEW.state)
        BEGIN
            SELECT RAISE(ABORT, 'illegal job transition');
        END;

        CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
            INSERT INTO job_events (job_id, at_ms, old, new, attempt, owner, error)
            VALUES (NEW.id, NEW.updated_ms, OLD.state, NEW.state, NEW.attempt,
                    coalesce(NEW.lease_owner, OLD.lease_owner), NEW.error);
        END;

        CREATE TRIGGER jobs_taken_over AFTER UPDATE OF lease_owner ON jobs
        WHEN OLD.state = NEW.state AND NEW.lease_owner IS NOT NULL AND OLD.lease_owner IS NOT NEW.lease_owner
        BEGIN
            INSERT INTO job_events (job_id, at_ms, old, new, attempt, owner)
            VALUES (NEW.id, NEW.updated_ms, OLD.state, NEW.state, NEW.attempt, NEW.lease_owner);
        END;
        """,
    )
    db.conn.executemany(
        "INSERT INTO job_transitions (old, new) VALUES (?, ?)",
        [(old.value, new.value) for old, new in sorted(TRANSITIONS)],
    )


@migrations()
def m003_results(db: Database) -> None:
    """What engines found: tracks, spans examined, matches, and the appearances people see."""
    _run(
        db,
        """
        CREATE TABLE tracks (
            id TEXT NOT NULL,
            case_id TEXT NOT NULL REFERENCES cases(id),
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            start_ms INTEGER NOT NULL,
            end_ms INTEGER NOT NULL,
            best_ms INTEGER NOT NULL,
            left REAL NOT NULL, top REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL,
            face_px INTEGER NOT NULL,
            detections INTEGER NOT NULL,
            confidence REAL NOT NULL,
            PRIMARY KEY (footage_id, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX tracks_time ON tracks(footage_id, engine, engine_version, start_ms);

        -- Tracks that became part of another one. A page read before that may be stored after it; its piece stays out.
        CREATE TABLE superseded (
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            id TEXT NOT NULL,
            PRIMARY KEY (footage_id, id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE examined (
            id INTEGER PRIMARY KEY,
            case_id TEXT NOT NULL REFERENCES cases(id),
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
            start_ms INTEGER NOT NULL,
            end_ms INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT ''
        ) STRICT;
        CREATE INDEX examined_footage ON examined(footage_id, engine, start_ms);
        CREATE INDEX examined_case ON examined(case_id, engine, footage_id, start_ms);
        CREATE INDEX examined_job ON examined(job_id);

        CREATE TABLE matches (
            case_id TEXT NOT NULL REFERENCES cases(id),
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            track_id TEXT NOT NULL,
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            face_id TEXT NOT NULL,
            similarity REAL NOT NULL,
            agreeing INTEGER NOT NULL,
            weak INTEGER NOT NULL DEFAULT 0,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            gallery_revision INTEGER NOT NULL,
            PRIMARY KEY (footage_id, engine, engine_version, track_id, person_id, weak)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX matches_person ON matches(person_id);

        CREATE TABLE matched (
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            settings_key TEXT NOT NULL,
            gallery_revision INTEGER NOT NULL,
            jobs_done INTEGER NOT NULL,
            threshold REAL NOT NULL,
            at_ms INTEGER NOT NULL,
            PRIMARY KEY (footage_id, engine, engine_version, settings_key)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE appearances (
            id TEXT PRIMARY KEY,
            case_id TEXT NOT NULL REFERENCES cases(id),
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            camera_id INTEGER NOT NULL REFERENCES cameras(id),
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            -- Wall clock of start and end (UTC), so that pages are read by index; triggers keep them.
            at_ms INTEGER NOT NULL,
            until_ms INTEGER NOT NULL,
            start_ms INTEGER NOT NULL,
            end_ms INTEGER NOT NULL,
            best_ms INTEGER NOT NULL,
            best_track TEXT NOT NULL,
            left REAL NOT NULL, top REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL,
            face_px INTEGER NOT NULL,
            face_id TEXT NOT NULL,
            similarity REAL NOT NULL,
            detections INTEGER NOT NULL,
            tracks TEXT NOT NULL,
            weak INTEGER NOT NULL DEFAULT 0,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            review TEXT CHECK (review IN ('confirmed', 'rejected', 'unsure'))
        ) STRICT;
        CREATE INDEX appearances_case ON appearances(case_id, at_ms, id);
        CREATE INDEX appearances_person ON appearances(person_id, at_ms, id);
        CREATE INDEX appearances_camera ON appearances(camera_id, at_ms, id);
        CREATE INDEX appearances_footage ON appearances(footage_id, at_ms, id);
        CREATE INDEX appearances_length ON appearances(case_id, (until_ms - at_ms));

        CREATE TRIGGER appearances_follow_camera AFTER UPDATE OF clock_offset_ms ON cameras
        WHEN OLD.clock_offset_ms <> NEW.clock_offset_ms
        BEGIN
            UPDATE appearances SET at_ms = at_ms + NEW.clock_offset_ms - OLD.clock_offset_ms,
                                   until_ms = until_ms + NEW.clock_offset_ms - OLD.clock_offset_ms
            WHERE camera_id = NEW.id;
        END;
        CREATE TRIGGER appearances_follow_footage AFTER UPDATE OF start_ms ON footage
        WHEN OLD.start_ms <> NEW.start_ms
        BEGIN
            UPDATE appearances SET at_ms = at_ms + NEW.start_ms - OLD.start_ms,
                                   until_ms = until_ms + NEW.start_ms - OLD.start_ms
            WHERE footage_id = NEW.id;
        END;

        -- Verdicts outlive the rows they were given on: a changed threshold takes an appearance away and back again.
        CREATE TABLE reviews (
            appearance_id TEXT PRIMARY KEY,
            case_id TEXT NOT NULL REFERENCES cases(id),
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            footage_id INTEGER NOT NULL REFERENCES footage(id) ON DELETE CASCADE,
            verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected', 'unsure'))
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX reviews_person ON reviews(person_id);
        CREATE INDEX reviews_footage ON reviews(footage_id);
        """,
    )


@migrations()
def m004_audit(db: Database) -> None:
    """Who did what, when, why: rows are added and never changed."""
    _run(
        db,
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            actor TEXT NOT NULL,
            via TEXT NOT NULL,
            case_id TEXT,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            detail TEXT NOT NULL DEFAULT '{}'
        ) STRICT;
        CREATE INDEX audit_case ON audit(case_id, id);
        CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
            SELECT RAISE(ABORT, 'the audit is append-only');
        END;
        CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
            SELECT RAISE(ABORT, 'the audit is append-only');
        END;
        """,
    )


@migrations()
def m005_default_case(db: Database) -> None:
    """A fresh install has one case."""
    db.conn.execute(
        "INSERT INTO cases (id, title, purpose, created_ms) "
        "VALUES ('default', 'Default case', 'other', CAST(strftime('%s', 'now') AS INTEGER) * 1000)"
    )


@migrations()
def m006_forgotten(db: Database) -> None:
    """What engines must still forget: noted in the transaction that forgets here, struck off when they have."""
    _run(
        db,
        """
        CREATE TABLE forgotten_faces (
            engine TEXT NOT NULL,
            case_id TEXT NOT NULL,
            face_id TEXT NOT NULL,
            PRIMARY KEY (engine, case_id, face_id)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER enrolled_faces_forgotten AFTER DELETE ON enrolled_faces BEGIN
            INSERT OR IGNORE INTO forgotten_faces VALUES (OLD.engine, OLD.case_id, OLD.face_id);
        END;
        CREATE TRIGGER enrolled_faces_again AFTER INSERT ON enrolled_faces BEGIN
            DELETE FROM forgotten_faces
            WHERE engine = NEW.engine AND case_id = NEW.case_id AND face_id = NEW.face_id;
        END;

        CREATE TABLE forgotten_footage (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
        CREATE TRIGGER footage_forgotten AFTER DELETE ON footage
        WHEN NOT EXISTS (SELECT 1 FROM footage WHERE key = OLD.key)
        BEGIN
            INSERT OR IGNORE INTO forgotten_footage VALUES (OLD.key);
        END;
        CREATE TRIGGER footage_again AFTER INSERT ON footage BEGIN
            DELETE FROM forgotten_footage WHERE key = NEW.key;
        END;
        """,
    )


@migrations()
def m007_several_engines(db: Database) -> None:
    """What engines that ask about a gallery need: since when a face is in it, and photos only some take."""
    _run(
        db,
        """
        -- The revision of the gallery that the face came with: what was searched before it must be searched again.
        ALTER TABLE enrolled_faces ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

        -- Photos that one engine took and another one refused.
        CREATE TABLE photo_refusals (
            photo_id INTEGER NOT NULL REFERENCES photos(id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            engine_version TEXT NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            PRIMARY KEY (photo_id, engine)
        ) STRICT, WITHOUT ROWID;

        -- Footage is searched by some engines under one name in several ways; the newest one decides what is shown.
        CREATE INDEX jobs_footage ON jobs(footage_id, engine, engine_version, settings_key, gallery_revision);
        """,
    )
