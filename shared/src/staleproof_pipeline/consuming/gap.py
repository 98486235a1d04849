"""Gaps: changes that were lost before anybody read them, and cannot be named. Whatever they made stale must go (P6).

A gap clears every namespace that the rules name, here and, by the links, in the peers: a cache without a past is slow
for a while, one with a wrong past is wrong for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK
from staleproof.events import Cause, Invalidation
from staleproof.events.invalidation import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.feed import Gap
    from staleproof_pipeline.providers import Providers
    from staleproof_pipeline.replication.push import Pusher
    from staleproof_pipeline.translation import Translator


class GapKeeper:
    """Makes up for gaps.

    Args:
        translator: knows which namespaces are followed here.
        providers: the cache server's namespaces.
        pusher: hands what was applied to the links.
        clock: the source of time.
    """

    def __init__(
        self, translator: Translator, providers: Providers, pusher: Pusher, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._translator = translator
        self._providers = providers
        self._pusher = pusher
        self._clock = clock

    def close(self, gaps: Sequence[Gap], source: str) -> None:
        """Clear all namespaces, with *gaps* of *source* for a cause.

        Raises:
            ProviderUnavailableError: the cache cannot be reached; the gap is still open, so try again.
        """
        told = "; ".join(each.told for each in gaps)[:512]
        for namespace in sorted(self._translator.namespaces):
            cleared = Invalidation(
                id=new_id(),
                origin=self._translator.region,
                namespace=namespace,
                clear=True,
                at_ms=int(self._clock.wall() * 1_000),
                cause=Cause(source=f"gap:{source}", position=told),
            )
            (place,) = self._providers.get(namespace).invalidate([cleared])
            self._pusher.push([(namespace, place, cleared)])
