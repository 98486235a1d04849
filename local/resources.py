"""What a stack makes in the emulator: tables with streams, a bus, queues, and the rules between them.

The names are the same in every region, as a deployed stack's are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.emulator import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.emulator import Emulator

BUS = "staleproof"
DEAD_LETTER_QUEUE = "staleproof-dead-letter"
UNDELIVERED_QUEUE = "staleproof-undelivered"


class Resources:
    """Makes resources of one region."""

    def __init__(self, emulator: Emulator, region: str) -> None:
        self._dynamodb = emulator.client("dynamodb", region)
        self._events = emulator.client("events", region)
        self._sqs = emulator.client("sqs", region)
        self._region = region

    def bus(self) -> str:
        """Make the region's event bus; return its name."""
        self._events.create_event_bus(Name=BUS)
        return BUS

    def queue(self, name: str) -> str:
        """Make a standard queue; return its URL."""
        return str(self._sqs.create_queue(QueueName=name)["QueueUrl"])

    def table(self, arguments: Mapping[str, Any]) -> str:
        """Make a table with a stream of old and new images; return the stream's ARN.

        Args:
            arguments: of `CreateTable`; billing on demand and the stream are added.
        """
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        made = self._dynamodb.create_table(
            **{"BillingMode": "PAY_PER_REQUEST", **arguments, "StreamSpecification": stream}
        )
        return str(made["TableDescription"]["LatestStreamArn"])

    def subscription(self, name: str, pattern: Mapping[str, Any]) -> str:
        """Send events of the bus that match *pattern* to a queue called *name*; return the queue's URL."""
        url = self.queue(name)
        self._events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": f"arn:aws:sqs:{self._region}:{ACCOUNT}:{name}"}
        self._events.put_targets(Rule=name, EventBusName=BUS, Targets=[target])
        return url
