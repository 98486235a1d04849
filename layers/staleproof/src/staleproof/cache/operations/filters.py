"""Bloom filters against cache penetration: the shape, and the plans.

Theory of operation
-------------------
A Bloom filter answers "certainly not" or "maybe" (B. H. Bloom, "Space/Time Trade-offs in Hash Coding with Allowable
Errors", CACM 1970). In front of a load it keeps questions for what does not exist away from the source. Then a wrong
"certainly not" hides a row that exists, so every doubt is a "maybe" (P6):

* *A filter that is not there says maybe*: evicted, flushed, never built. It is one key, there as a whole or not at all.
* *Nothing is added to a filter that is not there*: that would make one which says "certainly not" to all older items.
* *It is built beside the one in use*, which answers meanwhile, and put in use in one step when all items are in it.
  What is added meanwhile is added to both. Of two builds at once the later one goes on, and the earlier one is told.

An item is added *after* its row is committed: one that is committed before a build begins is read by the build, and
one added after that is in both filters; so none is lost, whatever the order. Between commit and add it is not found:
whoever cannot bear that adds it before the commit as well. A failover may lose what was added last: build anew then.

Nothing can be removed. Rows that were deleted stay maybes until the next build.
"""

from __future__ import annotations

import math
import os
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.cache.operations.counts import whole
from staleproof.cache.operations.performing import Perform
from staleproof.errors import ConfigurationError, ProviderError, ProviderUnavailableError
from staleproof.ports import operations as ops
from staleproof.texts import text, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from staleproof.cache.commands import Plan

MAX_BITS = 2**28
"""Bits of a filter of our own, 32 MiB: a server makes them in one go, and answers nobody meanwhile."""

MAX_HASHES = 32
MIN_RATE, MAX_RATE = 1e-9, 0.5
BATCH = 500
"""Items of one round trip: a script runs alone, half a millisecond a batch."""

MAX_ASKED = 100_000
BUILD_BYTES = 8


class Shape(NamedTuple):
    """How large a filter is, by the usual formulas.

    Attributes:
        capacity: how many items it is for; with more it says maybe more often.
        rate: the share of items that were never added to which it says maybe, when it is full.
        bits, hashes: what follows.
    """

    capacity: int
    rate: float
    bits: int
    hashes: int

    @classmethod
    def of(cls, capacity: int, rate: float, *, module: bool) -> Shape:
        """Return the shape for *capacity* items.

        Raises:
            ConfigurationError: an argument is out of its bounds, or the filter would be too large.
        """
        whole("capacity", capacity, 1, ops.MAX_COUNT)
        given: object = rate
        if not isinstance(given, float) or not MIN_RATE <= rate <= MAX_RATE:
            raise ConfigurationError(f"error_rate={rate!r} must be a share from {MIN_RATE} to {MAX_RATE}")
        bits = math.ceil(-capacity * math.log(rate) / math.log(2) ** 2)
        hashes = min(MAX_HASHES, max(1, round(bits / capacity * math.log(2))))
        if bits > MAX_BITS and not module:
            most = math.floor(MAX_BITS * math.log(2) ** 2 / -math.log(rate))
            raise ConfigurationError(
                f"capacity={capacity!r} with error_rate={rate!r} takes {bits // 8 // 2**20} MiB, and a bitmap has at "
                f"most {MAX_BITS // 8 // 2**20}: use at most {most} items, a higher rate, several filters, or "
                "module=True"
            )
        return cls(capacity, rate, bits, hashes)


def digest(item: Any) -> bytes:
    """Return the two numbers that stand for *item*: its text is what a key would have of it.

    Raises:
        ConfigurationError: it has no single obvious text.
    """
    return digest_of(text(item))


def digest_of(rendered: str) -> bytes:
    """Return the digest of an item by its text, as a template renders it."""
    raw = blake2b(utf8(rendered), digest_size=8).digest()
    return raw[:4] + (int.from_bytes(raw[4:], "little") | 1).to_bytes(
        4, "little"
    )  # odd, so that it never is 0


def digests(items: Iterable[Any]) -> list[bytes]:
    """Return the digests of *items*.

    Raises:
        ConfigurationError: they are one text, or too many at once.
    """
    if isinstance(items, str | bytes):
        raise ConfigurationError(f"items={items!r:.80} is one item; pass a list: [{items!r:.80}]")
    found = [digest(item) for item in islice(items, MAX_ASKED + 1)]
    if len(found) > MAX_ASKED:
        raise ConfigurationError(f"more than {MAX_ASKED} items at once; ask for fewer")
    return found


def batches(found: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut *found* into what one round trip takes."""
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]


def look(name: str, asked: Sequence[bytes], *, module: bool) -> Plan[list[bool]]:
    """Ask of each whether it may have been added; without a filter, and without a server, all may."""
    answers: list[bool] = []
    try:
        for some in batches(asked):
            found: list[bool] | None = yield Perform(ops.FilterLook(name, some, module))
            answers += [True] * len(some) if found is None else found
    except ProviderError:
        return [True] * len(asked)
    return answers


def add(name: str, added: Sequence[bytes], *, module: bool) -> Plan[int]:
    """Add to the filter in use, and to one that is being built; return how many were new, -1 if none is in use."""
    least = new = 0
    for some in batches(added):  # all of them, also without one in use: one that is being built takes them
        found: int = yield Perform(ops.FilterAdd(name, some, module))
        least, new = min(least, found), new + found
    return -1 if least < 0 else new


def begin(name: str, shape: Shape, *, module: bool) -> Plan[bytes]:
    """Begin an empty filter; return the mark of the build."""
    build = os.urandom(BUILD_BYTES)
    limits = (shape.capacity, shape.rate) if module else None
    yield Perform(ops.FilterBegin(name, build, shape.bits, shape.hashes, limits))
    return build


def fill(name: str, build: bytes, some: Sequence[bytes], *, module: bool) -> Plan[None]:
    """Add to the filter that is being built.

    Raises:
        ProviderUnavailableError: it is gone, or another build took over.
    """
    if not (yield Perform(ops.FilterFill(name, build, some, module))):
        raise _taken_over(name)


def swap(name: str, build: bytes, ttl_ms: int, *, module: bool) -> Plan[None]:
    """Put the filter that was built in use.

    Raises:
        ProviderUnavailableError: it is gone, or another build took over.
    """
    if not (yield Perform(ops.FilterSwap(name, build, ttl_ms, module))):
        raise _taken_over(name)


def _taken_over(name: str) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"the filter {name[:80]!r} that was being built is gone: another build began, or the server lost it; "
        "build it again"
    )
