"""`Keys` and `Calls`: what one parameter alone decides, remembered by its value, which costs half of making it anew.

By value, an `int` or a `str` and nothing else: `True` equals 1 in a dictionary, and renders otherwise. When full a memo
forgets everything, which needs no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.call import Call

MAX_KEYS = 8_192
"""Keys that a function's hit path remembers at most, each of at most `MAX_REMEMBERED` characters."""

MAX_CALLS = 2_048
"""Calls that it remembers at most, of such keys; one takes some 500 bytes."""

MAX_REMEMBERED = 128


class Keys(dict[Any, str]):
    """Keys by the value that decides them.

    Args:
        render: makes the key of a value.
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


class Calls(dict[Any, "Call"]):
    """Calls by the value that decides their key and tags, all under one policy.

    Args:
        make: makes the call of a value.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[Any], Call]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: Any) -> Call:
        call = self._make(value)
        if len(self) >= MAX_CALLS:
            self.clear()
        if len(call.key) <= MAX_REMEMBERED:
            self[value] = call
        return call
