"""Schedule -> Redis stream -> invalidation. Reads a consumer group until little of the invocation's time is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

drain = bootstrap.drain()  # once an execution environment


@drain.observability.handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Apply what is there, and what comes while there is time; nothing is acknowledged before it is applied."""
    return drain.run(context.get_remaining_time_in_millis)
