"""Which of two conditions is met by more changes. Only what is certain counts: in doubt, neither is broader."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from staleproof_pipeline.rules.condition import FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.rules.condition import When


def broader(broad: When, narrow: When) -> bool:
    """Say whether every change that meets *narrow* certainly meets *broad*."""
    return (
        broad.source is narrow.source
        and _named(broad.entities, narrow.entities)
        and (not broad.channel or (bool(narrow.channel) and _named(broad.channel, narrow.channel)))
        and (not broad.region or (bool(narrow.region) and _named(broad.region, narrow.region)))
        and set(narrow.operation) <= set(broad.operation)
        and (not broad.changed or (bool(narrow.changed) and set(narrow.changed) <= set(broad.changed)))
        and all(getattr(broad, flag) in {None, getattr(narrow, flag)} for flag in FLAGS)
        and all(
            _no_stricter(getattr(broad, side), getattr(narrow, side))
            for side in ("old", "new", "keys", "pattern")
        )
    )


def _named(broad: Sequence[str], narrow: Sequence[str]) -> bool:
    """Say whether each of *narrow* is a name, or a pattern, that one of *broad* certainly includes."""
    return all(any(_includes(wide, one) for wide in broad) for one in narrow)


def _includes(wide: str, one: str) -> bool:
    # A star in *one* stands for anything; so only a star in *wide* may take its place, which fnmatch does for a text
    # that nothing but a star can match.
    return wide == one or fnmatchcase(one.replace("*", "\0"), wide.replace("[", "[[]").replace("?", "[?]"))


def _no_stricter(broad: dict[str, object] | None, narrow: dict[str, object] | None) -> bool:
    if broad is None:
        return True
    return narrow is not None and all(narrow.get(name) == wanted for name, wanted in broad.items())
