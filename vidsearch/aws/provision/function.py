"""The Lambda function that stores results in the bucket, for those who would rather not page through them."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vidsearch.aws import lambda_handler
from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import Json, Resource, act, look, pairs, patiently, same
from vidsearch.aws.session import Clients

RUNTIME = "python3.13"
TIMEOUT_S = 900
MEMORY_MB = 512
"""A page of 1,000 persons is a few megabytes of JSON; memory also buys processor time."""


def source() -> str:
    """Return the program text of the function."""
    return Path(lambda_handler.__file__).read_text(encoding="utf-8")


def archive() -> bytes:
    """Return the function's archive; the same program gives the same bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        member = zipfile.ZipInfo("index.py", date_time=(2026, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16
        packed.writestr(member, source(), compress_type=zipfile.ZIP_DEFLATED)
    return held.getvalue()


def digest(data: bytes) -> str:
    """Return the checksum that Lambda shows of an archive."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@dataclass(frozen=True)
class Function(Resource):
    """The function itself."""

    title: ClassVar[str] = "function"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"function {names.function}"

    def sentence(self, names: Names) -> str:
        """Say what it does."""
        return f"A Lambda function {names.function} that stores each finished job's results under {names.results}"

    def configuration(self, names: Names) -> dict[str, Json]:
        """Return how it runs."""
        return {
            "Runtime": RUNTIME,
            "Handler": "index.handler",
            "Role": names.function_role_arn,
            "Timeout": TIMEOUT_S,
            "MemorySize": MEMORY_MB,
            "Environment": {"Variables": {"BUCKET": names.bucket, "PREFIX": names.prefix}},
        }

    def documents(self, names: Names) -> dict[str, Json]:
        """Show how it runs."""
        return {"configuration": self.configuration(names), "program": f"sha256 {digest(archive())}"}

    def _read(self, aws: Clients, names: Names) -> Json:
        return look("read the function", aws("lambda").get_function, FunctionName=names.function)

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Ask AWS."""
        answer = self._read(aws, names)
        return None if answer is None else dict(answer.get("Tags", {}))

    def make(self, aws: Clients, names: Names) -> None:
        """Make it, once its role can be taken."""
        patiently(
            f"make the function {names.function}",
            aws("lambda").create_function,
            FunctionName=names.function,
            Description="Stores finished face searches of vidsearch in the bucket.",
            Code={"ZipFile": archive()},
            Architectures=["arm64"],
            Tags=names.tags,
            **self.configuration(names),
        )
        self._settle(aws, names)

    @staticmethod
    def _settle(aws: Clients, names: Names) -> None:
        """Wait until the function takes another change."""
        for waiter in ("function_active_v2", "function_updated_v2"):
            wait = aws("lambda").get_waiter(waiter).wait
            act("wait for the function", wait, FunctionName=names.function, WaiterConfig={"Delay": 2})

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags."""
        act("tag the function", aws("lambda").tag_resource, Resource=names.function_arn, Tags=dict(tags))

    def differences(self, aws: Clients, names: Names) -> list[str]:
        """Compare program and configuration."""
        answer = self._read(aws, names)
        if answer is None:
            return []
        found = answer["Configuration"]
        wrong = [name for name, value in self.configuration(names).items() if not same(found.get(name, ""), value)]
        return wrong + ([] if found["CodeSha256"] == digest(archive()) else ["program"])

    def repair(self, aws: Clients, names: Names) -> None:
        """Set program and configuration."""
        wrong = self.differences(aws, names)
        if "program" in wrong:
            put = aws("lambda").update_function_code
            act("renew the function's program", put, FunctionName=names.function, ZipFile=archive())
            self._settle(aws, names)
        if wrong != ["program"]:
            put = aws("lambda").update_function_configuration
            act("set up the function", put, FunctionName=names.function, **self.configuration(names))
            self._settle(aws, names)

    def remove(self, aws: Clients, names: Names) -> None:
        """Delete it."""
        act("delete the function", aws("lambda").delete_function, FunctionName=names.function)

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        configuration = self.configuration(names)
        configuration["Role"] = {"Fn::GetAtt": ["FunctionRole", "Arn"]}
        properties = {
            "FunctionName": names.function,
            "Description": "Stores finished face searches of vidsearch in the bucket.",
            "Code": {"ZipFile": source()},
            "Architectures": ["arm64"],
            "Tags": pairs(names.tags),
            **configuration,
        }
        return {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties, "DependsOn": ["FunctionLog"]}}
