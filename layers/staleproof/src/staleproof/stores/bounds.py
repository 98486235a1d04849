"""Bounds: how much a store may hold, in entries and in bytes."""

from __future__ import annotations

from typing import NamedTuple

from staleproof.errors import ConfigurationError

ENDLESS = float("inf")


class Bounds(NamedTuple):
    """The most entries and the most bytes; infinite where there is no such bound."""

    entries: float
    weight: float

    def exceeded(self, entries: int, weight: int) -> bool:
        """Say whether so many entries of so many bytes are more than allowed."""
        return entries > self.entries or weight > self.weight

    def share(self, part: float) -> Bounds:
        """Return this *part* of both bounds, and room for one entry at least."""
        entries = self.entries if self.entries == ENDLESS else max(1, int(self.entries * part))
        return Bounds(entries, self.weight * part)


def checked(max_entries: int | None, max_bytes: int | None) -> Bounds:
    """Return the bounds that were asked for; None is no bound.

    Raises:
        ConfigurationError: one is below 1, or both are None.
    """
    if max_entries is None and max_bytes is None:
        raise ConfigurationError("max_entries and max_bytes are both None; give one, memory has an end")
    for field, value in (("max_entries", max_entries), ("max_bytes", max_bytes)):
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigurationError(
                f"{field}={value!r} must be an integer above 0, or None for no such bound"
            )
    return Bounds(
        ENDLESS if max_entries is None else max_entries, ENDLESS if max_bytes is None else max_bytes
    )
