"""Migrations: all of them or nothing, the same table of moves as the code, and no newer database is touched."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest
from sqlite_utils import Migrations

from vidsearch.errors import DatabaseTooNew, DatabaseUnusable, StoreError
from vidsearch.states import TRANSITIONS
from vidsearch.store import Store
from vidsearch.store.connection import Connection
from vidsearch.store.migrations import migrate, migrations, statements


def tables(path):
    with closing(sqlite3.connect(path)) as db:
        return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def with_change(name, change):
    changed = Migrations(migrations.name)
    for known in migrations._migrations:
        changed(name=known.name)(known.fn)
    changed(name=name)(change)
    return changed


def test_the_database_holds_the_same_moves_as_the_code(store):
    rows = store._connection.all("SELECT old, new FROM job_transitions")
    assert {tuple(row) for row in rows} == {(old.value, new.value) for old, new in TRANSITIONS}


def test_a_fresh_store_has_every_migration_and_the_default_case(store):
    rows = store._connection.all("SELECT name FROM _sqlite_migrations ORDER BY id")
    assert [row["name"] for row in rows] == [migration.name for migration in migrations._migrations]
    assert [case.id for case in store.cases.list()] == ["default"]
    assert store._connection.all("PRAGMA integrity_check")[0][0] == "ok"
    assert store._connection.all("PRAGMA foreign_key_check") == []


def test_every_table_but_the_library_s_own_is_strict(store):
    rows = store._connection.all("PRAGMA table_list")
    loose = {row["name"] for row in rows if row["schema"] == "main" and row["type"] == "table" and not row["strict"]}
    assert loose == {"sqlite_schema", "sqlite_sequence", "_sqlite_migrations"}


def test_opening_again_changes_nothing(tmp_path):
    path = tmp_path / "vidsearch.db"
    Store(path).close()
    before = path.read_bytes()
    Store(path).close()
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_no_trace(tmp_path):
    def broken(db):
        for statement in statements("CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);"):
            db.conn.execute(statement)

    path = tmp_path / "vidsearch.db"
    connection = Connection(path)
    try:
        with pytest.raises(StoreError, match="nowhere"):
            migrate(connection, with_change("m999_broken", broken))
    finally:
        connection.close()
    assert tables(path) == set()


def test_a_later_migration_is_added_to_a_database_in_use(tmp_path):
    path = tmp_path / "vidsearch.db"
    Store(path).close()
    connection = Connection(path)
    try:
        migrate(connection, with_change("m999_more", lambda db: db.conn.execute("CREATE TABLE more (id INTEGER)")))
    finally:
        connection.close()
    assert "more" in tables(path)
    with pytest.raises(DatabaseTooNew, match=r"m999_more.*update vidsearch"):
        Store(path)


def test_a_newer_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "vidsearch.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('vidsearch', 'm900_new', 'now')"
        )
    with pytest.raises(DatabaseTooNew, match="m900_new"):
        Store(path)


def test_another_program_s_database_is_refused(tmp_path):
    path = tmp_path / "vidsearch.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(DatabaseUnusable, match="another program"):
        Store(path)
    assert tables(path) == {"bookmarks"}


def test_many_may_open_a_new_database_at_once(tmp_path):
    path = tmp_path / "vidsearch.db"
    errors = []

    def open_it():
        try:
            Store(path).close()
        except StoreError as exc:
            errors.append(exc)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with Store(path) as store:
        assert len(store.cases.list()) == 1


def test_statements_are_split_at_their_ends_only():
    script = """
    CREATE TABLE a (x TEXT); -- a ; in a comment
    CREATE TRIGGER t AFTER INSERT ON a BEGIN
        UPDATE a SET x = ';';
        SELECT 1;
    END;
    """
    first, second = statements(script)
    assert first.endswith("(x TEXT);")
    assert second.startswith("-- a ; in a comment")
    assert second.endswith("END;")


def test_an_unfinished_statement_is_an_error():
    with pytest.raises(ValueError, match="unfinished"):
        list(statements("CREATE TABLE a (x TEXT)"))
