"""Tracks as engines told of them, and the spans they examined."""

from __future__ import annotations

from collections.abc import Iterable

from vidsearch.errors import UnknownRecord
from vidsearch.model import ExaminedSpan, Footage, Job, SpanOutcome, Track
from vidsearch.store.connection import Connection, Row
from vidsearch.store.coverage import merge_spans
from vidsearch.store.records import box_columns, box_of, listed

ASKED_BEFORE = "searched before somebody was enrolled: search again"
"""Why a part counts as not examined that an engine was asked about without everybody who is enrolled now."""


class Tracks:
    """The tracks and examined spans of all recordings."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # -- tracks --------------------------------------------------------------------------------------------------

    def upsert(self, footage: Footage, engine: str, version: str, tracks: Iterable[Track]) -> None:
        """Store tracks; one already there is replaced unless it has more detections.

        Jobs of neighbouring segments finish in any order: a page that was read before a track was stitched to its
        other piece may arrive after the whole one, and must not undo it. Pieces that were removed stay out.
        """
        self._db.many(
            "INSERT INTO tracks (id, case_id, footage_id, engine, engine_version, start_ms, end_ms, best_ms, left, "
            "top, width, height, face_px, detections, confidence) "
            "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
            "WHERE NOT EXISTS (SELECT 1 FROM superseded WHERE footage_id = ? AND id = ?) "
            "ON CONFLICT (footage_id, id) DO UPDATE SET start_ms = excluded.start_ms, end_ms = excluded.end_ms, "
            "best_ms = excluded.best_ms, left = excluded.left, top = excluded.top, width = excluded.width, "
            "height = excluded.height, face_px = excluded.face_px, detections = excluded.detections, "
            "confidence = excluded.confidence WHERE excluded.detections >= detections",
            [_columns(footage, engine, version, track) for track in tracks],
        )

    def remove(self, footage_id: int, ids: Iterable[str]) -> None:
        """Remove tracks that are now part of others, with their matches; they do not come back."""
        ids = list(ids)
        if not ids:
            return
        gone = listed(ids)
        with self._db.atomic():
            self._db.run(
                "INSERT INTO superseded (footage_id, id) SELECT ?, value FROM json_each(?) WHERE true "
                "ON CONFLICT DO NOTHING",
                (footage_id, gone),
            )
            for table, column in (("tracks", "id"), ("matches", "track_id")):
                self._db.run(
                    f"DELETE FROM {table} WHERE footage_id = ? AND {column} IN (SELECT value FROM json_each(?))",
                    (footage_id, gone),
                )

    def drop_others(self, job: Job, spans: Iterable[tuple[int, int]], kept: Iterable[str]) -> None:
        """Remove tracks inside ``spans``, [start, end) ms, that a job did not find there again, with their matches.

        Only those of the job's version of its engine, and none where a job that knew more faces has looked: what that
        found must not go with what an older question did not find. What is removed may come back.
        """
        names = listed(kept)
        with self._db.atomic():
            for start_ms, end_ms in spans:
                values = {
                    "footage_id": job.footage_id,
                    "engine": job.engine,
                    "version": job.engine_version,
                    "revision": job.gallery_revision,
                    "start_ms": start_ms,
                    "end_ms": end_ms,
                    "kept": names,
                }
                gone = listed(row["id"] for row in self._db.all(self._db.queries["tracks_not_found_again"], values))
                for table, column in (("tracks", "id"), ("matches", "track_id")):
                    self._db.run(
                        f"DELETE FROM {table} WHERE footage_id = ? AND {column} IN (SELECT value FROM json_each(?))",
                        (job.footage_id, gone),
                    )

    def replace_all(self, footage: Footage, engine: str, version: str, tracks: Iterable[Track]) -> None:
        """Make ``tracks`` all that is known of a recording by one version of an engine."""
        with self._db.atomic():
            self._db.run("DELETE FROM superseded WHERE footage_id = ?", (footage.id,))
            self._db.run(
                "DELETE FROM tracks WHERE footage_id = ? AND engine = ? AND engine_version = ?",
                (footage.id, engine, version),
            )
            self.upsert(footage, engine, version, tracks)

    def get(self, footage_id: int, track_id: str) -> Track:
        """Return a track. Raises UnknownRecord."""
        found = self.find(footage_id, track_id)
        if found is None:
            raise UnknownRecord(f"there is no track {track_id} in recording {footage_id}")
        return found

    def find(self, footage_id: int, track_id: str) -> Track | None:
        """Return a track, or None where it is not known."""
        row = self._db.one("SELECT * FROM tracks WHERE footage_id = ? AND id = ?", (footage_id, track_id))
        return _track(row) if row else None

    def for_footage(
        self, footage_id: int, engine: str, version: str, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Track]:
        """Return the tracks of a recording by start; those that touch [start_ms, end_ms) where it is given."""
        rows = self._db.all(
            "SELECT * FROM tracks WHERE footage_id = :footage_id AND engine = :engine AND engine_version = :version "
            "AND (:end_ms IS NULL OR start_ms < :end_ms) AND (:start_ms IS NULL OR end_ms >= :start_ms) "
            "ORDER BY start_ms, id",
            {"footage_id": footage_id, "engine": engine, "version": version, "start_ms": start_ms, "end_ms": end_ms},
        )
        return [_track(row) for row in rows]

    def state(self, footage_id: int, engine: str, version: str) -> tuple[int, int]:
        """Return what differs when the tracks of a recording have changed: how many they are, and their detections."""
        row = self._db.one(
            "SELECT count(*) AS tracks, coalesce(sum(detections), 0) AS detections FROM tracks "
            "WHERE footage_id = ? AND engine = ? AND engine_version = ?",
            (footage_id, engine, version),
        )
        return (row["tracks"], row["detections"]) if row else (0, 0)

    def count(self, case_id: str) -> int:
        """Return how many tracks the recordings of a case have."""
        row = self._db.one(self._db.queries["tracks_in_case"], {"case_id": case_id})
        return int(row["tracks"]) if row else 0

    # -- spans ---------------------------------------------------------------------------------------------------

    def set_spans(self, job: Job, spans: Iterable[ExaminedSpan]) -> None:
        """Make ``spans`` all that a job says of what it examined."""
        with self._db.atomic():
            self._db.run("DELETE FROM examined WHERE job_id = ?", (job.id,))
            self._db.many(
                "INSERT INTO examined (case_id, footage_id, engine, engine_version, job_id, start_ms, end_ms, outcome, "
                "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job.case_id,
                        job.footage_id,
                        job.engine,
                        job.engine_version,
                        job.id,
                        span.start_ms,
                        span.end_ms,
                        span.outcome.value,
                        span.reason,
                    )
                    for span in spans
                ],
            )

    def spans(self, footage_id: int, engine: str, version: str | None = None) -> list[ExaminedSpan]:
        """Return what an engine (or one version of it) examined of a recording, in order and without overlaps."""
        rows = self._db.all(
            "SELECT start_ms, end_ms, outcome, reason FROM examined WHERE footage_id = :footage_id "
            "AND engine = :engine AND (:version IS NULL OR engine_version = :version) ORDER BY start_ms",
            {"footage_id": footage_id, "engine": engine, "version": version},
        )
        return merge_spans(
            [ExaminedSpan(row["start_ms"], row["end_ms"], SpanOutcome(row["outcome"]), row["reason"]) for row in rows]
        )

    def coverage(
        self, case_id: str, engine: str, version: str, settings_key: str, footage_id: int | None = None
    ) -> dict[int, list[ExaminedSpan]]:
        """Return recording -> what was examined of it, for all recordings of a case (or one) that have any.

        It is the coverage of the analysis that the appearances are of: this one once it has been matched, until then
        whatever there was before. What was asked before somebody was enrolled was not examined for them, and counts as
        skipped, as an engine must be asked about everybody anew.
        """
        newest = self._db.one(
            "SELECT coalesce(max(revision), 0) AS newest FROM enrolled_faces WHERE case_id = ? AND engine = ?",
            (case_id, engine),
        )
        rows = self._db.all(
            self._db.queries["coverage_of_case" if footage_id is None else "coverage_of_recording"],
            {
                "case_id": case_id,
                "engine": engine,
                "version": version,
                "key": settings_key,
                "footage_id": footage_id,
                "newest": newest["newest"] if newest else 0,
            },
        )
        found: dict[int, list[ExaminedSpan]] = {}
        for row in rows:
            span = ExaminedSpan(row["start_ms"], row["end_ms"], SpanOutcome(row["outcome"]), row["reason"])
            if row["outdated"] and span.outcome is SpanOutcome.EXAMINED:
                span = ExaminedSpan(span.start_ms, span.end_ms, SpanOutcome.SKIPPED, ASKED_BEFORE)
            found.setdefault(row["footage_id"], []).append(span)
        return {footage_id: merge_spans(spans) for footage_id, spans in found.items()}


def _columns(footage: Footage, engine: str, version: str, track: Track) -> tuple[object, ...]:
    """Return the parameters of the statement in ``upsert``."""
    return (
        track.id,
        footage.case_id,
        footage.id,
        engine,
        version,
        int(track.start_ms),
        int(track.end_ms),
        int(track.best_ms),
        *box_columns(track.best_box),
        int(track.face_px),
        int(track.detections),
        float(track.confidence),
        footage.id,
        track.id,
    )


def _track(row: Row) -> Track:
    return Track(
        row["id"],
        row["start_ms"],
        row["end_ms"],
        row["best_ms"],
        box_of(row),
        row["face_px"],
        row["detections"],
        row["confidence"],
    )
