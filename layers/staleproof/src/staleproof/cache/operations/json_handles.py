"""`JsonDocument` and `AsyncJsonDocument`: the handles of a JSON document. How it is kept stands in `documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache.missing import MISSING
from staleproof.cache.operations import documents, paths
from staleproof.cache.operations.documents import Counting, Merging, Setting

if TYPE_CHECKING:
    from staleproof.cache.awaiting.values import Changing as AwaitingChanging
    from staleproof.cache.blocking.values import Changing
    from staleproof.policies.policy import Policy


class _Document:
    """What both faces have in common."""

    def __init__(
        self, cache: Any, key: str, tags: tuple[str, ...], policy: Policy | str | None, *, module: bool
    ) -> None:
        self._cache = cache
        self._key = key
        self._tags = tags
        self._policy = policy
        self._call = cache.call(key, tags, policy) if module else None

    @property
    def key(self) -> str:
        """The document's key."""
        return self._key

    @property
    def _options(self) -> dict[str, Any]:
        return {"tags": self._tags, "policy": self._policy}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key[:80]!r}{' of the module' if self._call else ''}>"


class JsonDocument(_Document):
    """A JSON document, for blocking code. A *path* is `$`, `$.name`, `$["any name"]`, `$[0]`, and what follows."""

    _cache: Changing

    def get(self, path: str = "$") -> Any:
        """Return what is at *path*, or `MISSING`: there is no such place, no document, or a tag was invalidated.

        Raises:
            ConfigurationError: *path* is none, or the module is missing.
        """
        steps = paths.parsed(path)
        if self._call is not None:
            return self._cache.run(documents.module_get(self._cache.core, self._call, steps))
        document = self._cache.get(self._key, tags=self._tags)
        return MISSING if document is MISSING else paths.found(document, steps)

    def set(self, value: Any, path: str = "$") -> bool:
        """Put *value* at *path*; say whether there is such a place. At `$` a document begins, under its tags.

        Raises:
            ConfigurationError: *path* is none, JSON cannot hold *value*, or the module is missing.
            LeaseLostError: others kept the document busy for longer than the policy's patience.
        """
        change = Setting(paths.parsed(path), value)
        if self._call is None:
            self._cache.update(self._key, change, **self._options)
            return change.made
        if path == "$":
            return self._cache.run(documents.module_set(self._cache.core, self._call, value))  # type: ignore[no-any-return]
        return self._by_module("JSON.SET", path, value)

    def merge(self, patch: Any, path: str = "$") -> bool:
        """Merge *patch* into what is at *path*, as RFC 7396 says; say whether there is such a place.

        Objects are merged, None removes a name, and everything else is replaced. Raises as `set` does.
        """
        change = Merging(paths.parsed(path), patch)
        if self._call is None:
            self._cache.update(self._key, change, **self._options)
            return change.made
        return self._by_module("JSON.MERGE", path, patch)

    def increment(self, path: str, by: float = 1) -> Any:
        """Add *by* to the number at *path*; return the new number, or `MISSING` if there is no such place.

        Raises:
            ConfigurationError: there is something else than a number; otherwise as `set`.
        """
        change = Counting(paths.parsed(path), by)
        if self._call is None:
            self._cache.update(self._key, change, **self._options)
            return change.value
        plan = documents.module_count(self._cache.core, self._call, paths.parsed(path), by)
        return self._cache.run(plan)

    def remove(self) -> None:
        """Forget the document."""
        if self._call is None:
            self._cache.apply(self._cache.invalidation(keys=[self._key]))
        else:
            self._cache.run(documents.module_remove(self._call))

    def _by_module(self, command: str, path: str, value: Any) -> bool:
        core, steps = self._cache.core, paths.parsed(path)
        reply = self._cache.run(documents.module_change(core, self._call, steps, command, value))  # type: ignore[arg-type]
        return reply is not MISSING and reply is not None


class AsyncJsonDocument(_Document):
    """`JsonDocument`, awaited."""

    _cache: AwaitingChanging

    async def get(self, path: str = "$") -> Any:
        """See `JsonDocument.get`."""
        steps = paths.parsed(path)
        if self._call is not None:
            return await self._cache.run(documents.module_get(self._cache.core, self._call, steps))
        document = await self._cache.get(self._key, tags=self._tags)
        return MISSING if document is MISSING else paths.found(document, steps)

    async def set(self, value: Any, path: str = "$") -> bool:
        """See `JsonDocument.set`."""
        change = Setting(paths.parsed(path), value)
        if self._call is None:
            await self._cache.update(self._key, change, **self._options)
            return change.made
        if path == "$":
            plan = documents.module_set(self._cache.core, self._call, value)
            return await self._cache.run(plan)  # type: ignore[no-any-return]
        return await self._by_module("JSON.SET", path, value)

    async def merge(self, patch: Any, path: str = "$") -> bool:
        """See `JsonDocument.merge`."""
        change = Merging(paths.parsed(path), patch)
        if self._call is None:
            await self._cache.update(self._key, change, **self._options)
            return change.made
        return await self._by_module("JSON.MERGE", path, patch)

    async def increment(self, path: str, by: float = 1) -> Any:
        """See `JsonDocument.increment`."""
        change = Counting(paths.parsed(path), by)
        if self._call is None:
            await self._cache.update(self._key, change, **self._options)
            return change.value
        plan = documents.module_count(self._cache.core, self._call, paths.parsed(path), by)
        return await self._cache.run(plan)

    async def remove(self) -> None:
        """See `JsonDocument.remove`."""
        if self._call is None:
            await self._cache.apply(self._cache.invalidation(keys=[self._key]))
        else:
            await self._cache.run(documents.module_remove(self._call))

    async def _by_module(self, command: str, path: str, value: Any) -> bool:
        core, steps = self._cache.core, paths.parsed(path)
        plan = documents.module_change(core, self._call, steps, command, value)  # type: ignore[arg-type]
        reply = await self._cache.run(plan)
        return reply is not MISSING and reply is not None
