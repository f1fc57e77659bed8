"""The Lambda function, called directly: moto's S3, and answers of Rekognition checked against botocore's model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from tests.aws.site import RecordingClients, Site
from vidsearch.aws import lambda_handler
from vidsearch.aws.lambda_handler import NotFinishedError, Store, collect, completion
from vidsearch.aws.provision.function import archive, digest

JOB = "270c1cc5e1d0ea2fbc59d97cb69a72a5495da75851976b14a1784ca90fc180e3"
PERSON = {"Timestamp": 0, "Person": {"Index": 0}}


@pytest.fixture
def store(make_site: Callable[..., Site]) -> Store:
    """Return a store in a bucket of one test's own."""
    site = make_site(tls=False)
    bucket = site.names.bucket
    site.aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return Store(site.aws("s3"), bucket, "vidsearch")


@pytest.fixture
def rekognition(recording: RecordingClients) -> Iterator[Stubber]:
    """Return a client of Rekognition that gives prepared answers only."""
    with Stubber(recording("rekognition")) as stub:
        yield stub
        stub.assert_no_pending_responses()


def answers(stub: Stubber, *pages: dict[str, Any] | str) -> None:
    """Prepare pages in order; text is the code of an error. Each is asked for with the token of the one before."""
    token = ""
    for page in pages:
        asked = {"JobId": JOB, "MaxResults": 1000, "SortBy": "INDEX", **({"NextToken": token} if token else {})}
        if isinstance(page, str):
            stub.add_client_error("get_face_search", page, expected_params=asked)
            token = ""
        else:
            stub.add_response("get_face_search", {"JobStatus": "SUCCEEDED", **page}, asked)
            token = page.get("NextToken", "")


