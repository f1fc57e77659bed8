"""What surrounds the Lambda function: who calls it, where it logs, and what becomes of what it could not do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import Drift, Json, Resource, Step, act, look, pairs, patiently, same
from vidsearch.aws.session import Clients

LOG_DAYS = 30
RETRIES = 2
EVENT_AGE_S = 6 * 3600
"""Times and seconds that Lambda tries again with an event that failed; both are the most it takes."""

SID = "topic"


@dataclass(frozen=True)
class LogGroup(Resource):
    """Where the function logs. Made before it, or Lambda would make one that keeps everything for ever."""

    title: ClassVar[str] = "function's log"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"log group {names.log_group}"

    def sentence(self, names: Names) -> str:
        """Say how long it keeps."""
        return f"A log {names.log_group} of the function, kept {LOG_DAYS} days"

    def _read(self, aws: Clients, names: Names) -> Json:
        groups = act("read the log group", aws("logs").describe_log_groups, logGroupNamePrefix=names.log_group)
        return next((group for group in groups["logGroups"] if group["logGroupName"] == names.log_group), None)

    def _arn(self, names: Names) -> str:
        return names.arn("logs", f"log-group:{names.log_group}")

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        if self._read(aws, names) is None:
            return None
        read = aws("logs").list_tags_for_resource
        return dict(act("read the log group's tags", read, resourceArn=self._arn(names))["tags"])

    def make(self, aws: Clients, names: Names) -> None:
        """Make it."""
        act("make the log group", aws("logs").create_log_group, logGroupName=names.log_group, tags=names.tags)

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the log group", aws("logs").tag_resource, resourceArn=self._arn(names), tags=dict(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare how long it keeps."""
        group = self._read(aws, names)
        return [] if group is None or group.get("retentionInDays") == LOG_DAYS else ["how long it keeps"]

    def repair(self, aws: Clients, names: Names) -> None:
        """Set how long it keeps."""
        put = aws("logs").put_retention_policy
        act("set how long the log is kept", put, logGroupName=names.log_group, retentionInDays=LOG_DAYS)

    def remove(self, aws: Clients, names: Names) -> None:
        """Delete it."""
        act("delete the log group", aws("logs").delete_log_group, logGroupName=names.log_group)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {"LogGroupName": names.log_group, "RetentionInDays": LOG_DAYS, "Tags": pairs(names.tags)}
        return {"FunctionLog": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}


@dataclass(frozen=True)
class Invocation(Step):
    """The topic, and nobody else, calls the function."""

    title: ClassVar[str] = "who calls the function"

    def sentence(self, names: Names) -> str:
        """Say it."""
        return "Only the topic may call the function"

    def _statement(self, names: Names) -> Json:
        return {
            "Sid": SID,
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": names.function_arn,
            "Condition": {"ArnLike": {"AWS:SourceArn": names.topic_arn}},
        }

    def documents(self, names: Names) -> dict[str, Json]:
        """Show the statement."""
        return {"function policy": self._statement(names)}

    def _found(self, aws: Clients, names: Names) -> list[Any]:
        answer = look("read who calls the function", aws("lambda").get_policy, FunctionName=names.function)
        return list(json.loads(answer["Policy"])["Statement"]) if answer else []

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare the function's policy."""
        found = self._found(aws, names)
        if not found:
            return Drift("the topic may not call it", absent=True)
        return None if same(found, [self._statement(names)]) else Drift("others than the topic may call it")

    def apply(self, aws: Clients, names: Names) -> None:
        """Take back every other permission and give the one."""
        client = aws("lambda")
        held = [s for s in self._found(aws, names) if not same(s, self._statement(names))]
        for statement in held:
            drop = client.remove_permission
            act("take back a permission", drop, FunctionName=names.function, StatementId=statement["Sid"])
        if self.check(aws, names):
            act(
                "let the topic call the function",
                client.add_permission,
                FunctionName=names.function,
                StatementId=SID,
                Action="lambda:InvokeFunction",
                Principal="sns.amazonaws.com",
                SourceArn=names.topic_arn,
            )

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {
            "FunctionName": {"Ref": "Function"},
            "Action": "lambda:InvokeFunction",
            "Principal": "sns.amazonaws.com",
            "SourceArn": {"Ref": "Topic"},
        }
        return {"FunctionPermission": {"Type": "AWS::Lambda::Permission", "Properties": properties}}


@dataclass(frozen=True)
class Failures(Step):
    """What the function could not do is not lost."""

    title: ClassVar[str] = "function's failures"

    def sentence(self, names: Names) -> str:
        """Say it."""
        return f"What the function could not store in {1 + RETRIES} tries goes to {names.dead}"

    def wanted(self, names: Names) -> dict[str, Json]:
        """Return the configuration."""
        return {
            "MaximumRetryAttempts": RETRIES,
            "MaximumEventAgeInSeconds": EVENT_AGE_S,
            "DestinationConfig": {"OnFailure": {"Destination": names.dead_arn}},
        }

    def documents(self, names: Names) -> dict[str, Json]:
        """Show the configuration."""
        return {"failures": self.wanted(names)}

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare it."""
        read = aws("lambda").get_function_event_invoke_config
        found = look("read what happens to failures", read, FunctionName=names.function)
        if found is None:
            return Drift("it is not set", absent=True)
        failing = {"OnFailure": found.get("DestinationConfig", {}).get("OnFailure", {})}
        found = {**found, "DestinationConfig": failing}
        wanted = self.wanted(names)
        return None if same({name: found.get(name) for name in wanted}, wanted) else Drift("it is not as planned")

    def apply(self, aws: Clients, names: Names) -> None:
        """Set it."""
        put = aws("lambda").put_function_event_invoke_config
        patiently("set what happens to failures", put, FunctionName=names.function, **self.wanted(names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", **self.wanted(names)}
        return {"FunctionFailures": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": properties}}
