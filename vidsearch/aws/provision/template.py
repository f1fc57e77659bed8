"""The plan as a CloudFormation template, for those who may deploy templates but not run scripts."""

from __future__ import annotations

import json
import re
from typing import Any

from vidsearch.aws.provision import record
from vidsearch.aws.provision.names import UNKNOWN_ACCOUNT, UNKNOWN_KEY, Names
from vidsearch.aws.provision.plan import Plan

QUEUE_URL = "<queue url>"

_REFERENCES = {UNKNOWN_ACCOUNT: "${AWS::AccountId}", UNKNOWN_KEY: "${Key.Arn}", QUEUE_URL: "${Queue}"}
"""What a plan leaves open -> CloudFormation's own reference to it."""


def template(steps: Plan, names: Names) -> dict[str, Any]:
    """Return the template of a plan whose names are still open."""
    resources: dict[str, Any] = {}
    for step in steps:
        for name, part in step.resources(names).items():
            resources[name] = _merged(resources.get(name, {}), part)
    values = record.settings(names, QUEUE_URL)
    outputs = {
        "".join(word.capitalize() for word in name.split("_")): {"Description": name, "Value": value}
        for name, value in values.items()
        if value
    }
    whole = {"Description": "The whole of aws.toml: save it in vidsearch's data folder"}
    outputs["AwsToml"] = {**whole, "Value": record.settings_text(values)}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"What vidsearch needs to search faces with Amazon Rekognition: {names.prefix}, {names.region}",
        "Rules": {
            "RightRegion": {
                "Assertions": [
                    {
                        "Assert": {"Fn::Equals": [{"Ref": "AWS::Region"}, names.region]},
                        "AssertDescription": f"This template was written for {names.region}",
                    }
                ]
            }
        },
        "Resources": _referring(resources),
        "Outputs": _referring(outputs),
    }


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _merged(one.get(key), value) for key, value in other.items()}}
    return other


def _referring(value: Any) -> Any:
    """Return a value with references in place of what is open."""
    if isinstance(value, dict):
        return {key: _referring(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_referring(inner) for inner in value]
    if isinstance(value, str) and any(open_ in value for open_ in _REFERENCES):
        for open_, reference in _REFERENCES.items():
            value = value.replace(open_, reference)
        return {"Fn::Sub": value}
    return value


def as_json(value: Any) -> str:
    """Return a template as JSON."""
    return json.dumps(value, indent=2) + "\n"


_BARE = re.compile(r"[A-Za-z][A-Za-z0-9:]*(?<!:)")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def as_yaml(value: Any) -> str:
    """Return a template as YAML. Only what templates hold: mappings, lists, text, numbers and truth values."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, inner in value.items() for line in _under(f"{_scalar(key)}:", inner)]
    if isinstance(value, list) and value:
        return [line for inner in value for line in _item(inner)]
    return [_scalar(value)]


def _under(head: str, value: Any) -> list[str]:
    if isinstance(value, (dict, list)) and value:
        return [head, *(f"  {line}" for line in _lines(value))]
    if isinstance(value, str) and "\n" in value and not value.startswith((" ", "\n")):
        # A block keeps a program readable; what follows "|" says whether a line end closes it.
        body = value.removesuffix("\n").split("\n")
        return [f"{head} |{'' if value.endswith(chr(10)) else '-'}", *(f"  {line}" if line else "" for line in body)]
    return [f"{head} {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # JSON's text, numbers, truth values and empty collections are YAML as well.
    return json.dumps(value, ensure_ascii=False)
