"""Caches by name: functions may be decorated before their cache is made, and in modules that do not know it."""

from __future__ import annotations

from typing import Any

from staleproof.errors import ConfigurationError

_caches: dict[tuple[bool, str], Any] = {}


def register(cache: Any, name: str, *, awaited: bool, replace: bool = False) -> None:
    """Let *cache* be found by *name*, among the caches of its face.

    Raises:
        ConfigurationError: another one is called so, and *replace* is not said.
    """
    if not name or not isinstance(name, str):
        raise ConfigurationError(f"name={name!r} is no name for a cache; call it such as 'orders'")
    known = _caches.get((awaited, name))
    if known is not None and known is not cache and not replace:
        raise ConfigurationError(
            f"a cache is called {name!r} already; choose another name, or say register({name!r}, replace=True)"
        )
    _caches[awaited, name] = cache


def find(name: str, *, awaited: bool) -> Any:
    """Return the cache called *name*.

    Raises:
        ConfigurationError: there is none of that face; the text lists those that there are.
    """
    cache = _caches.get((awaited, name))
    if cache is None:
        known = ", ".join(sorted(each for of, each in _caches if of is awaited)) or "none"
        face = "AsyncCache" if awaited else "Cache"
        raise ConfigurationError(
            f"no {face} is called {name!r}; the named ones are: {known}; make it before the first call: "
            f"{face}(...).register({name!r})"
        )
    return cache
