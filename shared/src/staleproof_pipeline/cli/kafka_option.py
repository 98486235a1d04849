"""The option `--kafka-schemas` of commands that read events from files."""

from __future__ import annotations

from pathlib import Path

import click

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
