"""What every handle has: where it points to, the plan that asks, and what can be done with any structure.

Theory of operation
-------------------
An operation asks twice: where the body is, under the versions that its tags have now; and then the body. What happens
between the two is an invalidation or nothing that matters. After an invalidation the body that was found is not found
by anybody who begins later: what is written there is lost, together with everything else that the invalidation
concerns, and what is read there was so when the operation began. So no operation that begins after an invalidation was
acknowledged sees what one that began to ask before it has written.

A *pinned* handle has found its body once and stays there, and so asks once an operation. It is for filling a structure
with what a source says: pin, then read the source, then write. What an invalidation since has outdated is then lost,
as a load is that was overtaken. Whoever fills without pinning may store what he read before the invalidation behind it.

What must not be done twice is not sent again when a connection breaks (`staleproof.ports.structures.Operation`): then
it is not known whether it was done, and the error says so.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from staleproof.cache.structures.method import Awaiting, Blocking, method
from staleproof.cache.structures.requests import Locate, Operate
from staleproof.errors import CircuitOpenError, ConfigurationError, ProviderUnavailableError
from staleproof.ports.structures import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan
    from staleproof.policies.policy import Policy
    from staleproof.ports.structures import Argument
    from staleproof.tags import TagId

R = TypeVar("R")

MOST_ARGUMENTS = 1_000
"""What one command names at most: ElastiCache Serverless refuses 4,000 arguments."""

MOST_TOGETHER = 8
"""Commands that are sent at once."""


class Bound(NamedTuple):
    """What a handle points to.

    Attributes:
        face: the cache, `Cache` or `AsyncCache`.
        key: the key's text.
        tags: the tags' texts.
        ids: the tags' ids, the namespace's root first.
        policy: as it was given: a policy, the name of one, or None for the cache's.
        elements: how members, fields and values are written.
        limits: bounds of this kind of structure, by name.
    """

    face: Any
    key: str
    tags: tuple[str, ...]
    ids: tuple[TagId, ...]
    policy: Policy | str | None
    elements: tuple[Element[Any], ...]
    limits: dict[str, Any]

    @property
    def settled(self) -> Policy:
        """The policy as it is now.

        Raises:
            ConfigurationError: it has no time to live.
        """
        return with_end(self.face.policy_of(self.policy))


def with_end(policy: Policy) -> Policy:
    """Return *policy*.

    Raises:
        ConfigurationError: it has no time to live.
    """
    if policy.ttl is None:
        raise ConfigurationError(
            "a data structure needs a policy with a ttl, for what an invalidation has emptied goes by it; "
            "write policy=Policy(ttl='1d')"
        )
    return policy


class Handle:
    """One structure.

    Attributes:
        kind: what it is, as statistics name it.
    """

    kind: ClassVar[str] = "structure"

    def __init__(self, bound: Bound, body: bytes | None = None) -> None:
        self._bound = bound
        self._body = body

    @property
    def key(self) -> str:
        """The key's text."""
        return self._bound.key

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags' texts; invalidating one of them empties the structure."""
        return self._bound.tags

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._bound.key!r})"

    @method
    def ttl(self) -> Plan[float | None]:
        """Return for how many seconds it lives if nothing is written; None if it is empty."""
        left = yield from self._look("PTTL")
        return None if left < 0 else left / 1_000

    def _check_beside(self, other: Handle) -> None:
        if other._bound.face is not self._bound.face:
            raise ConfigurationError(
                f"{other!r} belongs to another cache than {self!r}; use two of one cache"
            )

    # --- asking ------------------------------------------------------------------------------------

    def _located(self, *, write: bool) -> Plan[bytes]:
        policy = self._bound.settled
        body: bytes = yield Locate(self._bound.key, self._bound.ids, policy.tag_ttl_for(policy.ttl_ms), write)
        return body

    def _ask(self, operations: Sequence[Operation]) -> Plan[list[Any]]:
        """Do *operations*, and return their replies."""
        body = self._body
        if body is None:
            body = yield from self._located(write=any(each.ttl_ms for each in operations))
        try:
            replies: list[Any] = yield Operate(body, operations)
        except CircuitOpenError:
            raise
        except ProviderUnavailableError as error:
            if not any(each.once for each in operations):
                raise
            raise ProviderUnavailableError(
                f"whether {self._bound.key[:80]!r} was changed is not known; look before you repeat it: {error}"
            ) from error
        statistics = self._bound.face.core.statistics
        statistics.operated(self.kind)
        return replies

    def _look(self, command: str, *arguments: Argument) -> Plan[Any]:
        """Return the reply to one command that changes nothing."""
        (reply,) = yield from self._ask([Operation(command, arguments)])
        return reply

    def _look_each(self, command: str, arguments: Sequence[Argument]) -> Plan[list[Any]]:
        """Return one reply each for many *arguments*, of a command that takes many and changes nothing."""
        found: list[Any] = []
        for some in _batches([(each,) for each in arguments]):
            replies = yield from self._ask([Operation(command, each) for each in some])
            found += chain.from_iterable(replies)
        return found

    def _write(self, command: str, *arguments: Argument, once: bool = False) -> Plan[Any]:
        """Return the reply to one command that writes; *once* says that it must not be done twice."""
        (reply,) = yield from self._ask([self._writing(command, arguments, once=once)])
        return reply

    def _write_each(
        self, command: str, items: Sequence[tuple[Argument, ...]], *head: Argument, once: bool = False
    ) -> Plan[list[Any]]:
        """Return the replies to a command that takes many *items* behind *head*, in as many parts as it takes."""
        replies: list[Any] = []
        for some in _batches(items):
            replies += yield from self._ask(
                [self._writing(command, (*head, *each), once=once) for each in some]
            )
        return replies

    def _writing(self, command: str, arguments: tuple[Argument, ...], *, once: bool) -> Operation:
        return Operation(command, arguments, self._bound.settled.ttl_ms, once)


def _batches(items: Sequence[tuple[Argument, ...]]) -> Iterable[list[tuple[Argument, ...]]]:
    """Yield what is sent at once: the arguments of some commands each."""
    size = MOST_ARGUMENTS // max(map(len, items), default=1)
    parts = [tuple(chain.from_iterable(items[at : at + size])) for at in range(0, len(items), size)]
    for at in range(0, len(parts), MOST_TOGETHER):
        yield parts[at : at + MOST_TOGETHER]


class BlockingHandle(Handle, Blocking):
    """A handle of a blocking cache."""

    def run(self, plan: Plan[R]) -> R:
        """Run *plan* to its end."""
        result: R = self._bound.face.run(plan)
        return result

    def pinned(self) -> Self:
        """Return a handle that stays with what the structure is now; see `staleproof.cache.structures.handle`."""
        return type(self)(self._bound, self.run(self._located(write=True)))

    def invalidate(self) -> None:
        """Empty it, everywhere, in constant time; see `Cache.evict`."""
        self._bound.face.evict(self._bound.key)


class AwaitingHandle(Handle, Awaiting):
    """A handle of an asyncio cache."""

    async def run(self, plan: Plan[R]) -> R:
        """Run *plan* to its end."""
        result: R = await self._bound.face.run(plan)
        return result

    async def pinned(self) -> Self:
        """See `BlockingHandle.pinned`."""
        return type(self)(self._bound, await self.run(self._located(write=True)))

    async def invalidate(self) -> None:
        """See `BlockingHandle.invalidate`."""
        await self._bound.face.evict(self._bound.key)
