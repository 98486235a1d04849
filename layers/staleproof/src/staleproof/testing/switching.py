"""`off`: no caching within, for a test that must see what the source says."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from staleproof.cache.face import FACES, Face

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def off(*caches: Any) -> Iterator[None]:
    """Switch *caches* off within; without any, every cache of this process, also those that are made within.

    Every read loads, nothing is stored, and nothing is counted. Invalidations still reach the server.
    """
    with ExitStack() as stack:
        if not caches:
            stack.enter_context(_made_off())
        for face in caches or list(FACES):
            stack.enter_context(face.off())
        yield


@contextmanager
def _made_off() -> Iterator[None]:
    before = set(FACES)
    Face.made_off += 1
    try:
        yield
    finally:
        Face.made_off -= 1
        for face in set(FACES) - before:
            face.count_off(-1)
