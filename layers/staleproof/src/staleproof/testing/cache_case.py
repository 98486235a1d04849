"""`CacheCase`: what the laws of a cache stand on: the cache under test, others on the same server, a source, time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from staleproof.cache.missing import MISSING
from staleproof.policies.policy import Policy
from staleproof.testing.abilities import Able
from staleproof.testing.blocking import Blocking, BlockingCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.clock import Clock

BOUND = 0.05
"""Seconds that a near copy may lag, where the laws are tried with a bound."""

PATIENCE = 10.0
"""Real seconds after which something that should happen has not."""

MakeCache: TypeAlias = "Callable[..., Any]"


class Source:
    """A source of truth that counts its reads and can change.

    Attributes:
        value: what it says now.
        loads: how often it was read.
        then: called in the middle of a read, once the value is known.
    """

    def __init__(self, value: Any = 1) -> None:
        self.value = value
        self.loads = 0
        self.then: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def load(self) -> Any:
        """Read it."""
        with self._lock:
            self.loads += 1
            value = self.value
        self.then()
        return value

    def load_many(self, keys: list[str]) -> dict[str, Any]:
        """Read it for many keys."""
        return dict.fromkeys(keys, self.load())


class CacheCase(Able):
    """The base of all laws of a cache. Fixtures to supply: `provider`, `clock` and `elapse`; see `CacheContract`."""

    @pytest.fixture(params=[None, 0.0, BOUND], ids=["plain", "checked", "bounded"])
    def staleness(self, request: pytest.FixtureRequest) -> float | None:
        """The bound of near copies, None without any; every law is tried with each."""
        bound: float | None = request.param
        return bound

    @pytest.fixture
    def make_cache(self, provider: Any, clock: Clock, staleness: float | None) -> Iterator[MakeCache]:
        """Makes caches over the provider, as blocking code sees them; its arguments are fields of the policy."""
        made = []

        def make(options: dict[str, Any] | None = None, **policy: Any) -> Any:
            cache = self.face(
                provider, clock, Policy(**{"staleness": staleness, **policy}), **(options or {})
            )
            made.append(cache)
            return cache

        yield make
        for cache in made:
            if isinstance(cache, BlockingCache):
                cache.settle()
            elif cache.driver.workers is not None:
                cache.driver.workers.close()

    @staticmethod
    def face(provider: Any, clock: Clock, policy: Policy, **options: Any) -> Any:
        """Return a cache over *provider*: an asyncio one, run from blocking code, if that is what *provider* is for."""
        if isinstance(provider, Blocking):
            from staleproof.faces.awaiting import AsyncCache  # noqa: PLC0415 - blocking suites load no asyncio face

            return BlockingCache(
                AsyncCache(provider.behind, policy=policy, clock=clock, **options), provider.portal
            )
        from staleproof.faces.blocking import Cache  # noqa: PLC0415

        return Cache(provider, policy=policy, clock=clock, **options)

    @pytest.fixture
    def here(self, make_cache: MakeCache) -> Any:
        """The cache under test."""
        return make_cache()

    @pytest.fixture
    def there(self, make_cache: MakeCache) -> Any:
        """Another cache on the same server, as another process has it."""
        return make_cache()

    @pytest.fixture
    def source(self) -> Source:
        """A source of truth."""
        return Source()

    @pytest.fixture
    def settle(self, elapse: Callable[[float], None], staleness: float | None) -> Callable[[], None]:
        """Lets the bound pass by which near copies may lag."""

        def settle() -> None:
            if staleness:
                elapse(1.2 * staleness)

        return settle

    @staticmethod
    def eventually(holds: Callable[[], object]) -> None:
        """Wait until *holds* returns something true: for what goes on in the background."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.002)

    @staticmethod
    def together(work: Callable[[int], Any], threads: int) -> list[Any]:
        """Do *work* in so many threads that begin at once; return what each returned or raised, in order."""
        gate = threading.Barrier(threads)
        outcomes: list[Any] = [MISSING] * threads

        def run(number: int) -> None:
            gate.wait(PATIENCE)
            try:
                outcomes[number] = work(number)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                outcomes[number] = error

        workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return outcomes
