"""Turn botocore's errors into ours: one line that says what to do, and never a credential."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from vidsearch.aws.actions import s3_action
from vidsearch.errors import (
    AwsDenied,
    AwsError,
    AwsNotFound,
    AwsNotSetUp,
    AwsRefused,
    AwsThrottled,
    AwsUnreachable,
    EngineBusy,
)

_DENIED = re.compile(
    r"AccessDenied|Unauthorized|NotAuthorized|AuthorizationError|AccessControl|Forbidden|^403$", re.IGNORECASE
)
_BAD_KEYS = re.compile(
    r"UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignature|ExpiredToken"
    r"|InvalidToken"
)
_SKEWED = re.compile(r"RequestTimeTooSkewed|RequestExpired")
_SKEWED_SAID = re.compile(r"Signature expired|Signature not yet current")
_FULL = re.compile(r"LimitExceeded|TooManyBuckets|OverLimit|QuotaExceeded|CodeStorageExceeded|TooManyEntities")
_ELSEWHERE = re.compile(r"^301$|PermanentRedirect|IllegalLocationConstraint|AuthorizationHeaderMalformed")
_GONE = re.compile(r"NotFound|NonExistent|NoSuch|DoesNotExist|^404$")
_LOST = re.compile(r"NoSuchBucket|NonExistentQueue|QueueDoesNotExist")
_LOST_TOPIC = re.compile(r"\btopic\b", re.IGNORECASE)
"""In the words of SNS, whose code for a topic that is not there is that of anything else too."""

_SLOW = re.compile(r"Throttl|ProvisionedThroughputExceeded|SlowDown|TooManyRequests|RequestLimitExceeded")
_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)", re.IGNORECASE)
_FORBIDDEN = re.compile(r"explicit deny in (?:an? )?([a-z][\w -]*)")

_LABELLED = re.compile(
    r"(?i)([\w-]*(?:signature|token|secret|password|credential|authorization|access.?key)[\w-]*)"
    r"(['\"]?\s*[=:]\s*['\"]?)[^\s&'\",]+"
)
"""A name that says secret, and what is assigned to it."""

_SECRET = re.compile(
    r"(?<![\w/+=.-])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+=-])"
)
"""What looks like a secret access key: forty characters of both cases and digits. Hashes have one case."""

_URL = re.compile(r"[a-z]+://(?:[^\s/@]*@)?([^\s/?#\"']+)[^\s\"']*")

REFRESH = "renew them (`aws sso login`, or new access keys), or name another profile with aws_profile"


GRANT = "add it to the policy (`python setup_aws.py` repairs it)"
AGAIN = "run `python setup_aws.py`, which makes it again"


@contextmanager
def translated(doing: str, *, grant: str = GRANT, again: str = AGAIN) -> Iterator[None]:
    """Raise our errors for botocore's.

    Args:
        doing: Completes the sentence "cannot …".
        grant: What to do where a permission is missing.
        again: What to do where bucket, topic or queue is gone; empty says nothing.
    """
    try:
        yield
    except ClientError as exc:
        raise of_answer(exc, doing, grant=grant, again=again) from exc
    except boto.ProfileNotFound as exc:
        raise AwsNotSetUp(f"{exc}: set aws_profile in aws.toml, or AWS_PROFILE") from exc
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as exc:
        raise AwsDenied(
            f"cannot {doing}: no AWS credentials were found; set AWS_PROFILE or run `aws configure`",
            code="NoCredentials",
        ) from exc
    except (boto.TokenRetrievalError, boto.SSOError) as exc:
        raise AwsDenied(f"cannot {doing}: the AWS log-in has ended; {REFRESH}") from exc
    except boto.NoRegionError as exc:
        raise AwsNotSetUp("no AWS region is set: run `python setup_aws.py --region …`") from exc
    except (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError) as exc:
        raise AwsUnreachable(
            f"cannot {doing}: Amazon cannot be reached ({_unreached(exc)}); check the network and the region"
        ) from exc
    except boto.ParamValidationError as exc:
        raise AwsRefused(f"cannot {doing}: {_plain(str(exc))}", code="ParamValidation") from exc
    except BotoCoreError as exc:
        raise AwsError(f"cannot {doing}: {_plain(str(exc))}") from exc


def of_answer(exc: ClientError, doing: str, *, grant: str = GRANT, again: str = AGAIN) -> AwsError | EngineBusy:
    """Return our error for an error answer of a service."""
    code = str(exc.response.get("Error", {}).get("Code", ""))
    said = _plain(str(exc.response.get("Error", {}).get("Message", "")) or code)
    if code == "LimitExceededException" and exc.operation_name.startswith("Start"):
        return EngineBusy(f"all job slots of the account are taken: {said}")
    if _SKEWED.search(code) or _SKEWED_SAID.search(said):
        return AwsDenied(f"cannot {doing}: this computer's clock is wrong; set it (NTP) and try again", code=code)
    if _BAD_KEYS.search(code):
        return AwsDenied(f"cannot {doing}: AWS does not accept these credentials ({code}); {REFRESH}", code=code)
    if _DENIED.search(code):
        return AwsDenied(f"cannot {doing}: {_lack(exc, said, grant)}", code=code)
    if _SLOW.search(code):
        return AwsThrottled(f"cannot {doing}: Amazon asks to slow down ({code}); try again in a minute", code=code)
    if _GONE.search(code):
        ours = _LOST.search(code) or _LOST_TOPIC.search(said)
        mend = f"; {again}" if again and ours else ""
        return AwsNotFound(f"cannot {doing}: {said}{mend}", code=code)
    if _ELSEWHERE.search(code):
        return AwsRefused(f"cannot {doing}: the bucket is in another region; all must be in one ({said})", code=code)
    if code == "BucketAlreadyExists":
        return AwsRefused(f"cannot {doing}: somebody else has a bucket of that name; use another --prefix", code=code)
    if _FULL.search(code):
        return AwsRefused(
            f"cannot {doing}: a quota of the account is reached ({said}); remove what is no longer needed, or ask AWS "
            "for more (Service Quotas)",
            code=code,
        )
    return AwsRefused(f"cannot {doing}: {said} ({code})", code=code)


def _lack(exc: ClientError, said: str, grant: str) -> str:
    """Return what stands in the way of a denied call: the one permission, where AWS or the operation tells."""
    named = _ACTION.search(said)
    action = named[1] if named else s3_action(exc.operation_name)
    if not action:
        return f"access is denied ({said})"
    if forbidden := _FORBIDDEN.search(said):
        return f"{action} is forbidden by {forbidden[1].strip()}; ask whoever administers the AWS account"
    return f"the permission {action} is missing; {grant}"


_REASONS = (
    (boto.ProxyConnectionError, "no connection to the proxy {}"),
    (boto.ConnectTimeoutError, "{} does not answer"),
    (boto.EndpointConnectionError, "no connection to {}"),
    (boto.ReadTimeoutError, "{} stopped answering"),
    (boto.ConnectionClosedError, "{} closed the connection"),
    (boto.IncompleteReadError, "the answer was cut short"),
)
"""Why there is no answer; the first that fits."""


def _unreached(exc: BotoCoreError) -> str:
    """Return why there is no answer, in few words: the host and nothing else of an address."""
    address = str(exc.kwargs.get("endpoint_url") or exc.kwargs.get("proxy_url") or "")
    host = _plain(urlsplit(address).netloc.rpartition("@")[2]) if _URL.fullmatch(address) else "its address"
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return reason.format(host)
    return _plain(_URL.sub(r"\1", str(exc)))


def _plain(said: str) -> str:
    """Return one line without anything that looks like a key, a token or a signature."""
    line = " ".join(said.split())
    line = re.sub(r"\b(AKIA|ASIA)[A-Z0-9]{8,}\b", r"\1…", line)
    line = re.sub(r"(?i)\b(bearer|basic)\s+\S+", r"\1 …", line)
    line = _LABELLED.sub(r"\1\2…", line)
    line = re.sub(r"[A-Za-z0-9+/=_-]{100,}", "…", line)  # session tokens have no other mark
    line = _SECRET.sub("…", line)
    return line[:400].rstrip(".")
