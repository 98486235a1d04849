"""EventBridge, SNS, S3 or a direct call -> invalidation. A raise sends it to Lambda's retries and dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

pipeline = bootstrap.pipeline()  # once an execution environment


@pipeline.observability.handler
def handler(event: Any, context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Apply what an application, a bucket or a topic announces, or invalidations of another region."""
    return pipeline.apply_event(event)
