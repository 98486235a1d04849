"""`cache_put`: a function that always runs, and whose result replaces what is cached.

Its key and tags are made behind it, so that they may name what it returned: `cache_put("order:{result.id}")`. What it
returns counts as loaded when it is stored; an invalidation, or a load of the same key, that comes meanwhile wins.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from staleproof.decorators.blueprint import Blueprint, Shape
from staleproof.decorators.colour import name_of
from staleproof.decorators.expressions import check_result, with_result
from staleproof.decorators.transactions import after_commit
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations
    from staleproof.cache.call import Call
    from staleproof.decorators.options import Options


class Putting(Shape):
    """A function whose results are put, checked at decoration.

    Args:
        function: the decorated function.
        options: what its decorator was told.
    """

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        if options.timing not in {"after", "commit"}:
            raise ConfigurationError(
                f"{name_of(function)}: timing={options.timing!r} is neither 'after' nor 'commit'"
            )
        super().__init__(function, options)
        self.waits = options.timing == "commit"

    def see(self, signature: Signature) -> Signature:
        """Return *signature* with the result."""
        check_result(signature, [self.options.key, *(self.options.tags or ())], there=True)
        return with_result(signature)

    def conditional(self, signature: Signature) -> Signature:
        """Return *signature* with the result."""
        return with_result(signature)

    def call_of(self, blueprint: Blueprint, result: Any, args: Any, kwargs: Any) -> Call | None:
        """Return where *result* is to be stored; None if nowhere."""
        unless = self.options.unless
        if self.when is not None and not self.when(result, *args, **kwargs):
            return None
        if unless is not None and unless(result):
            return None
        call: Call = blueprint.call(result, *args, **kwargs)
        return call


def blocking(cache: BlockingOperations, shape: Putting) -> Callable[..., Any]:
    """Return the function of *shape*, putting into *cache*."""
    blueprint, function = Blueprint(cache, shape), shape.function

    @functools.wraps(function)
    def putting(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        call = shape.call_of(blueprint, result, args, kwargs)
        if call is None:
            return result
        if shape.waits:
            after_commit(lambda: cache.put_value(call, result))
        else:
            cache.put_value(call, result)
        return result

    return putting


def awaiting(cache: AwaitingOperations, shape: Putting) -> Callable[..., Any]:
    """Return the coroutine function of *shape*, putting into *cache*."""
    blueprint, function = Blueprint(cache, shape), shape.function

    @functools.wraps(function)
    async def putting(*args: Any, **kwargs: Any) -> Any:
        result = await function(*args, **kwargs)
        call = shape.call_of(blueprint, result, args, kwargs)
        if call is None:
            return result

        async def put() -> None:
            await cache.put_value(call, result)

        done = after_commit(put) if shape.waits else put()
        if done is not None:
            await done
        return result

    return putting
