"""Who hears what the topic is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import Drift, Json, Step, act, look, same, text
from vidsearch.aws.session import Clients


@dataclass(frozen=True)
class Subscription(Step):
    """The queue, or the Lambda function, hears what the topic is told."""

    title: ClassVar[str] = "subscription"
    function: bool = False

    def sentence(self, names: Names) -> str:
        """Say who hears what."""
        hearer = f"function {names.function}" if self.function else f"queue {names.queue}"
        return f"The {hearer} is subscribed to the topic; what cannot be delivered goes to {names.dead}"

    def _endpoint(self, names: Names) -> str:
        return names.function_arn if self.function else names.queue_arn

    def attributes(self, names: Names) -> dict[str, Json]:
        """Return what is set on it."""
        raw = {} if self.function else {"RawMessageDelivery": "false"}
        return {**raw, "RedrivePolicy": {"deadLetterTargetArn": names.dead_arn}, "FilterPolicy": {}}

    def documents(self, names: Names) -> dict[str, Json]:
        """Show its attributes."""
        return {"attributes": self.attributes(names)}

    def _arn(self, aws: Clients, names: Names) -> str | None:
        """Return the subscription's ARN, or None where there is none."""
        for subscription in _subscriptions(aws, names):
            if subscription["Endpoint"] == self._endpoint(names):
                return str(subscription["SubscriptionArn"])
        return None

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Look whether it is there and filters nothing out."""
        arn = self._arn(aws, names)
        if arn is None:
            return Drift(f"{self._endpoint(names)} is not subscribed", absent=True)
        wrong = self._differences(aws, names, arn)
        return Drift(f"subscription: {'; '.join(wrong)}") if wrong else None

    def _differences(self, aws: Clients, names: Names, arn: str) -> list[str]:
        read = aws("sns").get_subscription_attributes
        found = act("read the subscription", read, SubscriptionArn=arn)["Attributes"]
        unset = {"RawMessageDelivery": "false", "FilterPolicy": "{}"}
        return [
            name
            for name, value in self.attributes(names).items()
            if not same(found.get(name) or unset.get(name, ""), value)
        ]

    def apply(self, aws: Clients, names: Names) -> None:
        """Subscribe, or set right."""
        arn = self._arn(aws, names)
        if arn is None:
            arn = act(
                "subscribe to the topic",
                aws("sns").subscribe,
                TopicArn=names.topic_arn,
                Protocol="lambda" if self.function else "sqs",
                Endpoint=self._endpoint(names),
                ReturnSubscriptionArn=True,
            )["SubscriptionArn"]
        for name in self._differences(aws, names, str(arn)):
            value = self.attributes(names)[name]
            act(
                f"set the subscription's {name}",
                aws("sns").set_subscription_attributes,
                SubscriptionArn=arn,
                AttributeName=name,
                AttributeValue=value if isinstance(value, str) else text(value),
            )

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        raw = {} if self.function else {"RawMessageDelivery": False}
        logical = "FunctionSubscription" if self.function else "QueueSubscription"
        properties = {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "lambda" if self.function else "sqs",
            "Endpoint": {"Fn::GetAtt": ["Function" if self.function else "Queue", "Arn"]},
            "RedrivePolicy": {"deadLetterTargetArn": names.dead_arn},
            **raw,
        }
        return {logical: {"Type": "AWS::SNS::Subscription", "Properties": properties, "DependsOn": ["DeadQueuePolicy"]}}


def _subscriptions(aws: Clients, names: Names) -> Iterator[Mapping[str, str]]:
    """Yield the topic's subscriptions; none where there is no topic.

    Those that were ended stay in the list for days with "Deleted" for an ARN, and those that nobody has confirmed with
    "PendingConfirmation".
    """
    more: dict[str, str] = {}
    while True:
        read = aws("sns").list_subscriptions_by_topic
        answer = look("list the topic's subscriptions", read, TopicArn=names.topic_arn, **more)
        if answer is None:
            return
        yield from (one for one in answer["Subscriptions"] if one["SubscriptionArn"].startswith("arn:"))
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}
