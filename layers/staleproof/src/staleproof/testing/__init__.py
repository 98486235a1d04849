"""Support for tests: the contract that every provider passes, a blocking face for asyncio ones, a manual clock.

A provider of your own proves itself with a few lines::

    class TestMine(ProviderContract, FollowerContract):
        @pytest.fixture
        def provider(self): ...
        @pytest.fixture
        def evict(self, provider): ...
        @pytest.fixture
        def elapse(self): ...
"""

from staleproof.clock import ManualClock
from staleproof.testing.blocking import Blocking
from staleproof.testing.follower_contract import FollowerContract
from staleproof.testing.provider_contract import ProviderContract

__all__ = ["Blocking", "FollowerContract", "ManualClock", "ProviderContract"]
