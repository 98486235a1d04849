"""`Exchange`: commands packed for one connection, and how many replies they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from hiredis import pack_command
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

R = TypeVar("R")
Command: TypeAlias = tuple[Any, ...]


class Exchange(Struct, frozen=True):
    """Packed commands for one connection, and the number of replies to read.

    Attributes:
        foreign: whether a key of another type is met as an error among the replies: it is a miss, not a failure.
        once: whether it must not be executed twice: then the whole step is run again.
    """

    packed: bytes
    replies: int
    foreign: bool = False
    once: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.replies)


def commands(each: Iterable[Command], *, foreign: bool = False, once: bool = False) -> Exchange:
    """Pack *each* command into one exchange."""
    packed = list(map(pack_command, each))
    return Exchange(b"".join(packed), len(packed), foreign, once)


def packed_names(names: Iterable[bytes]) -> bytes:
    """Pack *names* as arguments of a command."""
    return b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)


def packed_head(*words: Any, more: int) -> bytes:
    """Pack the first *words* of a command that goes on with so many *more* of them."""
    packed: bytes = pack_command(words)
    return b"*%d" % (len(words) + more) + packed[packed.index(b"\r\n") :]


def chunks(items: Sequence[R], size: int) -> list[Sequence[R]]:
    """Cut *items* into runs of at most *size*."""
    return [items[start : start + size] for start in range(0, len(items), size)]
