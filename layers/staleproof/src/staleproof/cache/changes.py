"""Changes for `update`: pure functions of the stored value that remember what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from staleproof.cache.missing import MISSING
from staleproof.digests import blake2b
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.entry import Entry

GONE: Final = object()
"""What a change returns to have the key removed."""


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


def version_of(entry: Entry) -> str:
    """Return a name of what is stored: another value, or one of another millisecond, has another, whatever its life."""
    moment = entry.born_ms.to_bytes(8, "little") + entry.mark.to_bytes(4, "little")
    return blake2b(moment + entry.versions + bytes(entry.payload), digest_size=12).hexdigest()


class Removal:
    """Remove what is stored, if it equals *expected*, or if *version* names it (see `version_of`); leave anything else.

    Attributes:
        made: whether it was removed, by the last call.

    Raises:
        ConfigurationError: not just one of the two is given.
    """

    def __init__(self, expected: Any, version: str | None) -> None:
        if (expected is MISSING) == (version is None):
            raise ConfigurationError(
                "compare_and_delete takes either expected=, a value, or version=, from `version`: give one of them"
            )
        self._expected = expected
        self._version = version
        self.made = False

    def judge(self, stored: Any, entry: Entry | None) -> Any:
        """Return `GONE` to remove *stored*, which came from *entry*, or `MISSING` to leave it."""
        if stored is MISSING:
            self.made = False
        elif self._version is None:
            self.made = bool(stored == self._expected)
        else:
            self.made = entry is not None and version_of(entry) == self._version
        return GONE if self.made else MISSING
