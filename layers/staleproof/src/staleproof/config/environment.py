"""The environment as a source of settings: `STALEPROOF_*` variables, and the region that AWS sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.config.given import Given, Layer
from staleproof.config.table import PREFIX, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSEWHERE = frozenset(
    {
        "rules",
        "rules_text",
        "rules_interval",
        "dead_letter_queue_url",
        "dead_letter_stream",
        "dead_letter_stream_url",
        "deferral_set",
        "purge_rate",
        "clear_rate",
        "batch_budget",
        "undelivered_queue_url",
        "undelivered_bucket",
        "deferral_queue_url",
        "stream",
        "stream_url",
        "stream_group",
        "stream_idle",
        "kafka_tombstones",
        "kafka_schemas",
        "peers",
        "bus",
        "journal_horizon",
        "driver_log",
        "examples",
    }
)
"""What the pipeline and the project's own tools read under the same prefix, in the same environment or stage."""


def read(environ: Mapping[str, str]) -> Layer:
    """Return what the variables give. An empty one is not set: templates cannot leave one out."""
    layer: Layer = {}
    for name, value in environ.items():
        if name.startswith(PREFIX) and value:
            path = path_of(name)
            if path not in ELSEWHERE:
                layer[path] = Given(value, f"environment {name}")
    return layer


def ambient(environ: Mapping[str, str]) -> Layer:
    """Return what others have set for everybody, which any source of ours goes before."""
    region = environ.get("AWS_REGION")
    return {"region": Given(region, "environment AWS_REGION")} if region else {}
