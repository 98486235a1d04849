"""Laws of what is let in: by size, by cost, by use, by a function; and of compression on the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Policy
from staleproof.entry import decode
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.entry import Entry

__all__ = ["portal", "stand"]

ALGORITHMS = pytest.mark.parametrize("algorithm", ["lz4", "zstd"])
TEXT = "the same words over and over again, " * 1_000


def stored(it: Stand, key: str = "k") -> Entry | None:
    """Return the entry that the server has."""
    raw = it.entry(key)
    return None if raw is None else decode(raw)


def unstored(it: Stand) -> dict[str, int]:
    return dict(it.statistics.unstored)


# --- size -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("letters", "kept"), [(98, True), (99, False)])
def test_a_value_above_the_bound_is_served_and_not_stored(
    stand: Callable[..., Stand], letters: int, kept: bool
) -> None:
    """`max_bytes` is the most that a stored payload has; what does not fit leaves no lease."""
    it = stand(max_bytes=100)  # two bytes tell what it is
    it.source.value = "x" * letters
    assert it.read() == it.source.value
    assert it.read() == it.source.value
    assert it.source.calls == (1 if kept else 2)
    assert unstored(it) == ({} if kept else {"size": 2})
    assert it.lease() is None


def test_the_bound_counts_what_is_stored(stand: Callable[..., Stand]) -> None:
    """A large value that compresses well fits."""
    it = stand(max_bytes=1_000, compress_above=100)
    it.source.value = TEXT
    assert it.read() == it.read() == TEXT
    assert it.source.calls == 1


def test_a_value_that_is_too_large_replaces_nothing(stand: Callable[..., Stand]) -> None:
    """Neither a load ahead nor a refresh leaves half of it behind: the old entry lives to its end."""
    it = stand(ttl=10, stale_if_error=60, max_bytes=100)
    it.read()
    it.source.value = "x" * 1_000
    it.clock.advance(11)
    assert it.read() == it.source.value
    assert it.read() == it.source.value
    assert unstored(it) == {"size": 2}


# --- cost and use -----------------------------------------------------------------------------------


def test_what_is_loaded_quickly_is_not_stored(stand: Callable[..., Stand]) -> None:
    """Below `min_cost` the source is asked every time."""
    it = stand(min_cost="50ms")
    it.source.takes = 0.049
    it.read()
    it.read()
    assert (it.source.calls, unstored(it)) == (2, {"admission": 2})
    it.source.takes = 0.051
    it.read()
    it.read()
    assert it.source.calls == 3


def test_what_is_asked_for_once_is_not_stored(stand: Callable[..., Stand]) -> None:
    """With `min_uses` of three the third load of a key in a process is stored; other keys are not counted with it."""
    it = stand(min_uses=3)
    for _ in range(5):
        it.read()
        it.read(key="other")
        it.read(key=f"once:{it.source.calls}")
    assert it.source.calls == 3 + 3 + 5
    assert unstored(it) == {"admission": 2 + 2 + 5}


def test_a_function_may_decide(stand: Callable[..., Stand]) -> None:
    """`admit` gets the key, the bytes and the seconds of the load."""
    asked: list[Any] = []

    def admit(key: str, size: int, seconds: float) -> bool:
        asked.append((key, size, round(seconds, 3)))
        return key == "k"

    it = stand(admit=admit)
    it.source.takes = 0.25
    it.source.value = "four"
    for _ in range(2):
        it.read()
        it.read(key="other")
    assert it.source.calls == 3
    assert asked == [("k", 5, 0.25), ("other", 5, 0.25), ("other", 5, 0.25)]
    assert unstored(it) == {"admission": 2}


def test_a_function_that_fails_frees_the_lease(stand: Callable[..., Stand]) -> None:
    """Its exception passes through, and the next reader waits for nobody."""

    def admit(*_: Any) -> bool:
        raise LookupError("from the application")

    it = stand(admit=admit)
    with pytest.raises(LookupError):
        it.read()
    assert it.lease() is None


def test_what_is_put_is_wanted(stand: Callable[..., Stand]) -> None:
    """Cost and use are of loads: a value that is put is stored."""
    it = stand(min_cost=5, min_uses=5)
    it.cache.put("k", 7, tags=["t"])
    assert it.read() == 7


# --- compression ------------------------------------------------------------------------------------


@ALGORITHMS
def test_large_values_are_compressed_and_read_back(stand: Callable[..., Stand], algorithm: str) -> None:
    """Above `compress_above` an entry takes a fraction of its room, and its readers notice nothing."""
    it = stand({"compression": algorithm}, compress_above=1_000)
    it.source.value = TEXT
    assert it.read() == it.read() == TEXT
    entry = stored(it)
    assert entry is not None
    assert entry.codec & 0xF0
    assert len(entry.payload) < len(TEXT) / 20
    assert it.source.calls == 1


@ALGORITHMS
def test_small_values_are_left_alone(stand: Callable[..., Stand], algorithm: str) -> None:
    """Up to the threshold, and with none at all, what is written is what the codec made."""
    for threshold in (len(TEXT) + 10, None):
        it = stand({"compression": algorithm}, compress_above=threshold)
        it.source.value = TEXT
        it.read()
        entry = stored(it)
        assert entry is not None
        assert not entry.codec & 0xF0
        assert len(entry.payload) > len(TEXT)


@ALGORITHMS
def test_what_does_not_shrink_is_stored_as_it_is(stand: Callable[..., Stand], algorithm: str) -> None:
    """Random bytes gain nothing, and no reader has to unpack them."""
    it = stand({"compression": algorithm}, compress_above=100)
    it.source.value = os.urandom(5_000)
    assert it.read() == it.read() == it.source.value
    entry = stored(it)
    assert entry is not None
    assert not entry.codec & 0xF0


def test_readers_of_any_setting_read_what_any_wrote(stand: Callable[..., Stand]) -> None:
    """Whoever wrote an entry, and whatever the reader would do himself, it is a hit."""
    settings: list[Any] = [("lz4", 100), ("zstd", 100), ("lz4", None), ("zstd", 10**6)]
    first = stand()
    processes = [first.another(Policy(compress_above=above), compression=how) for how, above in settings]
    for number, writer in enumerate(processes):
        writer.source.value = f"{number}{TEXT}"
        key = f"by:{number}"
        writer.read(key=key)
        for reader in processes:
            assert reader.read(key=key) == writer.source.value
    assert [it.source.calls for it in processes] == [1] * len(processes)


@ALGORITHMS
@pytest.mark.parametrize("staleness", [None, 0])
def test_compressed_values_are_invalidated_like_any_other(
    stand: Callable[..., Stand], algorithm: str, staleness: Any
) -> None:
    """Tags that the value reveals, soft invalidation, idle time: compression changes none of it."""
    it = stand(
        {"compression": algorithm},
        compress_above=100,
        staleness=staleness,
        idle=60,
        stale_while_revalidate=60,
    )
    options: dict[str, Any] = {"tags_from": lambda _: ["late"]}
    it.source.value = TEXT
    it.read(**options)
    assert it.read(**options) == TEXT
    it.source.value = "2" + TEXT
    it.cache.invalidate("late", soft=True)
    assert it.read(**options) == TEXT
    it.settle()
    assert it.read(**options) == "2" + TEXT
    it.source.value = "3" + TEXT
    it.cache.invalidate("late")
    assert it.read(**options) == "3" + TEXT
