"""The pytest plugin, in a project of its own, as its users have it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from staleproof import AsyncCache, Cache, Policy
from staleproof.cache.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staleproof.clock import ManualClock
    from staleproof.testing import Replacement


class Shop:
    """An application with a cache at module scope."""

    def __init__(self) -> None:
        from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415

        self.cache = Cache(
            MemoryProvider("shop"), policy=Policy(ttl=60, stale_while_revalidate=60, staleness=5)
        )
        self.loads = 0

        @self.cache.cacheable("price")
        def price() -> int:
            self.loads += 1
            return self.loads

        self.price = price


SHOP = Shop()


def test_the_cache_lives_by_the_clock(staleproof_cache: Cache, staleproof_clock: ManualClock) -> None:
    """A value is there until the test says that its time is over."""
    staleproof_cache.put("key", 1, policy=Policy(ttl=60))
    staleproof_clock.advance(59)
    assert staleproof_cache.ttl("key") == pytest.approx(1)
    staleproof_clock.advance(1)
    assert not staleproof_cache.exists("key")


@pytest.mark.parametrize("_", [1, 2])
def test_every_test_has_an_empty_cache(staleproof_cache: Cache, _: int) -> None:
    """What one test stored, the next one does not find."""
    assert staleproof_cache.put_if_absent("key", 1)


async def test_the_asyncio_cache_lives_by_the_same_clock(
    staleproof_async_cache: AsyncCache, staleproof_clock: ManualClock
) -> None:
    """The same, awaited."""
    await staleproof_async_cache.put("key", 1, policy=Policy(ttl=60))
    assert await staleproof_async_cache.exists("key")
    staleproof_clock.advance(60)
    assert not await staleproof_async_cache.exists("key")


@pytest.mark.parametrize("_", [1, 2])
def test_the_applications_cache_is_replaced_to_the_end_of_the_test(
    staleproof_replace: Callable[..., Replacement], staleproof_clock: ManualClock, _: int
) -> None:
    """Each test begins with an empty cache, and a refresh is done when the read that began it returns."""
    SHOP.loads = 0
    stand = staleproof_replace(SHOP.cache)
    assert stand.clock is staleproof_clock
    assert [SHOP.price(), SHOP.price()] == [1, 1]
    staleproof_clock.advance(70)
    assert [SHOP.price(), SHOP.price()] == [1, 2]


def test_the_applications_cache_is_switched_off(staleproof_off: None) -> None:
    """Every call loads."""
    before = SHOP.loads
    SHOP.price()
    SHOP.price()
    assert SHOP.loads == before + 2


def test_the_application_is_as_it_was() -> None:
    """None of the tests above left anything behind."""
    assert not Face.made_off
    assert not SHOP.cache.core.off
    assert SHOP.cache.statistics.reads == 0


UNUSED = """
import sys

def test_nothing_is_loaded_before_it_is_used():
    loaded = {name for name in sys.modules if name.startswith("staleproof")}
    assert loaded == {"staleproof", "staleproof.testing", "staleproof.testing.plugin"}

def test_a_fixture_loads_what_it_needs(staleproof_cache):
    staleproof_cache.put("key", 1)
    assert staleproof_cache.get("key") == 1
    assert "staleproof.faces.awaiting" not in sys.modules
"""

FORGETFUL = """
import pytest
from staleproof.testing import ProviderContract
from staleproof.providers.memory import MemoryProvider

class Forgetful(MemoryProvider):
    def put(self, key, entry, ttl_ms):
        pass

class TestForgetful(ProviderContract):
    @pytest.fixture
    def provider(self):
        return Forgetful()
"""


def run(project: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a project's tests in a process of their own."""
    (folder / "test_project.py").write_text(project)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    """A project that has it installed loads the plugin alone, and of the library what its fixtures need."""
    ran = run(UNUSED, tmp_path)
    assert ran.returncode == 0, ran.stdout


def test_a_law_that_does_not_hold_shows_what_it_compared(tmp_path: Path) -> None:
    """An assertion of a contract explains itself like one of the user's own."""
    ran = run(FORGETFUL, tmp_path, "-k", "keys_are_told_apart")
    assert "At index 0 diff: None != b'k'" in ran.stdout, ran.stdout


def test_the_fixtures_are_documented(tmp_path: Path) -> None:
    """`pytest --fixtures` tells what each is for."""
    told = run("", tmp_path, "--fixtures").stdout
    for name in ("clock", "cache", "async_cache", "replace", "off"):
        assert f"staleproof_{name} --" in told
