"""Why something left a store."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Removal: TypeAlias = Literal["evicted", "expired", "replaced", "deleted"]

EVICTED: Final = "evicted"
EXPIRED: Final = "expired"
REPLACED: Final = "replaced"
DELETED: Final = "deleted"
