"""The way a completion takes: the topic, the queue, and the queue for what nobody could use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vidsearch.aws.provision import policies
from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import (
    Json,
    Resource,
    act,
    look,
    pairs,
    patiently,
    same,
    text,
    unpaired,
)
from vidsearch.aws.session import Clients

RETENTION_S = 14 * 24 * 3600
"""The longest that a queue keeps a message; the default of 4 days is less than Rekognition keeps results."""

LONG_POLL_S = 20
VISIBILITY_S = 60
"""How long a message is hidden from others once received: filing it takes far less."""

RECEIVES = 100
"""Times a message is received before it counts as dead. High on purpose: several machines may share the queue, and each
gives back what is not for it."""


@dataclass(frozen=True)
class Topic(Resource):
    """The topic that Rekognition tells of finished jobs."""

    title: ClassVar[str] = "topic"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"topic {names.topic}"

    def sentence(self, names: Names) -> str:
        """Say what it is for."""
        return f"A topic {names.topic}, to which Rekognition says that a job is done; only this account may use it"

    def attributes(self, names: Names) -> dict[str, Json]:
        """Return what is set on it."""
        return {"Policy": policies.topic(names), "KmsMasterKeyId": names.key}

    def documents(self, names: Names) -> dict[str, Json]:
        """Show its policy."""
        return {"topic policy": policies.topic(names)}

    def _read(self, aws: Clients, names: Names) -> Any:
        answer = look("read the topic", aws("sns").get_topic_attributes, TopicArn=names.topic_arn)
        return answer and answer["Attributes"]

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        if self._read(aws, names) is None:
            return None
        answer = act("read the topic's tags", aws("sns").list_tags_for_resource, ResourceArn=names.topic_arn)
        return unpaired(answer["Tags"])

    def make(self, aws: Clients, names: Names) -> None:
        """Make it; the rest is set like a repair."""
        act(f"make the topic {names.topic}", aws("sns").create_topic, Name=names.topic, Tags=pairs(names.tags))

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the topic", aws("sns").tag_resource, ResourceArn=names.topic_arn, Tags=pairs(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare the attributes."""
        found = self._read(aws, names) or {}
        return [name for name, value in self.attributes(names).items() if not same(found.get(name, ""), value)]

    def repair(self, aws: Clients, names: Names) -> None:
        """Set the attributes that differ."""
        for name in self.differences(aws, names):
            value = self.attributes(names)[name]
            act(
                f"set the topic's {name}",
                aws("sns").set_topic_attributes,
                TopicArn=names.topic_arn,
                AttributeName=name,
                AttributeValue=value if isinstance(value, str) else text(value),
            )

    def remove(self, aws: Clients, names: Names) -> None:
        """Delete it, and its subscriptions with it."""
        act("delete the topic", aws("sns").delete_topic, TopicArn=names.topic_arn)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        key = {"KmsMasterKeyId": names.key} if names.key else {}
        return {
            "Topic": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"TopicName": names.topic, "Tags": pairs(names.tags), **key},
            },
            "TopicPolicy": {
                "Type": "AWS::SNS::TopicPolicy",
                "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": policies.topic(names)},
            },
        }


