"""Look over what a search on AWS needs, before a search does. Costs nothing and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vidsearch.aws.provision import terms
from vidsearch.aws.provision.names import TOPIC_START
from vidsearch.aws.provision.regions import require_stored_video
from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import REFRESH, translated
from vidsearch.errors import AwsDenied, AwsError, AwsNotFound, AwsThrottled, AwsUnreachable, VidsearchError
from vidsearch.settings import Settings, setup_command

REPAIR = "python setup_aws.py"
SKEW_S = 300
"""AWS refuses requests whose clock is further off than this."""

OPT_OUT = (
    "AWS may use what its AI services are sent to improve them unless the organisation opts out: see "
    "docs/aws.md#responsible-use"
)


@dataclass(frozen=True, slots=True)
class AwsFinding:
    """One thing looked at."""

    what: str
    good: bool
    detail: str
    mend: str = ""
    """The command or act that mends it."""


def examine_aws(
    settings: Settings,
    clients: Clients,
    collections: Sequence[str] = (),
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[AwsFinding]:
    """Look at credentials, clock, region, bucket, topic, queue, role and collections, and return what was found.

    Args:
        settings: The program's settings; ``aws.toml`` is among them.
        clients: Clients of the region in the settings.
        collections: Ids of the collections that ought to be there, those of the cases that have faces enrolled.
        now: The time, in UTC.
    """
    # The plain command would set up the default folder.
    command = setup_command(settings.data)
    return [
        replace(one, detail=one.detail.replace(REPAIR, command), mend=one.mend.replace(REPAIR, command))
        for one in _examined(settings, clients, collections, now)
    ]


def _examined(
    settings: Settings, clients: Clients, collections: Sequence[str], now: Callable[[], datetime]
) -> list[AwsFinding]:
    lacking = [name for name in _NEEDED if not getattr(settings, name)]
    if lacking:
        return [AwsFinding("AWS", False, f"not set: {', '.join(lacking)}", f"{REPAIR} --region …")]
    looks: list[tuple[str, Callable[[], Iterator[AwsFinding]]]] = [
        ("AWS region", lambda: _region(settings)),
        ("AWS credentials", lambda: _credentials(clients, now)),
    ]
    findings = [finding for what, look in looks for finding in _safely(what, look)]
    if not all(finding.good for finding in findings):
        # Nothing further can be asked, and every answer would say the same.
        return [*findings, *_reminders(settings)]
    looks = [
        ("AWS bucket", lambda: _bucket(settings, clients)),
        ("AWS topic", lambda: _topic(settings, clients)),
        ("AWS queue", lambda: _queue(settings, clients)),
        ("AWS role", lambda: _role(settings, clients)),
        ("AWS collections", lambda: _collections(clients, collections)),
    ]
    findings += [finding for what, look in looks for finding in _safely(what, look)]
    return [*findings, *_reminders(settings)]


_NEEDED = ("aws_region", "aws_bucket", "aws_topic_arn", "aws_queue_url", "aws_role_arn")


def _safely(what: str, look: Callable[[], Iterator[AwsFinding]]) -> list[AwsFinding]:
    """Return what a look finds; an error on the way is a finding too, and what was found before it stays."""
    found: list[AwsFinding] = []
    try:
        found.extend(look())
    except VidsearchError as exc:
        found.append(AwsFinding(what, False, str(exc), _mend(exc)))
    return found


def _mend(exc: VidsearchError) -> str:
    """Return what mends an error."""
    if isinstance(exc, AwsUnreachable):
        return "check the network, and aws_region in aws.toml"
    if isinstance(exc, AwsThrottled):
        return "wait a minute, then run `vidsearch doctor` again"
    if isinstance(exc, AwsDenied):
        return f"{REPAIR}, run by whoever administers the AWS account"
    return REPAIR


def _mend_credentials(exc: AwsDenied) -> str:
    """Return what mends that AWS does not even say whose credentials these are."""
    if exc.code == "NoCredentials":
        return "aws configure, or set AWS_PROFILE"
    return "set this computer's clock (NTP)" if "clock is wrong" in str(exc) else REFRESH


def _ask(doing: str, call: Callable[..., Any], **arguments: Any) -> Any:
    with translated(doing, again=""):  # each finding has its own line for that
        return call(**arguments)


def _region(settings: Settings) -> Iterator[AwsFinding]:
    try:
        require_stored_video(settings.aws_region)
    except VidsearchError as exc:
        yield AwsFinding("AWS region", False, str(exc), f"{REPAIR} --region …, with one of those")
        return
    regions = {
        "topic": settings.aws_topic_arn.split(":")[3:4],
        "queue": _region_of_url(settings.aws_queue_url),
        "key": settings.aws_kms_key.split(":")[3:4],
    }
    astray = [name for name, found in regions.items() if found and found != [settings.aws_region]]
    detail = f"{', '.join(astray)} not in {settings.aws_region}" if astray else f"{settings.aws_region}, all in one"
    yield AwsFinding("AWS region", not astray, detail, f"{REPAIR} --region {settings.aws_region}")


def _region_of_url(url: str) -> list[str]:
    """Return the region in a queue's URL, or nothing where it does not name one, as on an endpoint of one's own."""
    host = url.split("/")[2].split(".") if url.count("/") > 2 else []
    return host[1:2] if host[:1] == ["sqs"] and len(host) > 3 else []


def _credentials(clients: Clients, now: Callable[[], datetime]) -> Iterator[AwsFinding]:
    try:
        answer = _ask("ask AWS whose credentials these are", clients("sts").get_caller_identity)
    except AwsDenied as exc:
        yield AwsFinding("AWS credentials", False, str(exc), _mend_credentials(exc))
        return
    yield AwsFinding("AWS credentials", True, f"{answer['Arn']} of account {answer['Account']}")
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if date:
        off = abs((now() - parsedate_to_datetime(date)).total_seconds())
        detail = f"{off:.0f} s from Amazon's"
        yield AwsFinding("AWS clock", off < SKEW_S, detail, "set this computer's clock (NTP)")


def _bucket(settings: Settings, clients: Clients) -> Iterator[AwsFinding]:
    name = settings.aws_bucket
    answer = _ask(f"reach the bucket {name}", clients("s3").head_bucket, Bucket=name)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or settings.aws_region
    good = region == settings.aws_region
    detail = name if good else f"{name} is in {region}, and everything else in {settings.aws_region}"
    mend = f"{REPAIR} --region {region}, or --bucket with one in {settings.aws_region}"
    yield AwsFinding("AWS bucket", good, detail, mend)


def _topic(settings: Settings, clients: Clients) -> Iterator[AwsFinding]:
    arn = settings.aws_topic_arn
    _ask("read the topic", clients("sns").get_topic_attributes, TopicArn=arn)
    try:
        queue = _queue_attributes(settings, clients).get("QueueArn", "")
    except AwsError:
        # The queue's own finding says what is wrong with it.
        name = arn.rpartition(":")[2]
        yield AwsFinding("AWS topic", True, f"{name}; whether the queue hears it could not be checked")
        return
    # One that was ended stays in the list for days, with "Deleted" for an ARN.
    held = (item for item in _subscriptions(clients, arn) if item["SubscriptionArn"].startswith("arn:"))
    heard = any(item["Endpoint"] == queue for item in held)
    yield AwsFinding(
        "AWS topic",
        heard,
        arn.rpartition(":")[2] if heard else "the queue is not subscribed to it: no search would ever end",
        REPAIR,
    )


def _subscriptions(clients: Clients, topic: str) -> Iterator[dict[str, str]]:
    more: dict[str, str] = {}
    while True:
        read = clients("sns").list_subscriptions_by_topic
        answer = _ask("list the topic's subscriptions", read, TopicArn=topic, **more)
        yield from answer["Subscriptions"]
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}


def _queue_attributes(settings: Settings, clients: Clients) -> dict[str, str]:
    read = clients("sqs").get_queue_attributes
    answer = _ask("read the queue", read, QueueUrl=settings.aws_queue_url, AttributeNames=["All"])
    return dict(answer.get("Attributes", {}))


def _queue(settings: Settings, clients: Clients) -> Iterator[AwsFinding]:
    found = _queue_attributes(settings, clients)
    lets_in = _lets_topic_in(found.get("Policy", ""), settings.aws_topic_arn)
    waiting = f"{found.get('ApproximateNumberOfMessages', '0')} messages wait in it"
    detail = waiting if lets_in else "its policy does not let the topic in: no search would ever end"
    yield AwsFinding("AWS queue", lets_in, detail, REPAIR)


def _lets_topic_in(policy: str, topic: str) -> bool:
    """Return whether some statement of a queue's policy allows messages and none but conditions on another topic."""
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    for statement in statements if isinstance(statements, list) else [statements]:
        said = json.dumps([statement.get("Action"), statement.get("Principal")]).lower()
        sends = "sqs:sendmessage" in said or "sqs:*" in said or '"*"' in said
        source = json.dumps(statement.get("Condition", {}))
        if statement.get("Effect") == "Allow" and sends and (topic in source or "SourceArn" not in source):
            return True
    return False


