"""The words of vidsearch as frozen dataclasses. Standard library only.

Times: a field ending in ``_ms`` is integer milliseconds. Inside a recording they count from its zero, the earliest
presentation time of any of its streams; on the wall clock they count from the Unix epoch, in UTC. Boxes are ratios of
the upright picture. ``confidence`` (0–100: is it a face) and ``similarity`` (0–100: is it that person) are never mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_CASE = "default"
"""The case that a fresh install has."""


class Purpose(StrEnum):
    """Why a case looks for people."""

    MISSING_PERSON = "missing_person"
    SUSPECT = "suspect"
    OTHER = "other"


class StartSource(StrEnum):
    """Where the start time of a recording was taken from, best first."""

    USER = "user"
    CONTAINER = "container"
    """The creation time written into the file by the recorder."""
    FILE_NAME = "file_name"
    FILE_DATE = "file_date"
    """The file's modification time less its length: a guess, shown as one."""


class SpanOutcome(StrEnum):
    """What became of a span of a recording."""

    EXAMINED = "examined"
    UNDECODABLE = "undecodable"
    GAP = "gap"
    """The recording itself has no pictures there."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A rectangle in ratios of the upright picture: its left top corner and its sides."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def from_pixels(cls, x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> BoundingBox:
        """Make a box from pixel corners of a picture of ``width`` × ``height``, clamped to the picture."""
        x0, x1 = max(0.0, x0), min(float(width), x1)
        y0, y1 = max(0.0, y0), min(float(height), y1)
        return cls(x0 / width, y0 / height, max(0.0, x1 - x0) / width, max(0.0, y1 - y0) / height)

    def to_pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return (x0, y0, x1, y1) in whole pixels of a picture of ``width`` × ``height``."""
        return (
            round(self.left * width),
            round(self.top * height),
            round((self.left + self.width) * width),
            round((self.top + self.height) * height),
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the operating-system user until someone is logged in."""

    name: str
    via: str = "cli"
    """The door used: ``cli``, ``web``, ``worker``."""


@dataclass(frozen=True, slots=True)
class Case:
    """Why we look. It owns a gallery, whose ``revision`` grows with every face enrolled or forgotten."""

    id: str
    title: str
    purpose: Purpose
    reference: str | None
    retention_days: int | None
    gallery_revision: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright (EXIF orientation applied), ready for an engine."""

    name: str
    """What the user calls it, normally the file name."""
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    """RGB, shape (height, width, 3)."""
    original: bytes = field(repr=False, compare=False)
    """The file as it came."""
    sha256: str

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class FaceDescription:
    """One face of a picture as an engine sees it, before anything is enrolled."""

    box: BoundingBox
    confidence: float
    face_px: int
    """Width of the face in pixels of the picture."""
    sharpness: float
    """0–100, the engine's own scale."""
    frontal: float
    """0 (profile) to 1 (looks at the camera)."""
    refusal: str | None = None
    """``code`` of the PhotoRefused this face would meet at enrolment (``too_small``, ``too_blurred``), or None."""


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """The face an engine holds for a photo."""

    face_id: str
    """The engine's id, unique in its gallery."""
    engine: str
    engine_version: str
    face: FaceDescription
    weak: bool = False
    """Below the quality gate: its matches stand apart and never become names."""


@dataclass(frozen=True, slots=True)
class ProbeMatch:
    """An enrolled face that resembles a probe."""

    face_id: str
    similarity: float
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody looked for."""

    id: int
    case_id: str
    name: str
    note: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture given for a person, and what became of it.

    ``outcome`` is ``enrolled``, ``weak``, ``duplicate`` or the ``code`` of a PhotoRefused; ``reason`` is the sentence
    shown. ``disagrees`` is the similarity to the person's most similar other photo where that is so low that one of
    them may show somebody else.
    """

    id: int
    case_id: str
    person_id: int
    name: str
    sha256: str
    width: int | None
    height: int | None
    outcome: str
    reason: str
    disagrees: float | None
    face_id: str | None
    box: BoundingBox | None
    engine: str | None
    engine_version: str | None
    created_ms: int

    @property
    def usable(self) -> bool:
        """Whether an engine holds a face for this photo."""
        return self.face_id is not None


@dataclass(frozen=True, slots=True)
class Camera:
    """A source of footage. ``zone`` is an IANA name; ``clock_offset_ms`` is added to its clock to get the true time."""

    id: int
    case_id: str
    name: str
    zone: str
    clock_offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What reading a recording's headers (and, where they are silent, its packets) tells.

    ``origin_ms`` is the earliest presentation time of any stream in the file's own clock: the recording's zero.
    """

    container: str
    codec: str
    width: int
    """Of the upright picture, in pixels."""
    height: int
    duration_ms: int
    origin_ms: int
    fps: float
    """Average rate; sampling never uses it, except for streams without timestamps."""
    rotation: int = 0
    """Degrees clockwise by which pictures are turned to stand upright: 0, 90, 180, 270."""
    mirrored: bool = False
    """Pictures are flipped left to right after they were turned."""
    interlaced: bool = False
    estimated_times: bool = False
    """The stream has no timestamps; times come from a frame rate."""
    seekable: bool = True
    joined: bool = False
    """Its clock starts again on the way: recordings joined into one file. Times are counted on."""
    readable_ms: int | None = None
    """How far a truncated recording can be read; None where it is whole."""
    created: str | None = None
    """Creation time as the container gives it, ISO 8601."""
    pixel_format: str = ""
    """As ffmpeg calls it: ``yuv420p``, ``yuv420p10le`` …"""
    audio_codec: str = ""
    """Of the first sound stream, or empty where there is none."""
    warning: str | None = None
    """What the user should know, such as 'truncated: 40 of 60 s can be read'."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One recording, referenced where it is (``path``) and never written to."""

    id: int
    case_id: str
    camera_id: int
    path: str
    size: int
    mtime_ns: int
    key: str
    """Fingerprint of size, head, middle and tail: names the recording to engines before its SHA-256 is known."""
    sha256: str | None
    start_ms: int
    """Wall clock (UTC epoch) of the recording's zero by the camera's clock, before the camera's offset."""
    start_source: StartSource
    facts: MediaFacts
    created_ms: int
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a recording marked off for an engine: [start_ms, end_ms)."""

    footage_id: int
    start_ms: int
    end_ms: int
    active: tuple[tuple[int, int], ...] | None = None
    """The parts of it worth looking at, where only those are searched."""

    @property
    def searched_ms(self) -> int:
        """How much of it an engine looks at."""
        spans = ((self.start_ms, self.end_ms),) if self.active is None else self.active
        return sum(end - start for start, end in spans)


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over frames. ``id`` is stable: footage key, engine version, first time, first box."""

    id: str
    start_ms: int
    end_ms: int
    best_ms: int
    """Time of the best shot."""
    best_box: BoundingBox
    face_px: int
    """Width of the face in the best shot, in pixels of the recording."""
    detections: int
    confidence: float


@dataclass(frozen=True, slots=True)
class TrackMatch:
    """A track against the enrolled face it resembles most, per person the engine was told of by face ids."""

    track_id: str
    face_id: str
    similarity: float
    agreeing: int
    """Independent shots of the track that agree; a name needs two."""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class ExaminedSpan:
    """What became of [start_ms, end_ms) of a recording, with a reason where it was not examined."""

    start_ms: int
    end_ms: int
    outcome: SpanOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Appearance:
    """One person on one camera from start to end. What people see.

    ``id`` is stable over re-matching: person and first track. Times are recording times; the wall clock is theirs
    through the footage and camera.
    """

    id: str
    case_id: str
    person_id: int
    camera_id: int
    footage_id: int
    start_ms: int
    end_ms: int
    best_ms: int
    best_track: str
    best_box: BoundingBox
    face_px: int
    face_id: str
    """The enrolled face it resembles most."""
    similarity: float
    detections: int
    tracks: tuple[str, ...]
    weak: bool
    """Resembles only a weak photo: shown apart, never counted as that person."""
    engine: str
    engine_version: str
    review: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, why."""

    id: int
    at_ms: int
    actor: str
    via: str
    case_id: str | None
    action: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One segment's share of the work: a persisted state machine (``states.py``)."""

    id: int
    case_id: str
    footage_id: int
    engine: str
    engine_version: str
    settings_key: str
    """Names the engine settings that change results; part of what makes an analysis distinct."""
    gallery_revision: int
    """The revision of the gallery that was asked about; 0 for engines that analyse without one."""
    start_ms: int
    end_ms: int
    state: str
    attempt: int
    token: str
    """Idempotency token of this attempt; the same for every repetition of a step."""
    run_ref: str | None
    """The engine's own reference to its run, once started."""
    error: str | None
    lease_owner: str | None
    lease_until_ms: int | None
    updated_ms: int


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A moment in the life of a job.

    ``old`` is None when it was queued first, and the same as ``new`` when another worker took the job over.
    """

    at_ms: int
    old: str | None
    new: str
    attempt: int
    owner: str | None
    error: str | None
