"""The plan: the list of steps that the options lead to. Show, apply, remove and the template walk this list."""

from __future__ import annotations

from dataclasses import replace

from vidsearch.aws.provision.access import Attachment, RuntimePolicy
from vidsearch.aws.provision.bucket import Bucket, GivenBucket
from vidsearch.aws.provision.bucket_settings import BucketPolicy, Encryption, Ownership, PublicAccess
from vidsearch.aws.provision.calling import Failures, Invocation, LogGroup
from vidsearch.aws.provision.expiry import Lifecycle
from vidsearch.aws.provision.function import Function
from vidsearch.aws.provision.key import GivenKey, Key
from vidsearch.aws.provision.messages import Queue, Topic
from vidsearch.aws.provision.names import Options
from vidsearch.aws.provision.roles import GivenRole, Role
from vidsearch.aws.provision.step import Step
from vidsearch.aws.provision.subscription import Subscription

Plan = tuple[Step, ...]


def plan(options: Options) -> Plan:
    """Return the steps in the order in which they are made."""
    steps: list[Step] = []
    if options.make_key:
        steps.append(Key())
    elif options.key:
        steps.append(GivenKey())
    if options.bucket:
        steps.append(GivenBucket())
    else:
        steps += [Bucket(), PublicAccess(), Ownership(), Encryption(), BucketPolicy()]
    steps += [Lifecycle(), Topic(), Queue(dead=True), Queue(), Subscription()]
    steps.append(GivenRole() if options.role else Role())
    steps.append(RuntimePolicy())
    if options.attach_to:
        steps.append(Attachment())
    if options.function:
        steps += [Role(function=True), LogGroup(), Function(), Invocation(), Failures(), Subscription(function=True)]
    return tuple(steps)


def made_here(options: Options) -> Options:
    """Return the options with which everything is made and nothing of yours is used, as an earlier run may have had."""
    return replace(options, bucket="", role="", key="", make_key=True)


def everything(options: Options) -> Plan:
    """Return the steps of all that may ever have been made with these things of yours, for removing it."""
    return plan(replace(options, make_key=not options.key, function=True, attach_to=""))