def _role(settings: Settings, clients: Clients) -> Iterator[AwsFinding]:
    name = settings.aws_role_arn.rpartition("/")[2]
    try:
        role = _ask("read the role", clients("iam").get_role, RoleName=name)["Role"]
    except AwsDenied:
        yield AwsFinding("AWS role", True, f"{name}: not checked, iam:GetRole is not allowed")
        return
    trusted = "rekognition.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    if not trusted:
        yield AwsFinding("AWS role", False, f"Rekognition may not take {name}: jobs could not be started", REPAIR)
        return
    topic = settings.aws_topic_arn
    if topic.rpartition(":")[2].startswith(TOPIC_START) or _allows_publishing(clients, name, topic):
        yield AwsFinding("AWS role", True, name)
        return
    detail = f"the topic's name does not begin with {TOPIC_START}, and no policy of {name} names it"
    yield AwsFinding("AWS role", False, detail, REPAIR)


def _allows_publishing(clients: Clients, role: str, topic: str) -> bool:
    """Return whether the policy that the set-up gives the role names the topic; True where we may not look."""
    read = clients("iam").get_role_policy
    try:
        found = _ask("read the role's policy", read, RoleName=role, PolicyName="publish-completions")
    except AwsDenied:
        return True
    except AwsNotFound:
        return False
    return topic in json.dumps(found["PolicyDocument"])


