"""The settings of our bucket that keep what is in it private."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from vidsearch.aws.provision import policies
from vidsearch.aws.provision.bucket import owned, region_of_bucket
from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import Drift, Json, Step, act, look, same, text
from vidsearch.aws.session import Clients

PUBLIC_ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@dataclass(frozen=True)
class BucketSetting(Step):
    """A setting of our bucket; goes with it."""

    @abstractmethod
    def read(self, aws: Clients, names: Names) -> Json:
        """Return the setting as AWS has it, or None."""

    @abstractmethod
    def wanted(self, names: Names) -> Json:
        """Return the setting as planned."""

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare the setting."""
        if region_of_bucket(aws, names) is None:
            return Drift("set with the bucket", absent=True)
        found = self.read(aws, names)
        if found is None:
            return Drift(f"{self.title} is not set", absent=True)
        return None if same(found, self.wanted(names)) else Drift(f"{self.title} is not as planned")

    def documents(self, names: Names) -> dict[str, Json]:
        """Show the setting."""
        return {self.title: self.wanted(names)}


@dataclass(frozen=True)
class PublicAccess(BucketSetting):
    """No public access, whatever else is set."""

    title: ClassVar[str] = "block of public access"

    def sentence(self, names: Names) -> str:
        """Say it."""
        return "All public access to the bucket is blocked"

    def wanted(self, names: Names) -> Json:
        """Return the four blocks."""
        return PUBLIC_ACCESS

    def read(self, aws: Clients, names: Names) -> Json:
        """Ask AWS."""
        answer = look("read the block of public access", aws("s3").get_public_access_block, **owned(names))
        return answer and answer["PublicAccessBlockConfiguration"]

    def apply(self, aws: Clients, names: Names) -> None:
        """Set it."""
        put = aws("s3").put_public_access_block
        act("block public access", put, **owned(names), PublicAccessBlockConfiguration=PUBLIC_ACCESS)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        return {"Bucket": {"Properties": {"PublicAccessBlockConfiguration": PUBLIC_ACCESS}}}


@dataclass(frozen=True)
class Ownership(BucketSetting):
    """No access lists: whatever is in the bucket belongs to its owner."""

    title: ClassVar[str] = "ownership"

    def sentence(self, names: Names) -> str:
        """Say it."""
        return "Everything in the bucket belongs to its owner; access lists are off"

    def wanted(self, names: Names) -> Json:
        """Return the rule."""
        return OWNERSHIP

    def read(self, aws: Clients, names: Names) -> Json:
        """Ask AWS."""
        answer = look("read the bucket's ownership", aws("s3").get_bucket_ownership_controls, **owned(names))
        return answer and answer["OwnershipControls"]

    def apply(self, aws: Clients, names: Names) -> None:
        """Set it."""
        put = aws("s3").put_bucket_ownership_controls
        act("set the bucket's ownership", put, **owned(names), OwnershipControls=OWNERSHIP)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        return {"Bucket": {"Properties": {"OwnershipControls": OWNERSHIP}}}


@dataclass(frozen=True)
class Encryption(BucketSetting):
    """What is stored is encrypted by default."""

    title: ClassVar[str] = "encryption"

    def sentence(self, names: Names) -> str:
        """Say with what."""
        return f"Whatever is stored is encrypted with {names.key or 'S3-managed keys'}"

    def wanted(self, names: Names) -> Json:
        """Return the rule."""
        if not names.key:
            rule: Json = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        else:
            by = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": names.key}
            # A key for the bucket saves most of the paid calls to KMS.
            rule = {"ApplyServerSideEncryptionByDefault": by, "BucketKeyEnabled": True}
        return {"Rules": [rule]}

    def read(self, aws: Clients, names: Names) -> Json:
        """Ask AWS; what only it adds is left out."""
        answer = look("read the bucket's encryption", aws("s3").get_bucket_encryption, **owned(names))
        if answer is None:
            return None
        kept = ("ApplyServerSideEncryptionByDefault", *(("BucketKeyEnabled",) if names.key else ()))
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        return {"Rules": [{key: rule[key] for key in kept if key in rule} for rule in rules]}

    def apply(self, aws: Clients, names: Names) -> None:
        """Set it."""
        put = aws("s3").put_bucket_encryption
        act("encrypt the bucket", put, **owned(names), ServerSideEncryptionConfiguration=self.wanted(names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        rules = [
            {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]}
            | ({"BucketKeyEnabled": True} if "BucketKeyEnabled" in rule else {})
            for rule in self.wanted(names)["Rules"]
        ]
        return {"Bucket": {"Properties": {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}}}


@dataclass(frozen=True)
class BucketPolicy(BucketSetting):
    """Nothing but TLS."""

    title: ClassVar[str] = "bucket policy"

    def sentence(self, names: Names) -> str:
        """Say it."""
        if not names.tls:
            return "Local test only: the bucket is reached without TLS"
        return "The bucket takes and gives nothing without TLS"

    def wanted(self, names: Names) -> Json:
        """Return the policy."""
        return policies.bucket(names)

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare it, where there is anything to ask for."""
        return super().check(aws, names) if names.tls else None

    def documents(self, names: Names) -> dict[str, Json]:
        """Show it, where there is anything to ask for."""
        return super().documents(names) if names.tls else {}

    def read(self, aws: Clients, names: Names) -> Json:
        """Ask AWS."""
        answer = look("read the bucket's policy", aws("s3").get_bucket_policy, **owned(names))
        return answer and answer["Policy"]

    def apply(self, aws: Clients, names: Names) -> None:
        """Set it."""
        put = aws("s3").put_bucket_policy
        act("set the bucket's policy", put, **owned(names), Policy=text(self.wanted(names)))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": self.wanted(names)}
        return {"BucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": properties}}
