"""The roles that Rekognition and the Lambda function take, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vidsearch.aws.provision import policies
from vidsearch.aws.provision.names import Names
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
from vidsearch.errors import AwsDenied, AwsRefused

MANAGED = "AmazonRekognitionServiceRole"
"""AWS's own policy for such a role; it allows publishing to topics whose names begin as ours does."""


@dataclass(frozen=True)
class Role(Resource):
    """A role, with the one policy that belongs to it."""

    title: ClassVar[str] = "role"
    function: bool = False
    """The Lambda function's role, rather than Rekognition's."""

    def name(self, names: Names) -> str:
        """Return the role's name."""
        return names.function_role if self.function else names.role

    def label(self, names: Names) -> str:
        """Name it."""
        return f"role {self.name(names)}"

    def sentence(self, names: Names) -> str:
        """Say who takes it and what for."""
        if self.function:
            return f"A role {names.function_role} for the function: it reads results and stores them, nothing else"
        return f"A role {names.role} that only Rekognition takes, only for this account, to publish to the topic"

    def trust(self, names: Names) -> Json:
        """Return who may take it."""
        return policies.function_trust() if self.function else policies.trust(names)

    def policy(self, names: Names) -> Json:
        """Return what it may do."""
        return policies.function(names) if self.function else policies.publish(names)

    @property
    def policy_name(self) -> str:
        """The name of its inline policy."""
        return "store-results" if self.function else "publish-completions"

    def documents(self, names: Names) -> dict[str, Json]:
        """Show both documents."""
        return {"trust": self.trust(names), self.policy_name: self.policy(names)}

    def _read(self, aws: Clients, names: Names) -> Json:
        answer = look("read the role", aws("iam").get_role, RoleName=self.name(names))
        return answer and answer["Role"]

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        role = self._read(aws, names)
        return None if role is None else unpaired(role.get("Tags"))

    def make(self, aws: Clients, names: Names) -> None:
        """Make it, and wait until IAM knows it."""
        boundary = {"PermissionsBoundary": names.options.boundary} if names.options.boundary else {}
        act(
            f"make the role {self.name(names)}",
            aws("iam").create_role,
            RoleName=self.name(names),
            AssumeRolePolicyDocument=text(self.trust(names)),
            Description=f"{self.sentence(names)}."[:1000],
            Tags=pairs(names.tags),
            **boundary,
        )
        act("wait for the role", aws("iam").get_waiter("role_exists").wait, RoleName=self.name(names))

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the role", aws("iam").tag_role, RoleName=self.name(names), Tags=pairs(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare trust, policy and boundary."""
        role = self._read(aws, names)
        if role is None:
            # Just made, and not known everywhere yet: all but its policy was given with the making.
            return [f"policy {self.policy_name}"]
        wrong = []
        if not same(role["AssumeRolePolicyDocument"], self.trust(names)):
            wrong.append("who may take it")
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
        if names.options.boundary and boundary != names.options.boundary:
            wrong.append("permissions boundary")
        read = aws("iam").get_role_policy
        inline = look("read the role's policy", read, RoleName=self.name(names), PolicyName=self.policy_name)
        if inline is None or not same(inline["PolicyDocument"], self.policy(names)):
            wrong.append(f"policy {self.policy_name}")
        return wrong

    def repair(self, aws: Clients, names: Names) -> None:
        """Set trust, policy and boundary."""
        iam, name = aws("iam"), self.name(names)
        wrong = self.differences(aws, names)
        if "who may take it" in wrong:
            put = iam.update_assume_role_policy
            act("set who may take the role", put, RoleName=name, PolicyDocument=text(self.trust(names)))
        if "permissions boundary" in wrong:
            put = iam.put_role_permissions_boundary
            act("bound the role", put, RoleName=name, PermissionsBoundary=names.options.boundary)
        if f"policy {self.policy_name}" in wrong:
            policy = text(self.policy(names))
            put = iam.put_role_policy
            patiently("set the role's policy", put, RoleName=name, PolicyName=self.policy_name, PolicyDocument=policy)

    def remove(self, aws: Clients, names: Names) -> None:
        """Delete it with what hangs on it."""
        iam, name = aws("iam"), self.name(names)
        inline = act("list the role's policies", iam.list_role_policies, RoleName=name)["PolicyNames"]
        for policy in inline:
            act("delete the role's policy", iam.delete_role_policy, RoleName=name, PolicyName=policy)
        attached = act("list the role's policies", iam.list_attached_role_policies, RoleName=name)
        for policy in attached["AttachedPolicies"]:
            act("detach the policy", iam.detach_role_policy, RoleName=name, PolicyArn=policy["PolicyArn"])
        act(f"delete the role {name}", iam.delete_role, RoleName=name)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        boundary = {"PermissionsBoundary": names.options.boundary} if names.options.boundary else {}
        properties = {
            "RoleName": self.name(names),
            "AssumeRolePolicyDocument": self.trust(names),
            "Policies": [{"PolicyName": self.policy_name, "PolicyDocument": self.policy(names)}],
            "Tags": pairs(names.tags),
            **boundary,
        }
        return {
            "FunctionRole" if self.function else "ServiceRole": {"Type": "AWS::IAM::Role", "Properties": properties}
        }


