"""`CacheContract`: the laws of a whole cache over one provider, as a suite that any provider can inherit.

Fixtures to supply:

* `provider`: a fresh provider whose namespace is empty; an asyncio one as `Blocking(provider)`;
* `clock`: the clock by which its server lives: `staleproof.clock.SYSTEM_CLOCK`, or the `ManualClock` that it was given;
* `elapse`: a function that lets some seconds pass for both: `time.sleep`, or the clock's `advance`.

So a third party's provider is proven with the fixtures that it has for `ProviderContract`, and a clock::

    class TestMyCache(CacheContract):
        @pytest.fixture
        def provider(self): ...
        @pytest.fixture
        def clock(self): return SYSTEM_CLOCK
        @pytest.fixture
        def elapse(self): return time.sleep

Every law is tried without a near cache, with one that asks the journal at every read, and with one that may lag. What
your server cannot do is said in `lacks` and `finest`: see `staleproof.testing.abilities`.
"""

from __future__ import annotations

from staleproof.testing.flight_contract import FlightContract
from staleproof.testing.freshness_contract import FreshnessContract
from staleproof.testing.function_contract import FunctionContract
from staleproof.testing.life_contract import LifeContract
from staleproof.testing.near_contract import NearContract
from staleproof.testing.several_contract import SeveralContract
from staleproof.testing.values_contract import ValuesContract


class CacheContract(
    ValuesContract,
    SeveralContract,
    FreshnessContract,
    LifeContract,
    FlightContract,
    NearContract,
    FunctionContract,
):
    """Inherit, supply the fixtures, and every `test_` of its bases runs against a cache over your provider."""
