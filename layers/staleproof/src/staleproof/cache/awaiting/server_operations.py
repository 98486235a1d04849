"""`ServerOperations`: what an asyncio cache offers beside values: limits, locks, lists, filters, documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache.asking import checked_key, checked_tags
from staleproof.cache.awaiting.several import Several

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.cache.operations.blooms import AsyncBloom
    from staleproof.cache.operations.features import Modules
    from staleproof.cache.operations.json_handles import AsyncJsonDocument
    from staleproof.cache.operations.latest import AsyncLatest
    from staleproof.cache.operations.limiters import AsyncRateLimiter
    from staleproof.cache.operations.limits import LimitUnreachable
    from staleproof.cache.operations.locks import AsyncLock
    from staleproof.policies.policy import Policy

T = TypeVar("T")


class ServerOperations(Several):
    """Handles of small atomic programs on the server; none of them is switched off with the cache."""

    def rate_limit(
        self,
        name: str,
        *,
        limit: int,
        per: float | str,
        burst: int = 0,
        unreachable: LimitUnreachable = "local",
    ) -> AsyncRateLimiter:
        """Return a limit of *limit* a *per* for each name that the template *name* makes; also a decorator.

        Args:
            name: such as `login:{user}`.
            limit: so many a *per*, steadily; and so many at once, after a while without any.
            per: seconds, or `"1m"`.
            burst: so many more at once.
            unreachable: what it answers while no server does: `"local"` limits in this process alone, `"allow"` lets
                everything through, `"deny"` nothing, `"raise"` raises what the server's absence raises.

        Raises:
            ConfigurationError: an argument is out of its bounds.
        """
        from staleproof.cache.operations.limiters import AsyncRateLimiter  # noqa: PLC0415 - where it is used
        from staleproof.cache.operations.limits import Rule  # noqa: PLC0415

        return AsyncRateLimiter(self, name, Rule(limit, per, burst, unreachable, self.core.clock))

    def lock(
        self, name: str, *, ttl: float | str, wait: float | str = 0, renew: float | str | None = None
    ) -> AsyncLock:
        """Return a lock, not held: a context manager, and a decorator. It has a fencing token while it is held.

        Args:
            name: such as `report:{id}`; `of` fills in its fields, or the arguments of a decorated function do.
            ttl: for how long it is held at most, if nobody prolongs it.
            wait: for how long to wait for another's; `LockBusyError` says that it was not enough.
            renew: for how long at most it is prolonged in the background while it is held; None for not at all.

        Raises:
            ConfigurationError: an argument is out of its bounds.
        """
        from staleproof.cache.operations.holding import Terms  # noqa: PLC0415 - where it is used
        from staleproof.cache.operations.locks import AsyncLock  # noqa: PLC0415
        from staleproof.cache.operations.naming import Naming  # noqa: PLC0415

        return AsyncLock(self, Naming(name), Terms(ttl, wait, renew))

    @overload
    def latest(
        self, name: str, *, keep: int, ttl: float | str | None = None, stream: bool = False
    ) -> AsyncLatest[Any]: ...

    @overload
    def latest(
        self, name: str, *, keep: int, kind: type[T], ttl: float | str | None = None, stream: bool = False
    ) -> AsyncLatest[T]: ...

    @overload
    def latest(
        self, name: str, *, keep: int, kind: Any, ttl: float | str | None = None, stream: bool = False
    ) -> AsyncLatest[Any]: ...

    def latest(
        self,
        name: str,
        *,
        keep: int,
        kind: Any = Any,
        ttl: float | str | None = None,
        stream: bool = False,
    ) -> AsyncLatest[Any]:
        """Return the newest *keep* values of each name that the template *name* makes.

        Args:
            name: such as `viewed:{user}`.
            keep: how many there are at most; pushing more drops the oldest, in the same step.
            kind: the type to read them as.
            ttl: how long they live after the last push; None for ever.
            stream: whether they lie in a stream, under `v`, for others to follow, instead of a list.

        Raises:
            ConfigurationError: an argument is out of its bounds.
        """
        from staleproof.cache.operations.latest import AsyncLatest  # noqa: PLC0415 - where it is used

        return AsyncLatest(self, name, keep, ttl, self.codec_for(kind), stream=stream)

    def bloom(
        self,
        name: str,
        *,
        capacity: int,
        error_rate: float = 0.01,
        ttl: float | str | None = None,
        module: bool = False,
    ) -> AsyncBloom:
        """Return a Bloom filter: which of all possible items may exist, and which certainly do not.

        Args:
            name: the filter's name; all processes that use it must agree on *module*.
            capacity: how many items it is for.
            error_rate: of items that were never added, the share that it lets pass when it is full.
            ttl: how long a filter is used after it was built; then everything may exist. None for ever.
            module: whether it is kept by the server's own Bloom module (`BF.*`), and not in a bitmap.

        Raises:
            ConfigurationError: an argument is out of its bounds.
        """
        from staleproof.cache.operations.blooms import AsyncBloom  # noqa: PLC0415 - where it is used
        from staleproof.cache.operations.filters import Shape  # noqa: PLC0415

        shape = Shape.of(capacity, error_rate, module=module)
        return AsyncBloom(self, name, shape, ttl, module=module)

    def json(
        self, key: str, *, tags: Iterable[str] = (), policy: Policy | str | None = None, module: bool = False
    ) -> AsyncJsonDocument:
        """Return a JSON document, of which single places can be read and changed.

        Args:
            key: the document's key, as `get` takes it.
            tags: the tags that it is stored under.
            policy: how to keep it; the cache's own by default.
            module: whether it is kept by the server's own JSON module (`JSON.*`), where only what is at a path moves,
                and not as an ordinary entry, which near caches and other regions follow.

        Raises:
            ConfigurationError: the key or a tag is no text.
        """
        from staleproof.cache.operations.json_handles import AsyncJsonDocument  # noqa: PLC0415 - where it is used

        return AsyncJsonDocument(self, checked_key(key), checked_tags(tags), policy, module=module)

    async def modules(self) -> Modules:
        """Return which modules the server has: `bloom`, `json`, `search`; an answer is kept for five minutes.

        Raises:
            ConfigurationError: the provider has no operations at all.
            ProviderUnavailableError: the server is away.
        """
        from staleproof.cache.operations.features import modules  # noqa: PLC0415 - where it is used

        return await self.run(modules(self.core))  # type: ignore[no-any-return]
