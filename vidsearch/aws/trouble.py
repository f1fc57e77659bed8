"""Turn botocore's errors into ours: one line that says what to do, and never a credential."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

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

_DENIED = re.compile(r"AccessDenied|Unauthorized|NotAuthorized|Forbidden|^403$", re.IGNORECASE)
_BAD_KEYS = re.compile(
    r"UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken"
)
_SKEWED = re.compile(r"RequestTimeTooSkewed|RequestExpired|InvalidSignatureException")
_GONE = re.compile(r"NotFound|NonExistent|NoSuch|DoesNotExist|^404$")
_SLOW = re.compile(r"Throttl|ProvisionedThroughputExceeded|SlowDown|TooManyRequests|RequestLimitExceeded")
_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")

REFRESH = "renew them (`aws sso login`, or new access keys), or name another profile with aws_profile"


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise our errors for botocore's. ``doing`` completes the sentence "Amazon could not …"."""
    try:
        yield
    except ClientError as exc:
        raise of_answer(exc, doing) from exc
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
            f"cannot {doing}: {_plain(str(exc))}; check the network and the region, then run the same command again"
        ) from exc
    except boto.ParamValidationError as exc:
        raise AwsRefused(f"cannot {doing}: {_plain(str(exc))}", code="ParamValidation") from exc
    except BotoCoreError as exc:
        raise AwsError(f"cannot {doing}: {_plain(str(exc))}") from exc


def of_answer(exc: ClientError, doing: str) -> AwsError | EngineBusy:
    """Return our error for an error answer of a service."""
    code = str(exc.response.get("Error", {}).get("Code", ""))
    said = _plain(str(exc.response.get("Error", {}).get("Message", "")) or code)
    if code == "LimitExceededException":
        return EngineBusy(f"all job slots of the account are taken: {said}")
    if _SKEWED.search(code) or "Signature expired" in said or "Signature not yet current" in said:
        return AwsDenied(f"cannot {doing}: this computer's clock is wrong; set it (NTP) and try again", code=code)
    if _BAD_KEYS.search(code):
        return AwsDenied(f"cannot {doing}: AWS does not accept these credentials ({code}); {REFRESH}", code=code)
    if _DENIED.search(code):
        action = _ACTION.search(said)
        lack = f"the permission {action[1]} is missing" if action else f"access is denied ({said})"
        return AwsDenied(f"cannot {doing}: {lack}; add it to the policy (`python setup_aws.py` repairs it)", code=code)
    if _SLOW.search(code):
        return AwsThrottled(f"cannot {doing}: Amazon asks to slow down ({code}); try again in a minute", code=code)
    if _GONE.search(code):
        return AwsNotFound(f"cannot {doing}: {said}", code=code)
    return AwsRefused(f"cannot {doing}: {said} ({code})", code=code)


def _plain(said: str) -> str:
    """Return one line without anything that looks like a key, a token or a signature."""
    line = " ".join(said.split())
    line = re.sub(r"\b(AKIA|ASIA)[A-Z0-9]{8,}\b", r"\1…", line)
    line = re.sub(r"(?i)(signature|token|secret|credential|authorization)(['\"]?\s*[=:]\s*)\S+", r"\1\2…", line)
    return line[:400].rstrip(".")
