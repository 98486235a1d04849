"""What the code under test did to its caches: loads, and invalidations."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staleproof.events import Invalidation


@contextmanager
def assert_loads(expected: int, *caches: Any) -> Iterator[None]:
    """Check that *caches*, every cache of this process if none is named, call loaders *expected* times within.

    Raises:
        AssertionError: they did not; the text says what they did instead.
    """
    from staleproof.cache.face import FACES  # noqa: PLC0415 - as light as what it watches

    watched = caches or tuple(FACES)
    before = [cache.statistics.snapshot() for cache in watched]
    yield
    spent = [cache.statistics.snapshot().since(each) for cache, each in zip(watched, before, strict=True)]
    loads = sum(each.loads for each in spent)
    if loads != expected:
        told = "; ".join(
            f"{each.namespace}: {each.loads} loads, {each.near_hits} near hits, {each.hits} hits, "
            f"misses { ({reason: n for reason, n in each.misses.items() if n}) }"
            for each in spent
        )
        raise AssertionError(f"{loads} loads, not {expected} ({told})")


class Invalidations:
    """The invalidations that were acknowledged, oldest first."""

    def __init__(self) -> None:
        self.records: list[Invalidation] = []

    @property
    def tags(self) -> list[str]:
        """Every tag, each once, in the order of its first invalidation."""
        return list(dict.fromkeys(tag for record in self.records for tag in record.tags))

    @property
    def keys(self) -> list[str]:
        """Every key, likewise; a put and an update invalidate theirs."""
        return list(dict.fromkeys(key for record in self.records for key in record.keys))

    @property
    def cleared(self) -> bool:
        """Whether a whole namespace was cleared."""
        return any(record.clear for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Invalidation]:
        return iter(self.records)

    def __repr__(self) -> str:
        return f"Invalidations(tags={self.tags!r}, keys={self.keys!r}, cleared={self.cleared!r})"


class Recording:
    """A provider of either face that notes what it was asked to invalidate, once it is done."""

    def __init__(self, provider: Any, noted: Invalidations) -> None:
        self._provider = provider
        self._noted = noted
        self.invalidate = (
            self._awaited if inspect.iscoroutinefunction(provider.invalidate) else self._blocking
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_provider":  # a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self._provider, name)

    def _blocking(self, invalidations: Sequence[Invalidation]) -> Any:
        places = self._provider.invalidate(invalidations)
        self._noted.records.extend(invalidations)
        return places

    async def _awaited(self, invalidations: Sequence[Invalidation]) -> Any:
        places = await self._provider.invalidate(invalidations)
        self._noted.records.extend(invalidations)
        return places


@contextmanager
def recorded(*caches: Any) -> Iterator[Invalidations]:
    """Note what *caches* invalidate within, themselves or by decorators, once it is acknowledged."""
    noted = Invalidations()
    before = [cache.provider for cache in caches]
    for cache, provider in zip(caches, before, strict=True):
        cache.provider = Recording(provider, noted)
    try:
        yield noted
    finally:
        for cache, provider in zip(caches, before, strict=True):
            cache.provider = provider
