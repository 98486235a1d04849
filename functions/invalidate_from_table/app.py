"""DynamoDB stream -> invalidation. The response names the records to deliver again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

pipeline = bootstrap.pipeline()  # once an execution environment


@pipeline.observability.handler
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:  # noqa: ARG001
    """Apply a batch."""
    return pipeline.apply_stream(event)
