"""A function that returns its event, and what its context says."""

import os
from typing import Any


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the event and the context."""
    return {"event": event, "name": context.function_name, "request_id": context.aws_request_id,
            "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
            "remaining": context.get_remaining_time_in_millis(), "pid": os.getpid()}  # fmt: skip


def environ(event: Any, context: Any) -> dict[str, str]:
    """Return the environment variables."""
    return dict(os.environ)
