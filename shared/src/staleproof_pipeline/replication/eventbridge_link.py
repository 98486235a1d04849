"""The link over EventBridge: records go to the bus of this region, whose rules carry them to the peers.

Once the bus took an entry, its delivery to each peer is EventBridge's, with the rule's retries and dead letter. So one
link serves every peer, and a peer that is away holds up nobody. The bus answers entry by entry: only
those that it refused are sent again, a few times and with growing pauses, and then left to the follower.
A bus that does not answer at all is not asked again for the rest: the change that waits behind has a deadline.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from staleproof_pipeline.replication.links import Shipment
from staleproof_pipeline.replication.packing import Parcel, parcels, requests
from staleproof_pipeline.sources.eventbridge import DETAIL_TYPE, SOURCE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.events import Invalidation

PAUSES = (0.05, 0.2)
"""Seconds before the second and the third attempt."""


class EventBridgeLink:
    """Ships over a bus.

    Args:
        client: makes the EventBridge client when the first record goes.
        bus: name or ARN of the bus in this region.
        region: this region, the origin of what is shipped.
        pauses: seconds before each further attempt.
        sleep: waits.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        bus: str,
        region: str,
        *,
        pauses: Sequence[float] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = f"eventbridge:{bus}"
        self._make_client = client
        self._client: Any = None
        self._bus = bus
        self._region = region
        self._pauses = pauses
        self._sleep = sleep

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        """See `Link.send`."""
        waiting = list(requests(parcels(records, self._region)))
        refused: list[Parcel] = []
        reason = ""
        for at, request in enumerate(waiting):
            try:
                rest, error = self._persist(request)
            except (BotoCoreError, ClientError) as away:
                reason = f"{away}; check STALEPROOF_BUS and events:PutEvents"
                refused += [parcel for each in waiting[at:] for parcel in each]
                break
            refused += rest
            reason = reason or error
        missed = {number for parcel in refused for number in parcel.numbers}
        return Shipment([number not in missed for number in range(len(records))], reason)

    def _persist(self, request: list[Parcel]) -> tuple[list[Parcel], str]:
        """Put *request*, and again what was refused of it; return what stays refused, and why."""
        refused, error = self._put(request)
        for pause in self._pauses:
            if not refused:
                break
            self._sleep(pause)
            refused, error = self._put(refused)
        return refused, error

    def _put(self, request: list[Parcel]) -> tuple[list[Parcel], str]:
        entries = [
            {
                "EventBusName": self._bus,
                "Source": SOURCE_NAME,
                "DetailType": DETAIL_TYPE,
                "Detail": parcel.detail,
            }
            for parcel in request
        ]
        self._client = self._client or self._make_client()
        answers = self._client.put_events(Entries=entries)["Entries"]
        refused = [
            (parcel, each) for parcel, each in zip(request, answers, strict=True) if "ErrorCode" in each
        ]
        reason = f"{refused[0][1]['ErrorCode']}: {refused[0][1].get('ErrorMessage', '')}" if refused else ""
        return [parcel for parcel, _ in refused], reason
