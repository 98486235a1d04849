"""Support for tests: of applications that cache, of providers of one's own, and of what happens when servers fail.

For an application's tests (with pytest the fixtures of `staleproof.testing.plugin` do most of this):

* `replaced(cache)`: within, a cache works in memory, on a clock that the test moves;
* `off(cache)`: within, nothing is cached;
* `assert_loads(1, cache)`, `recorded(cache)`: what the code under test loaded, and what it invalidated.

A provider of your own proves itself with a few lines::

    class TestMine(ProviderContract, FollowerContract):
        @pytest.fixture
        def provider(self): ...
        @pytest.fixture
        def evict(self, provider): ...
        @pytest.fixture
        def elapse(self): ...

and a whole cache over it with `CacheContract`, its data structures with `StructuresContract`; a publisher does with
`PublisherContract`. `ChaosProvider` fails on purpose, the same way for the same seed.

Names are resolved at first use: nobody pays for what a test does not use.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.clock import ManualClock
    from staleproof.testing.async_chaos_provider import AsyncChaosProvider
    from staleproof.testing.blocking import Blocking, BlockingCache
    from staleproof.testing.cache_contract import CacheContract
    from staleproof.testing.chaos import Chaos, Faults, Injected
    from staleproof.testing.chaos_provider import ChaosProvider
    from staleproof.testing.follower_contract import FollowerContract
    from staleproof.testing.operations_contract import OperationsContract
    from staleproof.testing.prompt_workers import PromptWorkers, refreshed
    from staleproof.testing.provider_contract import ProviderContract
    from staleproof.testing.publisher_contract import PublisherContract
    from staleproof.testing.replacing import Replacement, replaced
    from staleproof.testing.structures_contract import StructuresContract
    from staleproof.testing.switching import off
    from staleproof.testing.watching import Invalidations, assert_loads, recorded

_HOMES = {
    "AsyncChaosProvider": "testing.async_chaos_provider",
    "Blocking": "testing.blocking",
    "BlockingCache": "testing.blocking",
    "CacheContract": "testing.cache_contract",
    "Chaos": "testing.chaos",
    "ChaosProvider": "testing.chaos_provider",
    "Faults": "testing.chaos",
    "FollowerContract": "testing.follower_contract",
    "Injected": "testing.chaos",
    "Invalidations": "testing.watching",
    "ManualClock": "clock",
    "OperationsContract": "testing.operations_contract",
    "PromptWorkers": "testing.prompt_workers",
    "ProviderContract": "testing.provider_contract",
    "PublisherContract": "testing.publisher_contract",
    "Replacement": "testing.replacing",
    "StructuresContract": "testing.structures_contract",
    "assert_loads": "testing.watching",
    "off": "testing.switching",
    "recorded": "testing.watching",
    "refreshed": "testing.prompt_workers",
    "replaced": "testing.replacing",
}

__all__ = [
    "AsyncChaosProvider",
    "Blocking",
    "BlockingCache",
    "CacheContract",
    "Chaos",
    "ChaosProvider",
    "Faults",
    "FollowerContract",
    "Injected",
    "Invalidations",
    "ManualClock",
    "OperationsContract",
    "PromptWorkers",
    "ProviderContract",
    "PublisherContract",
    "Replacement",
    "StructuresContract",
    "assert_loads",
    "off",
    "recorded",
    "refreshed",
    "replaced",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use, like everything here

    value: object = getattr(import_module(f"staleproof.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
