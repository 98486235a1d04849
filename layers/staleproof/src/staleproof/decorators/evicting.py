"""`evicts`: a function that changes what others have cached, and says what.

*before* the function runs: for what must be gone even if it fails. On its own it is no fence, since a reader may load
the old row again while the function still works. *after* it has returned, the default. At the *commit* of the unit of
work around it (`staleproof.decorators.transactions`), after it has returned.

A template that goes into an object (`{product.slug}`) is rendered before the call *and* after it: the function may
change the object, and then both texts name something stale.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from staleproof.decorators import compiling
from staleproof.decorators.colour import name_of
from staleproof.decorators.expressions import (
    RESULT,
    call_expression,
    check_result,
    key_expression,
    tag_expressions,
    with_result,
)
from staleproof.decorators.transactions import Manner, Targets, applying, changing, leave
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations
    from staleproof.cache.face import Face
    from staleproof.decorators.expressions import Expression
    from staleproof.decorators.options import Eviction

_UNKNOWN = object()


class Evicting:
    """A function, and what its calls make stale, checked at decoration.

    Raises:
        ConfigurationError: the options make no sense, or a template names what is not there.
    """

    def __init__(self, function: Callable[..., Any], eviction: Eviction) -> None:
        self.function = function
        self.eviction = eviction
        self.early = eviction.timing == "before"
        try:
            _check(eviction)
            self._compile(inspect.signature(function))
        except ConfigurationError as error:
            raise ConfigurationError(f"{name_of(function)}: {error}") from error.__cause__

    def _compile(self, signature: inspect.Signature) -> None:
        eviction = self.eviction
        check_result(signature, [*eviction.keys, *eviction.tags], there=not self.early)
        scope = with_result(signature, there=not self.early)
        keys = [key_expression(scope, self.function, key, eviction.prefix) for key in eviction.keys]
        tags = tag_expressions(scope, eviction.tags)
        self._keys = compiling.tuple_renderer(scope, keys)
        self._tags = compiling.tuple_renderer(scope, tags)
        self._when = eviction.when and compiling.predicate(
            scope, call_expression(scope, eviction.when, "when")
        )
        holes = [hole for each in (*keys, *tags) for hole in each.holes]
        named = any(hole.head == RESULT and not hole.ambient for hole in holes)
        self._first = compiling.tuple_renderer(scope, [each for each in (*keys, *tags) if _is_plain(each)])
        self._twice = not self.early and not named and any(hole.rest for hole in holes)

    def foreseen(self, *args: Any, **kwargs: Any) -> Targets | None:
        """Return, before the call, what its arguments name now and may not name behind it; None if that is nothing.

        What the arguments themselves name is rendered in any case: what is wrong with it must be said before a row is
        changed that nothing would evict then.
        """
        if self._when is None:
            self._first(_UNKNOWN, *args, **kwargs)
        if not self._twice:
            return None
        try:
            return self._targets(_UNKNOWN, Manner(self.eviction.soft, None, self.eviction.lag), args, kwargs)
        except ConfigurationError:
            return None  # not there yet: an id, perhaps, that the function gives

    def targets(self, result: Any, *args: Any, **kwargs: Any) -> Targets | None:
        """Return what a call that returned *result* makes stale; None if it does not."""
        if self._when is not None and not self._when(result, *args, **kwargs):
            return None
        row_version = self.eviction.row_version and self.eviction.row_version(result)
        return self._targets(result, Manner(self.eviction.soft, row_version, self.eviction.lag), args, kwargs)

    def _targets(self, result: Any, manner: Manner, args: Any, kwargs: Any) -> Targets:
        tags = self._tags(result, *args, **kwargs)
        return Targets(tags, self._keys(result, *args, **kwargs), self.eviction.all, manner)

    def beforehand(self, *args: Any, **kwargs: Any) -> Targets | None:
        """Return what to evict before the call."""
        return self.targets(_UNKNOWN, *args, **kwargs) if self.early else self.foreseen(*args, **kwargs)

    def afterwards(self, known: Targets | None, result: Any, *args: Any, **kwargs: Any) -> Targets | None:
        """Return what to evict behind it, with what was *known* before."""
        targets = self.targets(result, *args, **kwargs)
        return targets + known if targets is not None and known is not None else targets

    def apply(self, face: Face, targets: Targets, *, awaited: bool) -> Any:
        """Invalidate *targets* when it is time to; on an asyncio cache, return the awaitable."""
        if self.eviction.timing == "commit":
            return leave(face, targets, awaited=awaited)
        return applying(face, targets)()


def _is_plain(text: Expression) -> bool:
    """Say whether *text* is a template of arguments and context alone: the same before the call and behind it."""
    return bool(text.holes) and not any(
        not hole.ambient and (hole.rest or hole.head == RESULT) for hole in text.holes
    )


def check_owners(cache: Any, shape: Evicting) -> None:
    """Raise `ConfigurationError` if a key is that of a function which another cache than *cache* has."""
    for key in shape.eviction.keys:
        find, called = getattr(key, "__staleproof_owner__", (lambda: None, ""))
        owner = find()
        if owner is None or owner is cache or owner in getattr(cache, "_siblings", {}).values():
            continue
        if type(owner) is not type(cache) and owner.namespace == cache.namespace:
            continue  # the other face of it, as far as one can tell
        raise ConfigurationError(
            f"{name_of(shape.function)}: the key of {called} is in another cache, of namespace "
            f"{owner.namespace!r}, and this one, of {cache.namespace!r}, cannot evict it; decorate with that cache's "
            "evicts"
        )


def _check(eviction: Eviction) -> None:
    if eviction.timing not in {"before", "after", "commit"}:
        raise ConfigurationError(f"timing={eviction.timing!r} is none of 'before', 'after', 'commit'")
    if not eviction.all and eviction.key is None and not eviction.tags:
        raise ConfigurationError("evicts names nothing; give key=, tags=, or all=True")
    if eviction.all and (eviction.key is not None or eviction.tags or eviction.lag):
        raise ConfigurationError("all=True forgets everything; leave key=, tags= and lag= out")
    if eviction.row_version is not None and eviction.timing == "before":
        raise ConfigurationError("row_version reads the result, which timing='before' does not have")
    if (eviction.row_version is None) != (not eviction.lag):
        raise ConfigurationError(
            "row_version and lag go together: how old a row is too old, and for how long"
        )


def blocking(cache: BlockingOperations, shape: Evicting) -> Callable[..., Any]:
    """Return the function of *shape*, evicting from *cache*."""
    check_owners(cache, shape)
    function = shape.function

    @functools.wraps(function)
    def evicting(*args: Any, **kwargs: Any) -> Any:
        targets = shape.beforehand(*args, **kwargs)
        changing()
        if shape.early:
            if targets is not None:
                shape.apply(cache, targets, awaited=False)
            return function(*args, **kwargs)
        result = function(*args, **kwargs)
        targets = shape.afterwards(targets, result, *args, **kwargs)
        if targets is not None:
            shape.apply(cache, targets, awaited=False)
        return result

    return evicting


def awaiting(cache: AwaitingOperations, shape: Evicting) -> Callable[..., Any]:
    """Return the coroutine function of *shape*, evicting from *cache*."""
    check_owners(cache, shape)
    function = shape.function

    @functools.wraps(function)
    async def evicting(*args: Any, **kwargs: Any) -> Any:
        targets = shape.beforehand(*args, **kwargs)
        changing()
        if shape.early:
            await _applied(shape, cache, targets)
            return await function(*args, **kwargs)
        result = await function(*args, **kwargs)
        await _applied(shape, cache, shape.afterwards(targets, result, *args, **kwargs))
        return result

    return evicting


async def _applied(shape: Evicting, cache: AwaitingOperations, targets: Targets | None) -> None:
    if targets is None:
        return
    done = shape.apply(cache, targets, awaited=True)
    if done is not None:
        await done
