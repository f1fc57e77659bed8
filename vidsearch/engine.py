"""The engine port: what vidsearch asks of anything that finds faces.

Two kinds of engine fit. One *analyses* footage without knowing whom we look for and is asked later (the local engine:
``Capabilities.analysis``); the other answers one question about one gallery per run (Rekognition). One conformance
suite, ``tests/contract/``, runs over every engine.

Galleries and footage are named by strings the application chooses: a gallery by its case, a recording by
``Footage.key``. Engines hold no application database and know nothing of people's names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vidsearch.errors import EngineRefused
from vidsearch.model import (
    EnrolledFace,
    ExaminedSpan,
    FaceDescription,
    MediaFacts,
    Picture,
    ProbeMatch,
    Track,
    TrackMatch,
)


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What footage an engine takes as it is. None means no limit."""

    containers: frozenset[str] | None = None
    codecs: frozenset[str] | None = None
    max_bytes: int | None = None
    max_duration_ms: int | None = None
    segment_ms: int = 60_000
    """The engine's work is handed out in pieces of this length, on a fixed grid from the recording's zero."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do beyond the port's core."""

    analysis: bool = False
    """Footage is analysed without a gallery; ``match`` and ``tracks`` answer later, decoding nothing."""
    seen: bool = False
    """``seen`` searches every track so far for a face that is not enrolled."""
    reads_in_place: bool = True
    """Footage is read where it is; nothing is uploaded."""
    pictures: bool = False
    """``picture`` keeps a crop and a frame of every track."""
    priced: bool = False
    """What it does costs money: nothing is asked of it twice, and nothing before somebody has agreed to the price."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One segment of one recording for an engine to work on: [start_ms, end_ms) from the recording's zero."""

    footage_key: str
    path: Path
    facts: MediaFacts
    start_ms: int
    end_ms: int
    gallery: str | None = None
    """Whom the run asks about; engines that analyse without knowing anybody pass over it."""
    spans: tuple[tuple[int, int], ...] | None = None
    """The only parts worth looking at, in order and inside [start_ms, end_ms); None means all of it. An engine accounts
    for the rest as skipped."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Word from the engine that a run ended. Comes at least once, in any order, until acknowledged."""

    run_ref: str
    error: str | None = None
    """One line that says what went wrong, or None."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a finished run's results.

    ``superseded`` names tracks told of earlier that are now part of another one (stitched over a segment border).
    """

    tracks: Sequence[Track] = ()
    matches: Sequence[TrackMatch] = ()
    spans: Sequence[ExaminedSpan] = ()
    superseded: Sequence[str] = ()
    next_cursor: str | None = None


