"""`Lock` and `AsyncLock`: the handles of a lock. What holds and what does not stands in `holding`."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from staleproof.cache.operations import holding
from staleproof.cache.operations.holding import RENEW_AT, Claim, Terms
from staleproof.cache.operations.naming import Naming, must_be_awaited, must_be_blocking
from staleproof.errors import ConfigurationError, LockBusyError, LockLostError, ProviderError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType
    from typing import Self

    from staleproof.cache.awaiting.serving import Serving as AwaitingServing
    from staleproof.cache.blocking.serving import Serving

P = ParamSpec("P")
R = TypeVar("R")


class _Held:
    """What both faces have in common: the name, the terms, and what is known of the holding."""

    def __init__(self, cache: Any, naming: Naming, terms: Terms, name: str | None = None) -> None:
        self._cache = cache
        self._naming = naming
        self._terms = terms
        self._name = name
        self._claim: Claim | None = None
        self._beginning = threading.Lock()

    @property
    def name(self) -> str:
        """The lock's name.

        Raises:
            ConfigurationError: the template has fields; `of` fills them in.
        """
        if self._name is None:
            self._name = self._naming.name({})
        return self._name

    def of(self, **fields: Any) -> Self:
        """Return the lock of these *fields* of the template, on the same terms, not held."""
        return type(self)(self._cache, self._naming, self._terms, self._naming.name(fields))

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier holder of this name. Give it to what you write to.

        Raises:
            LockLostError: the lock is not held.
        """
        return self._holding().token

    @property
    def remaining(self) -> float:
        """Seconds for which one may believe that it is held, without asking; 0 if it is not."""
        return 0.0 if self._claim is None else self._claim.remaining()

    def check(self) -> None:
        """Make sure that it is still held, by our own clock, before a step that must not be done twice.

        Raises:
            LockLostError: it ran out, or is another's.
        """
        if self._holding().remaining() <= 0:
            raise self._gone()

    def _is_held(self) -> bool:
        return self._claim is not None and self._claim.token != 0

    def _holding(self) -> Claim:
        if self._claim is None or not self._claim.token:
            raise LockLostError(f"lock {self.name[:80]!r} is not held; take it first")
        return self._claim

    def _begin(self) -> Claim:
        """Return a new claim; `_begun` must follow. Two at once would forget the first one's, which stayed held."""
        name = self.name
        if not self._beginning.acquire(blocking=False):
            raise self._not_twice(name)
        if self._is_held():
            self._begun()
            raise self._not_twice(name)
        self._claim = Claim(name, self._cache.core.clock)
        return self._claim

    def _begun(self) -> None:
        self._beginning.release()

    def _not_twice(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"lock {name[:80]!r} is held, or being taken, by this very handle; locks are not re-entrant, and a handle "
            "is for one caller: pass it on, or make another with of()"
        )

    def _pauses(self, claim: Claim) -> Iterator[float]:
        """Yield how long to wait before each time that *claim* is prolonged, while it is to be."""
        clock = self._cache.core.clock
        began = clock.now()
        while claim.remaining() > 0 and clock.now().elapsed(began) < self._terms.renew:
            yield self._terms.ttl / RENEW_AT

    def _gone(self) -> LockLostError:
        return LockLostError(
            f"lock {self.name[:80]!r} was held for longer than its time, {self._terms.ttl} s, and another may have had "
            "it meanwhile; use a longer ttl, or renew="
        )

    def _busy(self) -> LockBusyError:
        return LockBusyError(
            f"lock {self.name[:80]!r} was another's for {self._terms.wait} s; retry, or wait longer"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._naming.source!r}, {self.remaining:.3g} s left>"


