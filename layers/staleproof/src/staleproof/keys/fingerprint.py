"""`Fingerprint`: the key of a call without a template: the function's name, and a digest of its arguments.

Names of parameters go into the digest; so a release that swaps two of them does not read what the last one stored.
"""

from __future__ import annotations

import inspect
import sys
from hashlib import blake2b
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.keys.canonical import canonical
from staleproof.texts import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIGEST_BYTES = 20
"""Two argument lists out of a billion billion share a digest with a chance of one in 10^12."""


class Fingerprint:
    """Called with the values of a function's parameters, in their order, it returns the key.

    Args:
        function: whose calls they are.
        names: its parameters' names.

    Raises:
        ConfigurationError: the function's name does not tell it apart from others, or it is bound to an object that has
            no value.
    """

    __slots__ = ("_begun", "_label", "_names")

    def __init__(self, function: Callable[..., Any], names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._label = f"{text(identity(function))}:"
        begun = canonical(self._names) + canonical(_owner(function))
        self._begun = blake2b(begun, digest_size=DIGEST_BYTES, person=b"sp-fingerprint")

    def __call__(self, *values: Any) -> str:
        """Return the key of a call with *values*.

        Raises:
            ConfigurationError: an argument has no value that a key could be made of.
        """
        digest = self._begun.copy()
        for name, value in zip(self._names, values, strict=True):
            try:
                digest.update(canonical(value))
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._label} argument {name!r}: {error}") from error
        return self._label + digest.hexdigest()


def identity(function: Callable[..., Any]) -> str:
    """Return the full name of *function*, by which other processes call it too.

    Raises:
        ConfigurationError: it has none, or shares it: a lambda, or a function made anew at every call of another.
    """
    plain = inspect.unwrap(function)
    name = getattr(plain, "__qualname__", "")
    if not name or "<lambda>" in name:
        raise ConfigurationError("it has no name to make a key of; write key=, or give it a name")
    hidden = set(getattr(getattr(plain, "__code__", None), "co_freevars", ())) - {"__class__"}
    if "<locals>" in name and hidden:
        raise ConfigurationError(
            f"it depends on {', '.join(sorted(map(repr, hidden)))} of the function around it, which no key would tell; "
            "write key=, or pass it as an argument"
        )
    return f"{_module(plain)}.{name}"


def _owner(function: Callable[..., Any]) -> Any:
    """Return the object that a bound method belongs to, for its name is every object's; else None."""
    owner = getattr(inspect.unwrap(function), "__self__", None)
    return None if isinstance(owner, ModuleType) else owner


def _module(function: Any) -> str:
    """Return the module's name, of a program that is run the name by which others would import it."""
    name: str = getattr(function, "__module__", None) or "__main__"
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return PurePath(getattr(main, "__file__", name)).stem
