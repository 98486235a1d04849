"""`Serving`: how a blocking cache answers a `Call`. The steps stand in the plans; a plain hit takes none."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from staleproof.cache import nesting, plans, reading
from staleproof.cache.commands import FindEnd, Invalidate
from staleproof.cache.drivers import Driver
from staleproof.cache.face import DEFAULT_CODEC, Face
from staleproof.cache.missing import MISSING
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
    from staleproof.ports import Provider

T = TypeVar("T")


class Serving(Face):
    """A cache over *provider*; for the other arguments see `Face`.

    Args:
        provider: the cache server.
        providers: further ones by name, see `on`.
        background: whether refreshes may go on in threads; by default not in a Lambda function.
        name: by which functions find it, as `register` says; None for no name.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        policies: Mapping[str, Policy] | None = None,
        providers: Mapping[str, Provider] | None = None,
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
        self.driver = Driver(self.core, provider, background=background)
        self.core.statistics.provider = provider
        nesting.register_tier(provider, self.core.near)
        options |= {"near": near if callable(near) else near is not False, "background": background}
        self._siblings: dict[str, Any] = {
            each: type(self)(further, **options) for each, further in (providers or {}).items()
        }
        if name is not None:
            self.register(name)

    def register(self, name: str, *, replace: bool = False) -> Self:
        """Let functions find this cache by *name*. The layer of decorators does it."""
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
    def provider(self) -> Provider:
        """The cache server that is asked."""
        return self.driver.provider

    @provider.setter
    def provider(self, provider: Provider) -> None:
        self.driver.provider = self.core.statistics.provider = provider

    def serve(self, call: Call, loader: Callable[..., T], *arguments: Any) -> T:
        """Answer *call*: a hit takes no plan, near or with one round trip; whatever else goes through the plans.

        The *arguments* are the loader's; a closure over them would cost every hit.
        """
        core = self.core
        if core.off:
            return loader(*arguments)
        near = None if call.policy.staleness is None else core.near_for(call)
        if near is not None:
            copy = near.at_hand(call)
            if copy is not None:
                core.statistics.near_hits += 1
                return copy.value  # type: ignore[no-any-return]
        if near is not None or core.breaker.in_a_row or core.deferred:
            return self.driver.run(plans.serve(core, call), partial(loader, *arguments))  # type: ignore[no-any-return]
        asked = core.wanted(call) if core.predictions else call.tags
        try:
            observed = self.driver.provider.read(call.key, asked)
        except ProviderUnavailableError as error:
            core.breaker.failed()
            return self.driver.run(plans.cut_off(core, call, error), partial(loader, *arguments))  # type: ignore[no-any-return]
        value = core.plain_hit(call, asked, observed)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        verdict = core.judge(call, asked, observed)
        return self.driver.run(plans.answer(core, call, verdict, None), partial(loader, *arguments))  # type: ignore[no-any-return]

    def serve_many(
        self, calls: Sequence[Call], loader: Callable[[Sequence[int]], Mapping[int, Any]]
    ) -> list[Any]:
        """Answer *calls*, all under one policy.

        *loader* gets the places of what is missing, and returns values by place; what it leaves out is `MISSING`.
        """
        if self.core.off:
            loaded = loader(range(len(calls)))
            return [loaded.get(at, MISSING) for at in range(len(calls))]
        from staleproof.cache import serving_many  # noqa: PLC0415 - where it is used

        return self.driver.run(serving_many.serve_many(self.core, calls), loader)

    def look(self, call: Call) -> Any:
        """Return the value of *call* if the cache server has a fresh one, else `MISSING`; never load."""
        found = self.driver.run(reading.peek(self.core, call))
        return MISSING if found is None else found.value

    def reload(self, call: Call, loader: Callable[..., T], *arguments: Any) -> T:
        """Load *call* anew and store it, whatever is stored now."""
        if self.core.off:
            return loader(*arguments)
        return self.driver.run(plans.refresh(self.core, call), partial(loader, *arguments))  # type: ignore[no-any-return]

    def put_value(self, call: Call, value: Any) -> bool:
        """Invalidate the key of *call*, and store *value* as if loaded now; say whether it was stored."""
        self.apply(self.invalidation(keys=[call.key]))
        from staleproof.cache import writing  # noqa: PLC0415 - where it is used

        return not self.core.off and self.driver.run(writing.put(self.core, call, value))

    def apply(self, record: Invalidation) -> None:
        """Apply an invalidation, on every provider.

        Raises:
            ProviderError: it was not acknowledged; do it again.
        """
        for sibling in self._siblings.values():
            sibling.apply(replace(record, namespace=sibling.namespace))
        try:
            places = self.driver.ask(Invalidate([record]))
        except ProviderUnavailableError:
            if not self.core.unacknowledged(record):
                raise
        else:
            self.core.acknowledged([record], places)

    def run(self, plan: Any) -> Any:
        """Run a plan that loads nothing."""
        return self.driver.run(plan)

    def run_command(self, command: ProviderCommand) -> Any:
        """Put one question to the server."""
        return self.driver.ask(command)

    def flush(self) -> bool:
        """Apply invalidations that were deferred, now; say whether none is left."""
        with suppress(ProviderUnavailableError):
            if self.core.deferred:
                self.driver.ask(FindEnd())  # whatever is asked, they go first
        return not self.core.deferred

    def close(self) -> None:
        """Apply what was deferred if the server is there, let background work finish, and close connections.

        Background work has a few seconds; what hangs is left behind. A later call opens connections again.
        """
        self.flush()  # first, and again for what ended only now
        self.driver.workers.close()
        self.flush()
        self.provider.close()
        for sibling in self._siblings.values():
            sibling.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
