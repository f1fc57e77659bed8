"""A data folder that cannot hold the database: one line each, saying what to do, and nothing lost."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from vidsearch.errors import DatabaseUnusable, DiskFull, IllegalTransition, StoreError
from vidsearch.store import Store, connection, folder
from vidsearch.store.folder import Mount, network_kind


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# -- the folder --------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_made_for_its_owner_only(tmp_path):
    path = tmp_path / "a" / "b" / "vidsearch.db"
    Store(path).close()
    if os.name == "posix":
        assert path.parent.stat().st_mode & 0o077 == 0


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseUnusable) as error:
        Store(tmp_path / "file" / "vidsearch.db")
    assert "--data" in one_line(error)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours_to_write(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DatabaseUnusable) as error:
            Store(tmp_path / "vidsearch.db")
        assert "writable" in one_line(error)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody can write to")
def test_a_folder_on_a_read_only_file_system():
    with pytest.raises(DatabaseUnusable) as error:
        Store(Path("/proc/vidsearch/vidsearch.db"))
    assert "/proc/vidsearch" in one_line(error)


def test_a_folder_where_the_database_should_be(tmp_path):
    (tmp_path / "vidsearch.db").mkdir()
    with pytest.raises(DatabaseUnusable) as error:
        Store(tmp_path / "vidsearch.db")
    assert str(tmp_path) in one_line(error)


MOUNTS = [
    Mount("/", "ext4"),
    Mount("/mnt/nas", "nfs4", "rw,vers=4.2"),
    Mount("/mnt/nas/local", "xfs"),
    Mount("/home/me/share", "fuse.sshfs"),
    Mount("/mnt/c", "9p"),
    Mount("/media/usb", "fuseblk"),
    Mount("/over", "nfs"),
    Mount("/over", "tmpfs"),
    Mount("/r", "NTFS", "rw,remote"),
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/vidsearch", None),
        ("/mnt/nas/case", "nfs4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nasty", None),
        ("/mnt/nas/local/case", None),
        ("/home/me/share/x", "fuse.sshfs"),
        ("/mnt/c/Users", "9p"),
        ("/media/usb/x", None),
        ("/over/x", None),
        ("/r/x", "a network drive"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="paths of this kind")
def test_network_file_systems_by_the_longest_mount(monkeypatch, path, kind):
    monkeypatch.setattr(folder, "_existing", lambda path: path)
    assert network_kind(Path(path), MOUNTS) == kind


def test_a_share_of_windows_is_a_network_file_system(monkeypatch):
    monkeypatch.setattr(folder, "_existing", lambda path: path)
    assert network_kind(Path(r"\\server\share\case"), [Mount("C:\\", "NTFS", "rw,fixed")]) == "a network share"


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege there")
def test_links_are_followed_to_where_the_folder_is(tmp_path):
    there = tmp_path / "nas"
    there.mkdir()
    (tmp_path / "link").symlink_to(there, target_is_directory=True)
    mounts = [Mount(str(tmp_path.resolve()), "ext4"), Mount(str(there.resolve()), "cifs")]
    assert network_kind(tmp_path / "link" / "not" / "yet", mounts) == "cifs"
    assert network_kind(tmp_path / "not" / "yet", mounts) is None


def test_a_database_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_mounts", lambda: [Mount(tmp_path.resolve().anchor, "nfs4")])
    with pytest.raises(DatabaseUnusable) as error:
        Store(tmp_path / "new" / "vidsearch.db")
    assert "nfs4" in one_line(error)
    assert "--data DIR" in one_line(error)
    assert not (tmp_path / "new").exists()


# -- the file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"this is a text file, not a database\n" * 200, b"SQLite format 3\0" + b"\7" * 5000]
)
def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "vidsearch.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable) as error:
        Store(path)
    assert "is not a database" in one_line(error)
    assert path.read_bytes() == content


def test_a_damaged_database(tmp_path):
    path = tmp_path / "vidsearch.db"
    with Store(path) as store:
        for number in range(200):
            store.people.add("default", f"person {number}" * 10)
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)

    def read():
        with Store(path) as store:
            store.people.list("default")
            store.footage.list("default")

    with pytest.raises(DatabaseUnusable) as error:
        read()
    assert "damaged" in one_line(error)


def test_an_empty_file_becomes_a_database(tmp_path):
    (tmp_path / "vidsearch.db").touch()
    with Store(tmp_path / "vidsearch.db") as store:
        assert store.people.list("default") == []


def test_a_full_disk(store):
    pages = store._connection.one("PRAGMA page_count")[0]
    store._connection.all(f"PRAGMA max_page_count = {pages}")

    def fill():
        with store.atomic():
            for number in range(5000):
                store.people.add("default", f"person {number}" * 10)

    with pytest.raises(DiskFull) as error:
        fill()
    assert "free some space" in one_line(error)
    store._connection.all("PRAGMA max_page_count = 1000000")
    assert store.people.list("default") == []
    store.people.add("default", "Ann")


def test_an_input_error_on_a_full_disk_is_a_full_disk(store, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    assert isinstance(store._connection._error(error), DatabaseUnusable)
    monkeypatch.setattr(connection, "_free", lambda folder: 1000)
    assert isinstance(store._connection._error(error), DiskFull)


def test_a_database_that_cannot_be_written(store):
    store._connection.all("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnusable) as error:
        store.people.add("default", "Ann")
    assert "writable" in one_line(error)


def test_another_process_that_never_lets_go(store, monkeypatch):
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        store._connection.all("PRAGMA busy_timeout = 10")
        with pytest.raises(StoreError) as error:
            store.people.add("default", "Ann")
        assert "another process" in one_line(error)
    finally:
        other.close()


def test_the_database_itself_refuses_an_illegal_move(store, add_footage):
    store.jobs.create(add_footage(), "local", "1", "s", 0, 1000, "me")
    with pytest.raises(IllegalTransition):
        store._connection.run("UPDATE jobs SET state = 'succeeded'")


def test_errors_keep_their_cause(store):
    with pytest.raises(StoreError) as error:
        store._connection.run("INSERT INTO nowhere VALUES (1)")
    assert isinstance(error.value.__cause__, sqlite3.OperationalError)
