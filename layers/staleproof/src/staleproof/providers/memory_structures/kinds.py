"""What the commands of all kinds share: how one is declared, how its arguments are read, and how it refuses."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from staleproof.errors import ProviderRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.ports.structures import Argument

Arguments: TypeAlias = "Sequence[bytes]"

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


class Command(NamedTuple):
    """One command.

    Attributes:
        kind: the class of the bodies that it works on, called without arguments for an empty one.
        run: takes such a body, the arguments and the UTC milliseconds, and returns the reply.
    """

    kind: type[Any]
    run: Callable[[Any, Arguments, int], Any]


def refused(why: str) -> ProviderRejectedError:
    """Return what to raise for a command that a server would refuse, in a server's words."""
    return ProviderRejectedError(f"the memory provider refused a command: {why}")


def as_bytes(argument: Argument) -> bytes:
    """Return *argument* as it would be sent."""
    return argument if isinstance(argument, bytes) else str(argument).encode()


def integer(raw: bytes, what: str = "ERR value is not an integer or out of range") -> int:
    """Read a 64-bit integer."""
    try:
        number = int(raw)
    except ValueError:
        raise refused(what) from None
    if not MIN_INTEGER <= number <= MAX_INTEGER or str(number).encode() != bytes(raw):
        raise refused(what)
    return number


def number(raw: bytes, what: str = "ERR value is not a valid float") -> float:
    """Read a float; infinities are some, NaN is none."""
    try:
        given = float(raw)
    except ValueError:
        raise refused(what) from None
    if given != given:  # noqa: PLR0124 - NaN
        raise refused(what)
    return given


def written(value: float) -> bytes:
    """Write a float so that the same one is read."""
    if value in {inf, -inf}:
        return b"inf" if value > 0 else b"-inf"
    return str(int(value)).encode() if value == int(value) and abs(value) < 2**53 else repr(value).encode()


def added(value: int, by: int) -> int:
    """Return the sum of two 64-bit integers."""
    total = value + by
    if not MIN_INTEGER <= total <= MAX_INTEGER:
        raise refused("ERR increment or decrement would overflow")
    return total


def added_floats(value: float, by: float) -> float:
    """Return the sum of two floats."""
    total = value + by
    if not -inf < total < inf:
        raise refused("ERR increment would produce NaN or Infinity")
    return total


def bounds(start: int, stop: int, length: int) -> tuple[int, int]:
    """Return where an inclusive range, counted from the end where negative, begins, and behind its last place."""
    first = max(0, start + length if start < 0 else start)
    last = stop + length if stop < 0 else stop
    return first, max(first, min(last + 1, length))
