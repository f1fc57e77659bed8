"""Hand somebody's verdict on a visit on to the same visit found anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidsearch.model import Appearance
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import listed


def hand_on(db: Connection, footage_id: int, gone: Iterable[str], rows: Sequence[Appearance]) -> None:
    """Give verdicts on appearances that go, as a later search found other tracks there, to those that take their place.

    Where the first track of an appearance is still known it only went away for a while, and its verdict waits for it.

    Args:
        db: The store's connection, in a transaction.
        footage_id: The recording.
        gone: The appearances that go; they must still be there.
        rows: Those that there will be.
    """
    lost = db.all(
        "SELECT held.id, held.person_id, held.weak, held.start_ms, held.end_ms FROM appearances AS held "
        "JOIN reviews ON reviews.appearance_id = held.id WHERE held.id IN (SELECT value FROM json_each(?)) "
        "AND NOT EXISTS (SELECT 1 FROM tracks WHERE tracks.footage_id = held.footage_id "
        "AND tracks.id = json_extract(held.tracks, '$[0]')) ORDER BY held.start_ms, held.id",
        (listed(gone),),
    )
    if not lost:
        return
    reviewed = {
        row["appearance_id"] for row in db.all("SELECT appearance_id FROM reviews WHERE footage_id = ?", (footage_id,))
    }
    for row in lost:
        same = [item for item in rows if item.id not in reviewed and _shared_ms(row, item) >= 0]
        if same:
            heir = max(same, key=lambda item: _shared_ms(row, item)).id
            db.run("UPDATE reviews SET appearance_id = ? WHERE appearance_id = ?", (heir, row["id"]))
            reviewed.add(heir)


def _shared_ms(row: Row, item: Appearance) -> int:
    """Return how long two appearances of one person last at once, below 0 where they do not or are of two people."""
    if (row["person_id"], bool(row["weak"])) != (item.person_id, item.weak):
        return -1
    return min(int(row["end_ms"]), item.end_ms) - max(int(row["start_ms"]), item.start_ms)
