"""Which permission a call needs. Mostly the operation's own name; S3, and calls for several things at once, differ."""

from __future__ import annotations

_S3 = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
}
"""Operation of S3 -> the action that IAM checks, where the names differ."""

_S3_SAME = (
    "AbortMultipartUpload",
    "CreateBucket",
    "DeleteBucket",
    "DeleteObject",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketTagging",
    "GetObject",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketTagging",
    "PutObject",
)


def action_of(service: str, operation: str) -> str:
    """Return the action, such as ``s3:GetObject``, that an operation of a service needs."""
    name = _S3.get(operation, operation) if service == "s3" else operation
    return f"{service}:{name.removesuffix('Batch') if service == 'sqs' else name}"


def s3_action(operation: str) -> str | None:
    """Return the action of an operation of S3, which answers "access denied" without saying what for; else None."""
    return action_of("s3", operation) if operation in _S3 or operation in _S3_SAME else None
