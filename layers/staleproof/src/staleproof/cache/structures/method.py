"""`method`: an operation is written once, as a plan, and called on a blocking handle or awaited on an asyncio one.

    class Ones(Handle):
        @method
        def count(self, by: int) -> Plan[int]: ...

`Blocking` and `Awaiting` say which of the two a handle's class is; type checkers tell the methods' types from that.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from staleproof.cache.structures.requests import Plan

P = ParamSpec("P")
R = TypeVar("R")


class Blocking:
    """The handles of a blocking cache: what is asked for has come when a method returns."""

    def run(self, plan: Plan[R]) -> R:
        """Run *plan* to its end."""
        raise NotImplementedError


class Awaiting:
    """The handles of an asyncio cache: methods are awaited."""

    async def run(self, plan: Plan[R]) -> R:
        """Run *plan* to its end."""
        raise NotImplementedError


class Method(Generic[P, R]):
    """An operation; see `method`."""

    def __init__(self, function: Callable[Concatenate[Any, P], Plan[R]]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    @overload
    def __get__(self, handle: None, owner: object) -> Method[P, R]: ...

    @overload
    def __get__(self, handle: Blocking, owner: object) -> Callable[P, R]: ...

    @overload
    def __get__(self, handle: Awaiting, owner: object) -> Callable[P, Coroutine[Any, Any, R]]: ...

    def __get__(self, handle: Any, owner: object) -> Any:
        """Return the operation of *handle*, as a function."""
        if handle is None:
            return self
        return functools.partial(self._awaited if isinstance(handle, Awaiting) else self, handle)

    def __call__(self, handle: Any, /, *arguments: P.args, **named: P.kwargs) -> Any:
        """Do it with *handle*."""
        return handle.run(self._function(handle, *arguments, **named))

    async def _awaited(self, handle: Any, /, *arguments: P.args, **named: P.kwargs) -> R:
        result: R = await handle.run(self._function(handle, *arguments, **named))
        return result


def method(function: Callable[Concatenate[Any, P], Plan[R]]) -> Method[P, R]:
    """Make an operation of *function*, which takes the handle first and returns a plan."""
    return Method(function)
