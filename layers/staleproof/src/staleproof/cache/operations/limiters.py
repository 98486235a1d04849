"""`RateLimiter` and `AsyncRateLimiter`: the handles of a rate limit."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from staleproof.cache.operations import limits
from staleproof.cache.operations.naming import Naming, must_be_awaited, must_be_blocking
from staleproof.errors import LimitedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from staleproof.cache.awaiting.serving import Serving as AwaitingServing
    from staleproof.cache.blocking.serving import Serving
    from staleproof.cache.operations.limits import Allowance, Rule

P = ParamSpec("P")
R = TypeVar("R")


class _Limiter:
    """What both faces have in common: the template of names, and the rule."""

    def __init__(self, source: str, rule: Rule) -> None:
        self._naming = Naming(source, "cost")
        self._rule = rule

    def _let_through(self, name: str, allowance: Allowance) -> Allowance:
        if not allowance:
            raise LimitedError(
                f"{name[:80]!r} has reached its limit of {allowance.limit}; retry in {allowance.retry_after:.3g} s",
                allowance.retry_after,
            )
        return allowance

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._naming.source!r}>"


class RateLimiter(_Limiter):
    """A rate limit, for blocking code; as a decorator it raises `LimitedError` instead of calling.

    Every method takes the template's fields by name.
    """

    def __init__(self, cache: Serving, source: str, rule: Rule) -> None:
        super().__init__(source, rule)
        self._cache = cache

    def take(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """Take *cost* from the limit; the answer is true if it was let through.

        Raises:
            ConfigurationError: a field is missing, or *cost* is above limit and burst.
            ProviderError: the server is away, and the limit says `unreachable="raise"`.
        """
        return self._take(self._naming.name(fields), cost)

    def require(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """Take *cost*, as `take` does.

        Raises:
            LimitedError: the limit is reached.
        """
        name = self._naming.name(fields)
        return self._let_through(name, self._take(name, cost))

    def peek(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """Tell what `take` would answer, and take nothing."""
        plan = limits.peek(self._cache.core, self._rule, self._naming.name(fields), cost)
        return self._cache.run(plan)  # type: ignore[no-any-return]

    def reset(self, **fields: Any) -> None:
        """Let the limit be full again."""
        self._cache.run(limits.reset(self._naming.name(fields)))

    def _take(self, name: str, cost: int) -> Allowance:
        return self._cache.run(limits.take(self._cache.core, self._rule, name, cost))  # type: ignore[no-any-return]

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate *function*, whose parameters the template names: each call takes 1.

        Raises:
            ConfigurationError: a field is no parameter, or the function is a coroutine function.
        """
        must_be_blocking(function, "rate_limit")
        name_of = self._naming.of_calls(function)

        @functools.wraps(function)
        def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            name = name_of(*args, **kwargs)
            self._let_through(name, self._take(name, 1))
            return function(*args, **kwargs)

        return limited


class AsyncRateLimiter(_Limiter):
    """`RateLimiter`, awaited."""

    def __init__(self, cache: AwaitingServing, source: str, rule: Rule) -> None:
        super().__init__(source, rule)
        self._cache = cache

    async def take(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """See `RateLimiter.take`."""
        return await self._take(self._naming.name(fields), cost)

    async def require(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """See `RateLimiter.require`."""
        name = self._naming.name(fields)
        return self._let_through(name, await self._take(name, cost))

    async def peek(self, *, cost: int = 1, **fields: Any) -> Allowance:
        """See `RateLimiter.peek`."""
        plan = limits.peek(self._cache.core, self._rule, self._naming.name(fields), cost)
        return await self._cache.run(plan)  # type: ignore[no-any-return]

    async def reset(self, **fields: Any) -> None:
        """See `RateLimiter.reset`."""
        await self._cache.run(limits.reset(self._naming.name(fields)))

    async def _take(self, name: str, cost: int) -> Allowance:
        return await self._cache.run(limits.take(self._cache.core, self._rule, name, cost))  # type: ignore[no-any-return]

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Decorate the coroutine function; see `RateLimiter.__call__`."""
        must_be_awaited(function, "rate_limit")
        name_of = self._naming.of_calls(function)

        @functools.wraps(function)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            name = name_of(*args, **kwargs)
            self._let_through(name, await self._take(name, 1))
            return await function(*args, **kwargs)

        return limited
