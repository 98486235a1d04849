"""Invocation by a person or a schedule -> dead letters are applied once more. Ends before its time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

redriving = bootstrap.redriving()  # once an execution environment


@redriving.observability.handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Redrive what *event* wants: {"from": "dead-letters", "filter": ["reason=malformed"], "limit": 100}."""
    return redriving.run(event, context.get_remaining_time_in_millis)
