"""A difficult engine for tests: it answers like a paid service far away.

It does real work through another engine, but it can do nothing with a recording except search it for one gallery
(``analysis`` is missing). Completions come late, in reverse order and twice, and results in pages of one track.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vidsearch.engine import Capabilities, Completion, Engine, Page, RunRequest
from vidsearch.model import EnrolledFace, FaceDescription, Picture, ProbeMatch


class LateEngine(Engine):
    """Wraps an engine that has ``analysis``."""

    NAME: ClassVar[str] = "late"

    def __init__(self, inner: Engine, *, late_by: int = 3) -> None:
        """``late_by``: calls of ``completions`` that a completion is held back for."""
        self.inner = inner
        self.version = f"late-{inner.version}"
        self.settings_key = inner.settings_key
        self.capabilities = Capabilities(priced=True, reads_in_place=inner.capabilities.reads_in_place)
        self.media_limits = inner.media_limits
        self.default_threshold = inner.default_threshold
        self.floor_similarity = inner.floor_similarity
        self._late_by = late_by
        self._requests: dict[str, RunRequest] = {}
        self._held: dict[str, tuple[Completion, int]] = {}
        self._told: dict[str, int] = {}

    # -- photos: as they are ---------------------------------------------------------------------------------------

    def describe(self, picture: Picture) -> list[FaceDescription]:
        return self.inner.describe(picture)

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        return self.inner.enrol(gallery, picture, face=face, allow_weak=allow_weak)

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        self.inner.forget(gallery, face_ids)

    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        return self.inner.faces(gallery)

    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        return self.inner.search_probe(gallery, picture, face=face, threshold=threshold)

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        return self.inner.compare(gallery, face_id, others)

    # -- footage: late, twice, backwards, in small pages -------------------------------------------------------------

    def start(self, request: RunRequest, token: str) -> str:
        self._requests[f"late-{token}"] = request
        self.inner.start(request, token)
        return f"late-{token}"

    def completions(self, wait_s: float) -> list[Completion]:
        for completion in self.inner.completions(wait_s):
            ref = f"late-{completion.run_ref}"
            if ref not in self._held:
                self._held[ref] = Completion(ref, completion.error), self._late_by
            self.inner.acknowledge(completion)
        ripe = [completion for completion, left in self._held.values() if left <= 0]
        self._held = {ref: (completion, left - 1) for ref, (completion, left) in self._held.items()}
        return [one for completion in reversed(ripe) for one in (completion, completion)]

    def acknowledge(self, completion: Completion) -> None:
        """Believe it only the second time."""
        self._told[completion.run_ref] = self._told.get(completion.run_ref, 0) + 1
        if self._told[completion.run_ref] >= 2:
            self._held.pop(completion.run_ref, None)

    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        request = self._requests.get(run_ref)
        page = self.inner.results(run_ref.removeprefix("late-"))
        at = int(cursor or 0)
        track = page.tracks[at : at + 1]
        matches = (
            list(self.inner.match(request.gallery, request.footage_key, track_ids=[one.id for one in track]))
            if request and request.gallery and track
            else []
        )
        return Page(
            tracks=track,
            matches=matches,
            spans=page.spans if at == 0 else (),
            superseded=page.superseded if at == 0 else (),
            next_cursor=str(at + 1) if at + 1 < len(page.tracks) else None,
        )

    def cancel(self, run_ref: str) -> None:
        self._held.pop(run_ref, None)
        self.inner.cancel(run_ref.removeprefix("late-"))

    def close(self) -> None:
        self.inner.close()
