"""What whoever runs the set-up has to be allowed: the least that makes, repairs and removes it."""

from __future__ import annotations

from typing import Any

from vidsearch.aws.provision.names import Names

BUCKET = (
    "CreateBucket DeleteBucket GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock "
    "GetBucketTagging GetEncryptionConfiguration GetLifecycleConfiguration ListBucket ListBucketVersions "
    "PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging "
    "PutEncryptionConfiguration PutLifecycleConfiguration"
)
OBJECTS = "DeleteObject DeleteObjectVersion"
TOPIC = (
    "CreateTopic DeleteTopic GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource Publish "
    "SetTopicAttributes Subscribe TagResource"
)
SUBSCRIPTION = "GetSubscriptionAttributes SetSubscriptionAttributes"
QUEUE = (
    "ChangeMessageVisibility CreateQueue DeleteMessage DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags "
    "ReceiveMessage SetQueueAttributes TagQueue"
)
ROLE = (
    "CreateRole DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
    "ListRolePolicies PutRolePolicy TagRole UpdateAssumeRolePolicy"
)
BOUNDARY = "PutRolePermissionsBoundary"
POLICY = (
    "CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion "
    "ListEntitiesForPolicy ListPolicyVersions TagPolicy"
)
GIVEN_ROLE = "GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies"
GIVEN_POLICIES = "GetPolicy GetPolicyVersion"
KEY_MAKE = "CreateKey ListKeys"
KEY = (
    "CancelKeyDeletion CreateAlias Decrypt DeleteAlias DescribeKey EnableKey EnableKeyRotation GenerateDataKey "
    "GetKeyPolicy GetKeyRotationStatus ListResourceTags PutKeyPolicy ScheduleKeyDeletion TagResource"
)
GIVEN_KEY = "Decrypt DescribeKey GenerateDataKey GetKeyPolicy"
FUNCTION = (
    "AddPermission CreateFunction DeleteFunction GetFunction GetFunctionEventInvokeConfig GetPolicy ListTags "
    "PutFunctionEventInvokeConfig RemovePermission TagResource UpdateFunctionCode UpdateFunctionConfiguration"
)
LOGS = "CreateLogGroup DeleteLogGroup ListTagsForResource PutRetentionPolicy TagResource"
"""Actions by what they are for. That several need more than their own name says (tags on making, ``ListTags`` for the
tags of a function, passing a role) is why this is a list and not worked out from the calls."""


def provisioner(names: Names) -> dict[str, Any]:
    """Return the policy for whoever runs the set-up with these options, and nothing wider."""
    options = names.options
    statements = [
        _allow("Bucket", "s3", BUCKET, [names.bucket_arn]),
        _allow("Objects", "s3", OBJECTS, [f"{names.bucket_arn}/*"]),
        _allow("Topic", "sns", TOPIC, [names.topic_arn]),
        # A subscription's ARN begins with its topic's.
        _allow("Subscriptions", "sns", SUBSCRIPTION, [f"{names.topic_arn}:*", names.topic_arn]),
        _allow("Queues", "sqs", QUEUE, [names.queue_arn, names.dead_arn]),
        _allow("RuntimePolicy", "iam", POLICY, [names.policy_arn]),
    ]
    made = [] if options.role else [names.role_arn]
    made += [names.function_role_arn] if options.function else []
    if made:
        statements.append(_allow("Roles", "iam", ROLE + (f" {BOUNDARY}" if options.boundary else ""), made))
    if options.role:
        statements.append(_allow("YourRole", "iam", GIVEN_ROLE, [names.role_arn]))
        statements.append(_allow("YourRolesPolicies", "iam", GIVEN_POLICIES, ["*"]))
    if options.attach_to:
        kind = options.attach_kind
        whom = names.iam_arn(f"{kind}/{options.attach_name}")
        actions = " ".join(f"{verb}{kind.capitalize()}Polic{end}" for verb, end in _ATTACHING)
        statements.append(_allow("Attachment", "iam", actions, [whom]))
    statements += _key(names) + (_function(names) if options.function else [])
    return {"Version": "2012-10-17", "Statement": statements}


_ATTACHING = (("Attach", "y"), ("Detach", "y"), ("ListAttached", "ies"))


def _key(names: Names) -> list[dict[str, Any]]:
    if names.options.key:
        return [_allow("YourKey", "kms", GIVEN_KEY, [names.options.key])]
    if not names.options.make_key:
        return []
    # A key's ARN is not known before it is made, so the keys are told by our tag, and the alias by its name.
    ours = {"StringEquals": {"aws:ResourceTag/vidsearch:setup": names.prefix}}
    aliased = "CreateAlias DeleteAlias"
    return [
        _allow("MakeKey", "kms", f"{KEY_MAKE} TagResource", ["*"]),
        {**_allow("Key", "kms", KEY, [names.arn("kms", "key/*")]), "Condition": ours},
        _allow("KeyAlias", "kms", aliased, [names.arn("kms", names.key_alias)]),
    ]


def _function(names: Names) -> list[dict[str, Any]]:
    log = names.arn("logs", f"log-group:{names.log_group}")
    passed = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    return [
        _allow("Function", "lambda", FUNCTION, [names.function_arn]),
        {**_allow("HandRoleToFunction", "iam", "PassRole", [names.function_role_arn]), "Condition": passed},
        _allow("FunctionLog", "logs", LOGS, [log, f"{log}:*"]),
        _allow("FindLog", "logs", "DescribeLogGroups", ["*"]),
    ]


def _allow(sid: str, service: str, actions: str, resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in sorted(actions.split())],
        "Resource": resources,
    }
