"""The plan on paper: options, regions, documents, the dry run, the template. Nothing here asks AWS."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cfnlint.api import ManualArgs, lint
from click.testing import CliRunner

import setup_aws
from tests.aws.site import ACCOUNT, Site
from vidsearch.aws.provision import costs, permission, policies, record, template, terms
from vidsearch.aws.provision.names import Names, Options
from vidsearch.aws.provision.plan import everything, plan
from vidsearch.aws.provision.regions import PICTURES_ONLY, STORED_VIDEO, partition_of, require_stored_video
from vidsearch.errors import AwsNotSetUp, AwsRefused, UsageError, VidsearchError
from vidsearch.settings import load_settings

ALL: dict[str, Any] = {
    "make_key": True,
    "function": True,
    "attach_to": "role:investigators",
    "boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
    "tags": (("team", "cctv"),),
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever opens a connection or asks for an address."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("somebody asked the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def run(*words: str) -> Any:
    return CliRunner().invoke(setup_aws.setup, words)


# -- options and regions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefix": "Vid"}, "--prefix"),
        ({"prefix": "a--b"}, "--prefix"),
        ({"prefix": "x" * 21}, "--prefix"),
        ({"attach_to": "bob"}, "user:NAME"),
        ({"make_key": True, "key": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/x"}, "only one"),
        ({"key": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x"}, "same region"),
        ({"key": "x"}, "whole ARN"),
        ({"key": f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/x"}, "no policy can name an alias"),
        ({"role": "x"}, "whole ARN"),
        ({"tags": (("aws:x", "y"),)}, "--tags"),
    ],
)
def test_options_that_aws_would_refuse_are_refused_at_once(options: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=re.escape(said)):
        Options("eu-west-1", **options)


def test_names_fit_what_aws_takes():
    longest = max(STORED_VIDEO, key=len)
    names = Names.of(Options(longest, prefix="x" * 20), ACCOUNT)
    assert len(names.bucket) <= 63
    assert len(names.role) <= 64
    assert len(names.queue) <= 80
    assert len(names.function) <= 64
    assert names.topic.startswith("AmazonRekognition")
    whole = {**ALL, "function": True}
    for document in (policies.runtime(names), permission.provisioner(Names.of(Options(longest, **whole), ACCOUNT))):
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144


def test_regions_are_those_that_botocore_knows_too():
    session = boto3.Session()
    known = {
        region
        for partition in ("aws", "aws-us-gov")
        for region in session.get_available_regions("rekognition", partition_name=partition)
    }
    assert set(STORED_VIDEO) | set(PICTURES_ONLY) == known


@pytest.mark.parametrize("region", STORED_VIDEO)
def test_partitions_are_those_that_botocore_knows(region: str):
    require_stored_video(region)
    assert partition_of(region) == boto3.Session().get_partition_for_region(region)


@pytest.mark.parametrize(
    ("region", "error", "said"),
    [
        ("", AwsNotSetUp, "--region"),
        ("ca-central-1", AwsRefused, "pictures only"),
        ("cn-north-1", AwsRefused, "not offered in China"),
        ("mars-north-1", AwsRefused, "not known"),
    ],
)
def test_other_regions_are_refused_in_a_line(region: str, error: type[VidsearchError], said: str):
    with pytest.raises(error, match=said) as caught:
        require_stored_video(region)
    assert "\n" not in str(caught.value)


def test_another_partition_is_in_every_arn():
    names = Names.of(Options("us-gov-west-1", function=True, attach_to="user:x"), ACCOUNT)
    shown = json.dumps([step.documents(names) for step in plan(names.options)])
    assert "arn:aws-us-gov:" in shown
    assert "arn:aws:" not in shown


# -- documents -----------------------------------------------------------------------------------------------------


def statements(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement.get("Sid", ""): statement for statement in document["Statement"]}


def test_only_rekognition_takes_the_role_and_only_for_this_account():
    names = Names.of(Options("eu-west-1"), ACCOUNT)
    assert policies.trust(names) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "rekognition.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            }
        ],
    }
    assert [s["Action"] for s in policies.publish(names)["Statement"]] == [["sns:Publish"]]


def test_only_the_topic_sends_to_the_queue_and_only_over_tls():
    names = Names.of(Options("eu-west-1"), ACCOUNT)
    found = statements(policies.queue(names, names.queue_arn))
    assert found["OnlyTheTopic"]["Condition"] == {"ArnEquals": {"aws:SourceArn": names.topic_arn}}
    assert found["OnlyTheTopic"]["Principal"] == {"Service": "sns.amazonaws.com"}
    assert found["OnlyOverTls"]["Effect"] == "Deny"
    assert "Principal" in found["OnlyOverTls"]


def test_the_runtime_policy_is_wide_nowhere():
    names = Names.of(Options("eu-west-1", make_key=True), ACCOUNT)
    for sid, statement in statements(policies.runtime(names)).items():
        assert not any(action.endswith("*") for action in statement["Action"]), sid
        if statement["Resource"] == "*":
            assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    passing = statements(policies.runtime(names))["HandRoleToRekognition"]
    assert passing["Resource"] == names.role_arn
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "rekognition.amazonaws.com"}}


# -- the dry run ---------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_every_step_and_asks_nobody(no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    words = (
        "--dry-run",
        "--region",
        "eu-west-1",
        "--data",
        str(tmp_path),
        "--kms",
        "--lambda",
        "--attach-to",
        "user:x",
    )
    shown = run(*words)
    assert shown.exit_code == 0, shown.output
    options = Options("eu-west-1", make_key=True, function=True, attach_to="user:x")
    names = Names.of(options)
    for step in plan(options):
        assert f"{step.sentence(names)}." in shown.output
        for document in step.documents(names).values():
            assert json.dumps(document, indent=2).replace("\n", "\n      ") in shown.output
    assert "<account>" in shown.output
    assert all(line in shown.output for line in costs.idle(names))
    assert list(tmp_path.iterdir()) == []

    told = json.loads(run(*words, "--json").output)
    assert [step["sentence"] for step in told["steps"]] == [step.sentence(names) for step in plan(options)]


@pytest.mark.parametrize("words", [("--template",), ("--print-provisioner-policy",)])
def test_papers_ask_nobody(no_network: None, tmp_path: Path, words: tuple[str, ...]):
    shown = run(*words, "--region", "eu-west-1", "--data", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert yaml.safe_load(shown.output)


def test_only_one_thing_is_done_at_a_time(tmp_path: Path):
    shown = run("--dry-run", "--destroy", "--data", str(tmp_path))
    assert isinstance(shown.exception, UsageError)


def test_everything_is_in_the_plan_for_removing():
    kinds = {type(step) for options in (ALL, {}) for step in plan(Options("eu-west-1", **options))}
    left = kinds - {type(step) for step in everything(Options("eu-west-1"))}
    assert {kind.__name__ for kind in left} == {"Attachment"}


# -- the template --------------------------------------------------------------------------------------------------

KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/made"
URL = f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/vidsearch-completions"


def resolved(value: Any) -> Any:
    """Return a template's value as CloudFormation would fill it in."""
    if isinstance(value, dict) and set(value) == {"Fn::Sub"}:
        text = value["Fn::Sub"]
        for open_, filled in (("AWS::AccountId", ACCOUNT), ("Key.Arn", KEY), ("Queue", URL)):
            text = text.replace(f"${{{open_}}}", filled)
        assert "${" not in text
        return text
    if isinstance(value, dict):
        return {key: resolved(inner) for key, inner in value.items()}
    return [resolved(inner) for inner in value] if isinstance(value, list) else value