@dataclass(frozen=True)
class Queue(Resource):
    """A queue; ``dead`` is the one for what nobody could use."""

    title: ClassVar[str] = "queue"
    dead: bool = False

    def name(self, names: Names) -> str:
        """Return the queue's name."""
        return names.dead if self.dead else names.queue

    def arn(self, names: Names) -> str:
        """Return the queue's ARN."""
        return names.dead_arn if self.dead else names.queue_arn

    def label(self, names: Names) -> str:
        """Name it."""
        return f"queue {self.name(names)}"

    def sentence(self, names: Names) -> str:
        """Say what it is for."""
        if self.dead:
            return f"A queue {names.dead} for messages that could not be delivered or used, kept 14 days"
        return (
            f"A queue {names.queue} of finished jobs: kept 14 days, long polls of {LONG_POLL_S} s; only the topic may "
            f"send to it, and what was received {RECEIVES} times goes to {names.dead}"
        )

    def attributes(self, names: Names) -> dict[str, Json]:
        """Return what is set on it."""
        common: dict[str, Json] = {
            "DelaySeconds": "0",
            "MessageRetentionPeriod": str(RETENTION_S),
            "Policy": policies.queue(names, self.arn(names)),
            # SQS knows the two as each other's opposite: naming one takes the other back.
            **({"KmsMasterKeyId": names.key} if names.key else {"SqsManagedSseEnabled": "true"}),
        }
        if self.dead:
            return common
        return {
            **common,
            "ReceiveMessageWaitTimeSeconds": str(LONG_POLL_S),
            "VisibilityTimeout": str(VISIBILITY_S),
            "RedrivePolicy": {"deadLetterTargetArn": names.dead_arn, "maxReceiveCount": RECEIVES},
        }

    def _as_text(self, names: Names) -> dict[str, str]:
        return {n: v if isinstance(v, str) else text(v) for n, v in self.attributes(names).items()}

    def documents(self, names: Names) -> dict[str, Json]:
        """Show its attributes."""
        return {"attributes": self.attributes(names)}

    def url(self, aws: Clients, names: Names) -> str | None:
        """Return the queue's URL, or None where there is no such queue."""
        answer = look("find the queue", aws("sqs").get_queue_url, QueueName=self.name(names))
        return str(answer["QueueUrl"]) if answer else None

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        url = self.url(aws, names)
        answer = look("read the queue's tags", aws("sqs").list_queue_tags, QueueUrl=url) if url else None
        return None if answer is None else dict(answer.get("Tags", {}))

    def make(self, aws: Clients, names: Names) -> None:
        """Make it with everything set."""
        patiently(
            f"make the queue {self.name(names)}",
            aws("sqs").create_queue,
            QueueName=self.name(names),
            Attributes=self._as_text(names),
            tags=names.tags,
        )

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the queue", aws("sqs").tag_queue, QueueUrl=self.url(aws, names), Tags=dict(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare the attributes."""
        url = self.url(aws, names)
        if url is None:
            return []  # just made with everything set, and not known everywhere yet
        answer = act("read the queue", aws("sqs").get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
        found = answer.get("Attributes", {})
        wanted = self.attributes(names)
        wrong = [name for name, value in wanted.items() if not same(found.get(name, ""), value)]
        return wrong + ([] if names.key or not found.get("KmsMasterKeyId") else ["KmsMasterKeyId"])

    def repair(self, aws: Clients, names: Names) -> None:
        """Set all attributes: they are one call."""
        put, url = aws("sqs").set_queue_attributes, self.url(aws, names)
        if "KmsMasterKeyId" in self.differences(aws, names):
            # SQS takes one way of encrypting at a time, so the one goes before the other comes.
            other = {"SqsManagedSseEnabled": "false"} if names.key else {"KmsMasterKeyId": ""}
            act("end the queue's other encryption", put, QueueUrl=url, Attributes=other)
        act(f"set up the queue {self.name(names)}", put, QueueUrl=url, Attributes=self._as_text(names))

    def remove(self, aws: Clients, names: Names) -> None:
        """Delete it, with the messages in it."""
        act(f"delete the queue {self.name(names)}", aws("sqs").delete_queue, QueueUrl=self.url(aws, names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        logical = "DeadQueue" if self.dead else "Queue"
        set_here = {name: value for name, value in self.attributes(names).items() if name != "Policy"}
        properties = {name: _number_or_flag(value) for name, value in set_here.items()}
        queue: dict[str, Json] = {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": self.name(names), "Tags": pairs(names.tags), **properties},
        }
        if not self.dead:
            queue["DependsOn"] = ["DeadQueue"]
        policy = {"Queues": [{"Ref": logical}], "PolicyDocument": policies.queue(names, self.arn(names))}
        return {logical: queue, f"{logical}Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": policy}}


def _number_or_flag(value: Json) -> Json:
    """Return an attribute as CloudFormation takes it: numbers and truth values are no text there."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if isinstance(value, str) and value.isdigit() else value
