"""The application's schema: one function per change, each applied in a transaction with its own record."""

from sqlite_utils import Database, Migrations

from vidsearch.states import TRANSITIONS

migrations = Migrations("vidsearch")


@migrations()
def m001_cases_people_footage(db: Database) -> None:
    """Cases and what belongs to them. Every row that tells of a person or a recording carries its case."""
    db.executescript(
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
            id INTEGER PRIMARY KEY,
            case_id TEXT NOT NULL REFERENCES cases(id),
            name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
            note TEXT NOT NULL DEFAULT '',
            created_ms INTEGER NOT NULL,
            UNIQUE (case_id, name)
        ) STRICT;

        CREATE TABLE photos (
            id INTEGER PRIMARY KEY,
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
            id INTEGER PRIMARY KEY,
            case_id TEXT NOT NULL REFERENCES cases(id),
            name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
            zone TEXT NOT NULL,
            clock_offset_ms INTEGER NOT NULL DEFAULT 0,
            UNIQUE (case_id, name)
        ) STRICT;

        CREATE TABLE footage (
            id INTEGER PRIMARY KEY,
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
        """
    )


@migrations()
def m002_jobs(db: Database) -> None:
    """Jobs, the table of allowed moves, and triggers that keep history and refuse any other move."""
    db.executescript(
        """
        CREATE TABLE job_transitions (
            old TEXT NOT NULL, new TEXT NOT NULL, PRIMARY KEY (old, new)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY,
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
        CREATE INDEX jobs_state ON jobs(state, id);
        CREATE INDEX jobs_footage ON jobs(footage_id, state);

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
        """
    )
    db["job_transitions"].insert_all({"old": old.value, "new": new.value} for old, new in sorted(TRANSITIONS))


@migrations()
def m003_results(db: Database) -> None:
    """What engines found: tracks, spans examined, matches, and the appearances people see."""
    db.executescript(
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
        CREATE INDEX tracks_time ON tracks(footage_id, engine, start_ms);

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
            PRIMARY KEY (footage_id, engine, track_id, person_id, weak)
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
        CREATE INDEX appearances_person ON appearances(person_id, footage_id, start_ms);
        CREATE INDEX appearances_footage ON appearances(footage_id, start_ms);
        CREATE INDEX appearances_case ON appearances(case_id, camera_id, footage_id, start_ms);
        """
    )


@migrations()
def m004_audit(db: Database) -> None:
    """Who did what, when, why: rows are added and never changed."""
    db.executescript(
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
        """
    )


@migrations()
def m005_default_case(db: Database) -> None:
    """A fresh install has one case."""
    db["cases"].insert(
        {
            "id": "default",
            "title": "Default case",
            "purpose": "other",
            "reference": None,
            "retention_days": None,
            "gallery_revision": 0,
            "created_ms": 0,
        }
    )
