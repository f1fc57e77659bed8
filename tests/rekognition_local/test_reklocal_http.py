"""The server as HTTP sees it: its own pages for tests, and who may ask."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.aws_stack import AwsPlace
from vidsearch.errors import ModelMissing, StoreError, UsageError
from vidsearch.rekognition_local.server import MAX_BODY, LocalRekognition, require_loopback

JSON = "application/x-amz-json-1.1"


def ask(
    aws: AwsPlace, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, JSON and headers."""
    host, port = aws.server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    kind = {} if data is None else {"Content-Type": JSON}
    connection.request(method, path, data, {**kind, **(headers or {})})
    answer = connection.getresponse()
    told = json.loads(answer.read()), dict(answer.getheaders())
    connection.close()
    return answer.status, *told


def call(operation: str) -> dict[str, str]:
    return {"X-Amz-Target": f"RekognitionService.{operation}"}


def test_an_answer_on_the_wire(aws: AwsPlace) -> None:
    status, body, headers = ask(aws, "POST", "/", {"CollectionId": "nobody"}, call("DescribeCollection"))
    assert status == 400
    assert body == {
        "__type": "ResourceNotFoundException",
        "Code": "ResourceNotFoundException",
        "Message": "The collection id: nobody does not exist",
    }
    assert headers["Content-Type"] == JSON
    assert len(headers["x-amzn-RequestId"]) == 36


@pytest.mark.parametrize(
    ("body", "target", "code"),
    [
        (b"{}", "RekognitionService.NoSuchThing", "UnknownOperationException"),
        (b"{}", "", "UnknownOperationException"),
        (b"{", "RekognitionService.ListCollections", "SerializationException"),
        (b"[]", "RekognitionService.ListCollections", "SerializationException"),
        (b"\xff\xfe", "RekognitionService.ListCollections", "SerializationException"),
    ],
)
def test_what_is_no_call(aws: AwsPlace, body: bytes, target: str, code: str) -> None:
    status, answer, _ = ask(aws, "POST", "/", body, {"X-Amz-Target": target})
    assert (status, answer["__type"]) == (400, code)


def test_faults_are_ordered_and_calls_are_told(aws: AwsPlace) -> None:
    status, told, _ = ask(aws, "POST", "/faults", {"throttle_every": {"ListCollections": 1}})
    assert status == 200
    assert told == ask(aws, "GET", "/faults")[1]
    assert ask(aws, "POST", "/", {}, call("ListCollections"))[0] == 400
    assert ask(aws, "POST", "/faults", {"nonsense": 1})[0] == 400
    assert ask(aws, "POST", "/faults", b"{")[0] == 400
    told = ask(aws, "GET", "/calls")[1]
    assert told == {
        "operations": {"ListCollections": 1},
        "errors": {"ProvisionedThroughputExceededException": 1},
        "starts": [],
        "bugs": [],
    }
    assert ask(aws, "DELETE", "/calls")[0] == 200
    assert ask(aws, "GET", "/calls")[1]["operations"] == {}
    assert ask(aws, "POST", "/faults", {})[0] == 200
    assert ask(aws, "POST", "/", {}, call("ListCollections"))[0] == 200


def test_a_bug_of_ours_is_a_500_and_told(aws: AwsPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = aws.server._service._operations
    monkeypatch.setitem(operations, "ListCollections", lambda _: {"CollectionIds": ["a b"], "Extra": 1})
    assert ask(aws, "POST", "/", {}, call("ListCollections"))[0] == 500
    monkeypatch.setitem(operations, "ListCollections", lambda _: {}["nothing"])
    assert ask(aws, "POST", "/", {}, call("ListCollections"))[0] == 500
    first, second = aws.server.calls.told()["bugs"]
    assert "Extra" in first
    assert "KeyError" in second
    aws.server.calls.clear()


def test_web_pages_of_others_cannot_ask(aws: AwsPlace) -> None:
    """A page that makes a browser call 127.0.0.1 under its own name, or without JSON's content type, gets nothing."""
    assert ask(aws, "GET", "/calls", headers={"Host": "evil.example:80"})[0] == 403
    assert ask(aws, "POST", "/faults", {}, {"Host": "evil.example"})[0] == 403
    form = "application/x-www-form-urlencoded"
    for kind in ("text/plain", form, f"{form};charset=UTF-8", "multipart/form-data; boundary=x"):
        assert ask(aws, "POST", "/faults", {}, {"Content-Type": kind})[0] == 403
    assert ask(aws, "POST", "/faults", {}, {"Origin": "https://evil.example"})[0] == 403
    assert ask(aws, "GET", "/calls", headers={"Origin": "null"})[0] == 403
    assert ask(aws, "DELETE", "/calls", headers={"Host": "evil.example"})[0] == 404
    assert ask(aws, "GET", "/calls", headers={"Host": "localhost:1"})[0] == 200


def test_other_places_are_empty(aws: AwsPlace) -> None:
    assert ask(aws, "GET", "/")[0] == 404
    assert ask(aws, "POST", "/elsewhere", {})[0] == 404
    assert ask(aws, "DELETE", "/")[0] == 404


def test_a_body_must_say_its_length(aws: AwsPlace) -> None:
    assert ask(aws, "POST", "/", None, {"Content-Length": str(MAX_BODY + 1)})[0] == 413
    host, port = aws.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 411 ")


def test_only_this_machine_is_served(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"):
        require_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""):
        with pytest.raises(UsageError):
            require_loopback(host)
    with pytest.raises(UsageError):
        LocalRekognition(tmp_path, tmp_path, host="0.0.0.0")
    assert list(tmp_path.iterdir()) == []


def test_what_keeps_it_from_starting(aws: AwsPlace, models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        LocalRekognition(tmp_path / "a", tmp_path / "no-models", clients=aws.clients)
    port = int(aws.server.url.rsplit(":", 1)[1])
    with pytest.raises(UsageError, match="--port"):
        LocalRekognition(tmp_path / "b", models, clients=aws.clients, port=port)
    with pytest.raises(StoreError, match="in use by another"):
        LocalRekognition(aws.stack.folder, models, clients=aws.clients)
