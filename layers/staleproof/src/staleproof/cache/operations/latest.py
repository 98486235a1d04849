"""`Latest` and `AsyncLatest`: the newest values of a name, never more than so many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from staleproof.cache.operations.counts import whole
from staleproof.cache.operations.naming import Naming
from staleproof.cache.operations.performing import Perform
from staleproof.errors import CodecError, ConfigurationError
from staleproof.policies.duration import seconds
from staleproof.ports.operations import MAX_COUNT, Forget, Push
from staleproof.ports.operations import Latest as Look

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staleproof.cache.awaiting.serving import Serving as AwaitingServing
    from staleproof.cache.blocking.serving import Serving
    from staleproof.cache.commands import Plan
    from staleproof.codecs.codec import Codec
    from staleproof.ports.operations import Pushed

T = TypeVar("T")

MAX_KEPT = 100_000
MAX_PUSHED = 1_000
"""Values of one push; with its other arguments below what a serverless cache takes in one command."""


class _Newest(Generic[T]):
    """What both faces have in common.

    Raises:
        ConfigurationError: an argument is out of its bounds.
    """

    def __init__(
        self, source: str, keep: int, ttl: float | str | None, codec: Codec[Any], *, stream: bool
    ) -> None:
        self._naming = Naming(source, "limit")
        self._keep = whole("keep", keep, 1, MAX_KEPT)
        self._ttl_ms = 0 if ttl is None else round(seconds(ttl, "ttl") * 1_000)
        if ttl is not None and not self._ttl_ms:
            raise ConfigurationError(
                f"ttl={ttl!r} is no time at all; leave it out where there is to be no end"
            )
        self._codec = codec
        self._stream = stream

    def _pushing(self, fields: dict[str, Any], values: Sequence[T]) -> Plan[int]:
        if not 1 <= len(values) <= MAX_PUSHED:
            raise ConfigurationError(f"push takes 1 to {MAX_PUSHED} values at once, not {len(values)}")
        encoded = tuple(bytes(self._codec.encode(value)) for value in values)
        name = self._naming.name(fields)
        pushed: Pushed = yield Perform(Push(name, encoded, self._keep, self._ttl_ms, self._stream))
        return pushed.dropped

    def _looking(self, fields: dict[str, Any], limit: int | None) -> Plan[list[T]]:
        wanted = self._keep if limit is None else whole("limit", limit, 1, MAX_COUNT)
        found: list[bytes] = yield Perform(
            Look(self._naming.name(fields), min(wanted, self._keep), self._stream)
        )
        return list(self._readable(found))

    def _readable(self, found: Iterable[bytes]) -> Iterable[T]:
        for each in found:
            try:
                value: T = self._codec.decode(each)
            except CodecError:
                continue  # of another type or release: as if it were not there
            yield value

    def _clearing(self, fields: dict[str, Any]) -> Plan[None]:
        yield Perform(Forget(self._naming.name(fields), "stream" if self._stream else "list"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._naming.source!r}, {self._keep} at most>"


class Latest(_Newest[T]):
    """The newest values of a name, for blocking code. Every method takes the template's fields by name."""

    def __init__(
        self,
        cache: Serving,
        source: str,
        keep: int,
        ttl: float | str | None,
        codec: Codec[Any],
        *,
        stream: bool,
    ) -> None:
        super().__init__(source, keep, ttl, codec, stream=stream)
        self._cache = cache

    def push(self, *values: T, **fields: Any) -> int:
        """Append *values*, the last one newest, and drop the oldest above the bound; return how many were dropped.

        The life of all of them begins anew, in the same step.

        Raises:
            ConfigurationError: there are too many at once, or a field is missing.
            CodecError: a value cannot be written.
            ProviderUnavailableError: the server is away; they may have been pushed.
        """
        return self._cache.run(self._pushing(fields, values))  # type: ignore[no-any-return]

    def values(self, limit: int | None = None, **fields: Any) -> list[T]:
        """Return at most *limit* values, all by default, the newest first; what cannot be read is left out."""
        return self._cache.run(self._looking(fields, limit))  # type: ignore[no-any-return]

    def clear(self, **fields: Any) -> None:
        """Forget all of them."""
        self._cache.run(self._clearing(fields))


class AsyncLatest(_Newest[T]):
    """`Latest`, awaited."""

    def __init__(
        self,
        cache: AwaitingServing,
        source: str,
        keep: int,
        ttl: float | str | None,
        codec: Codec[Any],
        *,
        stream: bool,
    ) -> None:
        super().__init__(source, keep, ttl, codec, stream=stream)
        self._cache = cache

    async def push(self, *values: T, **fields: Any) -> int:
        """See `Latest.push`."""
        return await self._cache.run(self._pushing(fields, values))  # type: ignore[no-any-return]

    async def values(self, limit: int | None = None, **fields: Any) -> list[T]:
        """See `Latest.values`."""
        return await self._cache.run(self._looking(fields, limit))  # type: ignore[no-any-return]

    async def clear(self, **fields: Any) -> None:
        """See `Latest.clear`."""
        await self._cache.run(self._clearing(fields))
