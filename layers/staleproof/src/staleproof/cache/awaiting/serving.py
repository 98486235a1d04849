"""`Serving`: how an asyncio cache answers a `Call`. The steps stand in the plans; a plain hit takes none."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from staleproof.cache import nesting, plans, reading, serving_many, writing
from staleproof.cache.async_drivers import AsyncDriver
from staleproof.cache.commands import FindEnd, Invalidate
from staleproof.cache.face import DEFAULT_CODEC, Face
from staleproof.cache.missing import MISSING
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from staleproof.cache.call import Call
    from staleproof.cache.commands import ProviderCommand
    from staleproof.cache.face import Unreachable
    from staleproof.cache.near import NearCache
    from staleproof.codecs.codec import CodecFactory
    from staleproof.codecs.compression import Algorithm
    from staleproof.codecs.dictionary import ZstdDictionary
    from staleproof.events import Invalidation
    from staleproof.policies.breaker import Breaker
    from staleproof.ports import AsyncProvider

T = TypeVar("T")


class Serving(Face):
    """A cache over *provider*; for the other arguments see `Face`.

    Args:
        provider: the cache server.
        providers: further ones by name, see `on`.
        background: whether refreshes may go on in tasks of their own; by default not in a Lambda function.
        name: by which functions find it, as `register` says; None for no name.
    """

    def __init__(
        self,
        provider: AsyncProvider,
        *,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        policies: Mapping[str, Policy] | None = None,
        providers: Mapping[str, AsyncProvider] | None = None,
        near: NearCache | Callable[[], NearCache] | bool = True,
        clock: Clock = SYSTEM_CLOCK,
        breaker: Breaker | None = None,
        codec: CodecFactory = DEFAULT_CODEC,
        compression: Algorithm = "lz4",
        dictionaries: Sequence[ZstdDictionary] = (),
        unreachable: Unreachable = "raise",
        background: bool | None = None,
        name: str | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "region": region,
            "policy": policy,
            "policies": policies,
            "clock": clock,
            "codec": codec,
            "compression": compression,
            "dictionaries": dictionaries,
            "unreachable": unreachable,
        }
        super().__init__(provider.namespace, near=near, breaker=breaker, **options)
        if self.core.near is not None:
            self.core.near.follows = getattr(provider, "journals", True)
        self.driver = AsyncDriver(self.core, provider, background=background)
        self.core.statistics.provider = provider
        nesting.register_tier(provider, self.core.near)
        options |= {"near": near if callable(near) else near is not False, "background": background}
        self._siblings: dict[str, Any] = {
            each: type(self)(further, **options) for each, further in (providers or {}).items()
        }
        if name is not None:
            self.register(name)

    def register(self, name: str, *, replace: bool = False) -> Self:
        """See `staleproof.cache.blocking.serving.Serving.register`."""
        raise NotImplementedError

    def on(self, name: str) -> Self:
        """Return the cache over the provider of this *name*: the same settings, and a near cache of its own.

        An invalidation through this cache reaches all of them; one through a sibling reaches that alone.

        Raises:
            ConfigurationError: there is none of that name.
        """
        sibling: Self | None = self._siblings.get(name)
        if sibling is None:
            known = ", ".join(sorted(self._siblings)) or "none"
            raise ConfigurationError(f"no provider is called {name!r}; the named providers are: {known}")
        return sibling

    @property
    def provider(self) -> AsyncProvider:
        """The cache server that is asked."""
        return self.driver.provider

    @provider.setter
    def provider(self, provider: AsyncProvider) -> None:
        self.driver.provider = self.core.statistics.provider = provider

    async def serve(self, call: Call, loader: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Answer *call*: a hit takes no plan, near or with one round trip; whatever else goes through the plans.

        The *arguments* are the loader's; a closure over them would cost every hit.
        """
        core = self.core
        if core.off:
            return await loader(*arguments)
        near = None if call.policy.staleness is None else core.near_for(call)
        if near is not None:
            copy = near.at_hand(call)
            if copy is not None:
                core.statistics.near_hits += 1
                return copy.value  # type: ignore[no-any-return]
        if near is not None or core.breaker.in_a_row or core.deferred:
            return await self.driver.run(plans.serve(core, call), partial(loader, *arguments))
        asked = core.wanted(call) if core.predictions else call.tags
        try:
            observed = await self.driver.provider.read(call.key, asked)
        except ProviderUnavailableError as error:
            core.breaker.failed()
            return await self.driver.run(plans.cut_off(core, call, error), partial(loader, *arguments))
        value = core.plain_hit(call, asked, observed)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        verdict = core.judge(call, asked, observed)
        return await self.driver.run(plans.answer(core, call, verdict, None), partial(loader, *arguments))

    async def serve_many(
        self, calls: Sequence[Call], loader: Callable[[Sequence[int]], Awaitable[Mapping[int, Any]]]
    ) -> list[Any]:
        """Answer *calls*, all under one policy.

        *loader* gets the places of what is missing, and returns values by place; what it leaves out is `MISSING`.
        """
        if self.core.off:
            loaded = await loader(range(len(calls)))
            return [loaded.get(at, MISSING) for at in range(len(calls))]
        return await self.driver.run(serving_many.serve_many(self.core, calls), loader)

    async def look(self, call: Call) -> Any:
        """Return the value of *call* if the cache server has a fresh one, else `MISSING`; never load."""
        found = await self.driver.run(reading.peek(self.core, call))
        return MISSING if found is None else found.value

    async def reload(self, call: Call, loader: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Load *call* anew and store it, whatever is stored now."""
        if self.core.off:
            return await loader(*arguments)
        return await self.driver.run(plans.refresh(self.core, call), partial(loader, *arguments))

    async def put_value(self, call: Call, value: Any) -> bool:
        """Invalidate the key of *call*, and store *value* as if loaded now; say whether it was stored."""
        await self.apply(self.invalidation(keys=[call.key]))
        return not self.core.off and await self.driver.run(writing.put(self.core, call, value))

    async def apply(self, record: Invalidation) -> None:
        """Apply an invalidation, on every provider.

        Raises:
            ProviderError: it was not acknowledged; do it again.
        """
        for sibling in self._siblings.values():
            await sibling.apply(replace(record, namespace=sibling.namespace))
        try:
            places = await self.driver.ask(Invalidate([record]))
        except ProviderUnavailableError:
            if not self.core.unacknowledged(record):
                raise
        else:
            self.core.acknowledged([record], places)

    async def run(self, plan: Any) -> Any:
        """Run a plan that loads nothing."""
        return await self.driver.run(plan)

    async def run_command(self, command: ProviderCommand) -> Any:
        """Put one question to the server."""
        return await self.driver.ask(command)

    async def flush(self) -> bool:
        """Apply invalidations that were deferred, now; say whether none is left."""
        with suppress(ProviderUnavailableError):
            if self.core.deferred:
                await self.driver.ask(FindEnd())  # whatever is asked, they go first
        return not self.core.deferred

    async def close(self) -> None:
        """Apply what was deferred if the server is there, and close its connections; a later call opens them again."""
        await self.flush()
        await self.provider.close()
        for sibling in self._siblings.values():
            await sibling.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
