"""How tracks resemble people, and against which revision of the gallery that was found."""

from __future__ import annotations

from collections.abc import Iterable

from vidsearch.model import Footage, TrackMatch
from vidsearch.store.connection import Connection
from vidsearch.store.records import listed, now_ms


class Matches:
    """The matches of all recordings."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def replace(
        self,
        footage: Footage,
        engine: str,
        version: str,
        rows: Iterable[tuple[TrackMatch, int]],
        revision: int,
        track_ids: Iterable[str] | None = None,
    ) -> None:
        """Make ``rows`` all matches of a recording, or of some of its tracks, by one version of an engine.

        Of several matches of one track with one person the most similar is kept, sound and weak ones apart.

        Args:
            footage: The recording.
            engine: The engine that scored.
            version: Its version.
            rows: Matches, each with the id of the person.
            revision: The revision of the gallery they were found in.
            track_ids: Only the matches of these tracks are replaced; None means all.
        """
        chosen = "" if track_ids is None else "AND track_id IN (SELECT value FROM json_each(:tracks))"
        with self._db.atomic():
            self._db.run(
                "DELETE FROM matches WHERE footage_id = :id AND engine = :engine AND engine_version = :version "
                f"{chosen}",
                {
                    "id": footage.id,
                    "engine": engine,
                    "version": version,
                    "tracks": None if track_ids is None else listed(track_ids),
                },
            )
            self._db.many(
                "INSERT INTO matches (case_id, footage_id, track_id, person_id, face_id, similarity, agreeing, weak, "
                "engine, engine_version, gallery_revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET face_id = excluded.face_id, similarity = excluded.similarity, "
                "agreeing = excluded.agreeing WHERE excluded.similarity > similarity",
                [
                    (footage.case_id, footage.id, *_columns(match, person_id), engine, version, revision)
                    for match, person_id in rows
                ],
            )

    def for_footage(self, footage_id: int, engine: str, version: str) -> list[tuple[TrackMatch, int]]:
        """Return the matches of a recording, each with the id of the person, most similar first."""
        rows = self._db.all(
            "SELECT * FROM matches WHERE footage_id = ? AND engine = ? AND engine_version = ? "
            "ORDER BY similarity DESC, track_id, person_id",
            (footage_id, engine, version),
        )
        return [
            (
                TrackMatch(row["track_id"], row["face_id"], row["similarity"], row["agreeing"], bool(row["weak"])),
                row["person_id"],
            )
            for row in rows
        ]

    def matched(self, footage_id: int, engine: str, version: str, settings_key: str) -> tuple[int, int, float] | None:
        """Return (gallery revision, jobs done, threshold) that a recording's appearances were made with, or None."""
        row = self._db.one(
            "SELECT gallery_revision, jobs_done, threshold FROM matched "
            "WHERE footage_id = ? AND engine = ? AND engine_version = ? AND settings_key = ?",
            (footage_id, engine, version, settings_key),
        )
        return (row["gallery_revision"], row["jobs_done"], row["threshold"]) if row else None

    def thresholds(self, case_id: str) -> dict[str, tuple[float, float]]:
        """Return engine -> the least and the highest threshold that the appearances of a case were made with."""
        rows = self._db.all(self._db.queries["thresholds_of_case"], {"case_id": case_id})
        return {row["engine"]: (row["least"], row["highest"]) for row in rows}

    def set_matched(
        self,
        footage_id: int,
        engine: str,
        version: str,
        settings_key: str,
        revision: int,
        jobs_done: int,
        threshold: float,
    ) -> None:
        """Keep what a recording's appearances were made with: those of other versions or settings are gone now."""
        self._db.run(
            "DELETE FROM matched WHERE footage_id = ? AND engine = ? AND (engine_version <> ? OR settings_key <> ?)",
            (footage_id, engine, version, settings_key),
        )
        self._db.run(
            "INSERT INTO matched (footage_id, engine, engine_version, settings_key, gallery_revision, jobs_done, "
            "threshold, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "gallery_revision = excluded.gallery_revision, jobs_done = excluded.jobs_done, "
            "threshold = excluded.threshold, at_ms = excluded.at_ms",
            (footage_id, engine, version, settings_key, revision, jobs_done, float(threshold), now_ms()),
        )


def _columns(match: TrackMatch, person_id: int) -> tuple[object, ...]:
    return match.track_id, person_id, match.face_id, float(match.similarity), int(match.agreeing), int(match.weak)