class Lock(_Held):
    """A lock, for blocking code: a context manager, a decorator, or `acquire` and `release`.

    One handle holds it once, for one caller; `of` and `cache.lock` make more.
    """

    _cache: Serving
    _stop: threading.Event | None = None

    def acquire(self, wait: float | str | None = None) -> bool:
        """Take it, waiting for as long as its terms or *wait* say; tell whether it was taken.

        Raises:
            ConfigurationError: this handle holds it already.
            ProviderError: the server is away, or refuses. If it hung it may yet give the lock, which then runs out.
        """
        longest = self._terms.wait if wait is None else seconds(wait, "wait")
        claim = self._begin()
        try:
            taken: bool = self._cache.run(holding.acquire(self._cache.core, claim, self._terms.ttl, longest))
        finally:
            self._begun()
        if taken and self._terms.renew:
            self._stop = threading.Event()
            work = functools.partial(self._prolong, claim, self._stop)
            threading.Thread(target=work, name="staleproof-lock", daemon=True).start()
        return taken

    def renew(self, ttl: float | str | None = None) -> None:
        """Hold it for *ttl* from now, or for as long as its terms say.

        Raises:
            LockLostError: it is not ours any more.
        """
        longest = self._terms.ttl if ttl is None else holding.lifetime(ttl)
        if not self._cache.run(holding.renew(self._cache.core, self._holding(), longest)):
            raise self._gone()

    def release(self) -> bool:
        """Free it, if it is still ours; tell whether nobody else had it since it was taken."""
        claim = self._holding()
        if self._stop is not None:
            self._stop.set()
            self._stop = None
        return self._cache.run(holding.release(claim))  # type: ignore[no-any-return]

    def _prolong(self, claim: Claim, stop: threading.Event) -> None:
        for pause in self._pauses(claim):
            if stop.wait(pause) or not claim.token:
                return
            with suppress(ProviderError):  # there is time for another try
                self._cache.run(holding.renew(self._cache.core, claim, self._terms.ttl))

    def __enter__(self) -> Self:
        if not self.acquire():
            raise self._busy()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_held() and not self.release() and kind is None:
            raise self._gone()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate *function*, whose parameters the template names: each call holds the lock.

        Raises:
            ConfigurationError: a field is no parameter, or the function is a coroutine function.
        """
        must_be_blocking(function, "lock")
        name_of = self._naming.of_calls(function)

        @functools.wraps(function)
        def locked(*args: P.args, **kwargs: P.kwargs) -> R:
            with type(self)(self._cache, self._naming, self._terms, name_of(*args, **kwargs)):
                return function(*args, **kwargs)

        return locked


class AsyncLock(_Held):
    """`Lock`, awaited."""

    _cache: AwaitingServing
    _task: asyncio.Task[None] | None = None

    async def acquire(self, wait: float | str | None = None) -> bool:
        """See `Lock.acquire`."""
        longest = self._terms.wait if wait is None else seconds(wait, "wait")
        claim = self._begin()
        plan = holding.acquire(self._cache.core, claim, self._terms.ttl, longest)
        try:
            taken: bool = await self._cache.run(plan)
        finally:
            self._begun()
        if taken and self._terms.renew:
            self._task = asyncio.get_running_loop().create_task(self._prolong(claim))
        return taken

    async def renew(self, ttl: float | str | None = None) -> None:
        """See `Lock.renew`."""
        longest = self._terms.ttl if ttl is None else holding.lifetime(ttl)
        if not await self._cache.run(holding.renew(self._cache.core, self._holding(), longest)):
            raise self._gone()

    async def release(self) -> bool:
        """See `Lock.release`."""
        claim = self._holding()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        return await self._cache.run(holding.release(claim))  # type: ignore[no-any-return]

    async def _prolong(self, claim: Claim) -> None:
        for pause in self._pauses(claim):
            await asyncio.sleep(pause)
            with suppress(ProviderError):  # there is time for another try
                await self._cache.run(holding.renew(self._cache.core, claim, self._terms.ttl))

    async def __aenter__(self) -> Self:
        if not await self.acquire():
            raise self._busy()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_held() and not await self.release() and kind is None:
            raise self._gone()

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Decorate the coroutine function; see `Lock.__call__`."""
        must_be_awaited(function, "lock")
        name_of = self._naming.of_calls(function)

        @functools.wraps(function)
        async def locked(*args: P.args, **kwargs: P.kwargs) -> R:
            async with type(self)(self._cache, self._naming, self._terms, name_of(*args, **kwargs)):
                return await function(*args, **kwargs)

        return locked
