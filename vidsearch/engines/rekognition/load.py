"""Make the Rekognition engine that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from vidsearch.aws.session import Clients
from vidsearch.aws.upload import Uploader
from vidsearch.engine import Engine
from vidsearch.engines.rekognition.database import Database
from vidsearch.engines.rekognition.engine import DATABASE, RekognitionEngine
from vidsearch.engines.rekognition.ports import Cutter, Resources
from vidsearch.engines.rekognition.tracks import TracksEngine
from vidsearch.errors import AwsNotSetUp
from vidsearch.settings import Settings

HOUR_MS = 3_600_000


def collections_of(settings: Settings) -> list[str]:
    """Return the collections in use for the galleries of a data folder, without asking Amazon."""
    path = settings.rekognition / DATABASE
    if not path.exists():
        return []
    database = Database(path)
    try:
        with database.reading() as db:
            rows = db.execute("SELECT name, max(generation) FROM collections GROUP BY gallery ORDER BY name").fetchall()
        return [row[0] for row in rows]
    finally:
        database.close()


def load_rekognition(settings: Settings, cutter: Cutter, finder: Callable[[], Engine]) -> Engine:
    """Return the engine; nothing is asked of AWS yet.

    Args:
        settings: Where the resources are, and how much may go there.
        cutter: Makes files that Rekognition takes.
        finder: Returns the engine that finds tracks where Rekognition is asked by the track.

    Raises AwsNotSetUp where no region is set.
    """
    if not settings.aws_region:
        raise AwsNotSetUp("no AWS region is set: run `python setup_aws.py`, or set aws_region in aws.toml")
    clients = Clients(settings.aws_region, settings.aws_profile)
    amazon = RekognitionEngine(
        settings.rekognition,
        clients,
        cutter,
        Uploader(clients, settings.aws_bucket, kms_key=settings.aws_kms_key),
        Resources(
            settings.aws_bucket,
            settings.aws_queue_url,
            settings.aws_topic_arn,
            settings.aws_role_arn,
            settings.aws_prefix,
        ),
        mode="active" if settings.rekognition_mode == "active" else "full",
        results=settings.aws_results,
        max_jobs=settings.rekognition_max_jobs,
        max_bytes=settings.rekognition_max_bytes,
        max_ms=round(settings.rekognition_max_hours * HOUR_MS),
        deadline_ms=1000 * settings.rekognition_deadline_s,
        keep_segments=settings.rekognition_keep_segments,
    )
    return TracksEngine(amazon, finder) if settings.rekognition_mode == "tracks" else amazon
