"""Staleproof: caching with a proof of freshness.

>>> from staleproof import Cache, Policy

Names are resolved at first use, so that `import staleproof` costs a Lambda's cold start next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.cache.cached import AsyncCached, Cached
    from staleproof.cache.missing import MISSING, Missing
    from staleproof.cache.near import NearCache
    from staleproof.errors import (
        CacheError,
        CodecError,
        ConfigurationError,
        EventError,
        LeaseLostError,
        ProviderError,
        ProviderRejectedError,
        ProviderUnavailableError,
    )
    from staleproof.faces import AsyncCache, Cache
    from staleproof.keys import ambient, formatter, key
    from staleproof.policies.policy import Policy

__version__ = "0.1.0"

_HOMES = {
    "AsyncCache": "faces",
    "AsyncCached": "cache.cached",
    "Cache": "faces",
    "CacheError": "errors",
    "Cached": "cache.cached",
    "CodecError": "errors",
    "ConfigurationError": "errors",
    "EventError": "errors",
    "LeaseLostError": "errors",
    "MISSING": "cache.missing",
    "Missing": "cache.missing",
    "NearCache": "cache.near",
    "Policy": "policies.policy",
    "ProviderError": "errors",
    "ProviderRejectedError": "errors",
    "ProviderUnavailableError": "errors",
    "ambient": "keys",
    "formatter": "keys",
    "key": "keys",
}

__all__ = [
    "MISSING",
    "AsyncCache",
    "AsyncCached",
    "Cache",
    "CacheError",
    "Cached",
    "CodecError",
    "ConfigurationError",
    "EventError",
    "LeaseLostError",
    "Missing",
    "NearCache",
    "Policy",
    "ProviderError",
    "ProviderRejectedError",
    "ProviderUnavailableError",
    "ambient",
    "formatter",
    "key",
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
