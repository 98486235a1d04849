"""Kafka topic, of MSK or self-managed -> invalidation. The response names the records to deliver again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from staleproof_pipeline.batch import Response

pipeline = bootstrap.pipeline()  # once an execution environment


@pipeline.observability.handler
def handler(event: dict[str, Any], context: LambdaContext) -> Response:  # noqa: ARG001
    """Apply a batch of any number of partitions."""
    return pipeline.apply_kafka(event)
