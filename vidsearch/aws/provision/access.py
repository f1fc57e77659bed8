"""What the program itself may do, and who gets to do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vidsearch.aws.provision import policies
from vidsearch.aws.provision.names import OWN_TAG, Names
from vidsearch.aws.provision.step import (
    Drift,
    Json,
    Resource,
    Step,
    act,
    look,
    pairs,
    patiently,
    same,
    text,
    unpaired,
)
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsDenied, AwsRefused

VERSIONS = 5
"""As many versions of a policy IAM keeps; the oldest has to go before a sixth."""


@dataclass(frozen=True)
class RuntimePolicy(Resource):
    """The policy of whoever runs vidsearch."""

    title: ClassVar[str] = "runtime policy"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"policy {names.policy}"

    def sentence(self, names: Names) -> str:
        """Say whom it is for."""
        return f"A policy {names.policy} for whoever runs vidsearch: what the program does on AWS, and nothing else"

    def documents(self, names: Names) -> dict[str, Json]:
        """Show it."""
        return {names.policy: policies.runtime(names)}

    def _read(self, aws: Clients, names: Names) -> Json:
        answer = look("read the policy", aws("iam").get_policy, PolicyArn=names.policy_arn)
        return answer and answer["Policy"]

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        policy = self._read(aws, names)
        if policy is None:
            return None
        # CloudFormation cannot tag a policy, so its description, which nobody can change, marks it as ours too.
        marked = {OWN_TAG: names.prefix} if policy.get("Description") == self._description(names) else {}
        return {**marked, **unpaired(policy.get("Tags"))}

    @staticmethod
    def _description(names: Names) -> str:
        return f"What vidsearch does on AWS ({OWN_TAG}={names.prefix})"

    def make(self, aws: Clients, names: Names) -> None:
        """Make it."""
        act(
            f"make the policy {names.policy}",
            aws("iam").create_policy,
            PolicyName=names.policy,
            PolicyDocument=text(policies.runtime(names)),
            Description=self._description(names),
            Tags=pairs(names.tags),
        )

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the policy", aws("iam").tag_policy, PolicyArn=names.policy_arn, Tags=pairs(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare the version that is in force."""
        policy = self._read(aws, names)
        if policy is None:
            return []
        read = aws("iam").get_policy_version
        version = policy["DefaultVersionId"]
        found = look("read the policy", read, PolicyArn=names.policy_arn, VersionId=version)
        if found is None:
            return []
        return [] if same(found["PolicyVersion"]["Document"], policies.runtime(names)) else ["what it allows"]

    def repair(self, aws: Clients, names: Names) -> None:
        """Add a version and put it in force."""
        iam, arn = aws("iam"), names.policy_arn
        versions = act("list the policy's versions", iam.list_policy_versions, PolicyArn=arn)["Versions"]
        if len(versions) >= VERSIONS:
            old = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: int(v["VersionId"][1:]))
            act("drop an old version", iam.delete_policy_version, PolicyArn=arn, VersionId=old["VersionId"])
        document = text(policies.runtime(names))
        put = iam.create_policy_version
        act(f"set the policy {names.policy}", put, PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)

    def remove(self, aws: Clients, names: Names) -> None:
        """Take it from everybody and delete it."""
        iam, arn = aws("iam"), names.policy_arn
        for kind, name in holders(aws, names):
            detach = getattr(iam, f"detach_{kind}_policy")
            act("detach the policy", detach, PolicyArn=arn, **{f"{kind.capitalize()}Name": name})
        for version in act("list the policy's versions", iam.list_policy_versions, PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                drop = iam.delete_policy_version
                act("drop an old version", drop, PolicyArn=arn, VersionId=version["VersionId"])
        act(f"delete the policy {names.policy}", iam.delete_policy, PolicyArn=arn)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties: dict[str, Json] = {
            "ManagedPolicyName": names.policy,
            "Description": self._description(names),
            "PolicyDocument": policies.runtime(names),
        }
        return {"RuntimePolicy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}}


def holders(aws: Clients, names: Names) -> list[tuple[str, str]]:
    """Return who holds the runtime policy: (``user``, ``role`` or ``group``, its name)."""
    pages = aws("iam").get_paginator("list_entities_for_policy").paginate(PolicyArn=names.policy_arn)
    return [
        (kind, holder[f"{kind.capitalize()}Name"])
        for page in act("list who holds the policy", lambda: list(pages))
        for kind in ("user", "role", "group")
        for holder in page[f"Policy{kind.capitalize()}s"]
    ]


def searchers(aws: Clients, names: Names) -> str:
    """Return whose credentials may search now, in a sentence or two; nothing where we may not look."""
    try:
        held = holders(aws, names)
    except AwsDenied:
        return ""
    if held:
        return f"Who may search: {', '.join(f'{kind} {name}' for kind, name in held)}, by the policy {names.policy}."
    return (
        f"Nobody holds the policy {names.policy} yet, so only credentials that may do all of that anyway, such as an "
        "administrator's, can search. To give it to somebody, run this again with --attach-to user:NAME (or role:NAME, "
        "group:NAME)."
    )


@dataclass(frozen=True)
class Attachment(Step):
    """The policy is given to a user, role or group."""

    title: ClassVar[str] = "attachment"

    def sentence(self, names: Names) -> str:
        """Say to whom."""
        return f"The {names.options.attach_kind} {names.options.attach_name} gets that policy"

    def _whom(self, names: Names) -> dict[str, str]:
        return {f"{names.options.attach_kind.capitalize()}Name": names.options.attach_name}

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Look whether it holds the policy."""
        kind = names.options.attach_kind
        paginator = aws("iam").get_paginator(f"list_attached_{kind}_policies")
        pages = look("list the attached policies", lambda: list(paginator.paginate(**self._whom(names))))
        if pages is None:
            raise AwsRefused(f"there is no IAM {kind} {names.options.attach_name}: check --attach-to")
        held = {policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]}
        return None if names.policy_arn in held else Drift("it does not have it", absent=True)

    def apply(self, aws: Clients, names: Names) -> None:
        """Attach it."""
        attach = getattr(aws("iam"), f"attach_{names.options.attach_kind}_policy")
        patiently("attach the policy", attach, PolicyArn=names.policy_arn, **self._whom(names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        holders = {f"{names.options.attach_kind.capitalize()}s": [names.options.attach_name]}
        return {"RuntimePolicy": {"Properties": holders}}
