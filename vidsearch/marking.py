"""Have the local engine, which is free, look at footage before an engine that charges is asked about it.

It finds tracks: where somebody's face may be. What it has stored already is not looked at again, so marking may be
stopped at any time and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vidsearch.cuts import Span, merged, padded, without
from vidsearch.engine import Engine, RunRequest
from vidsearch.errors import SourceUnavailable
from vidsearch.model import ExaminedSpan, Footage, Segment, SpanOutcome, Track

WAIT_S = 0.5
"""How long to wait for the engine before looking whether to stop."""


class Marking:
    """Mark the parts of recordings worth paying for. ``engine`` analyses footage; it is asked for on first use."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        pieces: Callable[[Footage], list[Segment]],
        check_source: Callable[[Footage], None],
        pad_ms: int,
    ) -> None:
        """``pieces`` gives the ranges of a recording on that engine's grid; ``check_source`` is Submission's.

        ``pad_ms`` is how long before and after a face is worth paying for too.
        """
        self._engine = engine
        self._pieces = pieces
        self._check_source = check_source
        self._pad_ms = pad_ms

    def mark(
        self,
        recordings: Sequence[tuple[Footage, tuple[float, float]]],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[tuple[Footage, str]]:
        """Look at recordings, each in a period of its own time; what was looked at before takes no time.

        Returns the recordings of which a part could not be looked at, with the reason; such parts count as active.

        Args:
            recordings: As ``Planner.wanted`` returns them.
            on_progress: Told of milliseconds of recording done and in all.
            stop: Asked now and then; where it says yes, marking ends early.

        Raises:
            EngineError: The engine cannot work at all.
        """
        work = [
            (footage, piece)
            for footage, period in recordings
            for piece in self._pieces(footage)
            if piece.start_ms < period[1] and piece.end_ms > period[0]
        ]
        total, done = sum(piece.end_ms - piece.start_ms for _, piece in work), 0
        troubles: dict[int, tuple[Footage, str]] = {}
        on_progress(0, total)
        for footage, piece, error in self._done(iter(work), stop):
            done += piece.end_ms - piece.start_ms
            on_progress(done, total)
            if error:
                troubles.setdefault(footage.id, (footage, error))
        return list(troubles.values())

    def active(self, footage: Footage) -> list[Span]:
        """Return the parts of a recording worth searching, in order.

        Those in which the engine found a face, widened, and those that it has not looked at or could not.
        """
        whole = (0, footage.facts.duration_ms)
        tracks, spans = self.found(footage)
        faces = padded(((track.start_ms, track.end_ms) for track in tracks), self._pad_ms, whole)
        return merged([*faces, *without([whole], looked_at(spans))])

    def found(self, footage: Footage) -> tuple[list[Track], list[ExaminedSpan]]:
        """Return what the engine found in a recording so far, and what it has looked at."""
        engine = self._engine()
        tracks: list[Track] = []
        spans: list[ExaminedSpan] = []
        cursor: str | None = None
        while True:
            page = engine.tracks(footage.key, cursor)
            tracks += page.tracks
            spans += page.spans
            cursor = page.next_cursor
            if cursor is None:
                return tracks, spans

    def _done(
        self, work: Iterator[tuple[Footage, Segment]], stop: Callable[[], bool]
    ) -> Iterator[tuple[Footage, Segment, str | None]]:
        """Yield pieces as they are looked at, with what went wrong, as many at once as the engine takes."""
        engine = self._engine()
        open_: dict[str, tuple[Footage, Segment]] = {}
        while True:
            while len(open_) < engine.capacity and not stop():
                following = next(work, None)
                if following is None:
                    break
                footage, piece = following
                try:
                    self._check_source(footage)
                except SourceUnavailable as exc:
                    yield footage, piece, str(exc)
                    continue
                token = f"mark/{engine.version}/{engine.settings_key}/{footage.key}/{piece.start_ms}/{piece.end_ms}"
                open_[engine.start(_request(footage, piece), token)] = following
            if not open_:
                return
            for completion in engine.completions(WAIT_S):
                if completion.run_ref in open_:
                    engine.acknowledge(completion)
                    yield *open_.pop(completion.run_ref), completion.error


def looked_at(spans: Iterable[ExaminedSpan]) -> list[Span]:
    """Return where an engine would have seen somebody; in what it skipped or could not decode, somebody may be."""
    seen = (SpanOutcome.EXAMINED, SpanOutcome.GAP)
    return merged((span.start_ms, span.end_ms) for span in spans if span.outcome in seen)


def _request(footage: Footage, piece: Segment) -> RunRequest:
    return RunRequest(footage.key, Path(footage.path), footage.facts, piece.start_ms, piece.end_ms)
