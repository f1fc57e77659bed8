"""The application's store: one SQLite database in the data folder, shared by all threads and processes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from vidsearch.store.appearances import Appearances
from vidsearch.store.audit import Audit
from vidsearch.store.cases import Cases
from vidsearch.store.connection import Connection
from vidsearch.store.folder import prepare_folder
from vidsearch.store.footage import FootageTable
from vidsearch.store.forgotten import Forgotten
from vidsearch.store.jobs import Jobs
from vidsearch.store.matches import Matches
from vidsearch.store.migrations import migrate
from vidsearch.store.people import People
from vidsearch.store.tracks import Tracks

__all__ = ["Store"]


class Store:
    """Everything the application knows. What belongs together is written inside one ``atomic()``.

    May be used by several threads at once; each has its own connection. Several processes may open the same database.
    """

    def __init__(self, path: Path) -> None:
        """Open a database, made and brought to this version's schema where needed.

        Raises:
            DatabaseUnusable: The folder cannot hold it, or the file is no database of ours.
            DatabaseTooNew: A newer vidsearch wrote it.
            DiskFull: There is no space for it.
        """
        prepare_folder(path.parent)
        self.path = path
        self._connection = Connection(path)
        try:
            migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self.audit = Audit(self._connection)
        self.cases = Cases(self._connection)
        self.people = People(self._connection)
        self.footage = FootageTable(self._connection)
        self.forgotten = Forgotten(self._connection)
        self.jobs = Jobs(self._connection)
        self.tracks = Tracks(self._connection)
        self.matches = Matches(self._connection)
        self.appearances = Appearances(self._connection)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a database; the same as ``Store(path)``."""
        return cls(path)

    def atomic(self) -> AbstractContextManager[None]:
        """Make all changes in the block happen, or none. A block inside another can fail alone."""
        return self._connection.atomic()

    def forget_log(self) -> None:
        """Empty the write-ahead log, so that what was deleted is not left in it. Best effort: readers may hold it."""
        self._connection.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connections of all threads."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
