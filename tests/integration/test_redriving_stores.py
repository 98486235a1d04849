"""Letters, and what is put off, on a real server; batches of a real broker; and the command over them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer
from redis import Redis

from local.conditions import wait_until
from local.kafka_broker import KafkaBroker
from local.supervisor import Supervisor
from staleproof.cli.program import Program
from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ConfigurationError
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline import bootstrap, dead_letter_stream
from staleproof_pipeline.cli.redrive import command
from staleproof_pipeline.consuming import opening
from staleproof_pipeline.consuming.deferral_feed import DeferralFeed
from staleproof_pipeline.dead_letter import assemble, bodies
from staleproof_pipeline.dead_letter_stream import FIELD, DeadLetterStream
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from staleproof_pipeline.sources.redis_stream import SOURCE as ENTRIES
from staleproof_pipeline.worker.process import Worker
from tests.unit.change_records import poison, record
from tests.unit.test_redriving import letter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.redis

RULES = """
version: 1
rules:
  - {name: flight, when: {table: Flights}, tags: ["flight:{keys.flight_id}"], delay: 50ms}
  - {name: board, when: {source: application, entity: board}, tags: ["board:{keys.id}"]}
"""


@pytest.fixture
def settings(valkey_url: str, fresh_namespace: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A deployment without SQS, and its environment."""
    given = {
        "cache_url": valkey_url,
        "namespace": fresh_namespace,
        "region": "eu-west-1",
        "rules_text": RULES,
        "dead_letter_stream": f"{fresh_namespace}-letters",
        "deferral_set": f"{fresh_namespace}-deferred",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"STALEPROOF_{name.upper()}", value)
    return Settings.model_validate(given)


@pytest.fixture
def server(valkey_url: str) -> Iterator[Redis]:
    with Redis.from_url(valkey_url) as client:
        yield client


def kept(server: Redis, settings: Settings) -> list[Any]:
    entries: Any = server.xrange(settings.dead_letter_stream)
    return [assemble([fields[FIELD].decode()]) for _, fields in entries]


def tags(settings: Settings) -> list[str]:
    provider = RedisProvider.from_url(settings.cache_url, namespace=settings.namespace)
    try:
        page = provider.journal("", 1_000)
        return [tag for _, each in page.records if each is not None for tag in each.tags]
    finally:
        provider.close()


def redrive(*arguments: str) -> tuple[Result, dict[str, Any]]:
    program = Program("staleproof", commands={"redrive": command})
    result = CliRunner().invoke(program, ["redrive", *arguments, "--json"])
    return result, json.loads(result.stdout) if result.stdout else {}


def test_a_stream_keeps_letters_until_they_are_redriven(settings: Settings, server: Redis) -> None:
    """A deployment without SQS buries in a stream; the command applies what is mended, and counts what is not."""
    pipeline = bootstrap.pipeline(settings)
    report = pipeline.invalidator.apply([poison(1), poison(2)], SOURCE)
    assert report.counts()["dead_lettered"] == 2
    good = DeadLetterStream(
        lambda: dead_letter_stream.line(settings.letters_url, 1.0, settings.dead_letter_stream),
        settings.dead_letter_stream.encode(),
    )
    assert good.store(
        [letter(record(3)), letter({"stream": "s", "id": "1-0", "fields": {}}, ENTRIES.name)]
    ) == [
        None,
        None,
    ]

    result, told = redrive("--dry-run")
    assert (result.exit_code, told["applied"], told["ignored"], told["again"]) == (1, 1, 1, 2)
    assert len(kept(server, settings)) == 4
    result, told = redrive("--filter", "contains=event-3", "--filter", "contains=event-2")
    assert (result.exit_code, told["applied"], told["again"], told["passed"]) == (1, 1, 1, 2)
    assert sorted(each.attempts for each in kept(server, settings)) == [1, 1, 2]
    assert tags(settings) == ["flight:f3"]
    address = f"{settings.cache_url}?stream={settings.dead_letter_stream}"
    _, told = redrive("--from", address, "--filter", "source=redis-stream")
    assert told["from"].startswith("redis://")


def test_a_stream_that_is_away_or_another_kind_is_told(settings: Settings, server: Redis) -> None:
    """A letter that is not stored says so, so that its record stays in its source."""
    server.set(settings.dead_letter_stream, "a text")
    report = bootstrap.pipeline(settings).invalidator.apply([poison(1)], SOURCE)
    assert isinstance(report.failure(), DeliveryError)
    server.delete(settings.dead_letter_stream)
    away = DeadLetterStream(lambda: dead_letter_stream.line("redis://127.0.0.1:1/0", 0.2, "s"), b"s")
    (error,) = away.store([letter(record(1))])
    assert "STALEPROOF_DEAD_LETTER_STREAM" in str(error)
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        dead_letter_stream.line("memory://", 1.0, "s")


