"""Page what a job found: Amazon's pages in, pages of whole tracks out, with nothing kept in between.

A cursor carries all that is needed to go on: where Amazon's next page is, and the person at the end of the last one,
who may go on there. So the same cursor gives the same page, also in another process.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from vidsearch.engine import Page
from vidsearch.engines.rekognition.calls import Answer, Calls
from vidsearch.engines.rekognition.runs import SKIPPED, SUCCEEDED, Run
from vidsearch.engines.rekognition.translate import Person, Place, Rows, Visit, examined, skipped
from vidsearch.errors import AwsError, EngineError, EngineRefused, UnknownRecord
from vidsearch.model import BoundingBox

EXPIRED = "InvalidPaginationTokenException"


class Pages(Protocol):
    """Where the pages of a job are read."""

    def read(self, job_id: str, number: int, token: str | None) -> tuple[Answer, str | None]:
        """Return page ``number`` (from 0) of a job, and the token of the next one, or None at the end."""
        ...


class AskedPages:
    """Pages read with GetFaceSearch."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def read(self, job_id: str, number: int, token: str | None) -> tuple[Answer, str | None]:
        """Return a page. Where its token has run out, which they do within a day, it is read up to from the first."""
        try:
            answer = self._calls.face_search(job_id, token=token)
        except AwsError as exc:
            if exc.code != EXPIRED or token is None:
                raise
            answer = self._again(job_id, number)
        status = answer.get("JobStatus")
        if status != SUCCEEDED:
            raise EngineError(f"job {job_id} has no results to read: Amazon says that it is {status}")
        # An empty text is a token to some: it must end the reading, not start it again.
        return answer, answer.get("NextToken") or None

    def _again(self, job_id: str, number: int) -> Answer:
        answer = self._calls.face_search(job_id)
        for _ in range(number):
            if not answer.get("NextToken"):
                raise EngineError(f"the results of job {job_id} have fewer pages than before: search again")
            answer = self._calls.face_search(job_id, token=answer["NextToken"])
        return answer


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page goes on."""

    number: int
    token: str
    person: Person | None
    width: float

    def packed(self) -> str:
        """Return it as a text."""
        person = None if self.person is None else [self.person.index, [asdict(visit) for visit in self.person.visits]]
        text = json.dumps([self.number, self.token, person, self.width], separators=(",", ":"))
        return base64.urlsafe_b64encode(zlib.compress(text.encode(), 1)).decode()

    @classmethod
    def of(cls, packed: str) -> Cursor:
        """Return the cursor that a text stands for. Raises EngineRefused."""
        try:
            number, token, person, width = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed)))
            return cls(number, token, None if person is None else _person(*person), width)
        except (ValueError, TypeError, KeyError, zlib.error) as exc:
            raise EngineRefused("this is no cursor of the rekognition engine's results") from exc


class Results:
    """Gives the results of runs that are done."""

    def __init__(self, pages: Pages, version: str) -> None:
        self._pages = pages
        self._version = version

    def page(self, run: Run, cursor: str | None) -> Page:
        """Return a page of a run. Raises UnknownRecord where it is not done or Amazon does not keep it any more."""
        if run.outcome == SKIPPED:
            return Page(spans=[skipped(run.start_ms, run.end_ms, run.reason or "")])
        if run.outcome != SUCCEEDED or run.job_id is None:
            raise UnknownRecord(f"the run '{run.token}' has no results" + (f": {run.reason}" if run.reason else ""))
        place = Place(run.footage, self._version, run.start_ms, run.end_ms, run.stretches, run.width)
        at = Cursor.of(cursor) if cursor else Cursor(0, "", None, float(run.width))
        answer, token = self._pages.read(run.job_id, at.number, at.token or None)
        rows = Rows(place, at.person, at.width)
        tracks, matches = rows.page(answer, last=token is None)
        after = None if token is None else Cursor(at.number + 1, token, rows.unfinished, rows.width).packed()
        spans = examined(place, run.spans) if cursor is None else ()
        return Page(tracks=tracks, matches=matches, spans=spans, next_cursor=after)


def _person(index: int, visits: list[dict[str, Any]]) -> Person:
    return Person(index, [_visit(**visit) for visit in visits])


def _visit(**values: Any) -> Visit:
    values["first_box"] = BoundingBox(**values["first_box"])
    values["best_box"] = BoundingBox(**values["best_box"])
    values["best"] = tuple(values["best"])
    values["faces"] = {face: tuple(held) for face, held in values["faces"].items()}
    return Visit(**values)
