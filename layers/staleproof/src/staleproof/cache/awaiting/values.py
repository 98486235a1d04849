"""`Values`: what an asyncio cache does with one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache import asking, reading
from staleproof.cache.awaiting.serving import Serving
from staleproof.cache.missing import MISSING, Missing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from staleproof.cache.call import Call
    from staleproof.cache.changes import Removal
    from staleproof.cache.core import Hit
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

T = TypeVar("T")


class Values(Serving):
    """Reading and writing single values.

    Everywhere: *key* is a key's text, built with `staleproof.key` if it has variable parts; *tags* are those that it is
    stored with, and reading takes the same ones; *kind* is the type to read stored values as; *policy* is how to keep
    it, the cache's own by default.
    """

    @overload
    async def get(self, key: str, *, tags: Iterable[str] = ()) -> Any: ...

    @overload
    async def get(self, key: str, *, tags: Iterable[str] = (), kind: type[T]) -> T | Missing: ...

    @overload
    async def get(self, key: str, *, tags: Iterable[str] = (), kind: Any) -> Any: ...

    async def get(self, key: str, *, tags: Iterable[str] = (), kind: Any = Any) -> Any:
        """Return what is cached under *key*, or `MISSING`."""
        return await self.run(reading.get(self.core, self.call(key, tags, kind=kind)))

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        tags: Iterable[str] = (),
        tags_from: Callable[[T], Iterable[str]] | None = None,
        row_version: Callable[[T], int | None] | None = None,
        kind: type[T] | Any = Any,
        policy: Policy | str | None = None,
    ) -> T:
        """Return the fresh value of *key*, or what *loader* returns, stored for the next reader.

        Args:
            key: the key's text.
            loader: called without arguments on a miss; its exception passes through, and nothing is stored.
            tags: tags known before the load.
            tags_from: tags that only the value names.
            row_version: the version of the source row behind the value, for sources that may lag.
            kind: the type to read stored values as.
            policy: how to keep it; the cache's own by default.

        Raises:
            ProviderError: the cache server cannot be read, and the policy's `fallback` is `"error"`.
            LoadTimeoutError: the load took longer than the policy's `hard_timeout`.
        """
        return await self.serve(
            self.call(key, tags, policy, kind, tags_from, row_version), asking.awaiting(loader)
        )

    async def put(
        self,
        key: str,
        value: Any,
        *,
        tags: Iterable[str] = (),
        kind: type | Any = Any,
        policy: Policy | str | None = None,
    ) -> None:
        """Store *value*; copies of the key anywhere else are invalidated first.

        The value counts as loaded now: where it was read from a source some time ago, use `get_or_load`, which
        fences the time between. An invalidation that comes meanwhile wins, and so does a load that begins meanwhile.
        """
        await self.put_value(self.call(key, tags, policy, kind), value)


class Changing(Values):
    """Changing a single value in one step for everybody else, whatever others do meanwhile."""

    async def put_if_absent(
        self,
        key: str,
        value: Any,
        *,
        tags: Iterable[str] = (),
        kind: type | Any = Any,
        policy: Policy | str | None = None,
    ) -> bool:
        """Store *value* unless a fresh one is stored; say whether it was. One of several callers succeeds.

        Raises:
            LeaseLostError: others kept the key busy for longer than the policy's patience.
        """
        return await self.compare_and_set(key, MISSING, value, tags=tags, kind=kind, policy=policy)

    async def compare_and_set(
        self,
        key: str,
        expected: Any,
        value: Any,
        *,
        tags: Iterable[str] = (),
        kind: Any = Any,
        policy: Policy | str | None = None,
    ) -> bool:
        """Replace a fresh *expected* by *value*, in one step for everybody else; say whether it was.

        Near copies of the old value follow the journal like any other. `MISSING` expects that nothing is stored.
        """
        from staleproof.cache.changes import Replacement  # noqa: PLC0415 - where it is used

        change = Replacement(expected, value)
        await self.update(key, change, tags=tags, kind=kind, policy=policy)
        return change.made

    async def compare_and_delete(
        self,
        key: str,
        expected: Any = MISSING,
        *,
        version: str | None = None,
        tags: Iterable[str] = (),
        kind: Any = Any,
        policy: Policy | str | None = None,
    ) -> bool:
        """Remove a fresh *expected*, or what *version* names, in one step for everybody else; say whether it was.

        Near copies follow the journal, as with `compare_and_set`, whose counterpart it is.

        Raises:
            ConfigurationError: neither a value nor a version is given, or both are.
            LeaseLostError: others kept the key busy for longer than the policy's patience.
        """
        from staleproof.cache.changes import Removal  # noqa: PLC0415 - where it is used

        change = Removal(expected, version)
        if not self.core.off:
            call = self.call(key, tags, policy, kind)
            await self._updated(call, change)
        return change.made

    async def version(self, key: str, *, tags: Iterable[str] = (), kind: Any = Any) -> str | Missing:
        """Return a name of what is stored under *key*, or `MISSING`; another value, or millisecond, has another name.

        It is what `compare_and_delete` takes instead of a value that is large, or has no equality.
        """
        found: Hit | None = await self.run(reading.peek(self.core, self.call(key, tags, kind=kind)))
        if found is None:
            return MISSING
        from staleproof.cache.changes import version_of  # noqa: PLC0415 - where it is used

        return version_of(found.entry)

    async def increment(
        self,
        key: str,
        by: float = 1,
        *,
        initial: float = 0,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Any:
        """Add *by* to the number under *key*, which begins at *initial*, in one step; return the new number.

        Raises:
            ConfigurationError: what is stored is no number.
            LeaseLostError: others kept the key busy for longer than the policy's patience.
        """
        from staleproof.cache.changes import Addition  # noqa: PLC0415 - where it is used

        return await self.update(key, Addition(by, initial), tags=tags, policy=policy)

    async def decrement(
        self,
        key: str,
        by: float = 1,
        *,
        initial: float = 0,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> Any:
        """Take *by* from the number under *key*; see `increment`."""
        return await self.increment(key, -by, initial=initial, tags=tags, policy=policy)

    async def update(
        self,
        key: str,
        change: Callable[[Any], Any],
        *,
        tags: Iterable[str] = (),
        kind: Any = Any,
        policy: Policy | str | None = None,
    ) -> Any:
        """Replace the value under *key* by `change(value)`, in one step for everybody else; return what is stored then.

        Near copies of the old value are told right after it. If the server goes away just between, the error is raised
        although the change was made: look before you repeat an increment.

        Args:
            key: the key's text.
            change: gets the fresh value, or `MISSING`; returns the new one, or `MISSING` to leave it. It may be called
                again, if the key was invalidated meanwhile, so it should have no effects of its own.
            tags: tags it is stored with.
            kind: the type to read it as.
            policy: how to keep it.

        Raises:
            LeaseLostError: others kept the key busy for longer than the policy's patience.
        """
        call = self.call(key, tags, policy, kind)
        if self.core.off:
            return change(MISSING)
        return await self._updated(call, change)

    async def _updated(self, call: Call, change: Callable[[Any], Any] | Removal) -> Any:
        from staleproof.cache import updating  # noqa: PLC0415 - where it is used

        record = self.invalidation(keys=[call.key], superseded=True)
        return await self.run(updating.update(self.core, call, change, record))


class Lasting(Changing):
    """How long single values live, and whether they do."""

    async def touch(
        self,
        key: str,
        ttl: Duration | None = None,
        *,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
    ) -> bool:
        """Let the value under *key* live for another *ttl* from now, the policy's by default; say whether it was there.

        Its bytes are not moved.
        """
        from staleproof.cache import writing  # noqa: PLC0415 - where it is used

        record = self.invalidation(keys=[key], superseded=True)
        return bool(await self.run(writing.touch(self.core, self.call(key, tags, policy), ttl, record)))

    async def exists(self, key: str, *, tags: Iterable[str] = ()) -> bool:
        """Say whether a fresh value is stored under *key*."""
        return await self.look(self.call(key, tags)) is not MISSING

    async def ttl(self, key: str, *, tags: Iterable[str] = ()) -> float | None:
        """Return for how many seconds the value under *key* is still fresh: 0 if it is not, None if for ever."""
        left: float | None = await self.run(reading.life(self.core, self.call(key, tags)))
        return left
