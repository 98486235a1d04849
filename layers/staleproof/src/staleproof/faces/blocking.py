"""`Cache`, for blocking code: operations, decorators, and construction from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof import config
from staleproof.decorators.blocking import BlockingDecorators

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from staleproof.config import Settings


class Cache(BlockingDecorators):
    """A cache for blocking code. Thread-safe; make one a process, at module scope.

    Example:
        >>> from staleproof import Cache, Policy
        >>> from staleproof.providers.memory import MemoryProvider
        >>> cache = Cache(MemoryProvider("shop"), policy=Policy(ttl="10m"))
        >>> @cache.cacheable("product:{product_id}", tags=["catalog"])
        ... def product(product_id: int) -> dict[str, int]:
        ...     return {"id": product_id}
        >>> product(42)
        {'id': 42}
        >>> cache.invalidate("catalog")
    """

    @classmethod
    def from_settings(cls, settings: Settings) -> Cache:
        """Make a cache of what *settings* describe; nothing is connected yet."""
        cache = cls(
            config.provider(settings), providers=config.providers(settings), **config.options(settings)
        )
        cache.reconfigure(settings)
        return cache

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> Cache:
        """Make a cache from `STALEPROOF_*` variables, `staleproof.toml` and the rest of `staleproof.config.Sources`.

        Args:
            environ: the environment; the process's own by default.
            arguments: settings that go before all others, such as `ttl="1m"`.

        Raises:
            ConfigurationError: settings are missing or wrong; each has a line that names it, its origin and the fix.
        """
        return cls.from_settings(config.Settings.from_env(environ, **arguments))

    def reconfigure(self, settings: Settings) -> None:
        """Take from *settings* what may change while running; the listener for a `staleproof.config.Reloader`."""
        for each in (self, *self._siblings.values()):
            config.reconfigure(each, settings)
