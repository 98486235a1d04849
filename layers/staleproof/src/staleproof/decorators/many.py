"""`cacheable_many`: a function from a list of ids to a dict, called with the ids alone that are not cached.

One parameter is the list; the template names one of its members: `{product_id}` of `product_ids`. Every member has an
entry of its own under its own key, the very entry that a `cacheable` with this template, these tags and this type of
value reads and writes.

Ids that the function leaves out of its dict are left out of the answer and are not cached; `None` is a value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from staleproof.cache.asking import told
from staleproof.cache.many import look_many
from staleproof.cache.missing import MISSING
from staleproof.decorators import compiling
from staleproof.decorators.blueprint import Blueprint, Shape
from staleproof.decorators.colour import name_of
from staleproof.decorators.results import value_type
from staleproof.errors import ConfigurationError
from staleproof.keys import template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations
    from staleproof.cache.call import Call
    from staleproof.decorators.options import Options


class ManyShape(Shape):
    """A function of many ids, checked at decoration.

    Args:
        function: the decorated function.
        options: what its decorator was told; the key must be a template, and `each` names the list unless it is the
            plural of what the templates name.

    Attributes:
        member: what the templates call a member of the list.
        members: what the function calls the list.
    """

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        if not isinstance(options.key, str):
            raise ConfigurationError(
                f"{name_of(function)}: cacheable_many needs a template, such as 'product:{{product_id}}'"
            )
        super().__init__(function, options)

    def see(self, signature: inspect.Signature) -> inspect.Signature:
        """Return what templates may name: the parameters, and a member of the list."""
        texts = [str(self.options.key), self.options.prefix, *(self.options.tags or ())]
        heads = {hole.head for text in texts if text for hole in template(text).holes if not hole.ambient}
        self.member, self.members = _member(
            signature, sorted(heads - set(signature.parameters)), self.options.each
        )
        last = inspect.Parameter(self.member, inspect.Parameter.KEYWORD_ONLY)
        return signature.replace(
            parameters=sorted([*signature.parameters.values(), last], key=lambda each: each.kind)
        )

    def stored(self, function: Callable[..., Any]) -> Any:
        """Return the type of the dict's values."""
        return value_type(function, self.owner)


def _member(signature: inspect.Signature, unknown: Sequence[str], each: str | None) -> tuple[str, str]:
    known = ", ".join(signature.parameters) or "none"
    if len(unknown) != 1:
        raise ConfigurationError(
            f"the templates must name one member of the list, besides parameters; they name "
            f"{', '.join(map(repr, unknown)) or 'none'}; the parameters are: {known}"
        )
    (member,) = unknown
    lists = [each] if each else [name for name in signature.parameters if name in _plurals(member)]
    if len(lists) != 1 or lists[0] not in signature.parameters:
        raise ConfigurationError(
            f"which parameter is the list of {member!r}? Name it: each='{member}s'; the parameters are: {known}"
        )
    return member, lists[0]


def _plurals(member: str) -> set[str]:
    plurals = {f"{member}s", f"{member}es", f"{member}_list", f"all_{member}s"}
    return plurals | {f"{member[:-1]}ies"} if member.endswith("y") else plurals


