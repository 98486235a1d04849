"""`BlockingStructures`: how a blocking cache makes structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache.face import Face

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.cache.structures.bitmaps import Bitmap
    from staleproof.cache.structures.counters import Counter
    from staleproof.cache.structures.geo import Geo
    from staleproof.cache.structures.hashes import Hash
    from staleproof.cache.structures.lists import List
    from staleproof.cache.structures.sets import Set
    from staleproof.cache.structures.sketches import HyperLogLog
    from staleproof.cache.structures.sorted_sets import SortedSet
    from staleproof.cache.structures.streams import Stream
    from staleproof.cache.structures.template import Structures
    from staleproof.policies.policy import Policy

M = TypeVar("M")
F = TypeVar("F")
V = TypeVar("V")
N = TypeVar("N", int, float)


class BlockingStructures(Face):
    """Data structures on the server, typed and namespaced; invalidating one of their tags empties them.

    Everywhere: *key* is a template; called with its fields' values, what is returned gives a handle. *tags* are
    templates over the same fields. *policy* must have a `ttl`: a structure ends so long after it was last written.
    Element types are checked here, templates too: a slip raises `ConfigurationError` at import.

    Whoever uses a key elsewhere must name the same tags, or gets another structure.
    """

    def sorted_set(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[SortedSet[M]]:
        """Make sorted sets: members with scores, in order.

        *key* is such as `leaderboard:{game}`.
        *member* is their type: equal ones must be written alike, see `staleproof.cache.structures.elements`.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "SortedSet", key, tags, policy, member)

    def list(
        self,
        key: str,
        *,
        value: type[V],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[List[V]]:
        """Make lists: values in order, cheap at both ends: queues, stacks.

        *key* is such as `jobs:{queue}`.
        *value* is their type.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.lists(self, "List", key, tags, policy, value)

    def hash(
        self,
        key: str,
        *,
        field: type[F],
        value: type[V],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Hash[F, V]]:
        """Make hashes: values by field, each read and changed by itself.

        *key* is such as `cart:{user}`.
        *field* is the fields' type, see `sorted_set`; *value* is the values'.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.hashes(self, "Hash", key, tags, policy, field, value)

    def set(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Set[M]]:
        """Make sets: members without order, each once.

        *key* is such as `followers:{user}`.
        *member* is their type, see `sorted_set`.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "Set", key, tags, policy, member)

    def hyperloglog(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[HyperLogLog[M]]:
        """Make HyperLogLogs: how many distinct members there were, about.

        *key* is such as `visitors:{day}`.
        *member* is their type, see `sorted_set`.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "HyperLogLog", key, tags, policy, member)

    def geo(
        self,
        key: str,
        *,
        member: type[M],
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Geo[M]]:
        """Make geographic sets: members with places on earth, found by distance.

        *key* is such as `shops:{country}`.
        *member* is their type, see `sorted_set`.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.of_members(self, "Geo", key, tags, policy, member)

    @overload
    def counter(
        self, key: str, *, tags: Iterable[str] = (), policy: Policy | str | None = None
    ) -> Structures[Counter[int]]: ...

    @overload
    def counter(
        self, key: str, *, kind: type[N], tags: Iterable[str] = (), policy: Policy | str | None = None
    ) -> Structures[Counter[N]]: ...

    def counter(
        self,
        key: str,
        *,
        kind: type[Any] = int,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Any]:
        """Make counters, of integers with 64 bits or of floats.

        *key* is such as `views:{page}`.
        *kind* is `int` or `float`.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.counters(self, "Counter", key, tags, policy, kind)

    def bitmap(
        self,
        key: str,
        *,
        bits: int = 2**23,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Bitmap]:
        """Make bitmaps: one bit for each of many numbers.

        *key* is such as `active:{day}`.
        *bits* is how many there are; a server keeps as many as the highest that is set.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.bitmaps(self, "Bitmap", key, tags, policy, bits)

    def stream(
        self,
        key: str,
        *,
        value: type[V],
        maxlen: int | None = None,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Structures[Stream[V]]:
        """Make streams: records that are appended, and read again from any place on.

        *key* is such as `events:{room}`.
        *value* is what a record holds. The newest *maxlen* records are kept, all if it is None.
        """
        from staleproof.cache.structures import making  # noqa: PLC0415 - most programs have none

        return making.streams(self, "Stream", key, tags, policy, value, maxlen)