class Engine(ABC):
    """The port. Every method may raise an ``EngineError``; those of photos also a ``PhotoRefused``."""

    NAME: ClassVar[str]
    """The word used in settings, on the command line and beside every score."""

    version: str
    """Changes whenever scores would: two versions' scores are never compared."""
    settings_key: str
    """Names the settings that change what a run finds (never thresholds)."""
    capabilities: Capabilities
    media_limits: MediaLimits
    default_threshold: float
    floor_similarity: float
    """Matches below this are never reported, whatever the threshold."""
    agreeing_shots: int = 2
    """Independent shots of a track that must agree before it gets a name."""

    @property
    def gallery_version(self) -> str:
        """What ``EnrolledFace.engine_version`` says of faces enrolled now: changes when they must be enrolled again."""
        return self.version

    # -- photos --------------------------------------------------------------------------------------------------

    @abstractmethod
    def describe(self, picture: Picture) -> list[FaceDescription]:
        """Return the faces of a picture, left to right; an empty list where there is none."""

    @abstractmethod
    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        """Enrol one face of a picture and return what the engine holds.

        ``face`` is the index into ``describe(picture)``, from 0; None takes the only face. ``allow_weak`` takes a
        readable face that the quality gate would refuse, marked ``weak``. Enrolling the same picture and face again
        returns the same ``face_id``.

        Raises NoFaceFound, SeveralFaces, FaceTooSmall, FaceTooBlurred.
        """

    @abstractmethod
    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces and their vectors for good. Unknown ids are no error."""

    @abstractmethod
    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        """Return the ids of the faces of a gallery that were enrolled so long ago; an unknown gallery is empty."""

    @abstractmethod
    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        """Return the enrolled faces that resemble a face of a picture, most similar first, at ``threshold`` or above.

        Raises NoFaceFound, SeveralFaces. Quality does not refuse a probe.
        """

    @abstractmethod
    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        """Return the similarity of an enrolled face to each of ``others`` in the same gallery, in their order."""

    # -- footage -------------------------------------------------------------------------------------------------

    def prepare(self, request: RunRequest, token: str) -> None:
        """Make what ``upload`` sends away, where something must be made. Safe to repeat.

        Raises a FootageRefused, SourceUnavailable, DiskFull or FFmpegFailed where it cannot be made.
        """

    def upload(self, request: RunRequest, token: str) -> None:
        """Send the footage to where the engine reads it. Safe to repeat: goes on where it was cut short."""

    @abstractmethod
    def start(self, request: RunRequest, token: str) -> str:
        """Start a run and return its reference. The same token gives the same run, also after a crash.

        Does what ``prepare`` and ``upload`` do where they were not called. Raises EngineBusy where the engine takes no
        more runs at the moment: the same call is made again later.
        """

    @abstractmethod
    def completions(self, wait_s: float) -> list[Completion]:
        """Return the completions waiting, after at most ``wait_s`` seconds; each until it is acknowledged."""

    @abstractmethod
    def acknowledge(self, completion: Completion) -> None:
        """Say that a completion's results are in the store. Only then is it not delivered again.

        Temporary copies that the engine keeps for the run go.
        """

    def left_over(self) -> list[Completion]:
        """Return completions that nobody has acknowledged yet, whoever started the runs.

        Whoever knows what became of their jobs acknowledges those that a process died before acknowledging.
        """
        return []

    @abstractmethod
    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        """Return one page of a finished run's results; the same cursor gives the same page."""

    @abstractmethod
    def cancel(self, run_ref: str) -> None:
        """Stop a run where possible, and let go of what was sent for it. No completion need follow.

        Until a run has a reference, its token stands for it. Unknown runs are no error.
        """

    def progress(self, run_ref: str) -> float | None:
        """Return the share done of a run, 0 to 1, or None where the engine does not know.

        Until a run has a reference, its token stands for it.
        """
        return None

    @property
    def capacity(self) -> int:
        """How many runs may be open at once from this process."""
        return 1

    def close(self) -> None:
        """Let go of processes and files. A closed engine is not used again."""

    # -- capabilities --------------------------------------------------------------------------------------------

    def tracks(self, footage_key: str, cursor: str | None = None) -> Page:
        """``analysis``: return a page of all tracks of a recording as they stand, stitched.

        The first page has the spans of everything looked at, too.
        """
        raise _lacks(self.NAME, "analysis")

    def match(
        self, gallery: str, footage_key: str, *, track_ids: Sequence[str] | None = None, ask: bool = True
    ) -> Iterator[TrackMatch]:
        """``analysis``: yield how the tracks of a recording resemble the gallery's faces.

        For every track, the best TrackMatch of each enrolled face at ``floor_similarity`` or above. The application
        knows which faces are one person. Without ``ask``, an engine that charges tells only what it was told before.
        """
        raise _lacks(self.NAME, "analysis")

    def seen(self, picture: Picture, *, face: int | None = None, threshold: float) -> Iterator[tuple[str, TrackMatch]]:
        """``seen``: yield (footage key, match) of every track resembling a face of a picture, most similar first."""
        raise _lacks(self.NAME, "seen")

    def picture(self, track_id: str, kind: str) -> bytes | None:
        """``pictures``: return the JPEG kept of a track: ``face`` (the crop) or ``frame`` (the whole picture)."""
        raise _lacks(self.NAME, "pictures")

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return a JPEG of an enrolled face, upright, or None where the engine keeps none."""
        return None

    def restore(self, gallery: str) -> int:
        """Make again what holds a gallery, where that was lost behind our back; return how many faces it has.

        Faces keep their ids: nothing has to be searched again.
        """
        return len(self.faces(gallery))

    def newer_model(self) -> str | None:
        """Return the version of a newer face model that could be gone over to, or None."""
        return None

    def adopt(self, model: str) -> None:
        """Go over to a newer face model, as ``newer_model`` told it.

        Faces enrolled before count as outdated, and all footage as not yet searched.
        """
        raise EngineRefused(f"the {self.NAME} engine has no face model '{model}'")

    def purge_footage(self, footage_key: str) -> None:
        """Remove everything learnt of a recording; nothing where the engine keeps nothing of it."""


def _lacks(name: str, capability: str) -> EngineRefused:
    """Return the error for a capability that an engine does not have."""
    return EngineRefused(f"the {name} engine has no '{capability}'")
