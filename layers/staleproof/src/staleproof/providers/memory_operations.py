"""Operations inside the process: what each does, said as plainly as it can be. Their owner's lock makes them atomic.

They are the definition that the scripts of other providers are held against. Time is the clock's wall time in
microseconds, as it is the server's there; what has a life ends by the store's own clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ProviderRejectedError
from staleproof.policies import gcra
from staleproof.ports import operations as ops
from staleproof.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof.keys import Keyspace

MAX_THINGS = 1_000_000
MAX_BYTES = 256 * 2**20
_SMALL = 64
"""Bytes that a limit or a lock is counted for, about."""


class Lock(NamedTuple):
    """Who holds a lock, or held it last, and until when, in microseconds."""

    owner: str
    token: int
    until_us: int


class Ring:
    """The newest values of a bounded list, the newest first, and their bytes."""

    def __init__(self) -> None:
        self.values: deque[bytes] = deque()
        self.size = 0

    def push(self, values: Sequence[bytes], keep: int) -> ops.Pushed:
        """Append *values* and drop the oldest above *keep*."""
        for value in values:
            self.values.appendleft(value)
            self.size += len(value)
        dropped = max(0, len(self.values) - keep)
        for _ in range(dropped):
            self.size -= len(self.values.pop())
        return ops.Pushed(len(self.values), dropped)


class Bits:
    """A Bloom filter; see `staleproof.providers.redis.filter_scripts` for its shape."""

    def __init__(self, build: bytes, bits: int, hashes: int) -> None:
        self.build = build
        self._bits, self._hashes = bits, hashes
        self._held = bytearray((bits + 7) // 8)
        self.size = len(self._held)

    def _places(self, digest: bytes) -> list[int]:
        a, b = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
        return [(a + i * b) % self._bits for i in range(self._hashes)]

    def add(self, digest: bytes) -> bool:
        """Add an item; say whether a bit changed."""
        new = not self.look(digest)
        for at in self._places(digest):
            self._held[at >> 3] |= 128 >> (at & 7)
        return new

    def look(self, digest: bytes) -> bool:
        """Say whether an item may have been added."""
        return all(self._held[at >> 3] & (128 >> (at & 7)) for at in self._places(digest))


class MemoryOperations:
    """What operations work on, by its names on a server.

    Args:
        keys: the namespace's names.
        clock: the source of time.
    """

    def __init__(self, keys: Keyspace, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self.things: Store[bytes, Any] = Store(
            eviction="fifo", max_entries=MAX_THINGS, max_bytes=MAX_BYTES, weigh=_weight, clock=clock
        )

    def perform(self, operation: ops.Operation) -> Any:
        """See `staleproof.ports.operations.Operator.perform`."""
        return _DONE[type(operation)](self, operation)

    def now_us(self) -> int:
        """Return UTC microseconds."""
        return round(self._clock.wall() * 1_000_000)

    def held(self, name: str, kind: str, form: type) -> Any:
        """Return what lies under *name* as *kind*, if it is a *form*; else None."""
        found = self.things.peek(self._keys.operated(name, kind))
        return found if isinstance(found, form) else None

    def set(self, name: str, kind: str, value: Any, ttl_ms: float = 0) -> None:
        """Put *value* there for *ttl_ms*, 0 for ever."""
        self.things.set(self._keys.operated(name, kind), value, ttl=ttl_ms / 1_000 if ttl_ms else None)

    def delete(self, name: str, kind: str) -> bool:
        """Remove what lies there; say whether there was something."""
        key = self._keys.operated(name, kind)
        there = self.things.peek(key) is not None  # what has ended is not, though nobody has swept it yet
        self.things.delete(key)
        return there


def _weight(name: bytes, value: Any) -> int:
    return len(name) + int(getattr(value, "size", _SMALL))


# --- limits and locks --------------------------------------------------------------------------------


def _take(memory: MemoryOperations, each: ops.Take) -> ops.Taken:
    at = memory.now_us()
    level = gcra.take(memory.held(each.name, "limit", int), at, each.interval_us, each.capacity, each.cost)
    if level.allowed and each.cost:
        memory.set(each.name, "limit", level.full, -(-(level.full - at) // 1_000))
    return ops.Taken(level.allowed, level.full - at, level.wait)


def _take_lock(memory: MemoryOperations, each: ops.TakeLock) -> ops.Held:
    at = memory.now_us()
    lock: Lock = memory.held(each.name, "lock", Lock) or Lock("", 0, 0)
    taken = lock.until_us > at
    if taken and lock.owner != each.owner:
        return ops.Held(0, -(-(lock.until_us - at) // 1_000))
    token = lock.token if taken else max(at, lock.token + 1)
    _hold(memory, each.name, Lock(each.owner, token, at + 1_000 * each.ttl_ms), each.ttl_ms)
    return ops.Held(token, each.ttl_ms)


def _hold(memory: MemoryOperations, name: str, lock: Lock, ttl_ms: int) -> None:
    memory.set(name, "lock", lock, ops.remembered_ms(ttl_ms))


def _keep_lock(memory: MemoryOperations, each: ops.KeepLock) -> bool:
    at = memory.now_us()
    lock: Lock | None = memory.held(each.name, "lock", Lock)
    if lock is None or lock[:2] != (each.owner, each.token) or lock.until_us <= at:
        return False
    _hold(memory, each.name, lock._replace(until_us=at + 1_000 * each.ttl_ms), each.ttl_ms)
    return True


def _free_lock(memory: MemoryOperations, each: ops.FreeLock) -> bool:
    lock: Lock | None = memory.held(each.name, "lock", Lock)
    if lock is None or lock.owner != each.owner or each.token not in {0, lock.token}:
        return False
    _hold(memory, each.name, lock._replace(until_us=0), 0)
    return True


# --- lists -------------------------------------------------------------------------------------------


def _kind(operation: ops.Push | ops.Latest) -> str:
    return "stream" if operation.stream else "list"


def _push(memory: MemoryOperations, each: ops.Push) -> ops.Pushed:
    ring: Ring = memory.held(each.name, _kind(each), Ring) or Ring()
    pushed = ring.push(each.values, each.keep)
    memory.set(each.name, _kind(each), ring, each.ttl_ms)
    return pushed


def _latest(memory: MemoryOperations, each: ops.Latest) -> list[bytes]:
    ring: Ring | None = memory.held(each.name, _kind(each), Ring)
    return [] if ring is None else list(ring.values)[: each.limit]


def _forget(memory: MemoryOperations, each: ops.Forget) -> bool:
    kinds = ("bits", "bits-new") if each.kind == "filter" else (each.kind,)
    return sum(memory.delete(each.name, kind) for kind in kinds) > 0


# --- filters -----------------------------------------------------------------------------------------


def _begin(memory: MemoryOperations, each: ops.FilterBegin) -> bool:
    memory.set(each.name, "bits-new", Bits(each.build, each.bits, each.hashes), ops.BUILDING_TTL_MS)
    return True


def _building(memory: MemoryOperations, name: str, build: bytes) -> Bits | None:
    bits: Bits | None = memory.held(name, "bits-new", Bits)
    return bits if bits is not None and bits.build == build else None


def _fill(memory: MemoryOperations, each: ops.FilterFill) -> bool:
    bits = _building(memory, each.name, each.build)
    for digest in each.digests if bits is not None else ():
        bits.add(digest)  # type: ignore[union-attr]
    return bits is not None


def _swap(memory: MemoryOperations, each: ops.FilterSwap) -> bool:
    bits = _building(memory, each.name, each.build)
    if bits is not None:
        memory.delete(each.name, "bits-new")
        memory.set(each.name, "bits", bits, each.ttl_ms)
    return bits is not None


def _add(memory: MemoryOperations, each: ops.FilterAdd) -> int:
    used: Bits | None = memory.held(each.name, "bits", Bits)
    begun: Bits | None = memory.held(each.name, "bits-new", Bits)
    for digest in each.digests if begun is not None else ():
        begun.add(digest)  # type: ignore[union-attr]
    return -1 if used is None else sum(used.add(digest) for digest in each.digests)


def _look(memory: MemoryOperations, each: ops.FilterLook) -> list[bool] | None:
    used: Bits | None = memory.held(each.name, "bits", Bits)
    return None if used is None else [used.look(digest) for digest in each.digests]


# --- what only a server has --------------------------------------------------------------------------


def _native(_: MemoryOperations, each: ops.Native | ops.JsonPut) -> Any:
    raise ProviderRejectedError(
        f"{each.name[:80]!r} asks for a server's module; the memory provider has none"
    )


def _ask(_: MemoryOperations, __: ops.Ask) -> None:
    return None


_DONE: dict[type, Callable[[MemoryOperations, Any], Any]] = {
    ops.Take: _take,
    ops.TakeLock: _take_lock,
    ops.KeepLock: _keep_lock,
    ops.FreeLock: _free_lock,
    ops.Push: _push,
    ops.Latest: _latest,
    ops.Forget: _forget,
    ops.Native: _native,
    ops.JsonPut: _native,
    ops.Ask: _ask,
    ops.FilterBegin: _begin,
    ops.FilterFill: _fill,
    ops.FilterSwap: _swap,
    ops.FilterAdd: _add,
    ops.FilterLook: _look,
}
