"""`Perform`: the command by which a plan runs an operation, and what is said where there is nobody to run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.records import Record

if TYPE_CHECKING:
    from staleproof.ports.operations import Operation


class Perform(Record, frozen=True):
    """Run an operation; the reply is the operation's."""

    operation: Operation

    def on(self, provider: Any) -> Any:
        """Ask *provider*; an asyncio provider returns an awaitable.

        Raises:
            ConfigurationError: it cannot run operations.
        """
        return operator_of(provider).perform(self.operation)


def operator_of(provider: Any) -> Any:
    """Return *provider*, if it can run operations, or those before which it stands.

    Raises:
        ConfigurationError: it cannot; the message tells what can.
    """
    behind = provider
    while getattr(behind, "remote", None) is not None:
        behind = behind.remote
    if getattr(behind, "perform", None) is None:
        raise ConfigurationError(
            f"{type(behind).__name__} runs no rate limits, locks, bounded lists, Bloom filters or modules. Memcached "
            "has neither scripts nor a clock to ask, and evicts a lock like anything else, so none of them would hold "
            "there; give the cache a Valkey or Redis beside it, Cache(..., providers={'locks': ...}), and use "
            "cache.on('locks')"
        )
    return provider
