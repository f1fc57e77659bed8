"""The KMS key, for those who want footage and messages encrypted with one of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from vidsearch.aws.provision import policies
from vidsearch.aws.provision.names import OWN_TAG, UNKNOWN_KEY, Names
from vidsearch.aws.provision.step import (
    Drift,
    Json,
    Resource,
    Step,
    act,
    look,
    pairs,
    patiently,
    readable,
    same,
    text,
    unpaired,
)
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsRefused

WAIT_DAYS = 30
"""Days until a key that was given up is gone for good; until then it can be called back."""


@dataclass(frozen=True)
class Key(Resource):
    """A key made here, found by its alias."""

    title: ClassVar[str] = "key"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"KMS key {names.key_alias}"

    def sentence(self, names: Names) -> str:
        """Say what it is for."""
        return f"A KMS key {names.key_alias} for bucket, topic and queue, changed every year; $1 a month"

    def documents(self, names: Names) -> dict[str, Json]:
        """Show its policy."""
        return {"key policy": policies.key(names)}

    def _read(self, aws: Clients, names: Names) -> Json:
        answer = look("find the key", aws("kms").describe_key, KeyId=names.key_alias)
        return answer and answer["KeyMetadata"]

    def learn(self, aws: Clients, names: Names) -> Names:
        """Return the names with the key's ARN."""
        found = self._read(aws, names)
        return replace(names, key=found["Arn"] if found else UNKNOWN_KEY)

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        key = self._read(aws, names)
        if key is None:
            return None
        answer = act("read the key's tags", aws("kms").list_resource_tags, KeyId=key["KeyId"])
        return unpaired(answer["Tags"], "TagKey", "TagValue")

    def make(self, aws: Clients, names: Names) -> None:
        """Make it and give it its alias; the rest is set like a repair."""
        key = self._nameless(aws, names) or self._new(aws, names)
        act("name the key", aws("kms").create_alias, AliasName=names.key_alias, TargetKeyId=key)
        # Whatever comes next is told the key's ARN, and S3 would take anything for one.
        patiently("wait for the key", aws("kms").describe_key, KeyId=names.key_alias)

    def _new(self, aws: Clients, names: Names) -> str:
        answer = act(
            "make a KMS key",
            aws("kms").create_key,
            Policy=text(policies.key(names)),
            Description=self._description(names),
            Tags=pairs(names.tags, "TagKey", "TagValue"),
        )
        return str(answer["KeyMetadata"]["KeyId"])

    def _nameless(self, aws: Clients, names: Names) -> str | None:
        """Return a key of ours that was made but not named, as where we were killed in between; it costs money."""
        kms = aws("kms")
        listed = act("list the keys", lambda: list(kms.get_paginator("list_keys").paginate()))
        for key in (key["KeyId"] for page in listed for key in page["Keys"]):
            answer, _ = readable("look at a key", kms.describe_key, KeyId=key)
            found = answer["KeyMetadata"] if answer else {}
            if found.get("Description") != self._description(names) or found.get("KeyState") != "Enabled":
                continue
            tags, _ = readable("read a key's tags", kms.list_resource_tags, KeyId=key)
            if tags and unpaired(tags["Tags"], "TagKey", "TagValue").get(OWN_TAG) == names.prefix:
                return str(key)
        return None

    @staticmethod
    def _description(names: Names) -> str:
        return f"{names.prefix}: footage and messages of vidsearch"

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        key = self._read(aws, names)["KeyId"]
        act("tag the key", aws("kms").tag_resource, KeyId=key, Tags=pairs(tags, "TagKey", "TagValue"))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare state, policy and rotation."""
        key = self._read(aws, names)
        if key is None:
            return []
        kms, by = aws("kms"), {"KeyId": key["KeyId"]}
        if key["KeyState"] == "PendingDeletion":
            return ["it is about to be deleted"]
        wrong = [] if key["Enabled"] else ["it is disabled"]
        policy = act("read the key's policy", kms.get_key_policy, **by, PolicyName="default")["Policy"]
        if not same(policy, policies.key(names)):
            wrong.append("key policy")
        if not act("read the key's rotation", kms.get_key_rotation_status, **by)["KeyRotationEnabled"]:
            wrong.append("rotation is off")
        return wrong

    def repair(self, aws: Clients, names: Names) -> None:
        """Bring it back, enable it, set policy and rotation."""
        kms, by = aws("kms"), {"KeyId": self._read(aws, names)["KeyId"]}
        wrong = self.differences(aws, names)
        if "it is about to be deleted" in wrong:
            act("keep the key", kms.cancel_key_deletion, **by)
            wrong = self.differences(aws, names)
        if "it is disabled" in wrong:
            act("enable the key", kms.enable_key, **by)
        if "key policy" in wrong:
            act(
                "set the key's policy", kms.put_key_policy, **by, PolicyName="default", Policy=text(policies.key(names))
            )
        if "rotation is off" in wrong:
            act("let the key change every year", kms.enable_key_rotation, **by)

    def remains(self, aws: Clients, names: Names) -> str | None:
        """Tell of the key and what goes with it."""
        label = super().remains(aws, names)
        return label and f"{label} (gone in {WAIT_DAYS} days, and with it whatever is still encrypted with it)"

    def remove(self, aws: Clients, names: Names) -> None:
        """Give it up, to be gone in a month. Its name goes last: a key without one would be paid for and not found."""
        kms, key = aws("kms"), self._read(aws, names)
        if key["KeyState"] != "PendingDeletion":
            act("give up the key", kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=WAIT_DAYS)
        act("take the key's name", kms.delete_alias, AliasName=names.key_alias)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {
            "Description": self._description(names),
            "EnableKeyRotation": True,
            "KeyPolicy": policies.key(names),
            "PendingWindowInDays": WAIT_DAYS,
            "Tags": pairs(names.tags),
        }
        alias = {"AliasName": names.key_alias, "TargetKeyId": {"Ref": "Key"}}
        return {
            "Key": {"Type": "AWS::KMS::Key", "Properties": properties},
            "KeyAlias": {"Type": "AWS::KMS::Alias", "Properties": alias},
        }


@dataclass(frozen=True)
class GivenKey(Step):
    """A key of yours. It is looked at and never changed."""

    title: ClassVar[str] = "your key"

    def sentence(self, names: Names) -> str:
        """Say what is checked."""
        return f"Your KMS key {names.key} is enabled and lets SNS put messages into the queue; it is not changed"

    def documents(self, names: Names) -> dict[str, Json]:
        """Show what its policy needs."""
        return {"statement its policy needs": policies.key(names)["Statement"][-1]}

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Refuse a key that cannot work, as far as we are allowed to look."""
        answer, seen = readable("read your key", aws("kms").describe_key, KeyId=names.key)
        if seen:
            if answer is None:
                raise AwsRefused(f"there is no KMS key {names.key}: check --kms-key, or make one with --kms")
            key = answer["KeyMetadata"]
            if not key["Enabled"] or key.get("KeyManager") == "AWS":
                raise AwsRefused(
                    f"KMS key {names.key} is disabled or AWS's own, which SNS cannot use: name an enabled key of yours"
                )
        policy, seen = readable("read your key", aws("kms").get_key_policy, KeyId=names.key, PolicyName="default")
        if seen and policy and "sns.amazonaws.com" not in policy["Policy"]:
            raise AwsRefused(
                f"the policy of KMS key {names.key} does not let SNS use it: add the statement that --dry-run prints"
            )
        return None

    def apply(self, aws: Clients, names: Names) -> None:
        """Do nothing: it is yours."""
