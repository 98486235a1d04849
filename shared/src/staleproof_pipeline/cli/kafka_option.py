"""What commands are told of Kafka: `--kafka-schemas` for events from files, `--kafka-config` for its client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from staleproof.errors import ConfigurationError
from staleproof_pipeline import kafka_reading
from staleproof_pipeline.sources.kafka import PLAIN, Reading

kafka_schemas = click.option(
    "--kafka-schemas",
    type=click.Path(exists=True, path_type=Path),
    help="File or folder of Avro schemas by topic, as STALEPROOF_KAFKA_SCHEMAS names it for the pipeline.",
)
"""Gives a command the argument `kafka_schemas`."""


def reading_of(path: Path | None) -> Reading:
    """Return how records of Kafka are read by the schemas at *path*.

    Raises:
        ConfigurationError: a schema there is wrong.
    """
    return PLAIN if path is None else Reading(kafka_reading.of_path(path))


def client_options(path: Path | None) -> dict[str, Any]:
    """Return the options of Kafka's client in the JSON file at *path*, which `--kafka-config` names.

    Raises:
        ConfigurationError: it holds no JSON object.
    """
    if path is None:
        return {}
    try:
        options = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigurationError(f"--kafka-config {path}: {error}; write a JSON object") from error
    if not isinstance(options, dict):
        raise ConfigurationError(f"--kafka-config {path}: it holds no JSON object")
    return options
