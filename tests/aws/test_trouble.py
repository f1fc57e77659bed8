"""Errors of AWS in our words: one line, what to do, and never a credential."""

from __future__ import annotations

import re

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from vidsearch.aws.session import Clients
from vidsearch.aws.trouble import translated
from vidsearch.errors import (
    AwsDenied,
    AwsError,
    AwsNotFound,
    AwsNotSetUp,
    AwsRefused,
    AwsThrottled,
    AwsUnreachable,
    EngineBusy,
    VidsearchError,
)

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SESSION_KEY_ID = "ASIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDJ" + "AbCd0123/+" * 20 + "=="
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20261125/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, "
    f"Signature={SIGNATURE}"
)

LEAKY = [
    f"The security token included in the request is invalid: {TOKEN}",
    f"The AWS Access Key Id {KEY_ID} you provided does not exist in our records.",
    f"AWSAccessKeyId={SESSION_KEY_ID}&Signature={SIGNATURE}&x-amz-security-token={TOKEN}",
    f"Authorization: {AUTHORIZATION}",
    f"the header 'authorization': '{AUTHORIZATION}' is wrong",
    f"https://b.s3.amazonaws.com/k?X-Amz-Credential={KEY_ID}%2F20261125&X-Amz-Signature={SIGNATURE}"
    f"&X-Amz-Security-Token={TOKEN}",
    f'{{"aws_secret_access_key": "{SECRET}", "aws_session_token": "{TOKEN}"}}',
    f"secret_key = {SECRET}",
    f"Value '{SECRET}' at 'secret' failed to satisfy constraint",
    f"unexpected {SECRET} in line 3 of the credentials file",
    f"Bearer {TOKEN} was refused",
    f"password: {SECRET}",
]

CODES = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidSignatureException",
    "ThrottlingException",
    "NoSuchKey",
    "LimitExceededException",
    "QuotaExceeded",
    "ValidationException",
    "PermanentRedirect",
    "BucketAlreadyExists",
]


NOT = "User: x is not authorized to perform:"


def answer(code: str, said: str = "", operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": said}}, operation)


def told(error: Exception, doing: str = "read the bucket") -> VidsearchError:
    with pytest.raises(VidsearchError) as caught, translated(doing):
        raise error
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)
    return caught.value


def leaks(said: str) -> list[str]:
    return [secret for secret in (KEY_ID, SESSION_KEY_ID, SECRET, TOKEN, SIGNATURE, TOKEN[:60]) if secret in said]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("said", LEAKY)
def test_no_answer_shows_a_credential(code: str, said: str):
    for operation in ("GetObject", "StartFaceSearch"):
        assert leaks(str(told(answer(code, said, operation)))) == []


@pytest.mark.parametrize("said", LEAKY)
@pytest.mark.parametrize(
    "make",
    [
        lambda said: boto.EndpointConnectionError(endpoint_url=said),
        lambda said: boto.ParamValidationError(report=said),
        lambda said: boto.ReadTimeoutError(endpoint_url=said),
        lambda said: boto.WaiterError(name="role_exists", reason=said, last_response={}),
        lambda said: boto.CredentialRetrievalError(provider="sso", error_msg=said),
        lambda said: boto.InvalidConfigError(error_msg=said),
    ],
    ids=["endpoint", "parameters", "timeout", "waiter", "credentials", "config"],
)
def test_no_error_on_this_side_shows_a_credential(make, said: str):
    assert leaks(str(told(make(said)))) == []


