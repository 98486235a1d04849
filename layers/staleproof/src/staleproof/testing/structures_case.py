"""`StructuresCase`: what the laws of data structures stand on, and asyncio handles as blocking code sees them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from staleproof.policies.policy import Policy
from staleproof.testing.abilities import Able
from staleproof.testing.blocking import BlockingCache
from staleproof.testing.cache_case import CacheCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.clock import Clock
    from staleproof.testing.blocking import Portal

HOUR = Policy(ttl="1h")


class AwaitedHandle:
    """A handle of an asyncio cache as blocking code sees it.

    Args:
        handle: the handle.
        portal: the loop in which its cache lives.
    """

    def __init__(self, handle: Any, portal: Portal) -> None:
        self.behind = handle
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.behind, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            given = [getattr(each, "behind", each) for each in arguments]
            return self._portal.call(_answer, value, given, named)

        return call

    def pinned(self) -> AwaitedHandle:
        """See `BlockingHandle.pinned`."""
        return AwaitedHandle(self._portal.call(self.behind.pinned), self._portal)


async def _answer(operation: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    result = operation(*arguments, **named)
    if inspect.isasyncgen(result):
        return [each async for each in result]
    return await result


def structures(cache: Any, kind: str, key: str, /, **options: Any) -> Callable[..., Any]:
    """Return the structures that *cache* makes, of either face, as blocking code calls them."""
    options.setdefault("policy", HOUR)
    if not isinstance(cache, BlockingCache):
        made: Callable[..., Any] = getattr(cache, kind)(key, **options)
        return made
    template = getattr(cache.behind, kind)(key, **options)
    return lambda *values, **named: AwaitedHandle(template(*values, **named), cache.portal)


class Kind(NamedTuple):
    """One kind of structure, and the least that one does with it.

    Attributes:
        options: what it is made with.
        fill: puts something in.
        look: what is to be seen of that.
        empty: what is to be seen of nothing.
    """

    options: dict[str, Any]
    fill: Callable[[Any], object]
    look: Callable[[Any], Any]
    empty: Any


KINDS: dict[str, Kind] = {
    "sorted_set": Kind({"member": str}, lambda it: it.add("ann", 1), lambda it: it.top(), []),
    "list": Kind({"value": str}, lambda it: it.push_right("ann"), lambda it: it.range(), []),
    "hash": Kind({"field": str, "value": int}, lambda it: it.set("ann", 1), lambda it: it.all(), {}),
    "set": Kind({"member": str}, lambda it: it.add("ann"), lambda it: it.members(), set()),
    "counter": Kind({}, lambda it: it.incr(7), lambda it: it.get(), 0),
    "hyperloglog": Kind({"member": str}, lambda it: it.add("ann"), lambda it: it.count(), 0),
    "bitmap": Kind({}, lambda it: it.set(3), lambda it: it.count(), 0),
    "stream": Kind({"value": str}, lambda it: it.append("ann"), lambda it: it.size(), 0),
    "geo": Kind({"member": str}, lambda it: it.add("ann", 1, 2), lambda it: it.size(), 0),
}

every_kind = pytest.mark.parametrize("kind", KINDS)


class StructuresCase(Able):
    """The base of all laws of structures. Fixtures to supply: see `StructuresContract`."""

    @pytest.fixture
    def here(self, provider: Any, clock: Clock) -> Any:
        """The cache under test."""
        return CacheCase.face(provider, clock, HOUR, near=False)

    @pytest.fixture
    def there(self, provider: Any, clock: Clock) -> Any:
        """Another cache on the same server, as another process has it."""
        return CacheCase.face(provider, clock, HOUR, near=False)

    @staticmethod
    def made(cache: Any, kind: str, key: str = "k:{n}", /, **options: Any) -> Callable[..., Any]:
        """Return structures of *kind*, under the tags `t:{n}` and `all`."""
        given = {"tags": ["t:{n}", "all"], **KINDS[kind].options, **options}
        return structures(cache, kind, key, **given)