def _collections(clients: Clients, collections: Sequence[str]) -> Iterator[AwsFinding]:
    _ask("list the face collections", clients("rekognition").list_collections, MaxResults=1)
    lost: list[str] = []
    other: list[AwsError] = []
    for name in collections:
        try:
            _ask("look at a face collection", clients("rekognition").describe_collection, CollectionId=name)
        except AwsNotFound:
            lost.append(name)
        except AwsError as exc:
            other.append(exc)
    if lost or other:
        detail = "; ".join([*([f"deleted behind our back: {', '.join(lost)}"] if lost else []), *map(str, other[:1])])
        mend = "vidsearch person reindex --engine rekognition" if lost else _mend(other[0])
        yield AwsFinding("AWS collections", False, detail, mend)
        return
    yield AwsFinding("AWS collections", True, f"{len(collections)} there" if collections else "none needed yet")


def _reminders(settings: Settings) -> list[AwsFinding]:
    """Return what no call can look at."""
    try:
        read = terms.acknowledged(settings.data)
    except VidsearchError as exc:
        return [AwsFinding("AWS terms", False, str(exc), f"{REPAIR} --acknowledge-terms")]
    detail = f"acknowledged {read}" if read else "what is to be known before a search was not acknowledged"
    return [
        AwsFinding("AWS terms", read is not None, detail, f"{REPAIR} --acknowledge-terms"),
        AwsFinding("AWS AI opt-out", True, OPT_OUT),
    ]
