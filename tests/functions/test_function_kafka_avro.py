"""The function for Kafka, and the one that redrives, with Avro that only names its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from staleproof.errors import ConfigurationError
from tests.unit.avro_records import SCHEMAS, event, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.functions.conftest import Deployed

pytestmark = pytest.mark.redis

RULES = "version: 1\nrules: [{name: a, when: {source: kafka, table: products}, tags: ['product:{id}']}]"


@pytest.fixture
def schemas(environ: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that the function's environment names."""
    path = tmp_path / "schemas.json"
    path.write_text(json.dumps(SCHEMAS))
    environ.setenv("STALEPROOF_RULES_TEXT", RULES)
    environ.setenv("STALEPROOF_KAFKA_SCHEMAS", str(path))
    return path


@pytest.mark.usefixtures("schemas")
def test_avro_becomes_invalidations(deploy: Callable[[str], Deployed]) -> None:
    """Of rows, and of tombstones; a record that the schema does not read is a dead letter, and nothing else is."""
    deployed = deploy("invalidate_from_kafka")
    broken = {**record(3, "x"), "value": "AAAAAAf/"}

    done = deployed.invoke(event(record(1, "a1"), record(2, "a2", gone=True), broken, record(4, "a4")))

    assert done == {"batchItemFailures": []}
    fallen = {tag for each in deployed.journal() for tag in each.tags}
    assert fallen == {"product:a1", "product:a2", "product:a4"}
    assert [each.reason for each in deployed.dead_letters.letters] == ["malformed"]


@pytest.mark.usefixtures("schemas")
def test_whole_events_of_others_are_read_alike(deploy: Callable[[str], Deployed]) -> None:
    """What a pipe, or a person, hands to the function of the bus is read by the same schemas."""
    deployed = deploy("invalidate_from_bus")

    deployed.invoke(event(record(1, "a1")))

    assert [each.tags for each in deployed.journal()] == [("product:a1",)]


def test_without_schemas_it_is_a_dead_letter(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch, schemas: Path
) -> None:
    """It says what is missing; the next cold start has what the setting names then."""
    environ.setenv("STALEPROOF_KAFKA_SCHEMAS", "")
    deployed = deploy("invalidate_from_kafka")

    assert deployed.invoke(event(record(1, "a1"))) == {"batchItemFailures": []}
    (letter,) = deployed.dead_letters.letters
    assert letter.reason == "unsupported-format"
    assert "schema 7 of a registry" in letter.error

    environ.setenv("STALEPROOF_KAFKA_SCHEMAS", str(schemas))
    assert deploy("invalidate_from_kafka").module.pipeline.reading.schemas.keys() == SCHEMAS.keys()


def test_a_wrong_schema_stops_the_cold_start(deploy: Callable[[str], Deployed], schemas: Path) -> None:
    """Before a record is taken, by the file and the subject."""
    schemas.write_text('{"products-value": {"type": "recrd"}}')

    with pytest.raises(ConfigurationError, match=r"schemas\.json: products-value: 'recrd' is no type"):
        deploy("invalidate_from_kafka")
