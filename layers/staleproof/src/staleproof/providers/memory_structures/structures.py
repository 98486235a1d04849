"""The data structures of a memory provider, both faces.

Theory of operation: the provider's lock makes every call atomic. Bodies lie in a store of their own, each with a time
to live, so that those whose stamp or versions are gone end by themselves; there are at most `MAX_BODIES`, and the least
recently used goes first: a structure in a cache may be lost at any time, and is then empty.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ProviderRejectedError
from staleproof.ports.structures import STAMP, digest, is_stamp, occupied
from staleproof.providers.memory_structures.kinds import as_bytes, refused
from staleproof.stores import Store
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from staleproof.clock import Clock
    from staleproof.keys import Keyspace
    from staleproof.ports import Snapshot
    from staleproof.ports.structures import Operation
    from staleproof.providers.memory_cells import Cells
    from staleproof.providers.memory_structures.kinds import Command
    from staleproof.tags import TagId

MAX_BODIES = 100_000


@cache
def _vocabulary() -> dict[str, Command]:
    from staleproof.providers.memory_structures.vocabulary import COMMANDS  # noqa: PLC0415 - few programs need it

    return COMMANDS


class Held(NamedTuple):
    """A body, and until when it is kept, by the monotonic clock."""

    body: Any
    until: float


class MemoryStructures:
    """Implements `StructuresProvider`.

    Args:
        keys: the namespace's names.
        cells: where the provider keeps entries, and so stamps.
        snapshot: the provider's.
        lock: returns the provider's lock.
        clock: the source of time.
        max_bodies: how many bodies there are at most.
    """

    def __init__(
        self,
        keys: Keyspace,
        cells: Cells,
        snapshot: Callable[..., Snapshot],
        lock: Callable[[], AbstractContextManager[Any]],
        clock: Clock,
        *,
        max_bodies: int = MAX_BODIES,
    ) -> None:
        self._keys = keys
        self._entries = cells.entries
        self._snapshot = snapshot
        self._lock = lock
        self._clock = clock
        self._bodies: Store[bytes, Held] = Store(max_entries=max_bodies, clock=clock)

    def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:  # noqa: ARG002
        """See `StructuresProvider.locate`; to make what is missing, and to prolong it, costs nothing here."""
        with self._lock():
            stamp = self._stamp(key, life_ms / 1_000)
            return self._keys.body(key, digest(stamp, self._snapshot(tags, life_ms, guard=False).versions))

    def _stamp(self, key: str, life: float) -> bytes:
        name = self._keys.entry(key)
        stamp = self._entries.peek(name)
        if stamp is None:
            stamp = STAMP + os.urandom(VERSION_BYTES)
            self._entries.set(name, stamp, ttl=life)
        elif not is_stamp(stamp):
            raise ProviderRejectedError(occupied(key))
        self._entries.prolong(name, life)
        return stamp

    def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """See `StructuresProvider.operate`."""
        with self._lock():
            return [self._execute(body, each) for each in operations]

    def drop(self, body: bytes) -> None:
        """Remove a body, as an eviction by a server would."""
        self._bodies.delete(body)

    def _execute(self, name: bytes, operation: Operation) -> Any:
        held = self._bodies.get(name)
        if operation.command == "PTTL":
            return -2 if held is None else int((held.until - self._clock.monotonic()) * 1_000)
        command = _vocabulary()[operation.command]
        body = command.kind() if held is None or operation.command == "SET" else held.body
        if not isinstance(body, command.kind):
            raise refused("WRONGTYPE Operation against a key holding the wrong kind of value")
        arguments = [as_bytes(each) for each in operation.arguments]
        reply = command.run(body, arguments, int(self._clock.wall() * 1_000))
        if operation.ttl_ms:
            self._keep(name, body, operation.ttl_ms / 1_000)
        return reply

    def _keep(self, name: bytes, body: Any, ttl: float) -> None:
        """Keep *body*, unless it has become empty: no structure is there and empty."""
        if body:
            self._bodies.set(name, Held(body, self._clock.monotonic() + ttl), ttl=ttl)
        else:
            self._bodies.delete(name)


class AsyncMemoryStructures:
    """`MemoryStructures`, never waiting."""

    def __init__(self, inner: MemoryStructures) -> None:
        self._inner = inner

    async def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:
        """See `MemoryStructures.locate`."""
        return self._inner.locate(key, tags, life_ms, write=write)

    async def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """See `MemoryStructures.operate`."""
        return self._inner.operate(body, operations)
