"""`View`: the ring as one client knows it, and where things lie by it. It never changes; a new ring is a new view."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from staleproof.providers.memcached.charter import tokens
from staleproof.providers.memcached.members import names, ring
from staleproof.providers.memcached.names import key_rest, tag_rest
from staleproof.providers.memcached.wire import get

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from staleproof.providers.memcached.charter import Charter
    from staleproof.providers.memcached.members import Member
    from staleproof.providers.memcached.names import Names
    from staleproof.tags import TagId

T = TypeVar("T")

ENTRY = b"v f"
"""What is asked of an entry: value and client flags, which tell it from a placeholder."""


class Known(NamedTuple):
    """A node's charter, and the line with which the node answers as long as it has it."""

    charter: Charter
    line: bytes


class UnknownNodeError(Exception):
    """A node owns what was asked for, and its charter could not be read."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


class Placed(NamedTuple):
    """Where a key's entry and its lease lie."""

    node: str
    entry: bytes
    lease: bytes


class Watched(NamedTuple):
    """Where a tag's version and its row fence lie, and the request that reads the version."""

    node: str
    version: bytes
    fence: bytes
    ask: bytes


class View:
    """The members of a ring and what each of them knows.

    Args:
        keys: the namespace's names.
        members: the ring's members.
        known: their charters by name, without those of nodes that could not be asked.
    """

    def __init__(self, keys: Names, members: Sequence[Member], known: Mapping[str, Known]) -> None:
        self.keys = keys
        self.members = {member.name: member for member in members}
        self.lines = {node: each.line for node, each in known.items()}
        self._tokens = {node: tokens(each.charter, node) for node, each in known.items()}
        self._guards = {node: each.charter.terms[-1].token for node, each in known.items()}
        self._owner = ring(names(members))
        # A tag is asked for again and again; keys as well, by those who come back to them.
        self.tag: Callable[[TagId], Watched] = lru_cache(maxsize=16_384)(self._tag)
        self.key: Callable[[str], Placed] = lru_cache(maxsize=4_096)(self._key)

    def guard(self, node: str) -> bytes:
        """Return the name of *node*'s guard."""
        return self.keys.under(self._known(self._guards, node), b"g")

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes."""
        return list(self.members)

    def _key(self, key: str) -> Placed:
        node, rest = self._owner(key), key_rest(key)
        token = self._known(self._tokens, node)(key)
        return Placed(node, self.keys.under(token, b"e", rest), self.keys.under(token, b"l", rest))

    def _tag(self, tag: TagId) -> Watched:
        rest = tag_rest(tag)
        key = "tag " + rest.decode()
        node = self._owner(key)
        token = self._known(self._tokens, node)(key)
        version = self.keys.under(token, b"v", rest)
        return Watched(node, version, self.keys.under(token, b"m", rest), get(version))

    @staticmethod
    def _known(by_node: Mapping[str, T], node: str) -> T:
        try:
            return by_node[node]
        except KeyError:
            raise UnknownNodeError(node) from None