@pytest.mark.parametrize(
    "harmless",
    [
        "arn:aws:iam::123456789012:role/vidsearch-rekognition is not authorized",
        f"bucket/vidsearch/footage/{'ab12' * 16}.mp4 is not there",
        f"job {SIGNATURE[:64]} is unknown",
    ],
)
def test_what_is_no_credential_stays(harmless: str):
    assert harmless in str(told(answer("ValidationException", harmless)))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            answer("AccessDenied", f"{NOT} sqs:receivemessage on resource: q"),
            AwsDenied,
            "permission sqs:receivemessage is missing",
        ),
        (
            answer("AccessDenied", "Access Denied", "PutBucketEncryption"),
            AwsDenied,
            "permission s3:PutEncryptionConfiguration",
        ),
        (answer("403", "Forbidden", "HeadObject"), AwsDenied, "permission s3:GetObject"),
        (answer("AccessDenied", "Access Denied", "CreateTopic"), AwsDenied, "access is denied"),
        (
            answer("AuthorizationError", f"{NOT} SNS:Publish on resource: t", "Publish"),
            AwsDenied,
            "SNS:Publish is missing",
        ),
        (
            answer(
                "AccessDenied",
                f"{NOT} iam:CreateRole on resource: r with an explicit deny in a service control policy",
                "CreateRole",
            ),
            AwsDenied,
            "iam:CreateRole is forbidden by service control policy",
        ),
        (answer("ExpiredToken", "The provided token has expired."), AwsDenied, "aws sso login"),
        (
            answer("InvalidSignatureException", "Signature expired: 20261125T1 is now earlier than"),
            AwsDenied,
            "clock is wrong",
        ),
        (
            answer("InvalidSignatureException", "The request signature we calculated does not match"),
            AwsDenied,
            "does not accept these credentials",
        ),
        (answer("RequestTimeTooSkewed", "too large"), AwsDenied, "clock is wrong"),
        (answer("Throttling", "Rate exceeded"), AwsThrottled, "slow down"),
        (answer("NoSuchEntity", "The role with name x cannot be found."), AwsNotFound, "cannot be found"),
        (
            answer("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."),
            AwsNotFound,
            "does not exist",
        ),
        (answer("LimitExceededException", "21 open Jobs", "StartFaceSearch"), EngineBusy, "job slots"),
        (answer("LimitExceededException", "keys", "CreateKey"), AwsRefused, "quota of the account"),
        (
            answer("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", "CreateRole"),
            AwsRefused,
            "quota of the account",
        ),
        (
            answer("TooManyBuckets", "You have attempted to create more buckets than allowed", "CreateBucket"),
            AwsRefused,
            "quota",
        ),
        (
            answer("BucketAlreadyExists", "The requested bucket name is not available", "CreateBucket"),
            AwsRefused,
            "another --prefix",
        ),
        (answer("PermanentRedirect", "must be addressed using the specified endpoint"), AwsRefused, "another region"),
        (answer("MalformedPolicyDocument", "Syntax errors in policy."), AwsRefused, "Syntax errors"),
        (boto.NoCredentialsError(), AwsDenied, "aws configure"),
        (boto.ProfileNotFound(profile="work"), AwsNotSetUp, "work"),
        (boto.UnauthorizedSSOTokenError(), AwsDenied, "aws sso login"),
        (boto.NoRegionError(), AwsNotSetUp, "--region"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), AwsUnreachable, "check the network"),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), AwsUnreachable, "check the network"),
        (answer("NoSuchBucket", "The specified bucket does not exist"), AwsNotFound, "run `python setup_aws.py`"),
        (answer("NotFound", "Topic does not exist", "Publish"), AwsNotFound, "run `python setup_aws.py`"),
        (
            answer("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."),
            AwsNotFound,
            "run `python setup_aws.py`",
        ),
        (
            boto.WaiterError(name="role_exists", reason="Max attempts exceeded", last_response={}),
            AwsError,
            "Max attempts",
        ),
    ],
)
def test_each_fault_says_what_to_do(error: Exception, kind: type[VidsearchError], said: str):
    caught = told(error)
    assert isinstance(caught, kind)
    assert said in str(caught)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (boto.EndpointConnectionError(endpoint_url="https://u:p@sqs.x.com/1/q?a=b"), "no connection to sqs.x.com"),
        (boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1:9/"), "127.0.0.1:9 does not answer"),
        (boto.ReadTimeoutError(endpoint_url="https://x.com/"), "x.com stopped answering"),
        (boto.ConnectionClosedError(endpoint_url="https://x.com/"), "x.com closed the connection"),
        (boto.ProxyConnectionError(proxy_url="http://u:p@proxy.org:8080"), "no connection to the proxy proxy.org:8080"),
        (boto.SSLError(endpoint_url="https://x.com/a/b", error="expired"), "SSL validation failed for x.com expired"),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "the answer was cut short"),
        (boto.ConnectTimeoutError(endpoint_url="nonsense"), "its address does not answer"),
    ],
)
def test_without_a_network_one_is_told_the_host_and_no_more(error: Exception, reason: str):
    """Whether to run anything again is for whoever asked to know: a search tries again by itself."""
    assert str(told(error)) == (
        f"cannot read the bucket: Amazon cannot be reached ({reason}); check the network and the region"
    )


def test_what_is_missing_but_not_of_ours_is_not_made_again():
    assert "setup_aws" not in str(told(answer("NoSuchKey", "The specified key does not exist.")))


def test_a_long_answer_is_one_short_line():
    caught = told(answer("ValidationException", "word\n" * 1000))
    assert len(str(caught)) < 600
    assert not re.search(r"\n|\r", str(caught))


def test_an_address_that_is_none_is_one_line() -> None:
    clients = Clients("eu-west-1", endpoints={"s3": "nonsense"})
    with pytest.raises(AwsNotSetUp, match=r"cannot connect to s3: .*nonsense.*AWS_ENDPOINT_URL"):
        clients("s3")
