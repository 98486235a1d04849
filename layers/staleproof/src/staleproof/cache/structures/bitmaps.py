"""Bitmaps: one bit for each of many numbers; who was here today, by user number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from staleproof.cache.structures.arguments import whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.cache.structures.requests import Plan

MOST_BITS = 2**32


class BitmapOperations(Handle):
    """The operations of bitmaps. All bits are clear at first; a server keeps as many bytes as the highest takes."""

    kind: ClassVar[str] = "bitmap"

    @property
    def _bits(self) -> int:
        bits: int = self._bound.limits["bits"]
        return bits

    def _place(self, at: Any) -> int:
        if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < self._bits:
            raise ConfigurationError(
                f"at={at!r} is no place from 0 to {self._bits - 1}; raise bits= of the bitmap if it should be one"
            )
        return at

    @method
    def set(self, at: int, *, bit: bool = True) -> Plan[bool]:
        """Set the bit at *at*, or clear it; return what it was before."""
        return bool((yield from self._write("SETBIT", self._place(at), int(bool(bit)), once=True)))

    @method
    def get(self, at: int) -> Plan[bool]:
        """Return the bit at *at*."""
        return bool((yield from self._look("GETBIT", self._place(at))))

    @method
    def count(self, start: int = 0, stop: int | None = None) -> Plan[int]:
        """Return how many bits are set, of those at `[start:stop]`; no place is negative."""
        first = whole("start", start, 0)
        last = -1 if stop is None else whole("stop", stop, 0) - 1
        if stop is not None and last < first:
            return 0
        number: int = yield from self._look("BITCOUNT", first, last, "BIT")
        return number

    @method
    def first(self, *, bit: bool = True) -> Plan[int | None]:
        """Return the place of the first bit that is set, or clear; None if there is none."""
        at: int = yield from self._look("BITPOS", int(bool(bit)))
        return at if 0 <= at < self._bits else None


class Bitmap(BitmapOperations, BlockingHandle):
    """A bitmap of a blocking cache."""


class AsyncBitmap(BitmapOperations, AwaitingHandle):
    """A bitmap of an asyncio cache."""
