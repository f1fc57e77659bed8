"""The runtime policy allows what the program calls, and nothing that it does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore import xform_name

from vidsearch.aws.actions import action_of
from vidsearch.aws.provision import policies
from vidsearch.aws.provision.names import Names, Options

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("s3", "sns", "sqs", "iam", "rekognition")

OTHERS = ("aws/provision", "aws/lambda_handler.py", "aws/protocol.py", "rekognition_local")
"""Parts of the program that run with permissions of their own, or stand in for AWS."""

WITHOUT_A_CALL = {
    "iam:PassRole",  # the role is named in StartFaceSearch
    # A bucket that keeps versions is asked for, and told to forget, the one that was uploaded.
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersion",
    "kms:Decrypt",  # S3 and SQS ask for it on the caller's behalf
    "kms:GenerateDataKey",
}


def operations() -> dict[str, list[str]]:
    """Return the name of each operation, as Python and as AWS spells it -> the actions it may need."""
    found: dict[str, list[str]] = {}
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    for service in SERVICES:
        client = session.client(service)
        for operation in client.meta.service_model.operation_names:
            for name in {xform_name(operation), operation}:
                found.setdefault(name, []).append(action_of(service, operation))
        client.close()
    return found


def sources() -> Iterator[Path]:
    package = ROOT / "vidsearch"
    for path in sorted(package.rglob("*.py")):
        if not path.relative_to(package).as_posix().startswith(OTHERS):
            yield path


def name_in(node: ast.AST) -> str:
    """Return the method that is called, the operation in quotes as AWS spells it, or the one that is paged through."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value[:1].isupper():
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_paginator":
        return str(ast.literal_eval(node.args[0]))
    return ""


def called() -> dict[str, set[str]]:
    """Return the actions that the program's calls need -> the files that call them."""
    known = operations()
    found: dict[str, set[str]] = {}
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if "translated(" not in text:
            continue  # whoever calls AWS translates its errors
        for node in ast.walk(ast.parse(text)):
            for action in known.get(name_in(node), []):
                found.setdefault(action, set()).add(path.name)
    return found


def allowed() -> set[str]:
    names = Names.of(Options("eu-west-1", make_key=True), "123456789012")
    return {action for statement in policies.runtime(names)["Statement"] for action in statement["Action"]}


def test_every_call_is_allowed():
    lacking = {action: files for action, files in called().items() if action not in allowed()}
    assert lacking == {}


def test_nothing_is_allowed_that_nobody_calls():
    assert allowed() - set(called()) == WITHOUT_A_CALL


def test_whoever_calls_aws_translates_its_errors():
    """Or the two tests above would not see its calls."""
    astray = [
        path.name
        for path in sources()
        if "clients(" in (text := path.read_text(encoding="utf-8")) and "translated(" not in text
    ]
    assert astray == []
