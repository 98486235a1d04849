"""A function invoked at a fixed rate, as an EventBridge schedule invokes it."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.emulator import ACCOUNT

if TYPE_CHECKING:
    import threading

    from local.configuration import Schedule
    from local.function_host import FunctionHost

logger = logging.getLogger(__name__)


class ScheduleDriver:
    """The schedule's thread. Runs never overlap; a missed start is not made up for."""

    def __init__(self, schedule: Schedule, host: FunctionHost) -> None:
        self._schedule = schedule
        self._host = host

    def run(self, stop: threading.Event) -> None:
        """Invoke the function every so many seconds, until *stop* is set."""
        due = time.monotonic()
        while not stop.wait(max(due - time.monotonic(), 0.0)):
            error = self._host.invoke(
                scheduled_event(self._host.function.region, self._schedule.function)
            ).error
            if error is not None and not stop.is_set():
                logger.warning("schedule of %s: %s: %s", self._schedule.function, error.type, error.message)
            due = max(due + self._schedule.every, time.monotonic())


def scheduled_event(region: str, function: str) -> dict[str, Any]:
    """Return the event that a schedule rule sends."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:{ACCOUNT}:rule/{function}"],
        "detail": {},
    }
