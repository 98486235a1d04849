"""Two regions' pipelines over real cache servers; and a consumer that stops at a chosen point, to be killed there.

    python -m tests.integration.programs.pipeline_regions HOME_URL PEER_URL NAMESPACE before-push|after-push|mid-batch

The consumer reads a stream event from standard input, applies it, says `here` at the point, and waits for its end.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from staleproof.providers.redis import Connections, RedisProvider
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.invalidation import Invalidator
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.replication.follow import JournalFollower
from staleproof_pipeline.replication.links import Shipment
from staleproof_pipeline.replication.packing import parcels
from staleproof_pipeline.replication.push import Pusher
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import dynamodb_streams, eventbridge
from staleproof_pipeline.translation import Translator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.replication.links import Link

HOME, PEER = "eu-west-1", "us-east-1"
RULES = """
version: 1
rules:
  - {name: flight, when: {table: Flights}, tags: ["flight:{keys.flight_id}"]}
"""
CHUNK = 10


def here() -> None:
    """Say that the point is reached, and wait for the end."""
    print("here", flush=True)
    signal.pause()


class PeerLink:
    """Hands records to the peer's pipeline in the shape that a bus carries."""

    name = "peer"

    def __init__(self, url: str, namespace: str) -> None:
        self._peer = invalidator(url, namespace, PEER, [])

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        """See `Link.send`."""
        events = [
            {
                "version": "0",
                "id": str(at),
                "source": eventbridge.SOURCE_NAME,
                "detail-type": eventbridge.DETAIL_TYPE,
                "region": HOME,
                "detail": json.loads(parcel.detail),
            }
            for at, parcel in enumerate(parcels(records, HOME))
        ]
        self._peer.apply(events, eventbridge.SOURCE).acknowledged()
        return Shipment([True] * len(records))


class StoppingLink:
    """Stops before it hands anything over, or after it handed everything over."""

    name = "peer"

    def __init__(self, inner: Link, point: str) -> None:
        self._inner, self._point = inner, point

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        """See `Link.send`."""
        if self._point == "before-push":
            here()
        shipment = self._inner.send(records)
        here()
        return shipment


class StoppingProvider(RedisProvider):
    """Stops after the first chunk of a batch was acknowledged."""

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        """See `Provider.invalidate`."""
        super().invalidate(invalidations)
        here()
        raise AssertionError


def invalidator(
    url: str, namespace: str, region: str, links: Sequence[Link], kind: type[RedisProvider] = RedisProvider
) -> Invalidator:
    """Return the pipeline of *region*."""
    connections = Connections(url)
    providers = Providers(lambda name: kind(connections, name))
    translator = Translator(loader.loads(RULES), region, namespace, peers={HOME, PEER} - {region})
    return Invalidator(
        translator, providers, MemoryDeadLetters(), Pusher(links, providers, region), chunk=CHUNK
    )


def follower(url: str, namespace: str, link: Link) -> JournalFollower:
    """Return the safety net of the home region."""
    connections = Connections(url)
    return JournalFollower(
        [link], Providers(lambda name: RedisProvider(connections, name)), [namespace], HOME
    )


def main(home_url: str, peer_url: str, namespace: str, point: str) -> None:
    """Apply the event on standard input, and stop at *point*."""
    event: dict[str, Any] = json.load(sys.stdin)
    link = PeerLink(peer_url, namespace)
    if point == "mid-batch":
        consumer = invalidator(home_url, namespace, HOME, [link], StoppingProvider)
    else:
        consumer = invalidator(home_url, namespace, HOME, [StoppingLink(link, point)])
    consumer.apply(event["Records"], dynamodb_streams.SOURCE)
    print("not stopped", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
