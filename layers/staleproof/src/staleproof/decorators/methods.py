"""Decorated methods: descriptors that bind a cached function and its handles to the object that it is called on.

A plain function stays a plain function: its calls cost nothing more. In a class body (told by its qualified name) it
becomes a descriptor, for Python binds what is called, and not the handles beside it: `shop.product.invalidate(42)` must
know its shop. `@classmethod` and `@staticmethod` may stand above or below.

From Python 3.13 on a `@classmethod` that stands above does not ask the descriptor; so the handles, which then learn
nothing of the class they were reached by, take it to be the one that the method stands in. Where that has
subclasses they cannot know, and say so.
"""

from __future__ import annotations

import functools
import inspect
import sys
from types import MethodType
from typing import TYPE_CHECKING, Any

from staleproof.decorators.colour import awaits, name_of
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLES = ("key", "tags", "peek", "explain", "invalidate", "refresh")
"""What hangs on a cached function; on a method each is bound to the same object as the method."""


class Bound(functools.partial[Any]):
    """A cached method of one object: callable, with bound handles. A `partial`, for nothing in Python binds faster."""

    def __getattr__(self, name: str) -> Any:
        if name in HANDLES:
            return functools.partial(getattr(self.func, name), *self.args)
        if name.startswith("__") and name not in {"__name__", "__qualname__"}:
            raise AttributeError(
                name
            )  # whatever the function says of its parameters, the object is bound here
        return getattr(self.func, name)

    @property
    def __self__(self) -> Any:
        return self.args[0]

    @property
    def __func__(self) -> Any:
        return self.func

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and self.func is other.func and self.args[0] is other.args[0]

    def __hash__(self) -> int:
        return hash((self.func, id(self.args[0])))


class Method:
    """What stands in the class instead of a cached method.

    Attributes:
        wrapper: the cached function, which takes the object first.
    """

    wrapper: Callable[..., Any]

    def __init__(self, wrapper: Callable[..., Any]) -> None:
        functools.update_wrapper(self, wrapper)
        self.wrapper = wrapper
        mark = getattr(inspect, "markcoroutinefunction", None)  # from Python 3.12 on
        if mark is not None and awaits(wrapper):
            mark(self)
        for name in HANDLES:
            handle = self.__dict__.get(name)
            if handle is not None:
                self.__dict__[name] = _beside_class(wrapper, handle)

    def __set_name__(self, owner: type, name: str) -> None:
        tell = getattr(self.wrapper, "__staleproof_stand_in__", None)
        if tell is not None:
            tell(owner)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.wrapper if instance is None else Bound(self.wrapper, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is: whoever gets here has the object, or needs none."""
        return self.wrapper(*args, **kwargs)


class ClassMethod(Method):
    """The same for a class method: bound to the class, whether it is reached by it or by an object."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return Bound(self.wrapper, type(instance) if owner is None else owner)


def unboxed(function: Any) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """Return the plain function in *function*, and what to make of its wrapper in the same place."""
    if isinstance(function, Method):
        return function.wrapper, type(function)
    if isinstance(function, classmethod):
        return unboxed(function.__func__)[0], ClassMethod
    if isinstance(function, staticmethod):
        return unboxed(function.__func__)[0], staticmethod
    bound = isinstance(inspect.unwrap(function), MethodType)
    return function, (lambda wrapper: wrapper) if bound else boxed


def boxed(wrapper: Any) -> Any:
    """Return *wrapper*, as a descriptor if it stands in a class body and has handles to bind."""
    place = getattr(wrapper, "__qualname__", "").rpartition(".")[0]
    in_class = bool(place) and not place.endswith("<locals>")
    return Method(wrapper) if in_class and any(name in vars(wrapper) for name in HANDLES) else wrapper


def _beside_class(wrapper: Any, handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return *handle* for whoever reaches it past the descriptor: by a `@staticmethod` or `@classmethod` above."""
    first = next(iter(inspect.signature(wrapper).parameters), "")
    if first != "cls":
        return handle
    return functools.wraps(handle)(lambda *args, **kwargs: handle(_owner(wrapper), *args, **kwargs))


def _owner(wrapper: Any) -> Any:
    owner: Any = sys.modules.get(wrapper.__module__)
    for name in wrapper.__qualname__.split(".")[:-1]:
        owner = getattr(owner, name, None)
    if not isinstance(owner, type) or owner.__subclasses__():
        raise ConfigurationError(
            f"{name_of(wrapper)}: its handles cannot tell which class they belong to; put @classmethod below "
            "the cache's decorator"
        )
    return owner
