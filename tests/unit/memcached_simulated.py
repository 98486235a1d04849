"""Memcached nodes without sockets, for tests that step several clients in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.memcached.wire import Replies, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.providers.memcached.settlement import Talk


class Item(NamedTuple):
    """What is stored under a name."""

    value: bytes
    flags: bytes
    cas: int


class SimulatedNode:
    """The meta commands that the provider uses. Nothing ends by itself; a test removes what it wants evicted."""

    def __init__(self) -> None:
        self.items: dict[bytes, Item] = {}
        self.up = True
        self._cas = 0

    def execute(self, requests: Sequence[bytes]) -> list[Reply]:
        """Return the replies to *requests*, read as a client reads them."""
        replies = Replies(len(requests))
        replies.feed(b"".join(map(self._one, requests)))
        return replies.found

    def _one(self, request: bytes) -> bytes:
        line, _, rest = request.partition(b"\r\n")
        command, name, *words = line.split(b" ")
        held = self.items.get(name)
        if command == b"mg":
            return self._get(held, words)
        if command == b"md":
            return self._delete(name, held, words)
        return self._set(name, held, rest[:-2], words[1:])

    @staticmethod
    def _get(held: Item | None, words: list[bytes]) -> bytes:
        if held is None:
            return b"EN\r\n"
        said = {b"c": b"c%d" % held.cas, b"f": b"f" + held.flags, b"t": b"t-1"}
        shown = b"".join(b" " + said[word] for word in words if word in said)
        if b"v" in words:
            return b"VA %d%b\r\n%b\r\n" % (len(held.value), shown, held.value)
        return b"HD%b\r\n" % shown

    def _delete(self, name: bytes, held: Item | None, words: list[bytes]) -> bytes:
        if held is None:
            return b"NF\r\n"
        if any(word[:1] == b"C" and int(word[1:]) != held.cas for word in words):
            return b"EX\r\n"
        del self.items[name]
        return b"HD\r\n"

    def _set(self, name: bytes, held: Item | None, value: bytes, words: list[bytes]) -> bytes:
        flags = next((word[1:] for word in words if word[:1] == b"F"), b"0")
        compared = next((int(word[1:]) for word in words if word[:1] == b"C"), None)
        if b"ME" in words and held is not None:
            return b"NS\r\n"
        if b"MA" in words:
            if held is None:
                return b"NS\r\n"
            value, flags = held.value + value, held.flags
        if compared is not None:
            if held is None:
                return b"NF\r\n"
            if held.cas != compared:
                return b"EX\r\n"
        self._cas += 1
        self.items[name] = Item(value, flags, self._cas)
        return b"HD\r\n"


def talk(nodes: dict[str, SimulatedNode], asked: Talk) -> dict[str, list[Reply] | Exception]:
    """Answer *asked* as connections would.

    Raises:
        ProviderUnavailableError: a node is down, and *asked* is not tolerant.
    """
    found: dict[str, list[Reply] | Exception] = {}
    for member, requests in asked.requests.items():
        node = nodes[member.name]
        if node.up:
            found[member.name] = node.execute(requests)
        elif asked.tolerant:
            found[member.name] = ProviderUnavailableError("down")
        else:
            raise ProviderUnavailableError("down")
    return found
