"""Schedule -> replication. Ships from the journal what was not pushed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

replication = bootstrap.replication()  # once an execution environment


@replication.observability.handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Follow the journal until little of the invocation's time is left."""
    return replication.run(context.get_remaining_time_in_millis())