@dataclass(frozen=True)
class GivenRole(Step):
    """A service role of yours. It is looked at and never changed."""

    title: ClassVar[str] = "your role"

    def sentence(self, names: Names) -> str:
        """Say what is checked."""
        return f"Your role {names.role_arn} can be taken by Rekognition and may publish to the topic; it is not changed"

    def documents(self, names: Names) -> dict[str, Json]:
        """Show what the role needs."""
        return {"trust it needs": policies.trust(names), "policy it needs": policies.publish(names)}

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Refuse a role that cannot work, as far as we are allowed to look."""
        if names.role_arn.split(":")[4] != names.account:
            raise AwsRefused(
                f"role {names.role_arn} is in another account: Rekognition only takes one of {names.account}"
            )
        answer, seen = readable("read your role", aws("iam").get_role, RoleName=names.role)
        if not seen:
            return None
        if answer is None:
            raise AwsRefused(f"there is no role {names.role}: check --role, or leave it out and one is made")
        if "rekognition.amazonaws.com" not in text(answer["Role"]["AssumeRolePolicyDocument"]):
            raise AwsRefused(
                f"Rekognition may not take the role {names.role}: give it the trust policy that --dry-run prints"
            )
        if not self._publishes(aws, names):
            raise AwsRefused(
                f"role {names.role} has neither {MANAGED} nor a policy for sns:Publish: give it the policy that "
                "--dry-run prints"
            )
        return None

    @staticmethod
    def _publishes(aws: Clients, names: Names) -> bool:
        """Return whether some policy of the role speaks of publishing; True where we may not look."""
        iam, of = aws("iam"), {"RoleName": names.role}
        documents = []
        try:
            for policy in act("read your role", iam.list_attached_role_policies, **of)["AttachedPolicies"]:
                if policy["PolicyName"] == MANAGED:
                    return True
                arn = {"PolicyArn": policy["PolicyArn"]}
                version = act("read your role", iam.get_policy, **arn)["Policy"]["DefaultVersionId"]
                documents.append(act("read your role", iam.get_policy_version, **arn, VersionId=version))
            for name in act("read your role", iam.list_role_policies, **of)["PolicyNames"]:
                documents.append(act("read your role", iam.get_role_policy, **of, PolicyName=name))
        except AwsDenied:
            return True
        said = str(documents).lower()
        return any(word in said for word in ("sns:publish", "sns:*", "'action': '*'", "'action': ['*']"))

    def apply(self, aws: Clients, names: Names) -> None:
        """Do nothing: it is yours."""