def made(**options: Any) -> dict[str, Any]:
    chosen = Options("eu-west-1", **options)
    return template.template(plan(chosen), Names.of(chosen))


@pytest.mark.parametrize("options", [{}, ALL, {"bucket": "mine", "role": f"arn:aws:iam::{ACCOUNT}:role/mine"}])
def test_a_template_is_valid_in_both_spellings(options: dict[str, Any]):
    as_yaml, as_json = template.as_yaml(made(**options)), template.as_json(made(**options))
    assert yaml.safe_load(as_yaml) == json.loads(as_json) == made(**options)
    for text in (as_yaml, as_json):
        assert [str(match) for match in lint(text, config=ManualArgs(regions=["eu-west-1"]))] == []


def test_a_template_holds_the_documents_of_the_plan():
    options = Options("eu-west-1", **ALL)
    names = Names(options, ACCOUNT, KEY)
    found = {name: resolved(part["Properties"]) for name, part in made(**ALL)["Resources"].items()}
    assert found["BucketPolicy"]["PolicyDocument"] == policies.bucket(names)
    assert found["TopicPolicy"]["PolicyDocument"] == policies.topic(names)
    assert found["QueuePolicy"]["PolicyDocument"] == policies.queue(names, names.queue_arn)
    assert found["DeadQueuePolicy"]["PolicyDocument"] == policies.queue(names, names.dead_arn)
    assert found["ServiceRole"]["AssumeRolePolicyDocument"] == policies.trust(names)
    assert found["ServiceRole"]["Policies"][0]["PolicyDocument"] == policies.publish(names)
    assert found["RuntimePolicy"]["PolicyDocument"] == policies.runtime(names)
    assert found["FunctionRole"]["Policies"][0]["PolicyDocument"] == policies.function(names)
    assert found["Key"]["KeyPolicy"] == policies.key(names)
    assert found["Function"]["Environment"]["Variables"] == {"BUCKET": names.bucket, "PREFIX": names.prefix}
    tagged = {name: part["Tags"] for name, part in found.items() if "Tags" in part}
    assert all({"Key": "vidsearch:setup", "Value": "vidsearch"} in tags for tags in tagged.values())
    # Whatever can carry our mark does: without it the script would take the thing for somebody else's.
    assert set(found) - set(tagged) == {
        "BucketPolicy", "TopicPolicy", "QueuePolicy", "DeadQueuePolicy", "QueueSubscription", "RuntimePolicy",
        "KeyAlias", "FunctionPermission", "FunctionFailures", "FunctionSubscription",
    }  # fmt: skip
    assert "vidsearch:setup=vidsearch" in found["RuntimePolicy"]["Description"]


