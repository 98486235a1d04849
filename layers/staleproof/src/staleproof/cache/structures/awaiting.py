"""`AwaitingStructures`: how an asyncio cache makes structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache.face import Face

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.cache.structures.bitmaps import AsyncBitmap
    from staleproof.cache.structures.counters import AsyncCounter
    from staleproof.cache.structures.geo import AsyncGeo
    from staleproof.cache.structures.hashes import AsyncHash
    from staleproof.cache.structures.lists import AsyncList
    from staleproof.cache.structures.sets import AsyncSet
    from staleproof.cache.structures.sketches import AsyncHyperLogLog
    from staleproof.cache.structures.sorted_sets import AsyncSortedSet
    from staleproof.cache.structures.streams import AsyncStream
    from staleproof.cache.structures.template import Structures
    from staleproof.policies.policy import Policy

M = TypeVar("M")
F = TypeVar("F")
V = TypeVar("V")
N = TypeVar("N", int, float)


class AwaitingStructures(Face):
    """Data structures on the server; see `BlockingStructures`. The methods of their handles are awaited."""

    def sorted_set(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncSortedSet[M]]:
        """See `BlockingStructures.sorted_set`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "AsyncSortedSet", key, tags, policy, member)

    def list(
        self,
        key: str,
        *,
        value: type[V],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncList[V]]:
        """See `BlockingStructures.list`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.lists(self, "AsyncList", key, tags, policy, value)

    def hash(
        self,
        key: str,
        *,
        field: type[F],
        value: type[V],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncHash[F, V]]:
        """See `BlockingStructures.hash`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.hashes(self, "AsyncHash", key, tags, policy, field, value)

    def set(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncSet[M]]:
        """See `BlockingStructures.set`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "AsyncSet", key, tags, policy, member)

    def hyperloglog(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncHyperLogLog[M]]:
        """See `BlockingStructures.hyperloglog`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "AsyncHyperLogLog", key, tags, policy, member)

    def geo(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncGeo[M]]:
        """See `BlockingStructures.geo`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "AsyncGeo", key, tags, policy, member)

    @overload
    def counter(
        self, key: str, *, tags: Iterable[str] = (), policy: Policy | str | None = None
    ) -> Structures[AsyncCounter[int]]: ...

    @overload
    def counter(
        self, key: str, *, kind: type[N], tags: Iterable[str] = (), policy: Policy | str | None = None
    ) -> Structures[AsyncCounter[N]]: ...

    def counter(
        self,
        key: str,
        *,
        kind: type[Any] = int,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Any]:
        """See `BlockingStructures.counter`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.counters(self, "AsyncCounter", key, tags, policy, kind)

    def bitmap(
        self,
        key: str,
        *,
        bits: int = 2**23,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncBitmap]:
        """See `BlockingStructures.bitmap`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.bitmaps(self, "AsyncBitmap", key, tags, policy, bits)

    def stream(
        self,
        key: str,
        *,
        value: type[V],
        maxlen: int | None = None,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[AsyncStream[V]]:
        """See `BlockingStructures.stream`."""
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.streams(self, "AsyncStream", key, tags, policy, value, maxlen)
