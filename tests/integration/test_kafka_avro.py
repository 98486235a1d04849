"""A broker, Avro of a registry's schemas, and the worker that reads it: no registry is asked, and nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer

from local.kafka_broker import KafkaBroker
from local.supervisor import Supervisor
from staleproof.cli.program import program
from staleproof.providers.redis import RedisProvider
from tests.unit.avro_records import KEY, PRODUCT, SCHEMAS, framed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow]

RULES = "version: 1\nrules: [{name: a, when: {source: kafka, table: 'products-*'}, tags: ['product:{id}']}]"


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with Supervisor() as owner:
        made = KafkaBroker(owner)
        made.start()
        yield made


def test_the_worker_reads_avro_and_redrives_what_it_could_not(
    broker: KafkaBroker, valkey_url: str, fresh_namespace: str, tmp_path: Path
) -> None:
    """Without the schema a record is a dead letter; with it, redriving and the worker make the right invalidations."""
    topic, letters = f"products-{fresh_namespace}", f"letters-{fresh_namespace}"
    schemas = tmp_path / "schemas.json"
    schemas.write_text(json.dumps({name.replace("products", topic): each for name, each in SCHEMAS.items()}))
    environ = {
        "STALEPROOF_CACHE_URL": valkey_url,
        "STALEPROOF_NAMESPACE": fresh_namespace,
        "STALEPROOF_REGION": "eu-west-1",
        "STALEPROOF_RULES_TEXT": RULES,
        "STALEPROOF_DEAD_LETTER_STREAM": letters,
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    known = {**environ, "STALEPROOF_KAFKA_SCHEMAS": str(schemas)}
    producer: Any = KafkaProducer(bootstrap_servers=[broker.server])
    work = [
        "worker",
        "--source",
        "kafka",
        "--bootstrap",
        broker.server,
        "--topic",
        topic,
        "--group",
        fresh_namespace,
    ]
    work += ["--health", "none", "--json", "--until-idle"]

    def sent(*products: str, gone: bool = False) -> None:
        for each in products:
            value = None if gone else framed(PRODUCT, {"id": each, "price": 5})
            producer.send(topic, key=framed(KEY, {"id": each}), value=value)
        producer.flush()

    def ran(arguments: list[str], environ: dict[str, str]) -> str:
        done = CliRunner().invoke(program, arguments, env=environ)
        assert done.exit_code == 0, done.output
        return done.stdout

    def worked(environ: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ran(work, environ).splitlines()[-1])  # log lines come before
        return found

    sent("a1", "a2")
    assert worked(environ)["dead_lettered"] == 2
    assert json.loads(ran(["redrive", "--json"], known))["applied"] == 2
    sent("a3")
    sent("a4", gone=True)
    assert worked(known)["applied"] == 2
    producer.close()

    provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
    try:
        page = provider.journal("", 1_000)
    finally:
        provider.close()
    assert {tag for _, each in page.records if each for tag in each.tags} == {
        f"product:a{n}" for n in (1, 2, 3, 4)
    }
