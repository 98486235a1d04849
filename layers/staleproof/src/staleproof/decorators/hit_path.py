"""The hit path: a decorated function that answers from the near cache before anything else happens.

It is compiled with the function's own parameters. A call that the near cache answers costs this function, two clock
readings and one look-up; in this order, see `staleproof.cache.near`. What it refers to lies in a dict of its own, where
`staleness` is replaced when the settings replace the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.decorators.compiling import arguments, compiled, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.decorators.blueprint import Blueprint, Shape
    from staleproof.decorators.expressions import Expression

MAX_KEYS = 8_192
"""Keys that a function's hit path remembers at most, each of at most `MAX_REMEMBERED` characters."""

MAX_REMEMBERED = 128

CLOSED = -1.0
"""A staleness that no instant keeps: the hit path then always asks on."""

# `NearCache.get`, unrolled: the library's hottest path. `shown` is read before the copy is looked up,
# see "order of reads" in `staleproof.cache.near`.
_HIT_PATH = """\
{kind} {name}({parameters}):
{condition}    __synced = __near.shown
    __now = __monotonic()
    if __now - __synced[0] <= __staleness and (__wall_now := __wall()) - __synced[1] <= __staleness:
        __copy = __look_up({key})
        if __copy is not None and __now < __copy.monotonic_deadline and __wall_now < __copy.wall_deadline:
            __copy.used = True
            __statistics.near_hits += 1
            return __copy.value
    return {wait}__answer({arguments})
"""
_CONDITION = """\
    if not __when({arguments}):
        return {wait}__function({arguments})
"""


def hit_path(blueprint: Blueprint, answer: Callable[..., Any], *, awaits: bool) -> Callable[..., Any] | None:
    """Return *answer* behind the near cache; None if the blueprint's calls cannot be answered there."""
    near = blueprint.face.core.near
    shape = blueprint.shape
    fixed = not blueprint.follows
    if near is None or blueprint.shelf is None or (fixed and not blueprint.policy.staleness):
        return None  # without a near cache, or with a bound of 0, every read asks the server something
    names = {
        "__near": near,
        "__monotonic": near.clock.monotonic,
        "__wall": near.clock.wall,
        "__staleness": blueprint.policy.staleness or CLOSED,
        "__look_up": blueprint.shelf.get,
        "__statistics": blueprint.face.core.statistics,
        "__answer": answer,
        "__when": shape.when,
        "__function": shape.function,
    }
    name = getattr(shape.function, "__name__", "")
    wrapper = _compiled(shape, name if name.isidentifier() else "cached", names, awaits=awaits)
    scope = wrapper.__globals__

    def retune() -> None:
        scope["__staleness"] = blueprint.policy.staleness or CLOSED

    blueprint.on_policy(retune)
    return wrapper  # type: ignore[no-any-return]


def _compiled(shape: Shape, name: str, names: dict[str, Any], *, awaits: bool) -> Any:
    parts = {"wait": "await " if awaits else "", "arguments": arguments(shape.signature)}
    key, remembered = _remembered(shape.key_source)
    source = _HIT_PATH.format(
        kind="async def" if awaits else "def",
        name=name,
        parameters=parameters(shape.signature),
        condition=_CONDITION.format(**parts) if shape.when is not None else "",
        key=key,
        **parts,
    )
    return compiled(shape.signature, source, name, {**shape.key_source.scope, **remembered, **names})


def _remembered(key: Expression) -> tuple[str, dict[str, Any]]:
    """Return the key's source, where it can by way of a table, and the table."""
    if key.single is None:
        return key.source, {}
    head, render = key.single
    # By exact type: `True` equals 1 in a dictionary, and renders otherwise.
    return f"__keys[{head}] if __type({head}) in __plain else {key.source}", {"__keys": Keys(render)}


class Keys(dict[Any, str]):
    """Keys that one parameter alone decides, by its value, an `int` or a `str`: a look-up costs half a rendering.

    When full it forgets everything, which needs no lock.
    """

    __slots__ = ("_render",)

    def __init__(self, render: Callable[[Any], str]) -> None:
        super().__init__()
        self._render = render

    def __missing__(self, value: Any) -> str:
        key = self._render(value)
        if len(self) >= MAX_KEYS:
            self.clear()
        if len(key) <= MAX_REMEMBERED:
            self[value] = key
        return key
