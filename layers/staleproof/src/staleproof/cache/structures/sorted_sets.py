"""Sorted sets: members with scores, in order; leaderboards, top lists, things by time."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from staleproof.cache.structures.arguments import inclusive, real, several, whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

M = TypeVar("M")
Only: TypeAlias = Literal["new", "known", "greater", "less"]

FLAGS: dict[Any, tuple[str, ...]] = {
    None: (),
    "new": ("NX", "CH"),
    "known": ("XX", "CH"),
    "greater": ("GT", "CH"),
    "less": ("LT", "CH"),
}


class SortedSetOperations(Handle, Generic[M]):
    """The operations of sorted sets. The order is highest first, unless *ascending*; equal scores by their bytes."""

    kind: ClassVar[str] = "sorted_set"

    @property
    def _member(self) -> Element[M]:
        return self._bound.elements[0]

    @method
    def add(self, member: M, score: float, *, only: Only | None = None) -> Plan[bool]:
        """Set the score of *member*; say whether it is new, or with *only*, whether anything changed.

        Args:
            member: whose score it is.
            score: not NaN; infinities are allowed.
            only: do it only if the member is `"new"` or `"known"`, or known and the score `"greater"` or `"less"`; the
                latter two add new members, too.
        """
        if only not in FLAGS:
            raise ConfigurationError(f"only={only!r} is none of 'new', 'known', 'greater', 'less'")
        pair = repr(real("score", score)), self._member.write(member)
        changed = yield from self._write("ZADD", *FLAGS[only], *pair, once=only is not None)
        return bool(changed)

    @method
    def add_many(self, scores: Mapping[M, float]) -> Plan[int]:
        """Set the scores of many members; return how many are new."""
        pairs = [(repr(real("score", score)), self._member.write(each)) for each, score in scores.items()]
        return sum((yield from self._write_each("ZADD", pairs)))

    @method
    def incr(self, member: M, by: float = 1) -> Plan[float]:
        """Add to the score of *member*, 0 if it is new; return the sum."""
        reply = yield from self._write("ZINCRBY", repr(real("by", by)), self._member.write(member), once=True)
        return float(reply)

    @method
    def score(self, member: M) -> Plan[float | None]:
        """Return the score of *member*, or None."""
        reply = yield from self._look("ZSCORE", self._member.write(member))
        return None if reply is None else float(reply)

    @method
    def scores(self, members: Iterable[M]) -> Plan[dict[M, float]]:
        """Return the scores of those of *members* that are there."""
        asked = several("members", members)
        found = yield from self._look_each("ZMSCORE", [self._member.write(each) for each in asked])
        return {each: float(raw) for each, raw in zip(asked, found, strict=True) if raw is not None}

    @method
    def rank(self, member: M, *, ascending: bool = False) -> Plan[int | None]:
        """Return how many members stand before *member*, or None if it is not there."""
        rank: int | None = yield from self._look(
            "ZRANK" if ascending else "ZREVRANK", self._member.write(member)
        )
        return rank

    @method
    def top(self, count: int = 10) -> Plan[list[tuple[M, float]]]:
        """Return the *count* highest members with their scores."""
        return (yield from self._range(0, whole("count", count, 0), ascending=False))

    @method
    def range(
        self, start: int = 0, stop: int | None = None, *, ascending: bool = False
    ) -> Plan[list[tuple[M, float]]]:
        """Return the members at `[start:stop]` of the order, as a slice of a list, with their scores."""
        return (yield from self._range(start, stop, ascending=ascending))

    def _range(self, start: int, stop: int | None, *, ascending: bool) -> Plan[list[tuple[M, float]]]:
        places = inclusive(start, stop)
        if places is None:
            return []
        order = () if ascending else ("REV",)
        return self._read((yield from self._look("ZRANGE", *places, *order, "WITHSCORES")))

    @method
    def by_score(
        self,
        low: float = -inf,
        high: float = inf,
        *,
        ascending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> Plan[list[tuple[M, float]]]:
        """Return the members with scores from *low* to *high*, both within; *limit* of them after *offset*."""
        bounds = [repr(real("low", low)), repr(real("high", high))]
        order = ["BYSCORE"] if ascending else ["BYSCORE", "REV"]
        page = ("LIMIT", whole("offset", offset, 0), -1 if limit is None else whole("limit", limit, 0))
        asked = (*(bounds if ascending else reversed(bounds)), *order, *page, "WITHSCORES")
        return self._read((yield from self._look("ZRANGE", *asked)))

    @method
    def count(self, low: float = -inf, high: float = inf) -> Plan[int]:
        """Return how many members have scores from *low* to *high*, both within."""
        number: int = yield from self._look("ZCOUNT", repr(real("low", low)), repr(real("high", high)))
        return number

    @method
    def remove(self, *members: M) -> Plan[int]:
        """Remove *members*; return how many were there."""
        gone = [(self._member.write(each),) for each in members]
        return sum((yield from self._write_each("ZREM", gone)))

    @method
    def keep_top(self, count: int) -> Plan[int]:
        """Remove all but the *count* highest members; return how many went."""
        gone: int = yield from self._write("ZREMRANGEBYRANK", 0, -whole("count", count, 0) - 1)
        return gone

    @method
    def size(self) -> Plan[int]:
        """Return how many members there are."""
        number: int = yield from self._look("ZCARD")
        return number

    def _read(self, reply: list[bytes]) -> list[tuple[M, float]]:
        read = self._member.read
        return [(read(member), float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]


class SortedSet(SortedSetOperations[M], BlockingHandle):
    """A sorted set of a blocking cache."""


class AsyncSortedSet(SortedSetOperations[M], AwaitingHandle):
    """A sorted set of an asyncio cache."""
