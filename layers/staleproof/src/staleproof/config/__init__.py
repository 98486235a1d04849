"""Settings: from arguments, environment, Parameter Store and file to a checked whole, and anew while running.

Names are resolved at first use: a cache that is made without settings pays for none of this.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.config.composition import (
        async_provider,
        async_providers,
        options,
        provider,
        providers,
        reconfigure,
    )
    from staleproof.config.parameter_store import ParameterStore
    from staleproof.config.reloading import Reloader
    from staleproof.config.secret import Secret
    from staleproof.config.settings import (
        BreakerSettings,
        MemorySettings,
        NearSettings,
        ServerSettings,
        Settings,
    )
    from staleproof.config.sources import Sources

_HOMES = {
    "BreakerSettings": "settings",
    "MemorySettings": "settings",
    "NearSettings": "settings",
    "ParameterStore": "parameter_store",
    "Reloader": "reloading",
    "Secret": "secret",
    "ServerSettings": "settings",
    "Settings": "settings",
    "Sources": "sources",
    "async_provider": "composition",
    "async_providers": "composition",
    "options": "composition",
    "provider": "composition",
    "providers": "composition",
    "reconfigure": "composition",
}

__all__ = [
    "BreakerSettings",
    "MemorySettings",
    "NearSettings",
    "ParameterStore",
    "Reloader",
    "Secret",
    "ServerSettings",
    "Settings",
    "Sources",
    "async_provider",
    "async_providers",
    "options",
    "provider",
    "providers",
    "reconfigure",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use, like everything here

    value: object = getattr(import_module(f"staleproof.config.{home}"), name)
    globals()[name] = value
    return value
