"""Faults to order: what the real service does on bad days, for testing what uses it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vidsearch.errors import UsageError
from vidsearch.rekognition_local.refusals import ORDERED, Refusal, internal, ordered

ALL = "*"
"""Stands for every operation where operations are named."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Everything is off unless said; "every N" counts from 1, so that 1 means each.

    Operations are named as in Rekognition (``StartFaceSearch``), ``*`` means each, and those named themselves win.
    """

    throttle_every: Mapping[str, int] | int = 0
    """Every Nth call of an operation is throttled."""
    throttle_with: str = "ProvisionedThroughputExceededException"
    error_every: Mapping[str, int] | int = 0
    """Every Nth call of an operation is answered with 500 InternalServerError, and not carried out."""
    lost_answer_every: Mapping[str, int] | int = 0
    """Every Nth call of an operation is carried out, and the connection cut before the answer."""
    slow_s: Mapping[str, float] | float = 0.0
    """Seconds before an operation is answered."""
    deny_starts: int = 0
    """The first N calls of StartFaceSearch find that the role is not known yet."""
    deny_with: str = "AccessDeniedException"
    max_jobs: int = 20
    """Jobs open at once; one more is answered with LimitExceededException."""
    max_video_bytes: int = 10 << 30
    """Larger videos are answered with VideoTooLargeException."""
    max_video_s: float = 6 * 3600.0
    """Jobs of longer videos end as FAILED."""
    job_s: float = 0.0
    """Seconds that a job takes at least."""
    fail_every: int = 0
    """Every Nth job ends as FAILED."""
    fail_message: str = "Internal error"
    """StatusMessage of those jobs."""
    error_status: bool = False
    """Those jobs' messages say ERROR instead of FAILED, as the documentation allows."""
    lose_every: int = 0
    """Every Nth message is lost."""
    duplicate: int = 1
    """Times each message is sent."""
    delay_s: float = 0.0
    """Seconds by which messages are late."""
    reorder: int = 1
    """Messages are held until there are so many (or ``reorder_wait_s`` have passed), and sent the last first."""
    reorder_wait_s: float = 2.0
    strangers: int = 0
    """Messages of jobs nobody here started, sent with each message."""
    page_size: int = 0
    """Most entries on a page, whatever was asked; 0 means as asked."""
    empty_pages: bool = False
    """The first page of a list is empty and says that there is more."""
    expire_after_pages: int = 0
    """For each job, the page after N pages is refused once because its token expired."""
    model_version: str = ""
    """FaceModelVersion of collections made from now on; empty takes the server's."""

    @classmethod
    def parse(cls, given: str) -> Faults:
        """Return the faults that JSON says, or a file of JSON. Raises UsageError."""
        text = given
        if not given.lstrip().startswith("{"):
            try:
                text = Path(given).read_text(encoding="utf-8")
            except OSError as exc:
                raise UsageError(f"{given}: cannot be read as a file of faults: {exc.strerror or exc}") from exc
        try:
            values = json.loads(text)
        except ValueError as exc:
            raise UsageError(f"the faults are not JSON: {exc}") from exc
        return cls.of(values)

    @classmethod
    def of(cls, values: Any) -> Faults:
        """Return the faults of a JSON object. Raises UsageError."""
        if not isinstance(values, Mapping):
            raise UsageError('faults are a JSON object, such as {"throttle_every": {"GetFaceSearch": 3}}')
        kinds = {field.name: field.default for field in fields(cls)}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise UsageError(f"there is no fault '{unknown[0]}'; there are: {', '.join(kinds)}")
        for name, value in values.items():
            if not _fits(name, value, kinds[name]):
                raise UsageError(f"the fault '{name}' cannot be {json.dumps(value)}")
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return what ``of`` reads."""
        return {name: dict(v) if isinstance(v, Mapping) else v for name, v in asdict(self).items()}


_BY_OPERATION = ("throttle_every", "error_every", "lost_answer_every", "slow_s")
_CODES = ("throttle_with", "deny_with")


def _fits(name: str, value: Any, default: Any) -> bool:
    if name in _BY_OPERATION and isinstance(value, Mapping):
        return all(_fits(name, one, default) and not isinstance(one, Mapping) for one in value.values())
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, str):
        return isinstance(value, str) and (name not in _CODES or value in ORDERED)
    whole = int if isinstance(default, int) else (int, float)
    return isinstance(value, whole) and value >= 0


class LostAnswer(Exception):
    """The call was carried out; its answer is not to arrive."""


class FaultPlan:
    """The faults in force, and how often each had its chance. Safe for several threads."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self._faults = faults
        self._turns: Counter[str] = Counter()

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        with self._lock:
            return self._faults

    def replace(self, faults: Faults) -> None:
        """Put other faults in force; counting begins anew."""
        with self._lock:
            self._faults = faults
            self._turns.clear()

    def delay_s(self, operation: str) -> float:
        """Return how late an operation is answered, in seconds."""
        return float(_of(self.faults.slow_s, operation))

    def before(self, operation: str) -> None:
        """Raise the Refusal that an operation meets before it is looked at."""
        faults = self.faults
        if self._hits("error", operation, _of(faults.error_every, operation)):
            raise internal()
        if self._hits("throttle", operation, _of(faults.throttle_every, operation)):
            raise ordered(faults.throttle_with)

    def deny_start(self) -> None:
        """Raise the Refusal of the first starts."""
        faults = self.faults
        if faults.deny_starts and self._turn("deny") <= faults.deny_starts:
            raise ordered(faults.deny_with)

    def after(self, operation: str) -> None:
        """Raise LostAnswer where an answer is to be lost."""
        if self._hits("answer", operation, _of(self.faults.lost_answer_every, operation)):
            raise LostAnswer

    def job_fails(self) -> bool:
        """Return whether the job that ends now fails."""
        return self._hits("fail", "", self.faults.fail_every)

    def message_lost(self) -> bool:
        """Return whether the message to be sent now is lost."""
        return self._hits("lose", "", self.faults.lose_every)

    def _hits(self, kind: str, what: str, every: float) -> bool:
        return bool(every) and self._turn(f"{kind} {what}") % int(every) == 0

    def _turn(self, name: str) -> int:
        with self._lock:
            self._turns[name] += 1
            return self._turns[name]


def _of(value: Mapping[str, Any] | float, operation: str) -> float:
    if isinstance(value, Mapping):
        return float(value.get(operation, value.get(ALL, 0)))
    return float(value)


class Calls:
    """What was asked of the server. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._starts: list[dict[str, Any]] = []
        self._bugs: list[str] = []

    def count(self, operation: str) -> None:
        """Count a call, whatever becomes of it."""
        with self._lock:
            self._counts[operation] += 1

    def refused(self, refusal: Refusal) -> None:
        """Count an error answer."""
        with self._lock:
            self._errors[refusal.code] += 1

    def started(self, request: Mapping[str, Any], job: str, *, new: bool) -> None:
        """Keep a request to start a job that was taken; ``new`` where it made one."""
        with self._lock:
            self._starts.append({"request": dict(request), "job": job, "new": new})

    def bug(self, what: str) -> None:
        """Keep what an answer of ours had wrong."""
        with self._lock:
            self._bugs.append(what)

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._counts.clear()
            self._errors.clear()
            self._starts.clear()
            self._bugs.clear()

    def told(self) -> dict[str, Any]:
        """Return everything: ``operations``, ``errors``, ``starts``, ``bugs``."""
        with self._lock:
            return {
                "operations": dict(self._counts),
                "errors": dict(self._errors),
                "starts": [dict(start) for start in self._starts],
                "bugs": list(self._bugs),
            }
