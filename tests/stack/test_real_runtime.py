"""The functions inside of AWS's own runtime client: loading, JSON, errors and their types are the real ones."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from local.function_host import Function
from local.runtime_api import RealRuntime
from staleproof.providers.redis import RedisProvider
from tests.unit.change_records import sample

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow]

RULES = "version: 1\nrules:\n  - {name: flight, when: {table: Flights}, tags: ['flight:{flight_id}']}\n"
DONE: dict[str, list[Any]] = {"batchItemFailures": []}
PUBLISHED = {"staleproof": "invalidate", "schema": 1, "id": "p1", "tags": ["t"], "keys": []}
TEXT = json.dumps(PUBLISHED)
DATA = base64.b64encode(TEXT.encode()).decode()


def runtime(name: str, url: str, namespace: str, folder: Path, **more: str) -> RealRuntime:
    environ = {
        "STALEPROOF_CACHE_URL": url,
        "STALEPROOF_NAMESPACE": namespace,
        "STALEPROOF_RULES_TEXT": RULES,
        "STALEPROOF_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/queue",
        "POWERTOOLS_SERVICE_NAME": name,
        "POWERTOOLS_TRACE_DISABLED": "true",
        **more,
    }
    function = Function(
        name=name, handler=f"functions.{name}.app.handler", region="eu-west-1", environ=environ, timeout=6.0
    )
    return RealRuntime(function, folder / "runtime.log")


def journaled(url: str, namespace: str) -> int:
    provider = RedisProvider.from_url(url, namespace=namespace)
    try:
        return len([each for _, each in provider.journal("", 1_000).records if each and each.origin])
    finally:
        provider.close()


QUEUED = {
    "messageId": "m",
    "body": TEXT,
    "attributes": {},
    "eventSource": "aws:sqs",
    "eventSourceARN": "a:b:q",
}
LOGGED = {
    "topic": "t",
    "partition": 0,
    "offset": 1,
    "timestamp": 0,
    "key": None,
    "value": DATA,
    "headers": [],
}


@pytest.mark.parametrize(
    ("name", "event", "answer"),
    [
        ("invalidate_from_table", sample("dynamodb-modify"), DONE),
        ("invalidate_from_queue", {"Records": [QUEUED]}, DONE),
        ("invalidate_from_kafka", {"records": {"t-0": [LOGGED]}}, DONE),
        ("invalidate_from_bus", PUBLISHED, {"applied": 1, "ignored": 0, "dead_lettered": 0, "failed": 0}),
    ],
)
def test_a_function_runs_in_the_real_runtime(
    valkey_url: str, fresh_namespace: str, tmp_path: Path, name: str, event: Any, answer: Any
) -> None:
    """It loads, applies, and answers what Lambda would be told; a second event finds it warm."""
    with runtime(name, valkey_url, fresh_namespace, tmp_path) as function:
        assert function.invoke(event) == ("response", answer)
        assert function.invoke(event) == ("response", answer)
    assert journaled(valkey_url, fresh_namespace) == 2


def test_a_stream_is_drained_in_the_real_runtime(
    valkey_url: str, fresh_namespace: str, tmp_path: Path
) -> None:
    """The time that is left is the real context's."""
    with Redis.from_url(valkey_url) as client:
        client.xadd(fresh_namespace, {"m": TEXT})
    with runtime(
        "drain_redis_stream", valkey_url, fresh_namespace, tmp_path, STALEPROOF_STREAM=fresh_namespace
    ) as function:
        kind, body = function.invoke({})

    assert (kind, body["applied"], body["failed"]) == ("response", 1, 0)


def test_a_failure_has_its_real_type(fresh_namespace: str, tmp_path: Path) -> None:
    """Lambda is told the class of our error and where it happened; a batch is answered, not raised."""
    away = "redis://127.0.0.1:1/0"
    with runtime("invalidate_from_bus", away, fresh_namespace, tmp_path) as function:
        kind, body = function.invoke(PUBLISHED)
    assert (kind, body["errorType"]) == ("error", "ProviderUnavailableError")
    with runtime("invalidate_from_queue", away, fresh_namespace, tmp_path) as function:
        answer = function.invoke({"Records": [QUEUED]})
    assert answer == ("response", {"batchItemFailures": [{"itemIdentifier": "m"}]})


def test_a_wrong_setting_fails_the_initialisation(fresh_namespace: str, tmp_path: Path) -> None:
    """Before any record is taken, with the variable's name."""
    with runtime("invalidate_from_queue", "nonsense", fresh_namespace, tmp_path) as function:
        kind, body = function.invoke({"Records": []})

    assert kind == "init"
    assert "STALEPROOF_CACHE_URL" in body["errorMessage"]
