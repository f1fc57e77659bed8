"""Walk a plan: look, make and repair, or remove."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import boto3

from vidsearch.aws.provision.names import Names, Options
from vidsearch.aws.provision.plan import Plan, everything, made_here, plan
from vidsearch.aws.provision.regions import require_stored_video
from vidsearch.aws.provision.step import Drift, Step, act
from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import AwsDenied, AwsRefused


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials these are."""

    account: str
    arn: str


def caller(aws: Clients, options: Options) -> Caller:
    """Return whose credentials these are. Raises AwsDenied where there are none, AwsRefused for the wrong region."""
    require_stored_video(options.region)
    answer = act("ask AWS whose credentials these are", aws("sts").get_caller_identity)
    return Caller(answer["Account"], answer["Arn"])


def speaks_tls(aws: Clients) -> bool:
    """Return whether every service that can ask for TLS is reached over it; a stand-in on one's own machine is not."""
    return all(aws(service).meta.endpoint_url.startswith("https:") for service in ("s3", "sns", "sqs"))


def usual_region(profile: str) -> str:
    """Return the region that the environment or the profile names, or nothing. Reads files only."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named:
        return named
    with translated("read the AWS profile"):
        return boto3.Session(profile_name=profile or None).region_name or ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A step, in words, and how AWS differs from it."""

    sentence: str
    drift: Drift | None


def look_over(steps: Plan, aws: Clients, names: Names) -> Iterator[Finding]:
    """Yield what is found for each step. Changes nothing."""
    for step in steps:
        drift = step.check(aws, names)
        names = step.learn(aws, names)
        yield Finding(step.sentence(names), drift)


def apply(steps: Plan, aws: Clients, names: Names, tell: Callable[[Step, Drift], None]) -> Names:
    """Make what is not there, set right what is not as planned, and return the names with what was learnt.

    ``tell`` hears of each step that is about to change something. Cut short anywhere, the next run goes on.
    """
    for step in steps:
        drift = step.check(aws, names)
        if drift:
            tell(step, drift)
            step.apply(aws, names)
        names = step.learn(aws, names)
    return names


@dataclass(frozen=True, slots=True)
class Removal:
    """Something of ours that is there."""

    step: Step
    names: Names
    words: str


def removable(aws: Clients, names: Names) -> list[Removal]:
    """Return what of ours is there, in the order in which it can go.

    That is also what was made before something of yours took its place.
    """
    chosen = plan(names.options)
    now = everything(names.options)
    made = Names.of(made_here(names.options), names.account)
    before = [step for step in everything(made.options) if step not in now]
    found = []
    for step, named in [*((step, names) for step in reversed(now)), *((step, made) for step in reversed(before))]:
        try:
            words = step.remains(aws, named)
        except AwsDenied:
            # Whoever was never allowed to make a thing has none of it to remove.
            if step in chosen:
                raise
            continue
        if words:
            found.append(Removal(step, named, words))
    return found


def refuse_losses(removed: list[Removal], aws: Clients) -> None:
    """Raise AwsRefused where removing loses more than what was made here."""
    losses = [lost for one in removed if (lost := one.step.in_the_way(aws, one.names))]
    if losses:
        raise AwsRefused(f"{'; '.join(losses)}: with --force they are lost for good, and nothing was removed yet")


def remove(removed: list[Removal], aws: Clients, tell: Callable[[str], None]) -> None:
    """Remove it all, last made first."""
    for one in removed:
        tell(one.words)
        one.step.destroy(aws, one.names)
