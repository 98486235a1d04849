"""Staleproof: caching with a proof of freshness.

>>> from staleproof import Cache, Policy

Names are resolved at first use, so that `import staleproof` costs a Lambda's cold start next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.cache.bulk import Item
    from staleproof.cache.cached import AsyncCached, Cached
    from staleproof.cache.loading import LoadContext, carry, depends, loading
    from staleproof.cache.missing import MISSING, Missing
    from staleproof.cache.near import NearCache
    from staleproof.decorators.anywhere import cache_put, cacheable, cacheable_many, evicts
    from staleproof.decorators.transactions import after_commit, commit_with
    from staleproof.errors import (
        CacheError,
        CircuitOpenError,
        CodecError,
        ConfigurationError,
        EventError,
        LeaseLostError,
        LimitedError,
        LoadTimeoutError,
        LockBusyError,
        LockLostError,
        ProviderError,
        ProviderRejectedError,
        ProviderUnavailableError,
    )
    from staleproof.faces.awaiting import AsyncCache
    from staleproof.faces.blocking import Cache
    from staleproof.keys import ambient, formatter, key
    from staleproof.policies.breaker import Breaker
    from staleproof.policies.policy import STRICT, Consistency, Policy, bounded

__version__ = "0.2.0"

_HOMES = {
    "AsyncCache": "faces.awaiting",
    "AsyncCached": "cache.cached",
    "Breaker": "policies.breaker",
    "Cache": "faces.blocking",
    "CacheError": "errors",
    "Cached": "cache.cached",
    "CircuitOpenError": "errors",
    "CodecError": "errors",
    "ConfigurationError": "errors",
    "Consistency": "policies.policy",
    "EventError": "errors",
    "Item": "cache.bulk",
    "LeaseLostError": "errors",
    "LimitedError": "errors",
    "LoadContext": "cache.loading",
    "LoadTimeoutError": "errors",
    "LockBusyError": "errors",
    "LockLostError": "errors",
    "MISSING": "cache.missing",
    "Missing": "cache.missing",
    "NearCache": "cache.near",
    "Policy": "policies.policy",
    "ProviderError": "errors",
    "ProviderRejectedError": "errors",
    "ProviderUnavailableError": "errors",
    "STRICT": "policies.policy",
    "after_commit": "decorators.transactions",
    "ambient": "keys",
    "bounded": "policies.policy",
    "cache_put": "decorators.anywhere",
    "cacheable": "decorators.anywhere",
    "cacheable_many": "decorators.anywhere",
    "commit_with": "decorators.transactions",
    "carry": "cache.loading",
    "depends": "cache.loading",
    "evicts": "decorators.anywhere",
    "formatter": "keys",
    "key": "keys",
    "loading": "cache.loading",
}

__all__ = [
    "MISSING",
    "STRICT",
    "AsyncCache",
    "AsyncCached",
    "Breaker",
    "Cache",
    "CacheError",
    "Cached",
    "CircuitOpenError",
    "CodecError",
    "ConfigurationError",
    "Consistency",
    "EventError",
    "Item",
    "LeaseLostError",
    "LimitedError",
    "LoadContext",
    "LoadTimeoutError",
    "LockBusyError",
    "LockLostError",
    "Missing",
    "NearCache",
    "Policy",
    "ProviderError",
    "ProviderRejectedError",
    "ProviderUnavailableError",
    "after_commit",
    "ambient",
    "bounded",
    "cache_put",
    "cacheable",
    "cacheable_many",
    "carry",
    "commit_with",
    "depends",
    "evicts",
    "formatter",
    "key",
    "loading",
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
