"""The doctor finds each fault before a search does, in one line with what to do, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.aws.site import ACCOUNT, RecordingClients, Site, policy_of
from vidsearch.aws.doctor import AwsFinding, examine_aws
from vidsearch.aws.provision import record, terms
from vidsearch.aws.session import Clients
from vidsearch.doctor import examine
from vidsearch.settings import Settings, load_settings

URL = "https://sqs.eu-west-1.amazonaws.com/{}/{}"


@pytest.fixture
def settings(lasting_site: Site, tmp_path: Path) -> Settings:
    """Return the settings of a set-up that is as it should be."""
    lasting_site.apply()
    record.save(tmp_path, lasting_site.names, lasting_site.queue_url)
    terms.record(tmp_path, "ana")
    return load_settings(tmp_path, env={})


@pytest.fixture
def rekognition(recording: RecordingClients) -> Iterator[Stubber]:
    """Return a Rekognition that lists no collections unless told."""
    with Stubber(recording("rekognition")) as stub:
        stub.add_response("list_collections", {"CollectionIds": []}, {"MaxResults": 1})
        yield stub


def command(settings: Settings) -> str:
    return f"python setup_aws.py --data {settings.data}"


def bad(findings: list[AwsFinding]) -> list[AwsFinding]:
    for finding in findings:
        assert "\n" not in finding.detail
        assert finding.good or finding.mend
        assert "see the message" not in finding.mend
    return [finding for finding in findings if not finding.good]


def test_all_is_well(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    recording.calls.clear()
    findings = examine_aws(settings, recording)
    assert bad(findings) == []
    named = {finding.what for finding in findings}
    assert {f"AWS {what}" for what in ("credentials", "clock", "region", "bucket", "topic", "queue", "role")} < named
    assert any("opt" in finding.detail for finding in findings if finding.what == "AWS AI opt-out")
    assert any("ana" in finding.detail for finding in findings if finding.what == "AWS terms")
    assert recording.changes() == []


@pytest.mark.parametrize(
    ("changed", "what", "said"),
    [
        ({"aws_bucket": "", "aws_queue_url": ""}, "AWS", "not set: aws_bucket, aws_queue_url"),
        ({"aws_region": "ca-central-1"}, "AWS region", "pictures only"),
        ({"aws_topic_arn": f"arn:aws:sns:us-east-1:{ACCOUNT}:x"}, "AWS region", "topic not in eu-west-1"),
        ({"aws_queue_url": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/x"}, "AWS region", "queue not in eu-west-1"),
        ({"aws_kms_key": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x"}, "AWS region", "key not in eu-west-1"),
        ({"aws_bucket": "there-is-none"}, "AWS bucket", "Not Found"),
        ({"aws_topic_arn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:AmazonRekognition-none"}, "AWS topic", "does not exist"),
        ({"aws_role_arn": f"arn:aws:iam::{ACCOUNT}:role/none"}, "AWS role", "not found"),
    ],
)  # fmt: skip
def test_what_the_settings_name_and_is_not_there(
    settings: Settings, recording: RecordingClients, rekognition: Stubber, changed: dict[str, str], what: str, said: str
):
    found = bad(examine_aws(replace(settings, **changed), recording))
    # The queue's policy lets only its own topic in, so another topic is a fault of both.
    assert [finding.what for finding in found] in ([what], [what, "AWS queue"])
    assert said in found[0].detail


def test_a_queue_that_is_gone(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    url = settings.aws_queue_url.rpartition("/")[0] + "/none"
    found = bad(examine_aws(replace(settings, aws_queue_url=url), recording))
    assert [finding.what for finding in found] == ["AWS queue"]
    assert found[0].detail.endswith("does not exist")
    assert found[0].mend == command(settings)


def test_a_queue_that_is_not_subscribed(
    lasting_site: Site, settings: Settings, recording: RecordingClients, rekognition: Stubber
):
    recording("sns").unsubscribe(SubscriptionArn=lasting_site.subscription())
    found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS topic"]
    assert "not subscribed" in found[0].detail


def test_a_subscription_that_was_ended_does_not_count(
    lasting_site: Site, settings: Settings, recording: RecordingClients, rekognition: Stubber
):
    arn = lasting_site.names.topic_arn
    ended = {"SubscriptionArn": "Deleted", "Endpoint": lasting_site.names.queue_arn, "Protocol": "sqs"}
    with recording.answering("sns") as stub:
        stub.add_response("get_topic_attributes", {"Attributes": {"TopicArn": arn}})
        stub.add_response("list_subscriptions_by_topic", {"Subscriptions": [ended]})
        found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS topic"]


def test_a_queue_whose_policy_keeps_the_topic_out(
    lasting_site: Site, settings: Settings, recording: RecordingClients, rekognition: Stubber
):
    other = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                    "Resource": "*", "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:x:1:other"}},
                }
            ],
        }
    )  # fmt: skip
    sqs = recording("sqs")
    sqs.set_queue_attributes(QueueUrl=settings.aws_queue_url, Attributes={"Policy": other})
    found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS queue"]
    assert "does not let the topic in" in found[0].detail


def test_a_role_that_rekognition_may_not_take(
    lasting_site: Site, settings: Settings, recording: RecordingClients, rekognition: Stubber
):
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    recording("iam").update_assume_role_policy(RoleName=lasting_site.names.role, PolicyDocument=document)
    found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS role"]


def test_a_topic_without_the_prefix(
    make_site: Callable[..., Site], settings: Settings, recording: RecordingClients, rekognition: Stubber
):
    """Without it AWS's own policy allows nothing; a policy that names the topic does."""
    sns, iam, site = recording("sns"), recording("iam"), make_site()
    topic = sns.create_topic(Name=f"plain-{site.names.prefix}")["TopicArn"]
    queue = settings.aws_queue_url
    arn = recording("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    recording("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy_of("sqs")})
    plain = replace(settings, aws_topic_arn=topic)
    found = bad(examine_aws(plain, recording))
    assert [finding.what for finding in found] == ["AWS role"]
    assert "does not begin with AmazonRekognition" in found[0].detail
    role = settings.aws_role_arn.rpartition("/")[2]
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="publish-completions", PolicyDocument=document)
    rekognition.add_response("list_collections", {"CollectionIds": []}, {"MaxResults": 1})
    assert bad(examine_aws(plain, recording)) == []


