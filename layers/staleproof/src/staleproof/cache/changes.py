"""Changes for `update`: pure functions of the stored value that remember what they did."""

from __future__ import annotations

from typing import Any

from staleproof.cache.missing import MISSING
from staleproof.errors import ConfigurationError


class Replacement:
    """Replace *expected*, which may be `MISSING`, by *value*; leave anything else.

    Attributes:
        made: whether it was replaced, by the last call.
    """

    def __init__(self, expected: Any, value: Any) -> None:
        self._expected = expected
        self._value = value
        self.made = False

    def __call__(self, stored: Any) -> Any:
        """Return the value to store, or `MISSING` to leave what is *stored*."""
        if stored is MISSING or self._expected is MISSING:
            self.made = stored is self._expected
        else:
            self.made = bool(stored == self._expected)
        return self._value if self.made else MISSING


class Addition:
    """Add *by* to the stored number, which begins at *initial*."""

    def __init__(self, by: float, initial: float) -> None:
        self._by = by
        self._initial = initial

    def __call__(self, stored: Any) -> Any:
        """Return the sum.

        Raises:
            ConfigurationError: what is *stored* is no number.
        """
        if stored is MISSING:
            stored = self._initial
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            raise ConfigurationError(
                f"a stored {type(stored).__name__} cannot be counted up; keep numbers under a key of their own"
            )
        return stored + self._by
