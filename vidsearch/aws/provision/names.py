"""What was asked for, and the names and ARNs that follow from it. Pure: nothing here asks AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vidsearch.aws.provision.regions import partition_of
from vidsearch.errors import UsageError

UNKNOWN_ACCOUNT = "<account>"
UNKNOWN_KEY = "<key>"
"""Stand for what only AWS can say; a dry run prints them, and a template puts its own references in their place."""

OWN_TAG = "vidsearch:setup"
"""Tag that everything made here carries; its value is the prefix. Only what carries it is ever changed or removed."""

STACK_TAG = "aws:cloudformation:stack-name"

TOPIC_START = "AmazonRekognition"
"""What a topic's name must begin with for AWS's managed service-role policy to allow publishing to it."""

UPLOAD_DAYS = 7
"""Days after which something left behind of what was uploaded is removed; it is normally gone when its job is done."""

RESULT_DAYS = 14
"""Days that stored results live: as long as a message in the queue. Rekognition itself keeps results for 7."""

UNFINISHED_DAYS = 2
"""Days after which an upload that never ended is removed: time to go on with it after a night's power cut."""

_PREFIX = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,19}")
_ATTACH = re.compile(r"(user|role|group):([\w+=,.@-]{1,128})")


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who runs the set-up chose."""

    region: str
    prefix: str = "vidsearch"
    profile: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    boundary: str = ""
    """ARN of the permissions boundary that every role made here gets."""
    bucket: str = ""
    """An existing bucket to use; empty makes one."""
    role: str = ""
    """ARN of an existing service role to use; empty makes one."""
    attach_to: str = ""
    """``user:NAME``, ``role:NAME`` or ``group:NAME`` that gets the runtime policy."""
    make_key: bool = False
    key: str = ""
    """ARN of an existing KMS key to encrypt with."""
    function: bool = False
    """Make the Lambda function that stores results in the bucket."""
    upload_days: int = UPLOAD_DAYS

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse later, half way through."""
        if not _PREFIX.fullmatch(self.prefix):
            raise UsageError(
                f"--prefix {self.prefix!r}: use 2 to 20 lower-case letters, digits and single hyphens, a letter first"
            )
        if self.attach_to and not _ATTACH.fullmatch(self.attach_to):
            raise UsageError(f"--attach-to {self.attach_to!r}: write user:NAME, role:NAME or group:NAME")
        if self.make_key and self.key:
            raise UsageError("--kms makes a key and --kms-key uses one of yours; give only one of the two")
        for option, arn, service in (
            ("--role", self.role, "iam"),
            ("--permissions-boundary", self.boundary, "iam"),
            ("--kms-key", self.key, "kms"),
        ):
            if arn and not re.fullmatch(rf"arn:[\w-]+:{service}:[^:]*:(\d{{12}}|aws):.+", arn):
                raise UsageError(f"{option} {arn!r}: give the whole ARN, arn:aws:{service}:…")
        if self.key and self.key.split(":")[3] != self.region:
            raise UsageError(f"--kms-key {self.key}: the key must be in the same region, {self.region}")
        if self.key and not self.key.split(":", 5)[5].startswith("key/"):
            raise UsageError(f"--kms-key {self.key}: give the key's own ARN, …:key/…; no policy can name an alias")
        if any(key.startswith("aws:") or key == OWN_TAG for key, _ in self.tags):
            raise UsageError(f"--tags: keys that begin with 'aws:' and '{OWN_TAG}' are taken")

    @property
    def attach_kind(self) -> str:
        """Return ``user``, ``role``, ``group`` or nothing."""
        return self.attach_to.partition(":")[0]

    @property
    def attach_name(self) -> str:
        """Return the name of the user, role or group, or nothing."""
        return self.attach_to.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Names:
    """Every name and ARN that the options lead to, in one account."""

    options: Options
    account: str = UNKNOWN_ACCOUNT
    key: str = field(default="")
    """ARN of the KMS key, ``<key>`` until it is made, or empty where none is used."""
    tls: bool = True
    """Whether AWS is reached over TLS: always, but for a stand-in on one's own machine."""

    @classmethod
    def of(cls, options: Options, account: str = UNKNOWN_ACCOUNT, *, tls: bool = True) -> Names:
        """Return the names before any key is known."""
        return cls(options, account, options.key or (UNKNOWN_KEY if options.make_key else ""), tls)

    @property
    def region(self) -> str:
        """The region of everything."""
        return self.options.region

    @property
    def prefix(self) -> str:
        """What every name begins with."""
        return self.options.prefix

    @property
    def partition(self) -> str:
        """The second word of every ARN."""
        return partition_of(self.region)

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of something in this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"

    def iam_arn(self, rest: str) -> str:
        """Return the ARN of something of IAM, which has no region."""
        return f"arn:{self.partition}:iam::{self.account}:{rest}"

    @property
    def root(self) -> str:
        """The account itself, as a principal."""
        return self.iam_arn("root")

    @property
    def bucket(self) -> str:
        """The bucket; account and region make the name one of a kind."""
        return self.options.bucket or f"{self.prefix}-{self.account}-{self.region}"

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def footage(self) -> str:
        """Key prefix of what is uploaded."""
        return f"{self.prefix}/footage/"

    @property
    def results(self) -> str:
        """Key prefix of what the Lambda function stores."""
        return f"{self.prefix}/results/"

    @property
    def topic(self) -> str:
        """The topic that Rekognition publishes to."""
        return f"{TOPIC_START}-{self.prefix}"

    @property
    def topic_arn(self) -> str:
        """ARN of the topic."""
        return self.arn("sns", self.topic)

    @property
    def queue(self) -> str:
        """The queue of completions."""
        return f"{self.prefix}-completions"

    @property
    def queue_arn(self) -> str:
        """ARN of the queue."""
        return self.arn("sqs", self.queue)

    @property
    def dead(self) -> str:
        """The dead-letter queue."""
        return f"{self.prefix}-completions-dead"

    @property
    def dead_arn(self) -> str:
        """ARN of the dead-letter queue."""
        return self.arn("sqs", self.dead)

    @property
    def role(self) -> str:
        """The service role's name, without path."""
        return self.options.role.rpartition("/")[2] or f"{self.prefix}-rekognition"

    @property
    def role_arn(self) -> str:
        """ARN of the service role."""
        return self.options.role or self.iam_arn(f"role/{self.role}")

    @property
    def policy(self) -> str:
        """The runtime policy's name."""
        return f"{self.prefix}-runtime"

    @property
    def policy_arn(self) -> str:
        """ARN of the runtime policy."""
        return self.iam_arn(f"policy/{self.policy}")

    @property
    def key_alias(self) -> str:
        """Alias of the key made here."""
        return f"alias/{self.prefix}"

    @property
    def function(self) -> str:
        """The Lambda function."""
        return f"{self.prefix}-results"

    @property
    def function_arn(self) -> str:
        """ARN of the Lambda function."""
        return self.arn("lambda", f"function:{self.function}")

    @property
    def function_role(self) -> str:
        """The Lambda function's role."""
        return f"{self.prefix}-results"

    @property
    def function_role_arn(self) -> str:
        """ARN of the Lambda function's role."""
        return self.iam_arn(f"role/{self.function_role}")

    @property
    def log_group(self) -> str:
        """Where the Lambda function logs."""
        return f"/aws/lambda/{self.function}"

    @property
    def collections_arn(self) -> str:
        """ARN of every collection of this prefix."""
        return self.arn("rekognition", f"collection/{self.prefix}-*")

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything made here."""
        return {**dict(self.options.tags), OWN_TAG: self.prefix}
