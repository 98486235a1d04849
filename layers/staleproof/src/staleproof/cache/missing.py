"""`MISSING`: what a look finds where nothing is. `None` is a value like any other."""

from __future__ import annotations

from typing import Final, final


@final
class Missing:
    """The type of `MISSING`; it is false, and there is one of it."""

    _instance: Missing | None = None

    def __new__(cls) -> Missing:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
