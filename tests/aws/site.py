"""A set-up of one test's own in moto, and clients that tell which calls were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.stub import Stubber

from vidsearch.aws.provision import walk
from vidsearch.aws.provision.names import Names, Options
from vidsearch.aws.provision.plan import plan
from vidsearch.aws.provision.step import Drift, Step
from vidsearch.aws.session import Clients

REGION = "eu-west-1"
ACCOUNT = "123456789012"

READING = ("Get", "List", "Head", "Describe", "Receive")


class RecordingClients(Clients):
    """Clients that keep (service, operation) of every call."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.calls: list[tuple[str, str]] = []

    def _make(self, service: str, attempts: int) -> Any:
        client = super()._make(service, attempts)
        client.meta.events.register("before-call", lambda model, **_: self.calls.append((service, model.name)))
        return client

    def changes(self) -> list[tuple[str, str]]:
        """Return the calls that change something, self-test and all."""
        return [call for call in self.calls if not call[1].startswith(READING)]

    @contextmanager
    def answering(self, service: str) -> Iterator[Stubber]:
        """Let the client of a service give prepared answers, checked against botocore's model."""
        with Stubber(self(service)) as stub:
            yield stub


@dataclass
class Site:
    """Options in a moto of our own."""

    options: Options
    aws: RecordingClients
    tls: bool = True
    """moto takes "only over TLS" for "never", so whoever puts anything into the bucket does without."""
    told: list[tuple[str, Drift]] = field(default_factory=list)
    repaired: list[Step] = field(default_factory=list)

    @property
    def names(self) -> Names:
        return Names.of(self.options, ACCOUNT, tls=self.tls)

    def apply(self) -> Names:
        """Apply the plan and return the names with what was learnt."""
        self.told.clear()
        self.aws.calls.clear()

        self.repaired.clear()

        def tell(step: Step, drift: Drift) -> None:
            self.told.append((step.title, drift))
            self.repaired.append(step)

        return walk.apply(plan(self.options), self.aws, self.names, tell)

    def left(self) -> list[str]:
        """Return what still differs of what the last run repaired."""
        drifts = [step.check(self.aws, self.names) for step in self.repaired]
        return [drift.what for drift in drifts if drift]

    def drifts(self) -> list[str]:
        """Return what differs from the plan."""
        found = walk.look_over(plan(self.options), self.aws, self.names)
        return [finding.drift.what for finding in found if finding.drift]

    def remove(self, *, force: bool = False) -> list[str]:
        """Remove what is ours and return it in words."""
        removed = walk.removable(self.aws, self.names)
        if not force:
            walk.refuse_losses(removed, self.aws)
        walk.remove(removed, self.aws, lambda words: None)
        return [one.words for one in removed]

    @property
    def queue_url(self) -> str:
        return str(self.aws("sqs").get_queue_url(QueueName=self.names.queue)["QueueUrl"])

    def attributes(self, queue: str = "") -> dict[str, str]:
        """Return all attributes of a queue."""
        url = self.aws("sqs").get_queue_url(QueueName=queue or self.names.queue)["QueueUrl"]
        return dict(self.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    def subscription(self, endpoint: str = "") -> str:
        """Return the ARN of the subscription of an endpoint, the queue unless named."""
        listed = self.aws("sns").list_subscriptions_by_topic(TopicArn=self.names.topic_arn)["Subscriptions"]
        wanted = endpoint or self.names.queue_arn
        return next(item["SubscriptionArn"] for item in listed if item["Endpoint"] == wanted)


def policy_of(service: str) -> str:
    """Return a policy that is anything but ours."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": f"{service}:*", "Resource": "*"}
            ],
        }
    )
