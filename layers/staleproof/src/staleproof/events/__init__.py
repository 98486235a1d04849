"""The published contract: what crosses a process or region boundary."""

from staleproof.events.invalidation import Cause, Invalidation

__all__ = ["Cause", "Invalidation"]
