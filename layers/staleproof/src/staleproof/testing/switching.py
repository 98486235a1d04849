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
    everything = not caches
    faces = list(FACES) if everything else list(caches)
    Face.made_off += everything
    try:
        with ExitStack() as blocks:
            for face in faces:
                blocks.enter_context(face.off())
            yield
    finally:
        Face.made_off -= everything
        if everything:
            for face in set(FACES) - set(faces):
                face.switch(off=False)