def test_a_template_says_what_goes_to_the_settings(tmp_path: Path):
    names = Names(Options("eu-west-1", **ALL), ACCOUNT, KEY)
    outputs = {name: resolved(part["Value"]) for name, part in made(**ALL)["Outputs"].items()}
    (tmp_path / "aws.toml").write_text(outputs["AwsToml"], encoding="utf-8")
    settings = load_settings(tmp_path, env={})
    wanted = record.settings(names, URL)
    assert {name: getattr(settings, name) for name in wanted} == wanted
    assert settings.aws_results == "lambda"


def test_a_template_is_written_where_it_is_asked_for(tmp_path: Path):
    wrong = tmp_path / "stack.txt"
    refused = run("--template", str(wrong), "--region", "eu-west-1", "--data", str(tmp_path))
    assert isinstance(refused.exception, UsageError)
    assert not wrong.exists()
    target = tmp_path / "stack.json"
    shown = run("--template", str(target), "--region", "eu-west-1", "--data", str(tmp_path))
    assert shown.exit_code == 0
    assert json.loads(target.read_text())["Resources"]["Topic"]


# -- files ---------------------------------------------------------------------------------------------------------


def test_choices_come_back(tmp_path: Path):
    options = Options("eu-west-1", prefix="cctv", make_key=True, tags=(("a b", 'c"d'),), upload_days=3)
    names = Names.of(options, ACCOUNT)
    path = record.save(tmp_path, names, URL)
    assert path.stat().st_mode & 0o777 == 0o600
    before = record.choices(tmp_path)
    assert record.options(before, {}) == options
    assert record.options(before, {"key": KEY}) == Options(
        "eu-west-1", prefix="cctv", key=KEY, tags=options.tags, upload_days=3
    )
    assert load_settings(tmp_path, env={}).aws_prefix == "cctv"
    record.clear(tmp_path, Names.of(Options("eu-west-1", prefix="other"), ACCOUNT))
    assert path.exists()
    assert path in record.clear(tmp_path, names)
    assert not path.exists()
    assert record.choices(tmp_path) == {}


