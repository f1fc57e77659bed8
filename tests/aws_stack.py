"""AWS on this machine, for tests: moto's server for S3, SNS, SQS, IAM and STS, and our own Rekognition beside it.

``aws_stack`` runs once for all tests. ``aws`` is a place of one's own in it: a bucket, a topic with its queue, a role,
and a Rekognition whose faults and counts begin anew; at the end none of its answers may have broken botocore's model.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vidsearch.aws.session import Clients
    from vidsearch.rekognition_local.server import LocalRekognition

REGION = "us-east-1"
ACCOUNT = "123456789012"
SERVICES = ("s3", "sns", "sqs", "iam", "sts", "cloudformation", "lambda", "kms")

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Credentials that are none, and no look at anybody's real ones."""


@dataclass(frozen=True)
class AwsStack:
    """The two servers, and clients that point at them."""

    moto_url: str
    server: LocalRekognition
    folder: Path
    """Of the Rekognition."""
    executor: Executor
    """What the analysis runs in; another Rekognition may share it."""
    clients: Clients

    @property
    def endpoints(self) -> dict[str, str]:
        """Service -> URL."""
        return {**dict.fromkeys(SERVICES, self.moto_url), "rekognition": self.server.url}

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process use the stack."""
        urls = {f"AWS_ENDPOINT_URL_{service.upper()}": url for service, url in self.endpoints.items()}
        return {**ENVIRONMENT, **urls}


@dataclass(frozen=True)
class AwsPlace:
    """One test's own resources in the stack."""

    stack: AwsStack
    bucket: str
    topic_arn: str
    queue_url: str
    queue_arn: str
    role_arn: str

    @property
    def clients(self) -> Clients:
        return self.stack.clients

    @property
    def server(self) -> LocalRekognition:
        return self.stack.server

    @property
    def rekognition(self) -> Any:
        return self.stack.clients("rekognition")

    @property
    def channel(self) -> dict[str, str]:
        """What StartFaceSearch is told to publish to."""
        return {"SNSTopicArn": self.topic_arn, "RoleArn": self.role_arn}

    def upload(self, path: Path, key: str) -> dict[str, Any]:
        """Put a file into the bucket and return it as ``Video`` or ``Image``."""
        self.clients("s3").upload_file(str(path), self.bucket, key)
        return {"S3Object": {"Bucket": self.bucket, "Name": key}}

    def messages(self, count: int = 1, patience: int = 30) -> list[dict[str, Any]]:
        """Return what Rekognition published, waiting for so many messages (s), and delete them from the queue."""
        found: list[dict[str, Any]] = []
        for _ in range(patience):
            if len(found) >= count:
                break
            answer = self.clients("sqs").receive_message(
                QueueUrl=self.queue_url, WaitTimeSeconds=1, MaxNumberOfMessages=10
            )
            for message in answer.get("Messages", []):
                found.append(json.loads(json.loads(message["Body"])["Message"]))
                self.clients("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="session")
def aws_stack(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsStack]:
    """Run moto and our Rekognition on free ports of 127.0.0.1, with environment variables for boto3's own clients."""
    from moto.server import ThreadedMotoServer

    from tests.faces import Lasting
    from vidsearch.aws.session import Clients
    from vidsearch.rekognition_local.server import LocalRekognition

    executor = Lasting()
    with pytest.MonkeyPatch.context() as patch:
        # moto, in this process, looks at them too.
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        url = f"http://{host}:{port}"
        inner = Clients(REGION, endpoints=dict.fromkeys(SERVICES, url))
        folder = tmp_path_factory.mktemp("rekognition-local")
        with LocalRekognition(folder, models, clients=inner, executor=lambda: executor) as server:
            clients = Clients(REGION, endpoints={**dict.fromkeys(SERVICES, url), "rekognition": server.url})
            yield AwsStack(url, server, folder, executor, clients)
            clients.close()
        inner.close()
        moto.stop()
    executor.end()


@pytest.fixture
def aws(aws_stack: AwsStack) -> Iterator[AwsPlace]:
    """Return resources of one test's own."""
    from vidsearch.rekognition_local.faults import Faults

    name = uuid.uuid4().hex[:12]
    clients, server = aws_stack.clients, aws_stack.server
    server.plan.replace(Faults())
    server.calls.clear()
    bucket = f"vidsearch-{name}"
    clients("s3").create_bucket(Bucket=bucket)
    topic = clients("sns").create_topic(Name=f"AmazonRekognition-{name}")["TopicArn"]
    queue = clients("sqs").create_queue(QueueName=f"vidsearch-{name}")["QueueUrl"]
    attributes = clients("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    queue_arn = attributes["Attributes"]["QueueArn"]
    clients("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    yield AwsPlace(aws_stack, bucket, topic, queue, queue_arn, _role(clients, name))
    server.plan.replace(Faults())
    assert not server.calls.told()["bugs"]


def _role(clients: Clients, name: str) -> str:
    trust = {
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
    role = clients("iam").create_role(RoleName=f"vidsearch-{name}", AssumeRolePolicyDocument=json.dumps(trust))
    arn: str = role["Role"]["Arn"]
    return arn
