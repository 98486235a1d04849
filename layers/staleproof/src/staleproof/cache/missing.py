"""`MISSING`: what a look finds where nothing is. `None` is a value like any other."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class Missing(Enum):
    """The type of `MISSING`; it is false, and there is one of it: an `Enum`, so that type checkers narrow by both."""

    MISSING = "MISSING"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    __str__ = __repr__


MISSING: Final = Missing.MISSING
