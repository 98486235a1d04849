"""The published contract: what crosses a process or region boundary.

`Invalidation` is what was applied, as journals and peers carry it; `Change` and `Invalidate` are what applications
publish. `staleproof.events.change` reads and writes the latter; `schemas/` has them for other languages.
"""

from staleproof.events.invalidation import Cause, Invalidation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.events.change import Change, Invalidate, Message

__all__ = ["Cause", "Change", "Invalidate", "Invalidation", "Message"]

_LATER = frozenset({"Change", "Invalidate", "Message"})
"""Resolved at first use: a cache that publishes nothing does not load them."""


def __getattr__(name: str) -> object:
    """Import what is published, once (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from staleproof.events import change  # noqa: PLC0415 - at first use

    value: object = getattr(change, name)
    globals()[name] = value
    return value
