"""Publishing to AWS's own APIs, as the emulator has them: both faces, to who reads from there."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from staleproof import publishers
from staleproof.events import Change, Invalidate
from staleproof.events.change import decode
from staleproof.publishers import outbox_item, outbox_table

if TYPE_CHECKING:
    from local.emulator import Emulator

HOME = "eu-west-1"
pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is told where AWS is as a process of a user is: by the environment."""
    for name in ("AWS_PROFILE", "LOCALSTACK_HOST", "EDGE_PORT", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    values = {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    for name, value in {**values, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)


def send(url: str, messages: list[Any], *, face: str) -> list[Any]:
    """Publish *messages* from one of the faces."""
    if face == "blocking":
        with publishers.of(url) as publisher:
            return publisher.publish(*messages)

    async def sent() -> list[Any]:
        async with publishers.async_of(url) as publisher:
            return await publisher.publish(*messages)

    return asyncio.run(sent())


def messages() -> list[Any]:
    changes = [Change.now("product", "modify", keys={"id": number}, new={"n": 1.5}) for number in range(32)]
    return [*changes, Invalidate.now("catalog", keys=["product:1"])]


@pytest.mark.parametrize("face", ["blocking", "awaiting"])
def test_a_bus_delivers_what_was_published(emulator: Emulator, face: str) -> None:
    """A rule for applications' events, as the pipeline has it, finds every message; the detail is the message."""
    events, sqs = emulator.client("events", HOME), emulator.client("sqs", HOME)
    name = f"bus-{uuid.uuid4().hex[:8]}"
    events.create_event_bus(Name=name)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": [{"anything-but": ["staleproof"]}]})
    events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])

    sent = messages()
    receipts = send(f"eventbridge://{name}?region={HOME}", sent, face=face)
    found: dict[str, Any] = {}

    def arrived() -> bool:
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            message = decode(json.dumps(json.loads(each["Body"])["detail"]))
            found[message.id] = message
        return len(found) >= len(sent)

    wait_until(arrived, "every message is in the queue")
    assert [receipt.id for receipt in receipts] == [each.id for each in sent]
    assert len({receipt.place for receipt in receipts}) == len(sent)
    assert found == {each.id: each for each in sent}


@pytest.mark.parametrize("face", ["blocking", "awaiting"])
def test_an_outboxs_stream_tells_what_was_put(emulator: Emulator, face: str) -> None:
    """What was put, alone or in a transaction beside a row, is in the stream of the table, each message as it was."""
    dynamodb, streams = emulator.client("dynamodb", HOME), emulator.client("dynamodbstreams", HOME)
    table = f"outbox-{uuid.uuid4().hex[:8]}"
    stream = dynamodb.create_table(**outbox_table(table))["TableDescription"]["LatestStreamArn"]

    sent = messages()
    send(f"dynamodb://{table}?region={HOME}", sent, face=face)
    beside = Change.now("order", "insert", keys={"id": 7})
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": outbox_item(beside)}}])

    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    wanted = {"StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**wanted)["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    told = [decode(record["dynamodb"]["NewImage"]["message"]["S"]) for record in records]
    assert {each.id: each for each in told} == {each.id: each for each in [*sent, beside]}
    assert len(records) == len(sent) + 1


def test_a_local_stack_is_reached_by_its_own_variables(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without AWS's variable, LocalStack's lead there, and need no credentials."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCALSTACK_HOST", f"127.0.0.1:{emulator.port}")
    assert send(f"eventbridge://default?region={HOME}", [Invalidate.now("a")], face="blocking")[0].taken
    assert send(f"eventbridge://default?region={HOME}", [Invalidate.now("a")], face="awaiting")[0].taken
