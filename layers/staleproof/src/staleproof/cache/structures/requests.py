"""The two questions that an operation on a structure asks, as commands of a plan."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.commands import Pause
    from staleproof.ports.structures import Operation
    from staleproof.tags import TagId

R = TypeVar("R")


class Locate(NamedTuple):
    """Find the body of a structure; the reply is its name."""

    key: str
    tags: Sequence[TagId]
    life_ms: int
    write: bool

    def on(self, provider: Any) -> Any:
        """Ask *provider*; an asyncio provider returns an awaitable."""
        return structures_of(provider).locate(self.key, self.tags, self.life_ms, write=self.write)


class Operate(NamedTuple):
    """Do something with a body; the reply is a list of one reply an operation."""

    body: bytes
    operations: Sequence[Operation]

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return structures_of(provider).operate(self.body, self.operations)


Plan: TypeAlias = Generator["Locate | Operate | Pause", Any, R]
"""What an operation asks, one question after the other, and returns."""


def structures_of(provider: Any) -> Any:
    """Return the data structures of *provider*.

    Raises:
        ConfigurationError: it has none.
    """
    found = getattr(provider, "structures", None)
    if found is None:
        raise ConfigurationError(
            f"{type(provider).__name__} has no data structures, which need Valkey, Redis or the memory provider; "
            "make the cache over one of these, or name one in providers= and write cache.on(name)"
        )
    return found
