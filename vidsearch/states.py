"""The states of a job and the moves between them, written once.

The database holds the same table (seeded by the first migration) and refuses every other move; a test compares the two.
"""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. A job survives the process that works on it; its lease says who does."""

    QUEUED = "queued"
    """Waits for a worker."""
    PREPARING = "preparing"
    """The source is checked, and cut or transcoded where the engine needs it."""
    UPLOADING = "uploading"
    """The source goes to where the engine reads it; engines that read in place skip this."""
    SEARCHING = "searching"
    """The engine works."""
    COLLECTING = "collecting"
    """The engine's results are paged into the store."""
    SUCCEEDED = "succeeded"
    """Everything the engine found is in the store."""
    FAILED = "failed"
    """Stopped with an error that is kept with the job; a retry puts it back to queued."""
    CANCELLED = "cancelled"
    """A person stopped it for good."""
    PAUSED = "paused"
    """A person stopped it for now; the next search puts it back to queued."""


ACTIVE = frozenset({JobState.PREPARING, JobState.UPLOADING, JobState.SEARCHING, JobState.COLLECTING})
"""States in which a worker holds the job, or held it when it died."""

OPEN = ACTIVE | {JobState.QUEUED}
"""States from which a job goes on without a person doing anything."""

TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""States in which nothing more happens by itself."""

_FORWARD = {
    (JobState.QUEUED, JobState.PREPARING),
    (JobState.PREPARING, JobState.UPLOADING),
    (JobState.PREPARING, JobState.SEARCHING),
    (JobState.UPLOADING, JobState.SEARCHING),
    (JobState.SEARCHING, JobState.COLLECTING),
    (JobState.COLLECTING, JobState.SUCCEEDED),
}
_STOPS = {(state, stop) for state in OPEN for stop in (JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)}
_RETURNS = {
    (JobState.PAUSED, JobState.QUEUED),
    (JobState.PAUSED, JobState.CANCELLED),
    (JobState.FAILED, JobState.QUEUED),
    (JobState.CANCELLED, JobState.QUEUED),
}

TRANSITIONS = frozenset(_FORWARD | _STOPS | _RETURNS)
"""Every allowed move, as (from, to)."""
