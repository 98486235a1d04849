"""`cacheable`: a function's results, cached under a template over its arguments.

A template is compiled once, at decoration, into a function with the decorated function's own parameters: a call
binds defaults and keywords as Python does, and an unknown field is an error at import. A call that the near cache
answers costs that function, two clock readings and one look-up; in this order, see `staleproof.cache.near`.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from staleproof.cache.call import Call
from staleproof.cache.rendering import call_renderer, hit_path, text_renderer, tuple_renderer
from staleproof.codecs import MsgpackCodec
from staleproof.errors import ConfigurationError
from staleproof.keys import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations
    from staleproof.cache.cached import AsyncCached, Cached
    from staleproof.cache.face import Face
    from staleproof.cache.near import Copy
    from staleproof.policies.policy import Policy


class Blueprint:
    """What decoration found out about one function: how its arguments make a `Call`.

    Raises:
        ConfigurationError: a template names an unknown parameter, or the result's type cannot be cached.
    """

    def __init__(
        self,
        face: Face,
        function: Callable[..., Any],
        key: str,
        *,
        tags: Sequence[str] = (),
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | None = None,
    ) -> None:
        if isinstance(tags, str):
            raise ConfigurationError(f"{_name(function)}: tags={tags!r} is one text; write tags=[{tags!r}]")
        self.face = face
        self.function = function
        self.template = key
        self.policy = policy or face.core.policy
        self.tags_from = tags_from
        self.row_version = row_version
        self.shelf: dict[str, Copy] | None = None
        try:
            self.signature = inspect.signature(function)
            self.key = text_renderer(self.signature, key)
            self.tags = tuple_renderer(self.signature, tags)
            self.call = call_renderer(self.signature, key, tags, self._make)
            self.codec: MsgpackCodec[Any] = MsgpackCodec(_result_type(function))
            if self._tags_follow_from_key(tags):
                self.shelf = {}
        except ConfigurationError as error:
            raise ConfigurationError(f"{_name(function)}: {error}") from error.__cause__

    def _make(self, key: str, tags: tuple[str, ...]) -> Call:
        return Call(key, tags, self.policy, self.codec, self.tags_from, self.row_version, self.shelf)

    def _tags_follow_from_key(self, tags: Sequence[str]) -> bool:
        """Say whether calls with one key have the same tags: the hit path looks at the key alone."""
        named = {field._replace(slot=False) for tag in tags for field in template(tag).holes}
        return named <= {field._replace(slot=False) for field in template(self.template).holes}


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", function))


def _result_type(function: Callable[..., Any]) -> Any:
    """Resolve the result's annotation alone: parameters may well be annotated for type checkers only."""
    written = getattr(inspect.unwrap(function), "__annotations__", {}).get("return", Any)
    if written is None:
        return type(None)
    stand_in = type("Result", (), {"__annotations__": {"result": written}, "__module__": function.__module__})
    try:
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        return get_type_hints(stand_in, globalns=scope)["result"]
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigurationError(
            f"the result's annotation {written!r} cannot be resolved: {error}; import the type where the function is "
            "defined, outside of TYPE_CHECKING"
        ) from error


def cacheable(cache: BlockingOperations, blueprint: Blueprint) -> Cached[Any, Any]:
    """Return the blocking cached function of *blueprint*."""
    function = blueprint.function
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{_name(function)} is a coroutine function; decorate it with an AsyncCache")

    def serve(*args: Any, **kwargs: Any) -> Any:
        return cache.serve(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    def refresh(*args: Any, **kwargs: Any) -> Any:
        return cache.reload(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    return cast("Cached[Any, Any]", _dressed(cache, blueprint, serve, refresh))


def async_cacheable(cache: AwaitingOperations, blueprint: Blueprint) -> AsyncCached[Any, Any]:
    """Return the cached coroutine function of *blueprint*."""
    function = blueprint.function
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{_name(function)} is no coroutine function; decorate it with a Cache")

    async def serve(*args: Any, **kwargs: Any) -> Any:
        return await cache.serve(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await cache.reload(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    return cast("AsyncCached[Any, Any]", _dressed(cache, blueprint, serve, refresh))


def _dressed(
    cache: BlockingOperations | AwaitingOperations, blueprint: Blueprint, serve: Any, refresh: Any
) -> Any:
    """Return *serve*, behind the near cache if the policy has one, with the function's name and its handles."""
    wrapper = _behind_near_cache(blueprint, serve)
    functools.update_wrapper(wrapper, blueprint.function)
    wrapper.key = blueprint.key
    wrapper.tags = blueprint.tags
    wrapper.refresh = refresh
    wrapper.peek = lambda *args, **kwargs: cache.look(blueprint.call(*args, **kwargs))
    wrapper.invalidate = lambda *args, **kwargs: cache.evict(blueprint.key(*args, **kwargs))
    return wrapper


def _behind_near_cache(blueprint: Blueprint, serve: Any) -> Any:
    core, staleness = blueprint.face.core, blueprint.policy.staleness
    near = core.near
    if near is None or not staleness or blueprint.shelf is None:
        return serve  # without a near cache, or with a bound of 0, every read asks the server something
    scope = {
        "near": near,
        "monotonic": near.clock.monotonic,
        "wall": near.clock.wall,
        "staleness": staleness,
        "look_up": blueprint.shelf.get,
        "statistics": core.statistics,
        "serve": serve,
    }
    name = blueprint.function.__name__
    awaits = inspect.iscoroutinefunction(blueprint.function)
    return hit_path(blueprint.signature, blueprint.template, name, scope, awaits=awaits)