def test_settings_of_another_set_up_stay(tmp_path: Path):
    # As a template's output is saved: without the choices of this script.
    other = record.settings(Names.of(Options("eu-west-1", prefix="other"), ACCOUNT), URL)
    record.write(tmp_path / "aws.toml", record.settings_text(other))
    assert record.clear(tmp_path, Names.of(Options("eu-west-1", prefix="cctv"), ACCOUNT)) == []
    assert record.clear(tmp_path, Names.of(Options("eu-west-1", prefix="other"), ACCOUNT)) == [tmp_path / "aws.toml"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["not toml [", 'region = 7\nprefix = "x"\n', 'unknown = "x"\n'])
def test_choices_that_cannot_be_read_say_what_to_do(tmp_path: Path, text: str):
    (tmp_path / record.CHOICES_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="delete it"):
        record.choices(tmp_path)


def test_terms_are_recorded_once(tmp_path: Path):
    assert terms.acknowledged(tmp_path) is None
    made = terms.record(tmp_path, "ana (arn:aws:iam::1:user/ana)")
    assert terms.acknowledged(tmp_path) == made
    assert "ana" in str(made)
    (tmp_path / terms.FILE).write_text('text_version = "2020-01"\n', encoding="utf-8")
    assert terms.acknowledged(tmp_path) is None
    (tmp_path / terms.FILE).write_text("broken [", encoding="utf-8")
    with pytest.raises(UsageError, match="acknowledge"):
        terms.acknowledged(tmp_path)


def test_the_terms_name_what_has_to_be_known():
    for word in ("moratorium", "99 %", "missing people", "human review", "opt-out", "counsel"):
        assert word in terms.TEXT.lower(), word


# -- what a template and the script make is the same ---------------------------------------------------------------


def test_what_the_script_makes_is_what_the_template_says(site: Site):
    chosen = site.options
    parts = template.template(plan(chosen), Names.of(chosen))["Resources"]
    found = {name: resolved(part["Properties"]) for name, part in parts.items()}
    iam = site.aws("iam")
    role = iam.get_role(RoleName=site.names.role)["Role"]
    assert role["AssumeRolePolicyDocument"] == found["ServiceRole"]["AssumeRolePolicyDocument"]
    policy = iam.get_policy_version(PolicyArn=site.names.policy_arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert policy == found["RuntimePolicy"]["PolicyDocument"]
    queue = site.attributes()
    for name in ("MessageRetentionPeriod", "VisibilityTimeout", "ReceiveMessageWaitTimeSeconds", "DelaySeconds"):
        assert queue[name] == str(found["Queue"][name])
    assert json.loads(queue["RedrivePolicy"]) == found["Queue"]["RedrivePolicy"]
    assert json.loads(queue["Policy"]) == found["QueuePolicy"]["PolicyDocument"]
    s3, bucket = site.aws("s3"), {"Bucket": site.names.bucket}
    block = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert block == found["Bucket"]["PublicAccessBlockConfiguration"]
    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    said = found["Bucket"]["LifecycleConfiguration"]["Rules"]
    assert [rule["ID"] for rule in rules] == [rule["Id"] for rule in said]
    assert json.loads(s3.get_bucket_policy(**bucket)["Policy"]) == found["BucketPolicy"]["PolicyDocument"]
