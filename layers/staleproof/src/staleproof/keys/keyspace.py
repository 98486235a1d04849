"""`Keyspace`: the names of one namespace's things on the server.

============================  ===================================================================
`sp:NS:{kKEY}`                entry; `{h` for a long key, which ends in its digest
`sp:NS:{aSLOT}kKEY}`          entry of a key with one pair of braces, which hold SLOT; `h` if long
`sp:NS:{kKEY}:l`              lease of that key, likewise
`sp:NS:{kKEY}:bDIGEST`        body of a data structure; under `sp:NS:{kKEY}` lies its stamp, no entry
`sp:NS:{oNAME}:KIND`          a thing that operations work on, such as a lock; those of one name share a slot
`sp:NS:v:TAGID`               version of a tag (8 random bytes)
`sp:NS:m:TAGID`               least row version that a load under this tag may have
`sp:NS:guard`                 striped counters, see `staleproof.policies.guard`
`sp:NS:journal`               stream of applied invalidations
`sp:NS:followers`             hash: follower name to its position in the journal
`NAME:w`, `sp:NS:w:{NAME}`    a mark in the slot of NAME: a write to wait for replicas by
============================  ===================================================================

Redis Cluster hashes what stands between a key's first `{` and the next `}`. So an entry and its lease share a slot, and
one script may touch both; and so do all keys that have the same text in braces, as `{tenant_id:slot}` renders it, and
may be read by one command. Every entry ends in `}` and no lease does; so whatever a key's text is, the two are apart.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from staleproof.digests import blake2b
from staleproof.errors import ConfigurationError
from staleproof.texts import utf8

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.tags import TagId

MAX_KEY_BYTES = 512
MAX_SLOT_BYTES = 64
MAX_NAMESPACE = 64


class Keyspace:
    """Where the things of one namespace lie on the server.

    Raises:
        ConfigurationError: the namespace is not 1 to 64 of letters, digits, `_`, `.`, `-`.
    """

    __slots__ = (
        "_digested",
        "_entry",
        "_min",
        "_prefix",
        "_version",
        "entries",
        "followers",
        "guard",
        "incarnation",
        "journal",
        "namespace",
        "version",
    )

    def __init__(self, namespace: str) -> None:
        if not _is_namespace(namespace):
            raise ConfigurationError(
                f"namespace {namespace!r} must be 1 to 64 of letters, digits, '_', '.', '-', "
                "starting with a letter or digit"
            )
        self.namespace = namespace
        self._prefix = f"sp:{namespace}:".encode()
        self._entry = self._prefix + b"{k"
        self._digested = self._prefix + b"{h"  # not `{k`: no short name may look like a long one's digest
        self._version = self._prefix + b"v:"
        self._min = self._prefix + b"m:"
        self.entries = self._prefix + b"{*}"  # what SCAN looks for
        self.guard = self._prefix + b"guard"
        self.incarnation = self._prefix + b"incarnation"
        self.journal = self._prefix + b"journal"
        self.followers = self._prefix + b"followers"
        # The closure is memoised per instance: a tag's key is asked for on every read.
        self.version: Callable[[TagId], bytes] = lru_cache(maxsize=16_384)(self._version_key)

    def entry(self, name: str) -> bytes:
        """Return the entry's key; a name above `MAX_KEY_BYTES` ends in a digest instead."""
        raw = utf8(name)
        if b"{" in raw:
            affine = _affine().match(raw)
            if affine is not None:
                return self._affine(affine.group(1), raw)
        return self._digested + _cut(raw) if len(raw) > MAX_KEY_BYTES else self._entry + raw + b"}"

    def _affine(self, slot: bytes, raw: bytes) -> bytes:
        if len(slot) > MAX_SLOT_BYTES:  # two that share a digest would share a slot, no more: the key follows
            slot = blake2b(slot, digest_size=16).hexdigest().encode()
        rest = b"h" + _cut(raw) if len(raw) > MAX_KEY_BYTES else b"k" + raw + b"}"
        return self._prefix + b"{a" + slot + b"}" + rest

    def lease(self, name: str) -> bytes:
        """Return the key of the lease on *name*."""
        return self.entry(name) + b":l"

    def body(self, name: str, digest: bytes) -> bytes:
        """Return the key of the body of the data structure *name*, see `staleproof.ports.structures`."""
        return self.entry(name) + b":b" + digest

    def operated(self, name: str, kind: str) -> bytes:
        """Return the key of what operations know as *name*, of one *kind*; a long name ends in its digest."""
        raw = utf8(name)
        inside = b"O" + _cut(raw) if len(raw) > MAX_KEY_BYTES else b"o" + raw + b"}"
        return self._prefix + b"{" + inside + b":" + kind.encode()

    def key_of(self, entry: bytes) -> str | None:
        """Return the key's text by its *entry* on the server; None if that is no entry, or only a digest of its key."""
        if not entry.endswith(b"}"):
            return None
        if entry.startswith(self._entry):
            raw = entry[len(self._entry) : -1]
        elif entry.startswith(self._prefix + b"{a"):
            raw = entry.partition(b"}")[2][1:-1]
        else:
            return None
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return None  # a staged value: its lease's name is random bytes
        return name if self.entry(name) == entry else None

    def min_version(self, tag: TagId) -> bytes:
        """Return the key of the least acceptable row version under *tag*."""
        return self._min + _short(tag)

    def pushed(self, follower: str) -> bytes:
        """Return the sorted set of journal ids that *follower* was handed ahead of its position."""
        return self._prefix + b"pushed:" + follower.encode()

    def mark(self, name: bytes) -> bytes:
        """Return a key in the hash slot of *name*, one of ours, where nothing of meaning lies."""
        return name + b":w" if b"{" in name else self._prefix + b"w:{" + name + b"}"

    def _version_key(self, tag: TagId) -> bytes:
        return self._version + _short(tag)


def _is_namespace(text: str) -> bool:
    letters = text.replace("_", "").replace(".", "").replace("-", "")
    return text.isascii() and len(text) <= MAX_NAMESPACE and letters.isalnum() and text[0].isalnum()


@cache
def _affine() -> re.Pattern[bytes]:
    """Return what finds the one pair of braces in a name; compiled when the first key has braces."""
    return re.compile(rb"[^{}]*\{([^{}]+)\}[^{}]*\Z")


def _cut(raw: bytes) -> bytes:
    """Return the beginning of a long name, its digest, and the brace that ends every entry."""
    return raw[: MAX_KEY_BYTES - 33] + b"~" + blake2b(raw, digest_size=16).hexdigest().encode() + b"}"


def _short(tag: TagId) -> bytes:
    return b2a_base64(tag, newline=False)
