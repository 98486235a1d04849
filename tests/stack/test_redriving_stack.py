"""Redriving with AWS's own APIs, as the emulator has them: the metadata of lost batches, and their streams."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from staleproof.cli.program import Program
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline.cli.redrive import command
from staleproof_pipeline.dead_letter import bodies
from tests.unit.change_records import poison, record
from tests.unit.letter_account import undelivered
from tests.unit.test_redriving import letter

if TYPE_CHECKING:
    from local.emulator import Emulator
    from local.valkey import Valkey

HOME = "eu-west-1"
RULES = """
version: 1
rules:
  - {name: flight, when: {table: "*lights*"}, tags: ["flight:{keys.flight_id}"]}
"""
pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def namespace(emulator: Emulator, cache_server: Valkey, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of the command, which is told where AWS is as a process of a user is."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    for each in ("AWS_PROFILE", "LOCALSTACK_HOST", "EDGE_PORT", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(each, raising=False)
    values = {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "NO_PROXY": "127.0.0.1",
        "STALEPROOF_CACHE_URL": cache_server.url,
        "STALEPROOF_NAMESPACE": name,
        "STALEPROOF_REGION": HOME,
        "STALEPROOF_RULES_TEXT": RULES,
    }
    for each, value in values.items():
        monkeypatch.setenv(each, value)
    return name


def redrive(*arguments: str) -> dict[str, Any]:
    program = Program("staleproof", commands={"redrive": command})
    result = CliRunner().invoke(program, ["redrive", "--json", *arguments])
    assert result.stdout, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["stopped"] is None
    return told


def tags(server: Valkey, namespace: str) -> list[str]:
    provider = RedisProvider.from_url(server.url, namespace=namespace)
    try:
        page = provider.journal("", 1_000)
        return [tag for _, each in page.records if each is not None for tag in each.tags]
    finally:
        provider.close()


def depth(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(told[name]) for name in names)


def test_a_lost_batch_of_a_table_is_read_from_its_stream(
    emulator: Emulator, cache_server: Valkey, namespace: str
) -> None:
    """The queue has metadata only; the records come from the shard, and the message goes when they are applied."""
    dynamodb, streams, sqs = (emulator.client(each, HOME) for each in ("dynamodb", "dynamodbstreams", "sqs"))
    table = f"flights-{uuid.uuid4().hex[:8]}"
    arn = dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "flight_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "flight_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]
    for number in range(6):
        dynamodb.put_item(TableName=table, Item={"flight_id": {"S": f"f{number}"}})
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    records = streams.get_records(ShardIterator=streams.get_shard_iterator(**where)["ShardIterator"])[
        "Records"
    ]
    numbers = [each["dynamodb"]["SequenceNumber"] for each in records]

    url = sqs.create_queue(QueueName=f"undelivered-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    told = undelivered("DDBStream", arn, 0, 0, 3)
    told["DDBStreamBatchInfo"] |= {
        "shardId": shard["ShardId"],
        "startSequenceNumber": numbers[2],
        "endSequenceNumber": numbers[4],
    }
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(told))
    sqs.send_message(QueueUrl=url, MessageBody=bodies(letter(poison(9)))[0])

    assert redrive("--from", url, "--dry-run")["applied"] == 1
    assert (depth(sqs, url), tags(cache_server, namespace)) == (2, [])
    found = redrive("--from", url)
    assert (found["applied"], found["again"]) == (1, 1)
    assert tags(cache_server, namespace) == ["flight:f2", "flight:f3", "flight:f4"]
    (left,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
    assert json.loads(left["Body"])["attempts"] == 2
    assert left["MessageId"]


def test_undelivered_batches_are_read_from_their_bucket(
    emulator: Emulator, cache_server: Valkey, namespace: str
) -> None:
    """Every object is one batch with its records; what is applied is deleted."""
    s3 = emulator.client("s3", HOME)
    bucket = f"undelivered-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
    for number in range(3):
        event = {"Records": [record(number), *([poison(9)] if number == 1 else [])]}
        told = {**undelivered("DDBStream", "arn", 1, 2, 2), "payload": json.dumps(event)}
        s3.put_object(Bucket=bucket, Key=f"aws/lambda/{number}", Body=json.dumps(told).encode())

    found = redrive("--from", f"s3://{bucket}/aws/lambda/")
    assert (found["applied"], found["again"]) == (2, 1)
    assert tags(cache_server, namespace) == ["flight:f0", "flight:f1", "flight:f2"]
    (left,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert left["Key"].startswith("aws/lambda/redriven/")
