"""The fast path: what was just applied goes to every link at once.

It may fail: the journal has the records, and the follower ships those that are not marked as pushed. A failure
here is told and forgotten; it never fails the change, which is applied in this region.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from staleproof.errors import ProviderError
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.replication.links import Shipment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.ports import JournalId
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.providers import Providers
    from staleproof_pipeline.replication.links import Link

Placed = tuple[str, "JournalId", "Invalidation"]
"""An applied part: its namespace, its place in the journal, and itself."""


class Pusher:
    """Hands applied records of this region's own origin to the links.

    Args:
        links: the ways to the peers; none if there are no peers.
        providers: whose journals note what was pushed.
        region: the origin that is shipped.
        observer: hears how it went.
    """

    def __init__(
        self, links: Sequence[Link], providers: Providers, region: str, *, observer: Observer | None = None
    ) -> None:
        self._links = links
        self._providers = providers
        self._region = region
        self._observer: Observer = observer or NullObserver()
        self._registered: set[tuple[str, str]] = set()

    def push(self, applied: Sequence[Placed]) -> None:
        """Ship those of *applied* that began here; raises nothing for links and journals."""
        own = [each for each in applied if each[2].origin == self._region]
        if not own:
            return
        for link in self._links:
            shipment = _sent(link, [part for _, _, part in own])
            delivered = [each for each, done in zip(own, shipment.delivered, strict=True) if done]
            error = self._note(link, own, delivered) or shipment.error
            self._observer.shipped(link.name, len(delivered), len(own) - len(delivered), error)

    def _note(self, link: Link, own: Sequence[Placed], delivered: Sequence[Placed]) -> str:
        """Mark what was delivered; if that fails the follower ships it a second time, harmlessly."""
        places: dict[str, list[JournalId]] = defaultdict(list)
        for namespace, place, _ in delivered:
            places[namespace].append(place)
        try:
            for namespace in {namespace for namespace, _, _ in own}:
                self._register(link, namespace)
                self._providers.get(namespace).pushed(link.name, places[namespace])
        except ProviderError as error:
            return f"pushed, but not noted: {error}"
        except Exception as error:  # noqa: BLE001 - the change is applied: nothing that comes after may fail it
            return f"pushed, but not noted: {type(error).__name__}"
        return ""

    def _register(self, link: Link, namespace: str) -> None:
        """Make the journal hold what *link* owes, even if its follower has never run."""
        if (link.name, namespace) not in self._registered:
            self._providers.get(namespace).undelivered(link.name, 1)
            self._registered.add((link.name, namespace))


def _sent(link: Link, records: Sequence[Invalidation]) -> Shipment:
    """Hand *records* to *link*; a link that raises, which it must not, took nothing."""
    try:
        return link.send(records)
    except Exception as error:  # noqa: BLE001 - the change is applied: the follower ships it again
        return Shipment([False] * len(records), f"the link raised {type(error).__name__}; report it")