def message(status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    video = {"S3ObjectName": "video.mp4", "S3Bucket": "bucket"}
    return {
        "JobId": JOB,
        "Status": status,
        "API": "StartFaceSearch",
        "JobTag": "t",
        "Timestamp": 1,
        "Video": video,
        **more,
    }


def by_sns(*messages: Any) -> dict[str, Any]:
    said = [text if isinstance(text, str) else json.dumps(text) for text in messages]
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": text}} for text in said]}


def by_queue(text: dict[str, Any], *, raw: bool) -> dict[str, Any]:
    body = json.dumps(text) if raw else json.dumps({"Type": "Notification", "Message": json.dumps(text)})
    return {"Records": [{"eventSource": "aws:sqs", "body": body}]}


def stored(store: Store, name: str) -> dict[str, Any] | None:
    return store.read(JOB, name)


def run(event: dict[str, Any], stub: Stubber, store: Store, context: Any = None) -> dict[str, Any]:
    return collect(event, stub.client, store, context)


class Clock:
    """Lambda's context with so many milliseconds left at each question."""

    def __init__(self, *left: int) -> None:
        self._left = list(left)

    def get_remaining_time_in_millis(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


# -- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [by_sns(message()), by_queue(message(), raw=True), by_queue(message(), raw=False)])
def test_a_completion_is_understood_however_it_comes(event: dict[str, Any]):
    found = completion(event["Records"][0])
    assert found is not None
    assert found["JobId"] == JOB


@pytest.mark.parametrize("api", ["StartFaceSearch", "FACE_SEARCH", "", None])
def test_the_operation_may_be_spelt_or_left_out(api: str | None):
    assert completion(by_sns(message(API=api))["Records"][0])


@pytest.mark.parametrize(
    "said",
    [
        "Hello from SNS!",
        json.dumps({"vidsearch-self-test": "abc"}),
        json.dumps([1]),
        json.dumps({"JobId": 7}),
        json.dumps({"JobId": ""}),
        json.dumps(message(API="StartLabelDetection")),
        json.dumps(message(API="LABEL_DETECTION")),
    ],
)
def test_other_messages_are_none_of_its_business(said: str, rekognition: Stubber, store: Store):
    assert run(by_sns(said), rekognition, store) == {"stored": []}
    assert stored(store, "done.json") is None


def test_events_of_other_programs_are_none_of_its_business(shared_data: Path, rekognition: Stubber, store: Store):
    events = sorted((shared_data / "aws_json" / "powertools" / "tests" / "events").glob("*.json"))
    assert events
    for path in events:
        assert run(json.loads(path.read_text()), rekognition, store) == {"stored": []}


def test_the_guides_own_message_is_understood(shared_data: Path):
    guide = json.loads((shared_data / "aws_json" / "guide_api-video__02.json").read_text())
    assert completion(by_sns(guide)["Records"][0]) is None  # it tells of labels
    assert completion(by_sns({**guide, "API": "StartFaceSearch"})["Records"][0])


# -- storing -------------------------------------------------------------------------------------------------------


def test_every_page_is_stored_and_done_last(rekognition: Stubber, store: Store):
    # An empty page is not the last, and an empty token is no token.
    answers(
        rekognition,
        {"Persons": [PERSON], "NextToken": "a"},
        {"Persons": [], "NextToken": "b"},
        {"Persons": [PERSON, PERSON], "NextToken": ""},
    )
    done = run(by_sns(message()), rekognition, store)["stored"]
    wanted = {
        "JobId": JOB,
        "Status": "SUCCEEDED",
        "Pages": 3,
        "API": "StartFaceSearch",
        "JobTag": "t",
        "StatusMessage": "",
    }
    assert done == [wanted]
    assert stored(store, "done.json") == wanted
    assert [len((stored(store, f"page-{n:05}.json") or {})["Persons"]) for n in (1, 2, 3)] == [1, 0, 2]
    assert "ResponseMetadata" not in (stored(store, "page-00001.json") or {})


def test_a_second_message_changes_nothing(rekognition: Stubber, store: Store):
    answers(rekognition, {"Persons": [PERSON]})
    first = run(by_sns(message(), message()), rekognition, store)["stored"]
    assert first[0] == first[1]
    assert run(by_queue(message(), raw=True), rekognition, store)["stored"] == [first[0]]


def test_a_token_that_ran_out_starts_again(rekognition: Stubber, store: Store):
    first = {"Persons": [PERSON], "NextToken": "old"}
    answers(rekognition, first, "InvalidPaginationTokenException", {**first, "NextToken": "new"}, {"Persons": []})
    assert run(by_sns(message()), rekognition, store)["stored"][0]["Pages"] == 2


def test_a_long_job_goes_on_where_it_stopped(rekognition: Stubber, store: Store):
    pages = [{"Persons": [PERSON], "NextToken": str(number)} for number in range(4)]
    answers(rekognition, *pages, {"Persons": [PERSON]})
    with pytest.raises(NotFinishedError, match="2 pages"):
        run(by_sns(message()), rekognition, store, Clock(100_000, 5_000))
    assert stored(store, "done.json") is None
    assert stored(store, "progress.json") == {"Pages": 2, "NextToken": "1"}
    assert run(by_sns(message()), rekognition, store, Clock(100_000))["stored"][0]["Pages"] == 5


@pytest.mark.parametrize("status", ["FAILED", "ERROR"])
def test_why_a_job_failed_is_stored(rekognition: Stubber, store: Store, status: str):
    told = {"JobStatus": "FAILED", "StatusMessage": "Unsupported codec/format."}
    rekognition.add_response("get_face_search", told, {"JobId": JOB, "MaxResults": 1})
    done = run(by_sns(message(status)), rekognition, store)["stored"][0]
    assert (done["Status"], done["Pages"], done["StatusMessage"]) == (status, 0, "Unsupported codec/format.")


def test_a_failed_job_that_is_unknown_by_now_is_stored_too(rekognition: Stubber, store: Store):
    rekognition.add_client_error("get_face_search", "ResourceNotFoundException", "Could not find JobId")
    assert run(by_sns(message("FAILED")), rekognition, store)["stored"][0]["StatusMessage"] == "Could not find JobId"


def test_a_job_that_is_not_over_is_called_for_again(rekognition: Stubber, store: Store):
    answers(rekognition, {"JobStatus": "IN_PROGRESS"})
    with pytest.raises(NotFinishedError):
        run(by_sns(message()), rekognition, store)
    assert stored(store, "done.json") is None


def test_other_errors_are_lambdas_to_try_again(rekognition: Stubber, store: Store):
    answers(rekognition, "AccessDeniedException")
    with pytest.raises(ClientError):
        run(by_sns(message()), rekognition, store)
    assert stored(store, "done.json") is None


def test_the_handler_makes_its_own_clients(monkeypatch: pytest.MonkeyPatch, store: Store, recording: RecordingClients):
    for name, value in (("BUCKET", store._bucket), ("PREFIX", "vidsearch")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lambda_handler.boto3, "client", lambda service, config: recording(service))
    with Stubber(recording("rekognition")) as stub:
        answers(stub, {"Persons": []})
        assert lambda_handler.handler(by_sns(message()))["stored"][0]["Pages"] == 1


# -- the archive ---------------------------------------------------------------------------------------------------


def test_the_archive_is_the_same_every_time_and_runs_by_itself():
    first = archive()
    assert first == archive()
    assert digest(first) == digest(archive())
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert packed.namelist() == ["index.py"]
        text = packed.read("index.py").decode()
    names: dict[str, Any] = {"__name__": "index"}
    exec(compile(text, "index.py", "exec"), names)
    assert callable(names["handler"])
    assert "vidsearch." not in "".join(line for line in text.splitlines() if line.startswith(("import", "from")))


# -- its provisioning ----------------------------------------------------------------------------------------------


def other_program() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        packed.writestr("index.py", "def handler(event, context): pass")
    return held.getvalue()


BREAKINGS: dict[str, Callable[[Site, Any], object]] = {
    "program": lambda site, client: client.update_function_code(
        FunctionName=site.names.function, ZipFile=other_program()
    ),
    "configuration": lambda site, client: client.update_function_configuration(
        FunctionName=site.names.function, Timeout=3, Environment={"Variables": {"BUCKET": "other"}}
    ),
    "gone": lambda site, client: client.delete_function(FunctionName=site.names.function),
    "nobody calls": lambda site, client: client.remove_permission(
        FunctionName=site.names.function, StatementId="topic"
    ),
    "others call": lambda site, client: client.add_permission(
        FunctionName=site.names.function, StatementId="x", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    ),
    "failures lost": lambda site, client: client.delete_function_event_invoke_config(
        FunctionName=site.names.function
    ),
    "tag": lambda site, client: client.untag_resource(Resource=site.names.function_arn, TagKeys=["team"]),
    "unsubscribed": lambda site, client: site.aws("sns").unsubscribe(
        SubscriptionArn=site.subscription(site.names.function_arn)
    ),
    "log kept for ever": lambda site, client: site.aws("logs").delete_retention_policy(
        logGroupName=site.names.log_group
    ),
    "log gone": lambda site, client: site.aws("logs").delete_log_group(logGroupName=site.names.log_group),
    "role's policy gone": lambda site, client: site.aws("iam").delete_role_policy(
        RoleName=site.names.function_role, PolicyName="store-results"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def function_site(recording: RecordingClients) -> Site:
    """Return a site with the function that tests break and repair."""
    from vidsearch.aws.provision.names import Options

    made = Site(Options("eu-west-1", prefix="calling", function=True, tags=(("team", "cctv"),)), recording)
    made.apply()
    return made


@pytest.mark.parametrize("break_it", BREAKINGS.values(), ids=BREAKINGS)
def test_what_drifted_is_found_and_repaired(function_site: Site, break_it: Callable[[Site, Any], object]):
    site = function_site
    break_it(site, site.aws("lambda"))
    site.apply()
    assert site.told
    assert site.left() == []


def test_fewer_tries_are_found(function_site: Site):
    client, name = function_site.aws("lambda"), {"FunctionName": function_site.names.function}
    client.delete_function_event_invoke_config(**name)
    client.put_function_event_invoke_config(**name, MaximumRetryAttempts=1)
    assert function_site.drifts() == ["it is not as planned"]
    # moto keeps the first configuration whatever is put later.
    client.delete_function_event_invoke_config(**name)
    function_site.apply()
    assert function_site.drifts() == []


def test_the_function_is_told_by_the_topic_and_stores_in_the_bucket(function_site: Site):
    found = function_site.aws("lambda").get_function(FunctionName=function_site.names.function)["Configuration"]
    assert found["CodeSha256"] == digest(archive())
    assert found["Environment"]["Variables"] == {"BUCKET": function_site.names.bucket, "PREFIX": "calling"}
    assert found["Handler"] == "index.handler"
    assert function_site.subscription(function_site.names.function_arn)
    assert function_site.subscription()
