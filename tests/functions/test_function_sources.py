"""The functions for queues, Kafka, Kinesis, topics, buckets and Redis streams, as Lambda loads and calls them."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from local.execution_environment import LambdaContext
from staleproof.errors import ProviderUnavailableError
from staleproof.events.invalidation import encode
from tests.unit.change_records import HOME, invalidation, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Deployed

pytestmark = pytest.mark.redis

DONE: dict[str, list[Any]] = {"batchItemFailures": []}
PUBLISHED = {"staleproof": "invalidate", "schema": 1, "id": "p1", "tags": ["flight:f1"], "keys": []}


def queued(body: Any, arn: str = "arn:aws:sqs:eu-west-1:123456789012:changes") -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "messageId": "m1",
        "body": text,
        "attributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
    }


def noticed(message: Any) -> dict[str, Any]:
    told = {"Type": "Notification", "MessageId": "n1", "Message": json.dumps(message)}
    told["TopicArn"] = "arn:aws:sns:eu-west-1:123456789012:changes"
    return {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": told}


def in_kafka(document: Any) -> dict[str, Any]:
    value = base64.b64encode(json.dumps(document).encode()).decode()
    record = {"topic": "changes", "partition": 0, "offset": 5, "timestamp": 0, "key": None, "value": value}
    return {"eventSource": "aws:kafka", "records": {"changes-0": [record]}}


def in_kinesis(document: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(document).encode()).decode()
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes"
    told = {"partitionKey": "k", "sequenceNumber": "1", "data": data}
    return {
        "Records": [{"kinesis": told, "eventSource": "aws:kinesis", "eventID": "s:1", "eventSourceARN": arn}]
    }


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("invalidate_from_queue", {"Records": [queued(PUBLISHED)]}),
        ("invalidate_from_queue", {"Records": [queued(noticed(PUBLISHED)["Sns"])]}),
        ("invalidate_from_queue", {"Records": [queued({"Records": [noticed(PUBLISHED)]})]}),
        ("invalidate_from_kafka", in_kafka(PUBLISHED)),
        ("invalidate_from_table", in_kinesis(PUBLISHED)),
    ],
    ids=["queue", "topic-in-queue", "records-in-queue", "kafka", "kinesis"],
)
def test_a_batch_is_applied_and_answered(
    deploy: Callable[[str], Deployed], function: str, event: Any
) -> None:
    """Whatever carries a message, it is applied, journaled and handed to the peers, and nothing comes again."""
    deployed = deploy(function)

    assert deployed.invoke(event) == DONE
    (applied,) = deployed.journal()
    assert (applied.id, applied.tags) == ("p1", ("flight:f1",))
    assert [each.id for each in deployed.link.records] == ["p1"]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"Records": [noticed(PUBLISHED)]}, "applied"),
        (PUBLISHED, "applied"),
        ([PUBLISHED], "applied"),
        ({"Records": [queued(PUBLISHED)]}, "applied"),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, "ignored"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "dead_lettered"),
        ({"Records": [5]}, "dead_lettered"),
        (5, "dead_lettered"),
    ],
    ids=["topic", "direct", "list", "by-hand", "bucket-test", "bad-bucket", "number", "no-event"],
)
def test_an_asynchronous_invocation(deploy: Callable[[str], Deployed], event: Any, outcome: str) -> None:
    """The function of the bus takes topics, buckets and direct calls as well; each record has an outcome."""
    deployed = deploy("invalidate_from_bus")

    answer = deployed.invoke(event)

    assert {name for name, count in answer.items() if count} == {outcome}
    assert len(deployed.dead_letters.letters) == (outcome == "dead_lettered")


def test_an_empty_invocation_does_nothing(deploy: Callable[[str], Deployed]) -> None:
    """No records, no outcomes, no error."""
    assert sum(deploy("invalidate_from_bus").invoke({"Records": []}).values()) == 0
    assert deploy("invalidate_from_queue").invoke({"Records": []}) == DONE
    assert deploy("invalidate_from_kafka").invoke({"records": {}}) == DONE


def test_an_invocation_is_raised_after_the_rest_was_buried(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch
) -> None:
    """What failed makes AWS invoke again; poison beside it lies in the dead letter already."""
    environ.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")
    deployed = deploy("invalidate_from_bus")

    with pytest.raises(ProviderUnavailableError):
        deployed.invoke({"Records": [{"eventSource": "aws:s3"}, noticed(PUBLISHED)]})
    assert len(deployed.dead_letters.letters) == 1


@pytest.mark.parametrize(
    ("function", "event", "name"),
    [
        ("invalidate_from_queue", {"Records": [queued(PUBLISHED)]}, "m1"),
        ("invalidate_from_kafka", in_kafka(PUBLISHED), {"partition": "changes-0", "offset": 5}),
        ("invalidate_from_table", in_kinesis(PUBLISHED), "1"),
    ],
)
def test_a_cache_that_is_away_makes_batches_come_again(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch, function: str, event: Any, name: Any
) -> None:
    """By the names that AWS reads."""
    environ.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")

    assert deploy(function).invoke(event) == {"batchItemFailures": [{"itemIdentifier": name}]}


def test_what_was_put_off_is_applied_when_it_is_due(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch, fresh_namespace: str
) -> None:
    """Messages of the deferral queue are invalidations of this region, and of no other queue."""
    environ.setenv(
        "STALEPROOF_DEFERRAL_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/put-off"
    )
    deployed = deploy("invalidate_from_queue")
    body = {**json.loads(encode(invalidation(1, origin=HOME))), "namespace": fresh_namespace}

    arn = "arn:aws:sqs:eu-west-1:123456789012:put-off"
    assert deployed.invoke({"Records": [queued(body, arn)]}) == DONE
    assert [each.id for each in deployed.journal()] == ["i1"]
    deployed.invoke({"Records": [queued(body)]})
    assert len(deployed.journal()) == 1


def test_kinesis_and_dynamodb_share_a_function(deploy: Callable[[str], Deployed]) -> None:
    """Each batch is read as what it is."""
    deployed = deploy("invalidate_from_table")

    assert deployed.invoke(in_kinesis(PUBLISHED)) == DONE
    assert deployed.invoke(sample("dynamodb-modify")) == DONE
    assert len(deployed.journal()) == 2


# --- the stream that is drained -----------------------------------------------------------------------------------


@pytest.fixture
def stream(environ: pytest.MonkeyPatch, fresh_namespace: str) -> str:
    name = f"changes-{fresh_namespace}"
    environ.setenv("STALEPROOF_STREAM", name)
    environ.setenv("STALEPROOF_STREAM_IDLE", "50ms")
    return name


def drained(deployed: Deployed, seconds: float) -> Any:
    """Call the handler with so many seconds beyond what it leaves."""
    context = LambdaContext(
        "r", "arn:aws:lambda:eu-west-1:123456789012:function:f", time.monotonic() + seconds + 3
    )
    return deployed.module.handler({}, context)


def test_a_stream_is_drained_while_there_is_time(
    deploy: Callable[[str], Deployed], stream: str, valkey_url: str
) -> None:
    """Everything there is gets applied and acknowledged; poison lies in the dead letter; then the run ends."""
    with Redis.from_url(valkey_url) as client:
        for number in range(20):
            client.xadd(stream, {"m": json.dumps({**PUBLISHED, "id": f"p{number}"})})
        client.xadd(stream, {"m": "{"})
        deployed = deploy("drain_redis_stream")
        began = time.monotonic()

        done = drained(deployed, 0.5)

        assert time.monotonic() - began < 3
        assert (done["applied"], done["dead_lettered"]) == (20, 1)
        assert {each.id for each in deployed.journal()} == {f"p{number}" for number in range(20)}
        (group,) = client.xinfo_groups(stream)
        assert (group["pending"], group["lag"]) == (0, 0)


def test_a_drain_without_time_takes_nothing(
    deploy: Callable[[str], Deployed], stream: str, valkey_url: str
) -> None:
    """What it cannot finish it does not begin."""
    with Redis.from_url(valkey_url) as client:
        client.xadd(stream, {"m": json.dumps(PUBLISHED)})

        assert sum(drained(deploy("drain_redis_stream"), -2).values()) == 0
        assert client.xlen(stream) == 1


def test_a_drain_tells_an_outage(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch, stream: str, valkey_url: str
) -> None:
    """While the cache is away nothing is acknowledged, and the run fails visibly; the next one does it."""
    with Redis.from_url(valkey_url) as client:
        client.xadd(stream, {"m": json.dumps(PUBLISHED)})
        environ.setenv("STALEPROOF_STREAM_URL", valkey_url)
        with environ.context() as away:
            away.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")
            with pytest.raises(ProviderUnavailableError):
                drained(deploy("drain_redis_stream"), 0.3)
        assert client.xinfo_groups(stream)[0]["pending"] == 1

        assert drained(deploy("drain_redis_stream"), 0.5)["applied"] == 1
        assert client.xinfo_groups(stream)[0]["pending"] == 0