def test_the_command_redrives_a_file(settings: Settings, tmp_path: Path) -> None:
    """Exit codes and counts say what is left; the table names what stays."""
    path = tmp_path / "letters.ndjson"
    path.write_text(
        "".join(f"{body}\n" for each in (letter(record(1)), letter(poison(2))) for body in bodies(each))
    )
    program = Program("staleproof", commands={"redrive": command})

    shown = CliRunner().invoke(program, ["redrive", "--from", str(path), "--dry-run"])
    assert (shown.exit_code, "flight:f1" in shown.stdout, "would be" in shown.stderr) == (1, True, True)
    result, told = redrive("--from", str(path), "--rate", "500", "--limit", "1")
    assert (result.exit_code, told["applied"], told["again"]) == (0, 1, 0)
    result, told = redrive("--from", str(path))
    assert (result.exit_code, told["again"], told["letters"][0]["fate"]) == (1, 1, "again")
    result, _ = redrive("--from", str(path), "--filter", "nonsense")
    assert (result.exit_code, "write NAME=VALUE" in result.stderr) == (2, True)
    assert tags(settings) == ["flight:f1"]


def test_a_worker_applies_what_was_put_off(settings: Settings, server: Redis) -> None:
    """The second edge of a rule with a delay lies on the server before the first is done, and falls when it is due."""
    pipeline = bootstrap.pipeline(settings)
    assert pipeline.invalidator.apply([record(1)], SOURCE).failure() is None
    assert (tags(settings), server.zcard(settings.deferral_set)) == (["flight:f1"], 1)

    until = time.monotonic() + 20
    while server.zcard(settings.deferral_set) and time.monotonic() < until:
        feed = opening.stream_feed(
            settings.model_copy(update={"stream": f"{settings.namespace}-s"}), SYSTEM_CLOCK
        )
        late = DeferralFeed(bootstrap.deferral_set(settings))  # as by a worker that was started anew
        Worker(bootstrap.pipeline(settings), feed, late=late).run(until_idle=True)
    assert (tags(settings), server.zcard(settings.deferral_set)) == (["flight:f1", "flight:f1"], 0)


def test_what_somebody_else_put_among_what_was_put_off_kills_no_worker(
    settings: Settings, server: Redis
) -> None:
    """It goes to the dead letter, once, and what is due beside it is applied."""
    members = [b"\xff\xfe", b"", b"{}", b"[" * 5_000, b'{"id": "\\ud800"}']
    server.zadd(settings.deferral_set, dict.fromkeys(members, 1))
    late = DeferralFeed(bootstrap.deferral_set(settings))
    feed = opening.stream_feed(
        settings.model_copy(update={"stream": f"{settings.namespace}-s"}), SYSTEM_CLOCK
    )
    Worker(bootstrap.pipeline(settings), feed, late=late).run(until_idle=True)

    assert server.zcard(settings.deferral_set) == 0
    assert len(kept(server, settings)) == len(members)


def test_a_redriving_that_is_killed_loses_nothing(settings: Settings, server: Redis) -> None:
    """SIGKILL in the middle: every letter is applied or still there, and the next run applies what is."""
    made = DeadLetterStream(
        lambda: dead_letter_stream.line(settings.letters_url, 1.0, settings.dead_letter_stream),
        settings.dead_letter_stream.encode(),
    )
    letters = [letter(record(number)) for number in range(200)]
    assert made.store(letters) == [None] * 200
    arguments = [sys.executable, "-m", "staleproof.cli", "redrive", "--rate", "150", "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: len(kept(server, settings)) < 190, "some letters are redriven")
        process.kill()
    left = {each.payload["eventID"].replace("event-", "flight:f") for each in kept(server, settings)}
    assert 0 < len(left) < 190
    assert left | set(tags(settings)) == {f"flight:f{number}" for number in range(200)}
    _, told = redrive()
    assert (told["applied"], kept(server, settings)) == (len(left), [])
    assert set(tags(settings)) == {f"flight:f{number}" for number in range(200)}


# --- Kafka --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with Supervisor() as owner:
        server = KafkaBroker(owner)
        server.start()
        yield server


def test_a_batch_of_kafka_is_read_again(settings: Settings, broker: KafkaBroker, tmp_path: Path) -> None:
    """By its offsets, from the broker that the metadata or the command names; what the topic has not is told."""
    topic = f"changes-{secrets.token_hex(6)}"
    producer = KafkaProducer(bootstrap_servers=broker.server)
    for number in range(6):
        message = {"staleproof": "change", "schema": 1, "id": f"i{number}", "entity": "board"}
        told = {**message, "operation": "modify", "keys": {"id": number}}
        producer.send(topic, json.dumps(told).encode(), partition=0)
    producer.close()

    def batch(first: int, last: int, **fields: Any) -> str:
        records = {f"{topic}-0": {"firstRecordOffset": str(first), "lastRecordOffset": str(last)}}
        info = {"batchSize": last - first + 1, "eventSourceArn": "arn", "recordsInfo": records, **fields}
        return json.dumps({"version": "1.0", "KafkaBatchInfo": info})

    path = tmp_path / "undelivered.ndjson"
    path.write_text(f"{batch(1, 3, bootstrapServers=broker.server)}\n{batch(5, 9)}\n")
    result, told = redrive("--from", str(path), "--bootstrap", broker.server)
    assert (result.exit_code, told["applied"], told["trimmed"]) == (1, 1, 1)
    assert tags(settings) == ["board:1", "board:2", "board:3"]
    assert len(path.read_text().splitlines()) == 1
