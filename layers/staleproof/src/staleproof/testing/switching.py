"""`off`: no caching within, for a test that must see what the source says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from staleproof.cache.face import FACES, Face

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def off(*caches: Any) -> Iterator[None]:
    """Switch *caches* off within; without any, every cache of this process, also those that are made within.

    Every read loads, nothing is stored, and nothing is counted. Invalidations still reach the server.
    """
    everything = not caches
    before = {face: face.core.off for face in (list(FACES) if everything else caches)}
    Face.made_off += everything
    for face in before:
        face.switch(off=True)
    try:
        yield
    finally:
        Face.made_off -= everything
        for face in list(FACES) if everything else caches:
            face.switch(off=before.get(face, False))
