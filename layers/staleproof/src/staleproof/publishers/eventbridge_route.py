"""Messages as EventBridge takes them: entries, their sizes, and what the bus answers. Pure.

`PutEvents` takes 10 entries. The bytes that count are those of source, detail-type, detail and resources, and 14 for a
time. An entry may have 1 MiB, and a request as much; buses that take only 256 KiB are still about, so entries are put
together up to that, and a larger one goes alone.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError, OversizedEventError
from staleproof.events.change import Change, Message, encode
from staleproof.publishers.aws_failures import verdict
from staleproof.publishers.delivery import Limits, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_ENTRIES = 10
MAX_TOGETHER = 262_144
MAX_ENTRY = 1_048_576
TIME_BYTES = 14
SOURCE = "staleproof.application"
"""Not `staleproof`, under which regions tell each other what they have applied already."""

DETAIL_TYPES = {"change": "Staleproof Change", "invalidate": "Staleproof Invalidate"}
_TRACE_HEADER = re.compile(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}[\w;=.-]*")
_BUS = re.compile(r"(?:arn:[\w-]+:events:[\w-]+:\d+:event-bus/)?[/.\-\w]+")
LONGEST_BUS = 1_600


class EventBridgeRoute:
    """From messages to entries of one bus.

    Args:
        bus: name or ARN of the bus.
        source: the entries' source.
        resources: what the entries are about, as rules may match it: ARNs, for instance.

    Raises:
        ConfigurationError: the bus cannot be called so, or the source is not an application's.
    """

    limits = Limits(MAX_ENTRIES, MAX_TOGETHER)

    def __init__(self, bus: str, source: str = SOURCE, resources: Sequence[str] = ()) -> None:
        if not bus or len(bus) > LONGEST_BUS or not _BUS.fullmatch(bus):
            raise ConfigurationError(
                f"bus={bus!r:.80} is no name or ARN of an event bus; write eventbridge://NAME"
            )
        if not source or source == "staleproof" or source.startswith("aws."):
            raise ConfigurationError(
                f"source={source!r} is not an application's; write one such as 'shop.orders'"
            )
        self.where = f"bus {bus!r}"
        self._fixed: dict[str, Any] = {"EventBusName": bus, "Source": source}
        if resources:
            self._fixed["Resources"] = list(resources)

    def pack(self, message: Message) -> tuple[dict[str, Any], int]:
        """Return the entry of *message*, and its size in bytes.

        Raises:
            OversizedEventError: the bus takes none of this size.
        """
        kind = DETAIL_TYPES["change" if isinstance(message, Change) else "invalidate"]
        entry = {**self._fixed, "DetailType": kind, "Detail": encode(message).decode()}
        if isinstance(message, Change) and message.changed_ms:
            entry["Time"] = message.changed_ms / 1_000
        if _TRACE_HEADER.fullmatch(message.trace):
            entry["TraceHeader"] = message.trace
        size = entry_size(entry)
        if size > MAX_ENTRY:
            raise OversizedEventError(
                f"{self.where} takes entries of {MAX_ENTRY} bytes, and this one has {size}: name keys, and leave old "
                "and new out"
            )
        return entry, size

    def verdicts(self, answer: Mapping[str, Any]) -> list[Verdict]:
        """Return what the bus says of each entry, in their order."""
        return [self._verdict(each) for each in answer.get("Entries") or ()]

    def _verdict(self, told: Mapping[str, Any]) -> Verdict:
        if told.get("ErrorCode"):
            return verdict(str(told["ErrorCode"]), str(told.get("ErrorMessage", "")), self.where)
        return Verdict(place=str(told.get("EventId", "")))


def entry_size(entry: Mapping[str, Any]) -> int:
    """Return how many bytes of *entry* count, as EventBridge counts them."""
    texts = [entry["Source"], entry["DetailType"], entry["Detail"], *entry.get("Resources", ())]
    return sum(len(text.encode()) for text in texts) + (TIME_BYTES if "Time" in entry else 0)
