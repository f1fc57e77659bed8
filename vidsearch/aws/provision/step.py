"""What a step of the plan is, and what all steps share: looking, claiming, comparing, and patience with AWS."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vidsearch.aws.provision.names import OWN_TAG, STACK_TAG, Names
from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsDenied, AwsError, AwsNotFound, AwsRefused

Json = Any


@dataclass(frozen=True, slots=True)
class Drift:
    """How something on AWS differs from the plan."""

    what: str
    absent: bool = False
    """It is not there at all and is made, rather than repaired."""


@dataclass(frozen=True)
class Step(ABC):
    """One thing that the plan sees to. It knows how to say itself, look, make or repair, and remove."""

    title: ClassVar[str]

    @abstractmethod
    def sentence(self, names: Names) -> str:
        """Return what the step sees to, as one sentence without its full stop."""

    def documents(self, names: Names) -> dict[str, Json]:
        """Return the documents that go to AWS, by name."""
        return {}

    @abstractmethod
    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Return how AWS differs from the plan. Changes nothing. Raises AwsRefused where it must not be touched."""

    @abstractmethod
    def apply(self, aws: Clients, names: Names) -> None:
        """Make or repair what ``check`` found. Safe to repeat."""

    def learn(self, aws: Clients, names: Names) -> Names:
        """Return the names with what only AWS knows once the step is done."""
        return names

    def remains(self, aws: Clients, names: Names) -> str | None:
        """Return what ``destroy`` would remove, in words, or None where there is nothing of ours."""
        return None

    def in_the_way(self, aws: Clients, names: Names) -> str | None:
        """Return what would be lost by ``destroy`` beyond what was made here, or None."""
        return None

    def destroy(self, aws: Clients, names: Names) -> None:
        """Remove what ``remains`` told of, and only that. Safe to repeat."""

    def resources(self, names: Names) -> dict[str, Json]:
        """Return the step's part of a CloudFormation template: logical name -> (part of) a resource."""
        return {}


@dataclass(frozen=True)
class Resource(Step):
    """A step for something that carries tags, by which we tell what is ours."""

    @abstractmethod
    def label(self, names: Names) -> str:
        """Return what it is and its name, such as "bucket abc"."""

    @abstractmethod
    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Return its tags, or None where it does not exist."""

    @abstractmethod
    def make(self, aws: Clients, names: Names) -> None:
        """Make it, with its tags."""

    @abstractmethod
    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Return what about it is not as planned, tags aside."""
        return []

    def repair(self, aws: Clients, names: Names) -> None:
        """Set right what ``differences`` finds."""

    @abstractmethod
    def remove(self, aws: Clients, names: Names) -> None:
        """Remove it."""

    def ours(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> bool:
        """Return whether it was made here, for this prefix, as its tags say."""
        return tags.get(OWN_TAG) == names.prefix

    def stranger(self, names: Names) -> str:
        """Return what to say of one that was not made here."""
        return (
            f"{self.label(names)} is there already and does not carry the tag {OWN_TAG}={names.prefix}, so it is left "
            "alone: choose another --prefix, or tag it if it is yours"
        )

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare existence, ownership, tags and attributes."""
        tags = self.tags(aws, names)
        if tags is None:
            return Drift(f"{self.label(names)} is not there", absent=True)
        if not self.ours(aws, names, tags):
            raise AwsRefused(self.stranger(names))
        wrong = [f"tag {key} is not {value!r}" for key, value in names.tags.items() if tags.get(key) != value]
        wrong += self.differences(aws, names)
        return Drift(f"{self.label(names)}: {'; '.join(wrong)}") if wrong else None

    def apply(self, aws: Clients, names: Names) -> None:
        """Make it or set it right."""
        tags = self.tags(aws, names)
        if tags is None:
            self.make(aws, names)
            # What another process made in this moment, or what creation cannot set, is set right like drift.
            tags = self.tags(aws, names) or names.tags
        if any(tags.get(key) != value for key, value in names.tags.items()):
            self.tag(aws, names, {**names.tags})
        if self.differences(aws, names):
            self.repair(aws, names)

    def remains(self, aws: Clients, names: Names) -> str | None:
        """Tell of it where it carries our tag. Raises AwsRefused where a CloudFormation stack owns it."""
        tags = self.tags(aws, names)
        if tags is None or tags.get(OWN_TAG) != names.prefix:
            return None
        if STACK_TAG in tags:
            raise AwsRefused(
                f"{self.label(names)} belongs to the CloudFormation stack {tags[STACK_TAG]}: delete the stack instead"
            )
        return self.label(names)

    def destroy(self, aws: Clients, names: Names) -> None:
        """Remove it where it is ours."""
        if self.remains(aws, names):
            self.remove(aws, names)


GRANT = "`python setup_aws.py --print-provisioner-policy` prints all that this script needs"
AGAIN = "run this again, which makes it again"


def look(doing: str, call: Callable[..., Any], **arguments: Any) -> Any:
    """Return what AWS answers, or None where the thing does not exist."""
    try:
        return act(doing, call, **arguments)
    except AwsNotFound:
        return None


def act(doing: str, call: Callable[..., Any], **arguments: Any) -> Any:
    """Return what AWS answers."""
    with translated(doing, grant=GRANT, again=AGAIN):
        return call(**arguments)


PATIENCE_S = 75
"""How long AWS may take to know everywhere what it was told: a new role, or a queue's name that was just given up."""

SETTLING = (
    "NoSuchEntity",
    "NotFoundException",
    "InvalidParameterValueException",
    "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueDeletedRecently",
    "OperationAborted",
)
"""Answers that a new role or key, or the name of a queue or bucket deleted a moment ago, can bring for a while."""

sleep = time.sleep


def patiently(doing: str, call: Callable[..., Any], **arguments: Any) -> Any:
    """Do as ``act``, again and again while AWS does not yet know everywhere what it was just told."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act(doing, call, **arguments)
        except AwsError as exc:
            if exc.code not in SETTLING or time.monotonic() > until:
                raise
            sleep(3)


def readable(doing: str, call: Callable[..., Any], **arguments: Any) -> tuple[Any, bool]:
    """Return (answer or None where it does not exist, whether we may look at all)."""
    try:
        return look(doing, call, **arguments), True
    except AwsDenied:
        return None, False


def same(one: Json, other: Json) -> bool:
    """Return whether two documents (text or parsed) mean the same: order and one-element lists do not count."""
    return bool(_canonical(_parsed(one)) == _canonical(_parsed(other)))


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _canonical(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        items = sorted((_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(document: Json) -> str:
    """Return a document as AWS takes it."""
    return json.dumps(document, separators=(",", ":"))


def pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return tags as the list of pairs that most services take."""
    return [{key: name, value: content} for name, content in tags.items()]


def unpaired(tags: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Return the list of pairs as a mapping."""
    return {tag[key]: tag[value] for tag in tags or []}
