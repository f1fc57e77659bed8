"""Appearances: what people see. Read by wall clock, in pages, by index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace as changed
from typing import Any, TypedDict, Unpack

from vidsearch.errors import UnknownRecord
from vidsearch.model import Appearance
from vidsearch.store.connection import Connection, Row
from vidsearch.store.records import box_columns, box_of, listed
from vidsearch.store.verdicts import hand_on

_KEY = ("id", "case_id", "footage_id", "engine")
_VALUES = (
    *("person_id", "camera_id", "at_ms", "until_ms", "start_ms", "end_ms", "best_ms", "best_track"),
    *("left", "top", "width", "height", "face_px", "face_id", "similarity", "detections", "tracks", "weak"),
    "engine_version",
)
_UPSERT = f"""
INSERT INTO appearances ({", ".join((*_KEY, *_VALUES))}, review)
VALUES ({", ".join("?" for _ in (*_KEY, *_VALUES))}, (SELECT verdict FROM reviews WHERE appearance_id = ?))
ON CONFLICT (id) DO UPDATE SET ({", ".join(_VALUES)}) = ({", ".join(f"excluded.{name}" for name in _VALUES)})
WHERE ({", ".join(_VALUES)}) IS NOT ({", ".join(f"excluded.{name}" for name in _VALUES)})
"""
"""Insert, or update what differs. ``review`` is missing from the update on purpose: a verdict stays."""


class Chosen(TypedDict, total=False):
    """Which appearances. What is left out, or None, does not matter; ``weak`` is False where it is left out."""

    person_ids: Sequence[int] | None
    """Of these people."""
    camera_ids: Sequence[int] | None
    """On these cameras."""
    footage_id: int | None
    """In this recording."""
    from_ms: int | None
    """Ending at or after this instant (UTC epoch, the camera's offset applied)."""
    to_ms: int | None
    """Beginning before this instant."""
    weak: bool | None
    """False: only those that count; True: only those that resemble a weak photo; None: both."""
    min_similarity: float | None
    """From this similarity on."""
    engine: str | None
    """Found by this engine."""


class Appearances:
    """The appearances of all cases."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def replace(
        self, footage_id: int, engine: str, rows: Sequence[Appearance], person_ids: Iterable[int] | None = None
    ) -> list[Appearance]:
        """Make ``rows`` all appearances that an engine gave a recording (of some people), and return those new to it.

        Verdicts stay with the ids they were given on, also where an appearance went away for a while; where a later
        search found the same visit under another id they go on to that.
        """
        filters = {"footage_id": footage_id, "engine": engine}
        chosen = ""
        if person_ids is not None:
            chosen = "AND person_id IN (SELECT value FROM json_each(:people))"
            filters["people"] = listed(person_ids)
        with self._db.atomic():
            held = {
                row["id"]
                for row in self._db.all(
                    f"SELECT id FROM appearances WHERE footage_id = :footage_id AND engine = :engine {chosen}", filters
                )
            }
            gone = held - {row.id for row in rows}
            hand_on(self._db, footage_id, gone, rows)
            self._db.run("DELETE FROM appearances WHERE id IN (SELECT value FROM json_each(?))", (listed(gone),))
            zero = self._zero_ms(footage_id)
            self._db.many(_UPSERT, (_columns(row, zero) for row in rows))
            known = self._reviews(footage_id)
        new = [row for row in rows if row.id not in held]
        return [changed(row, review=known[row.id]) if row.id in known else row for row in new]

    def review(self, case_id: str, appearance_id: str, verdict: str | None) -> Appearance:
        """Keep somebody's verdict on an appearance: ``confirmed``, ``rejected``, ``unsure``; None takes it back."""
        with self._db.atomic():
            held = self.get(case_id, appearance_id)
            self._db.run("DELETE FROM reviews WHERE appearance_id = ?", (appearance_id,))
            if verdict is not None:
                self._db.run(
                    "INSERT INTO reviews (appearance_id, case_id, person_id, footage_id, verdict) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (appearance_id, case_id, held.person_id, held.footage_id, verdict),
                )
            self._db.run("UPDATE appearances SET review = ? WHERE id = ?", (verdict, appearance_id))
            return self.get(case_id, appearance_id)

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, case_id: str, appearance_id: str) -> Appearance:
        """Return an appearance. Raises UnknownRecord."""
        row = self._db.one("SELECT * FROM appearances WHERE id = ? AND case_id = ?", (appearance_id, case_id))
        if row is None:
            raise UnknownRecord(f"there is no appearance {appearance_id} in case '{case_id}'")
        return _appearance(row)

    def find(
        self,
        case_id: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        newest_first: bool = False,
        **chosen: Unpack[Chosen],
    ) -> list[Appearance]:
        """Return appearances by the wall clock of their start, then by id.

        Args:
            case_id: The case.
            limit: At most so many; None means all.
            offset: How many to pass over first.
            newest_first: Latest start first.
            chosen: Which ones, as in Chosen.
        """
        where, values = self._where(case_id, chosen)
        order = "at_ms DESC, id DESC" if newest_first else "at_ms, id"
        rows = self._db.all(
            f"SELECT * FROM appearances WHERE {where} ORDER BY {order} LIMIT :limit OFFSET :offset",
            {**values, "limit": -1 if limit is None else limit, "offset": offset},
        )
        return [_appearance(row) for row in rows]

    def count(self, case_id: str, **chosen: Unpack[Chosen]) -> int:
        """Return how many appearances ``find`` has without a limit."""
        where, values = self._where(case_id, chosen)
        row = self._db.one(f"SELECT count(*) AS rows FROM appearances WHERE {where}", values)
        return int(row["rows"]) if row else 0

    def points(self, case_id: str, **chosen: Unpack[Chosen]) -> list[tuple[str, int, int, int, int, float]]:
        """Return what ``find`` has without a limit, only as (id, person, camera, start, end, similarity).

        Start and end are wall clock, UTC epoch, the camera's offset applied.
        """
        where, values = self._where(case_id, chosen)
        rows = self._db.all(
            f"SELECT id, person_id, camera_id, at_ms, until_ms, similarity FROM appearances "
            f"WHERE {where} ORDER BY at_ms, id",
            values,
        )
        return [tuple(row) for row in rows]

    def neighbours(self, item: Appearance) -> tuple[Appearance | None, Appearance | None]:
        """Return the same person's appearance before this one and the one after it, on any camera.

        As weak as it and found by the same engine: another one finds the same visits once more.
        """
        found: list[Appearance | None] = []
        for sign, order in (("<", "DESC"), (">", "ASC")):
            row = self._db.one(
                f"SELECT * FROM appearances WHERE case_id = :case_id AND person_id = :person_id AND weak = :weak "
                f"AND engine = :engine AND (at_ms, id) {sign} (SELECT at_ms, id FROM appearances WHERE id = :id) "
                f"ORDER BY at_ms {order}, id {order} LIMIT 1",
                {
                    "case_id": item.case_id,
                    "person_id": item.person_id,
                    "weak": int(item.weak),
                    "engine": item.engine,
                    "id": item.id,
                },
            )
            found.append(_appearance(row) if row else None)
        return found[0], found[1]

    def counts_by_person(self, case_id: str, engine: str | None = None) -> dict[int, int]:
        """Return person id -> how many appearances (of one engine) count as theirs; people without any are left out."""
        rows = self._db.all(
            "SELECT person_id, count(*) AS rows FROM appearances WHERE case_id = ? AND weak = 0 "
            "AND (? IS NULL OR engine = ?) GROUP BY person_id",
            (case_id, engine, engine),
        )
        return {row["person_id"]: row["rows"] for row in rows}

    def counts_by_footage(self, case_id: str, engine: str | None = None) -> dict[int, int]:
        """Return recording -> how many appearances (of one engine) that count it has; those without are left out."""
        rows = self._db.all(
            "SELECT footage_id, count(*) AS rows FROM appearances WHERE case_id = ? AND weak = 0 "
            "AND (? IS NULL OR engine = ?) GROUP BY footage_id",
            (case_id, engine, engine),
        )
        return {row["footage_id"]: row["rows"] for row in rows}

    # -- parts ---------------------------------------------------------------------------------------------------

    def _where(self, case_id: str, chosen: Chosen) -> tuple[str, dict[str, Any]]:
        """Return the condition of a query, only with what is asked for so that SQLite can choose an index."""
        footage_id, from_ms, weak = chosen.get("footage_id"), chosen.get("from_ms"), chosen.get("weak", False)
        # Without statistics SQLite would go through the whole case where the index of a recording is at hand: the plus
        # takes the case out of the choice.
        plus = "" if footage_id is None else "+"
        terms: dict[str, tuple[str, Any]] = {"case_id": (f"{plus}case_id = :case_id", case_id)}
        people, cameras = chosen.get("person_ids"), chosen.get("camera_ids")
        if people is not None:
            terms["people"] = _among("person_id", "people", people)
        if cameras is not None:
            terms["cameras"] = _among("camera_id", "cameras", cameras)
        if from_ms is not None:
            # Nothing lasts longer than the longest, so what ends at from_ms cannot begin before this.
            terms["earliest"] = ("at_ms >= :earliest", from_ms - self._longest_ms(case_id))
        plain = {
            "footage_id": ("footage_id = :footage_id", footage_id),
            "from_ms": ("until_ms >= :from_ms", from_ms),
            "to_ms": ("at_ms < :to_ms", chosen.get("to_ms")),
            "weak": ("weak = :weak", None if weak is None else int(weak)),
            "similarity": ("similarity >= :similarity", chosen.get("min_similarity")),
            "engine": ("engine = :engine", chosen.get("engine")),
        }
        terms |= {name: (term, value) for name, (term, value) in plain.items() if value is not None}
        return " AND ".join(term for term, _ in terms.values()), {name: value for name, (_, value) in terms.items()}

    def _longest_ms(self, case_id: str) -> int:
        row = self._db.one(
            "SELECT until_ms - at_ms AS longest FROM appearances WHERE case_id = ? "
            "ORDER BY until_ms - at_ms DESC LIMIT 1",
            (case_id,),
        )
        return int(row["longest"]) if row else 0

    def _zero_ms(self, footage_id: int) -> int:
        row = self._db.one(self._db.queries["clock_of_footage"], {"footage_id": footage_id})
        if row is None:
            raise UnknownRecord(f"there is no recording {footage_id}")
        return int(row["zero_ms"])

    def _reviews(self, footage_id: int) -> dict[str, str]:
        rows = self._db.all("SELECT appearance_id, verdict FROM reviews WHERE footage_id = ?", (footage_id,))
        return {row["appearance_id"]: row["verdict"] for row in rows}


