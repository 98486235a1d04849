"""The two ways of a cached function, compiled with the function's own parameters.

*Answering*: make the key and the tags, and let the cache serve them. The *hit path* stands before it where there is a
near cache: a call that the near cache answers costs this function, two clock readings and one look-up; in this order,
see `staleproof.cache.near`. What a compiled function refers to lies in a dict of its own, where `staleness` and the
remembered calls are replaced when the settings replace the policy.
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any

from staleproof.decorators.compiling import arguments, compiled, merged, parameters, tuple_source
from staleproof.decorators.memos import Keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature

    from staleproof.decorators.blueprint import Blueprint, Shape
    from staleproof.decorators.expressions import Expression

CLOSED = -1.0
"""A staleness that no instant keeps: the hit path then always asks on."""

# `NearCache.get`, unrolled: the library's hottest path. `shown` is read before the copy is looked up,
# see "order of reads" in `staleproof.cache.near`.
_HIT_PATH = """\
{kind} {name}({parameters}):
{condition}    if __staleness > 0.0:
        __synced = __near.shown
        __now = __monotonic()
        if __now - __synced.monotonic <= __staleness and (__wall_now := __wall()) - __synced.wall <= __staleness:
            __copy = __look_up({key})
            if __copy is not None and __now < __copy.monotonic_deadline and __wall_now < __copy.wall_deadline:
                __copy.used = True
                __statistics.near_hits += 1
                return __copy.value
    return {wait}__serve({call}, {load})
"""
_ANSWER = """\
{kind} {name}({parameters}):
{condition}    return {wait}__serve({call}, {load})
"""
_CONDITION = """\
    if not __when({arguments}):
        return {wait}__function({arguments})
"""


def answering(
    blueprint: Blueprint, serve: Callable[..., Any], *, awaits: bool, conditional: bool
) -> Callable[..., Any]:
    """Return a function of the shape's parameters that lets *serve* answer its calls.

    Args:
        blueprint: what makes the calls.
        serve: takes a `Call` and a loader.
        awaits: whether it returns an awaitable.
        conditional: whether `when` is asked first.
    """
    shape = blueprint.shape
    call, names = _made(blueprint)
    names["__serve"] = serve
    wrapper = _compiled(_ANSWER, shape, {"call": call}, names, awaits=awaits, conditional=conditional)
    _follow(blueprint, wrapper)
    return wrapper  # type: ignore[no-any-return]


def hit_path(blueprint: Blueprint, serve: Callable[..., Any], *, awaits: bool) -> Callable[..., Any] | None:
    """Return the same behind the near cache; None if the blueprint's calls cannot be answered there."""
    near = blueprint.face.core.near
    shape = blueprint.shape
    fixed = not blueprint.follows
    if near is None or blueprint.shelf is None or (fixed and not blueprint.policy.staleness):
        return None  # without a near cache, or with a bound of 0, every read asks the server something
    key, remembered = _remembered(shape.key_source)
    call, made = _made(blueprint)
    names = {
        "__near": near,
        "__monotonic": near.clock.monotonic,
        "__wall": near.clock.wall,
        "__staleness": blueprint.policy.staleness or CLOSED,
        "__look_up": blueprint.shelf.get,
        "__statistics": blueprint.face.core.statistics,
        "__serve": serve,
        **made,
        **remembered,
    }
    wrapper = _compiled(_HIT_PATH, shape, {"key": key, "call": call}, names, awaits=awaits, conditional=True)
    _follow(blueprint, wrapper)
    return wrapper  # type: ignore[no-any-return]


def _made(blueprint: Blueprint) -> tuple[str, dict[str, Any]]:
    """Return the source of a call, where it can be by way of a table, and what it refers to."""
    shape = blueprint.shape
    source = f"__make({shape.key_source.source}, {tuple_source(shape.tag_sources)})"
    names = {"__make": blueprint.make, **merged(shape.key_source, *shape.tag_sources)}
    head = blueprint.remember()
    if head is None:
        return source, names
    names["__calls"] = blueprint.remembered
    return f"__calls[{head}] if __type({head}) in __plain else {source}", names


def _follow(blueprint: Blueprint, wrapper: Any) -> None:
    """Have *wrapper* keep to the blueprint's policy."""
    scope = wrapper.__globals__

    def retune() -> None:
        scope["__staleness"] = blueprint.policy.staleness or CLOSED
        scope["__calls"] = blueprint.remembered

    blueprint.on_policy(retune)


def _compiled(
    source: str,
    shape: Shape,
    parts: dict[str, str],
    names: dict[str, Any],
    *,
    awaits: bool,
    conditional: bool,
) -> Any:
    name = getattr(shape.function, "__name__", "")
    known = {"wait": "await " if awaits else "", "arguments": arguments(shape.signature), **parts}
    known["load"] = _load(shape.signature, known["arguments"])
    known["name"] = name if name.isidentifier() else "cached"  # a lambda is called "<lambda>"
    known["kind"] = "async def" if awaits else "def"
    known["parameters"] = parameters(shape.signature)
    asks = conditional and shape.when is not None
    known["condition"] = _CONDITION.format(**known) if asks else ""
    scope = {**names, "__when": shape.when, "__function": shape.function}
    return compiled(shape.signature, source.format(**known), known["name"], scope)


def _load(signature: Signature, passed: str) -> str:
    """Return as source what *serve* gets to load with: the function and what it is *passed*: cheapest for a hit."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds <= {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}:
        return f"__function, {passed}" if passed else "__function"
    return f"lambda: __function({passed})"


def _remembered(key: Expression) -> tuple[str, dict[str, Any]]:
    """Return the key's source, where it can by way of a table, and the table."""
    if key.single is None:
        return key.source, {}
    head, render = key.single
    return f"__keys[{head}] if __type({head}) in __plain else {key.source}", {"__keys": Keys(render)}
