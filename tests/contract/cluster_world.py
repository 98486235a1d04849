"""What keeps a cluster or a pair on the move while a contract is run over it."""

from __future__ import annotations

import itertools
import random
import threading
from typing import TYPE_CHECKING, Any

from staleproof.errors import ProviderUnavailableError
from staleproof.keys import Keyspace
from staleproof.providers.redis.slots import slot_of
from staleproof.tags import ROOT
from staleproof.testing.examples import A, B

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.valkey_cluster import ValkeyCluster, ValkeyPair
    from tests.integration.proxy import Proxy

TRIES = 50


class Mover:
    """Does something again and again in a thread of its own, until `stop`; what goes wrong is raised there."""

    def __init__(self, move: Callable[[Callable[[float], object]], object]) -> None:
        self.moves = 0
        self._move = move
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._move(self._stopped.wait)
                self.moves += 1
        except BaseException as error:  # noqa: BLE001 - it is raised by `stop`
            self._error = error

    def stop(self) -> None:
        """End after the move that is under way."""
        self._stopped.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


def reshape(cluster: ValkeyCluster, namespace: str) -> Mover:
    """Move the slots of what the contract touches, and of others, from primary to primary, with rests in mid-move."""
    keys = Keyspace(namespace)
    names = [
        *(keys.guard, keys.journal, keys.followers, keys.entry("key"), keys.entry("short")),
        *(name(tag) for tag in (ROOT, A, B) for name in (keys.version, keys.min_version)),
    ]
    slots = itertools.cycle(dict.fromkeys(map(slot_of, names)))
    chance = random.Random(namespace)
    targets = itertools.cycle(cluster.primaries)

    def move(rest: Callable[[float], object]) -> None:
        slot = next(slots) if chance.random() < 0.8 else chance.randrange(16_384)
        cluster.move(slot, next(targets), meanwhile=lambda: rest(0.004))

    return Mover(move)


def promote(pair: ValkeyPair, name: Proxy) -> Mover:
    """Hand over from node to node, and have the name follow."""

    def move(rest: Callable[[float], object]) -> None:
        pair.hand_over()
        name.target = pair.primary.port
        rest(0.1)

    return Mover(move)


class Persistent:
    """A provider whose every call is repeated while it is unavailable, as the errors' texts say."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.repeated = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._provider, name)
        if name.startswith("_") or not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            for _ in range(TRIES - 1):
                try:
                    return value(*args, **kwargs)
                except ProviderUnavailableError:
                    self.repeated += 1
            return value(*args, **kwargs)

        return call