def test_a_role_that_may_not_be_looked_at(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    with recording.answering("iam") as stub:
        stub.add_client_error("get_role", "AccessDenied", "not authorized to perform: iam:GetRole", 403)
        findings = examine_aws(settings, recording)
    assert bad(findings) == []
    assert any("not checked" in finding.detail for finding in findings)


def test_a_bucket_elsewhere(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    with recording.answering("s3") as stub:
        stub.add_response("head_bucket", {"BucketRegion": "us-east-1"}, {"Bucket": settings.aws_bucket})
        found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS bucket"]
    assert "is in us-east-1" in found[0].detail


@pytest.mark.parametrize(
    ("service", "operation", "code", "what", "said", "mend"),
    [
        ("sts", "get_caller_identity", "ExpiredToken", "AWS credentials", "aws sso login", "aws sso login"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "AWS credentials", "does not accept", "new access keys"),
        ("sts", "get_caller_identity", "RequestTimeTooSkewed", "AWS credentials", "clock is wrong", "NTP"),
        ("s3", "head_bucket", "403", "AWS bucket", "s3:ListBucket is missing", "administers"),
        ("s3", "head_bucket", "SlowDown", "AWS bucket", "slow down", "wait a minute"),
        ("sns", "get_topic_attributes", "AuthorizationError", "AWS topic", "SNS:GetTopicAttributes is", "administers"),
    ],
)  # fmt: skip
def test_what_aws_refuses(
    settings: Settings,
    recording: RecordingClients,
    rekognition: Stubber,
    service: str,
    operation: str,
    code: str,
    what: str,
    said: str,
    mend: str,
):
    denied = "User: x is not authorized to perform: SNS:GetTopicAttributes on resource: t" if service == "sns" else ""
    with recording.answering(service) as stub:
        stub.add_client_error(operation, code, denied, 403)
        found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == [what]
    assert said in found[0].detail
    assert mend in found[0].mend


def test_a_permission_is_mended_in_the_folder_that_is_looked_at(
    settings: Settings, recording: RecordingClients, rekognition: Stubber, monkeypatch: pytest.MonkeyPatch
):
    def lines() -> str:
        with recording.answering("s3") as stub:
            stub.add_client_error("head_bucket", "403", "", 403)
            (found,) = bad(examine_aws(settings, recording))
        return f"{found.detail} {found.mend}"

    said = lines()
    assert said.count(command(settings)) == said.count("setup_aws.py") == 2
    monkeypatch.setenv("VIDSEARCH_DATA", str(settings.data))
    rekognition.add_response("list_collections", {"CollectionIds": []}, {"MaxResults": 1})
    assert "--data" not in lines(), "that is where the plain command looks too"


def test_without_a_network(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with closing(Clients("eu-west-1", attempts=1, endpoints={"sts": "http://127.0.0.1:9"})) as clients:
        (found,) = bad(examine_aws(settings, clients))
    assert "Amazon cannot be reached (no connection to 127.0.0.1:9)" in found.detail
    assert found.mend == "check the network, and aws_region in aws.toml"


def test_where_aws_is_not_set_up_one_is_told_how(tmp_path: Path):
    (found,) = (one for one in examine(load_settings(tmp_path, env={})) if one.what.startswith("AWS"))
    assert found.good
    assert found.detail == (f"not set up; only needed for --engine rekognition (python setup_aws.py --data {tmp_path})")


def test_a_clock_that_is_wrong(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    found = bad(examine_aws(settings, recording, now=lambda: datetime.now(UTC) + timedelta(minutes=9)))
    assert [finding.what for finding in found] == ["AWS clock"]


def test_a_collection_deleted_behind_our_back(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    rekognition.add_response("describe_collection", {"FaceCount": 1}, {"CollectionId": "vidsearch-a"})
    rekognition.add_client_error("describe_collection", "ResourceNotFoundException", "no such collection")
    found = bad(examine_aws(settings, recording, ["vidsearch-a", "vidsearch-b"]))
    assert [finding.what for finding in found] == ["AWS collections"]
    assert "vidsearch-b" in found[0].detail
    assert "vidsearch-a" not in found[0].detail
    assert found[0].mend == "vidsearch person reindex --engine rekognition"


def test_a_rekognition_that_refuses(settings: Settings, recording: RecordingClients):
    with recording.answering("rekognition") as stub:
        said: Any = "User: x is not authorized to perform: rekognition:ListCollections"
        stub.add_client_error("list_collections", "AccessDeniedException", said, 400)
        found = bad(examine_aws(settings, recording))
    assert [finding.what for finding in found] == ["AWS collections"]
    assert "rekognition:ListCollections is missing" in found[0].detail


def test_terms_nobody_read(settings: Settings, recording: RecordingClients, rekognition: Stubber):
    (settings.data / terms.FILE).unlink()
    found = bad(examine_aws(settings, recording))
    assert [(finding.what, finding.mend) for finding in found] == [
        ("AWS terms", f"{command(settings)} --acknowledge-terms")
    ]