class ManyBlueprint(Blueprint):
    """A `ManyShape` over a cache."""

    shape: ManyShape

    def __init__(self, cache: Any, shape: ManyShape) -> None:
        super().__init__(cache, shape)
        signature = shape.signature
        each = shape.member, shape.members
        self.calls = compiling.calls_renderer(signature, each, shape.key_source, shape.tag_sources, self.make)

        self._texts = compiling.calls_renderer(
            signature, each, shape.key_source, shape.tag_sources, lambda key, tags: (key, tags)
        )

    def bound(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        """Return the arguments of a call, defaults among them; raises `TypeError` if they do not fit."""
        bound = self.shape.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def asked(self, *args: Any, **kwargs: Any) -> Asked:
        """Return what a call asks for."""
        bound = self.bound(args, kwargs)
        members = bound.arguments[self.shape.members]
        if not isinstance(members, Iterable):
            raise ConfigurationError(
                f"{self.shape.members}={members!r:.80} is one id; pass a list: [{members!r:.80}]"
            )
        if isinstance(members, str | bytes):
            raise ConfigurationError(
                f"{self.shape.members}={members!r:.80} is one text; pass a list: [{members!r:.80}]"
            )
        return Asked(self, bound, list(dict.fromkeys(members)))

    def texts(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[str, ...]]:
        """Return key and tags of the one id that stands where the function takes the list."""
        bound = self.one(args, kwargs)
        return self._texts(*bound.args, **bound.kwargs)[0]

    def one_call(self, *args: Any, **kwargs: Any) -> tuple[Call, tuple[str, ...]]:
        """Return the call of one id, likewise, and its tags."""
        bound = self.one(args, kwargs)
        return self.calls(*bound.args, **bound.kwargs)[0], self._texts(*bound.args, **bound.kwargs)[0][1]

    def one(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        """Return the arguments of a call for the one id that stands where the function takes the list.

        Raises:
            ConfigurationError: a list stands there.
        """
        bound, members = self.bound(args, kwargs), self.shape.members
        member = bound.arguments[members]
        if isinstance(member, list | set | frozenset | dict):
            raise ConfigurationError(
                f"{members}={member!r:.80} is a list, and every id has its own key; pass one id"
            )
        bound.arguments[members] = [member]
        return bound


class Asked:
    """One call of a function of many: the ids it asks for, each once, and where they are cached.

    Ids that differ and yet share a key (`1` and `"1"`) share a call.
    """

    def __init__(self, blueprint: ManyBlueprint, bound: inspect.BoundArguments, ids: Sequence[Any]) -> None:
        self._members = blueprint.shape.members
        self._bound = bound
        self.ids = ids
        args, kwargs = self._with(ids)
        made = blueprint.calls(*args, **kwargs)
        by_key: dict[str, int] = {}
        self.calls: list[Call] = []
        self.places: list[int] = []
        self.firsts: list[Any] = []
        for one, call in zip(ids, made, strict=True):
            place = by_key.setdefault(call.key, len(self.calls))
            if place == len(self.calls):
                self.calls.append(call)
                self.firsts.append(one)
            self.places.append(place)

    def _with(self, ids: Sequence[Any]) -> tuple[Any, Any]:
        arguments: Any = {**self._bound.arguments, self._members: list(ids)}
        bound = inspect.BoundArguments(
            self._bound.signature, arguments
        )  # loads may overlap: nothing is shared
        return bound.args, bound.kwargs

    def arguments(self, places: Iterable[int]) -> tuple[Any, Any]:
        """Return the arguments of a call for the ids at *places* alone."""
        return self._with([self.firsts[place] for place in places])

    def told(self, places: Collection[int], loaded: Any) -> dict[int, Any]:
        """Return what the function told, by place.

        Raises:
            ConfigurationError: it returned no dict, or one of nothing that it was asked for.
        """
        return told(self.firsts, places, loaded)

    def answer(self, values: Sequence[Any]) -> dict[Any, Any]:
        """Return the values by id, in the order asked for, without those that there are not."""
        found = zip(self.ids, self.places, strict=True)
        return {one: values[place] for one, place in found if values[place] is not MISSING}


def blocking(cache: BlockingOperations, shape: ManyShape) -> Callable[..., Any]:
    """Return the function of *shape*, cached id by id."""
    blueprint, function = ManyBlueprint(cache, shape), shape.function

    def serve(asked: Asked) -> dict[Any, Any]:
        def load(places: Sequence[int]) -> dict[int, Any]:
            args, kwargs = asked.arguments(places)
            return asked.told(places, function(*args, **kwargs))

        return asked.answer(cache.serve_many(asked.calls, load) if asked.calls else [])

    @functools.wraps(function)
    def many(*args: Any, **kwargs: Any) -> Any:
        if shape.when is not None and not shape.when(*args, **kwargs):
            return function(*args, **kwargs)
        return serve(blueprint.asked(*args, **kwargs))

    def peek(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        asked = blueprint.asked(*args, **kwargs)
        return asked.answer(cache.run(look_many(cache.core, asked.calls)))

    def invalidate(*args: Any, **kwargs: Any) -> None:
        forget(blueprint.asked(*args, **kwargs))

    def forget(asked: Asked) -> None:
        if asked.calls:
            cache.invalidate(keys=[call.key for call in asked.calls])

    def refresh(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        asked = blueprint.asked(*args, **kwargs)
        forget(asked)
        return serve(asked)

    return _dressed(many, blueprint, peek, invalidate, refresh)


def awaiting(cache: AwaitingOperations, shape: ManyShape) -> Callable[..., Any]:
    """Return the coroutine function of *shape*, cached id by id."""
    blueprint, function = ManyBlueprint(cache, shape), shape.function

    async def serve(asked: Asked) -> dict[Any, Any]:
        async def load(places: Sequence[int]) -> dict[int, Any]:
            args, kwargs = asked.arguments(places)
            return asked.told(places, await function(*args, **kwargs))

        return asked.answer(await cache.serve_many(asked.calls, load) if asked.calls else [])

    @functools.wraps(function)
    async def many(*args: Any, **kwargs: Any) -> Any:
        if shape.when is not None and not shape.when(*args, **kwargs):
            return await function(*args, **kwargs)
        return await serve(blueprint.asked(*args, **kwargs))

    async def peek(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        asked = blueprint.asked(*args, **kwargs)
        return asked.answer(await cache.run(look_many(cache.core, asked.calls)))

    async def invalidate(*args: Any, **kwargs: Any) -> None:
        await forget(blueprint.asked(*args, **kwargs))

    async def forget(asked: Asked) -> None:
        if asked.calls:
            await cache.invalidate(keys=[call.key for call in asked.calls])

    async def refresh(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        asked = blueprint.asked(*args, **kwargs)
        await forget(asked)
        return await serve(asked)

    return _dressed(many, blueprint, peek, invalidate, refresh)


def _dressed(
    many: Any, blueprint: ManyBlueprint, peek: Any, invalidate: Any, refresh: Any
) -> Callable[..., Any]:
    many.key = lambda *args, **kwargs: blueprint.texts(*args, **kwargs)[0]
    many.tags = lambda *args, **kwargs: blueprint.texts(*args, **kwargs)[1]
    many.explain = lambda *args, **kwargs: blueprint.face.explain_of(*blueprint.one_call(*args, **kwargs))  # type: ignore[attr-defined]
    many.__staleproof_stand_in__ = blueprint.stand_in
    many.peek, many.invalidate, many.refresh = peek, invalidate, refresh
    return many  # type: ignore[no-any-return]
