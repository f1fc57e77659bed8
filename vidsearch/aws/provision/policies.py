"""The policy documents: who may do what. Functions of the names, so that plan, template and AWS get the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidsearch.aws.provision.names import Names

Document = dict[str, Any]

COLLECTION_ACTIONS = (
    "DeleteCollection",
    "DeleteFaces",
    "DescribeCollection",
    "IndexFaces",
    "ListFaces",
    "SearchFaces",
    "SearchFacesByImage",
    "StartFaceSearch",
)
"""What the program does with its own collections. IAM knows the collection as the resource of each of these."""

REGION_ACTIONS = ("CreateCollection", "DetectFaces", "GetFaceSearch", "ListCollections")
"""What IAM cannot tie to a collection; tied to the region instead."""

OBJECT_ACTIONS = (
    "AbortMultipartUpload",
    "DeleteObject",
    "DeleteObjectVersion",
    "GetObject",
    "GetObjectVersion",
    "ListMultipartUploadParts",
    "PutObject",
)
BUCKET_ACTIONS = ("ListBucket", "ListBucketMultipartUploads", "ListBucketVersions")
QUEUE_ACTIONS = ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
KEY_ACTIONS = ("Decrypt", "GenerateDataKey")


def _document(*statements: Document | None) -> Document:
    return {"Version": "2012-10-17", "Statement": [statement for statement in statements if statement]}


def _allow(sid: str, service: str, actions: Sequence[str], resource: Any, **more: Any) -> Document:
    return {
        "Sid": sid,
        "Effect": "Allow",
        **({"Principal": more.pop("Principal")} if "Principal" in more else {}),
        "Action": [f"{service}:{action}" for action in actions],
        "Resource": resource,
        **more,
    }


def _only_over_tls(names: Names, action: str, resource: Any) -> Document | None:
    """Return the refusal of whatever comes unencrypted; a stand-in for AWS without TLS could do nothing under it."""
    if not names.tls:
        return None
    return {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _use_key(names: Names) -> Document | None:
    return _allow("UseKey", "kms", KEY_ACTIONS, names.key) if names.key else None


def bucket(names: Names) -> Document:
    """Return the bucket's policy: nothing comes or goes unencrypted."""
    return _document(_only_over_tls(names, "s3:*", [names.bucket_arn, f"{names.bucket_arn}/*"]))


def topic(names: Names) -> Document:
    """Return the topic's policy: only this account, only over TLS."""
    actions = ("DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish")
    return _document(
        _allow(
            "OnlyThisAccount",
            "sns",
            (*actions, "SetTopicAttributes", "Subscribe"),
            names.topic_arn,
            Principal={"AWS": names.root},
        ),
        _only_over_tls(names, "sns:Publish", names.topic_arn),
    )


def queue(names: Names, queue_arn: str) -> Document:
    """Return the policy of the queue or the dead-letter queue: only the one topic may send, only over TLS."""
    return _document(
        _allow(
            "OnlyTheTopic",
            "sqs",
            ("SendMessage",),
            queue_arn,
            Principal={"Service": "sns.amazonaws.com"},
            Condition={"ArnEquals": {"aws:SourceArn": names.topic_arn}},
        ),
        _only_over_tls(names, "sqs:*", queue_arn),
    )


def trust(names: Names) -> Document:
    """Return who may take the service role: Rekognition, on behalf of this account only."""
    return _trust("rekognition.amazonaws.com", {"StringEquals": {"aws:SourceAccount": names.account}})


def publish(names: Names) -> Document:
    """Return what the service role may do: publish to the one topic (and use the key that encrypts it)."""
    return _document(_allow("TellOfCompletions", "sns", ("Publish",), names.topic_arn), _use_key(names))


def runtime(names: Names) -> Document:
    """Return what the program itself may do, and nothing else."""
    here = {"StringEquals": {"aws:RequestedRegion": names.region}}
    # Should the bucket ever be deleted and its name be taken by somebody else, no footage goes to them.
    ours = {"StringEquals": {"s3:ResourceAccount": names.account}}
    passed = {"StringEquals": {"iam:PassedToService": "rekognition.amazonaws.com"}}
    return _document(
        _allow("Collections", "rekognition", COLLECTION_ACTIONS, names.collections_arn),
        _allow("Rekognition", "rekognition", REGION_ACTIONS, "*", Condition=here),
        _allow("HandRoleToRekognition", "iam", ("PassRole",), names.role_arn, Condition=passed),
        _allow("Objects", "s3", OBJECT_ACTIONS, f"{names.bucket_arn}/{names.prefix}/*", Condition=ours),
        _allow("Bucket", "s3", BUCKET_ACTIONS, names.bucket_arn, Condition=ours),
        _allow("Completions", "sqs", QUEUE_ACTIONS, names.queue_arn),
        _allow("CheckTopic", "sns", ("GetTopicAttributes", "ListSubscriptionsByTopic"), names.topic_arn),
        _allow("CheckRole", "iam", ("GetRole", "GetRolePolicy"), names.role_arn),
        _use_key(names),
    )


def key(names: Names) -> Document:
    """Return the key's policy: this account through IAM policies, and SNS, which puts messages into the queue."""
    return _document(
        _allow("ThisAccountByIam", "kms", ("*",), "*", Principal={"AWS": names.root}),
        _allow(
            "SnsToTheQueue",
            "kms",
            KEY_ACTIONS,
            "*",
            Principal={"Service": "sns.amazonaws.com"},
            Condition={"ArnEquals": {"aws:SourceArn": names.topic_arn}},
        ),
    )


def function_trust() -> Document:
    """Return who may take the Lambda function's role."""
    return _trust("lambda.amazonaws.com", None)


def function(names: Names) -> Document:
    """Return what the Lambda function may do: read results, store them, log, and hand on what it could not do."""
    ours = {"StringEquals": {"s3:ResourceAccount": names.account}}
    here = {"StringEquals": {"aws:RequestedRegion": names.region}}
    logs = names.arn("logs", f"log-group:{names.log_group}:*")
    return _document(
        _allow("ReadResults", "rekognition", ("GetFaceSearch",), "*", Condition=here),
        _allow(
            "StoreResults", "s3", ("GetObject", "PutObject"), f"{names.bucket_arn}/{names.results}*", Condition=ours
        ),
        # Without it, S3 answers "denied" instead of "not there" for what is not stored yet.
        _allow(
            "TellWhatIsMissing",
            "s3",
            ("ListBucket",),
            names.bucket_arn,
            Condition={**ours, "StringLike": {"s3:prefix": f"{names.results}*"}},
        ),
        _allow("HandOnFailures", "sqs", ("SendMessage",), names.dead_arn),
        _allow("Log", "logs", ("CreateLogStream", "PutLogEvents"), logs),
        _use_key(names),
    )


def _trust(service: str, condition: Document | None) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return _document({**statement, "Condition": condition} if condition else statement)