def _among(column: str, name: str, ids: Sequence[int]) -> tuple[str, Any]:
    """Return the condition that a column is one of some ids. With one id its index gives the rows in order."""
    if len(ids) == 1:
        return f"{column} = :{name}", ids[0]
    return f"{column} IN (SELECT value FROM json_each(:{name}))", listed(ids)


def _columns(row: Appearance, zero_ms: int) -> tuple[object, ...]:
    """Return the parameters of ``_UPSERT``."""
    return (
        row.id,
        row.case_id,
        row.footage_id,
        row.engine,
        row.person_id,
        row.camera_id,
        zero_ms + row.start_ms,
        zero_ms + row.end_ms,
        row.start_ms,
        row.end_ms,
        row.best_ms,
        row.best_track,
        *box_columns(row.best_box),
        row.face_px,
        row.face_id,
        float(row.similarity),
        row.detections,
        json.dumps(row.tracks),
        int(row.weak),
        row.engine_version,
        row.id,
    )


def _appearance(row: Row) -> Appearance:
    return Appearance(
        id=row["id"],
        case_id=row["case_id"],
        person_id=row["person_id"],
        camera_id=row["camera_id"],
        footage_id=row["footage_id"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        best_ms=row["best_ms"],
        best_track=row["best_track"],
        best_box=box_of(row),
        face_px=row["face_px"],
        face_id=row["face_id"],
        similarity=row["similarity"],
        detections=row["detections"],
        tracks=tuple(json.loads(row["tracks"])),
        weak=bool(row["weak"]),
        engine=row["engine"],
        engine_version=row["engine_version"],
        review=row["review"],
    )
