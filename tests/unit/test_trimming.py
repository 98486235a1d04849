"""A provider trims its journal by itself, by chance, and an invalidation that is applied never fails for it."""

from __future__ import annotations

import logging
import random

import pytest

from staleproof.errors import ProviderUnavailableError
from staleproof.events.invalidation import Invalidation
from staleproof.ports import TRIM_EVERY
from staleproof.providers import trimming
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.trimming import Trimming, by_chance

RECORD = Invalidation(id="x", origin="o", namespace="trimming", tags=("t",))


@pytest.fixture
def chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """True chance, with a known seed; tests otherwise go without."""
    monkeypatch.setattr(trimming, "random", random.Random(1))
    monkeypatch.setattr(trimming, "by_chance", by_chance)


@pytest.mark.usefixtures("chance")
def test_processes_that_live_for_one_invalidation_trim_as_well() -> None:
    """What is due does not depend on how much one provider has done before: about one in 1,024 trims."""
    trims = sum(Trimming("n").due() for _ in range(20 * TRIM_EVERY))
    assert 5 <= trims <= 60
    assert sum(by_chance() for _ in range(20 * TRIM_EVERY))


@pytest.mark.parametrize("error", [ProviderUnavailableError("away"), ValueError("garbage")])
def test_a_trim_that_fails_is_told_once(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The invalidation before it is applied, whatever becomes of the trim."""
    made = Trimming("shop")
    with caplog.at_level(logging.WARNING, "staleproof"):
        for _ in range(3):
            with made:
                raise error
    assert [each.getMessage() for each in caplog.records] == [
        "the journal of 'shop' could not be trimmed; later invalidations try again"
    ]


def test_other_errors_of_a_trim_are_raised() -> None:
    """A mistake of ours, or an interruption, is nothing to keep silent about."""
    with pytest.raises(KeyboardInterrupt), Trimming("n"):
        raise KeyboardInterrupt


def test_the_memory_provider_asks_at_each_invalidation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It trims when it is due, and not before."""
    provider = MemoryProvider("trimming")
    trimmed: list[int] = []
    monkeypatch.setattr(provider._journal, "trim", trimmed.append)
    answers = iter([False, True])
    provider._trimming.due = lambda: next(answers)
    provider.invalidate([RECORD])
    assert not trimmed
    provider.invalidate([RECORD])
    assert len(trimmed) == 1
