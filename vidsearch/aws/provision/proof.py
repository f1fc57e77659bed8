"""A test message through topic and queue: the way that every completion will take."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from vidsearch.aws.provision.messages import Queue
from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import act
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsRefused

MARK = "vidsearch-self-test"
ROUNDS = 5
"""Messages sent before giving up. SNS drops what a queue's policy does not let in yet, and a change of policy takes up
to a minute, so one message is not enough."""

ROUND_S = 20


def prove(aws: Clients, names: Names, *, clock: Callable[[], float] = time.monotonic) -> float:
    """Send a message to the topic, receive exactly it from the queue, and return how many seconds it took.

    Other messages are given back as they were. Raises AwsRefused where it does not arrive.
    """
    url = str(Queue().url(aws, names))
    begun = clock()
    nonces: set[str] = set()
    others: list[str] = []
    try:
        for _ in range(ROUNDS):
            nonces.add(_send(aws, names))
            until = clock() + ROUND_S
            while clock() <= until:
                if _receive(aws, url, nonces, others):
                    return clock() - begun
    finally:
        _give_back(aws, url, others)
    raise AwsRefused(
        f"a test message to {names.topic} did not arrive in {names.queue} within {ROUNDS * ROUND_S} s: run the same "
        "command again; should it fail again, look for a service control policy that forbids sns or sqs"
    )


def _send(aws: Clients, names: Names) -> str:
    nonce = secrets.token_hex(16)
    message = json.dumps({MARK: nonce})
    act("send a test message", aws("sns").publish, TopicArn=names.topic_arn, Message=message)
    return nonce


def _receive(aws: Clients, url: str, nonces: set[str], others: list[str]) -> bool:
    """Receive once, delete our test messages, hold the others, and return whether one of ours was there."""
    sqs = aws("sqs")
    receive = sqs.receive_message
    answer = act("receive the test message", receive, QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
    arrived = False
    for message in answer.get("Messages", []):
        nonce = _nonce(message["Body"])
        if nonce is None:
            others.append(message["ReceiptHandle"])
        else:
            # Also one of an earlier run that came too late for it: nobody else waits for those.
            delete = sqs.delete_message
            act("delete the test message", delete, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            arrived = arrived or nonce in nonces
    return arrived


def _give_back(aws: Clients, url: str, others: list[str]) -> None:
    """Show held messages to others again. Held until now, or they would be received again and again."""
    for receipt in others:
        with suppress(AwsRefused):  # it became visible by itself in the meantime
            show = aws("sqs").change_message_visibility
            act("give a message back", show, QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)


def _nonce(body: str) -> str | None:
    """Return the nonce of a test message, enveloped or raw, or None for any other message."""
    message = _parsed(body)
    if message.get("Type") == "Notification":
        message = _parsed(message.get("Message"))
    nonce = message.get(MARK)
    return nonce if isinstance(nonce, str) else None


def _parsed(said: Any) -> dict[str, Any]:
    try:
        value = json.loads(said)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
