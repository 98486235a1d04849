"""`Names`: what the things of one namespace are called on a node.

==========================  =====================================================================
`sp:NS:ring`                the node's charter (`staleproof.providers.memcached.charter`)
`sp:NS:TOKEN:eKEY`          entry: `k` and the key's text, or `h` and its digest
`sp:NS:TOKEN:lKEY`          lease of that key, on the same node
`sp:NS:TOKEN:vTAGID`        version of a tag
`sp:NS:TOKEN:mTAGID`        least row version that a load under this tag may have, on the same node
`sp:NS:TOKEN:g`             the node's guard, see `staleproof.providers.memcached.guard_log`
==========================  =====================================================================

Memcached allows 250 bytes, and neither blanks nor control characters: a key of letters, digits and signs of ASCII, not
too long, is called by its text; any other by a digest of 160 bits.
"""

from __future__ import annotations

import re
from base64 import b85encode, urlsafe_b64encode
from hashlib import blake2b

from staleproof.keys import Keyspace
from staleproof.texts import utf8

MAX_TEXT = 140
DIGEST_BYTES = 20
_PLAIN = re.compile(rb"[!-~]{0,%d}\Z" % MAX_TEXT)


class Names:
    """The names of one namespace.

    Raises:
        ConfigurationError: the namespace is not 1 to 64 of letters, digits, `_`, `.`, `-`.
    """

    __slots__ = ("namespace", "prefix", "ring")

    def __init__(self, namespace: str) -> None:
        self.namespace = Keyspace(namespace).namespace
        self.prefix = f"sp:{namespace}:".encode()
        self.ring = self.prefix + b"ring"

    def under(self, token: str, kind: bytes, rest: bytes = b"") -> bytes:
        """Return the name of the *kind* of thing called *rest*, stored under *token*."""
        return b"%b%b:%b%b" % (self.prefix, token.encode(), kind, rest)


def key_rest(key: str) -> bytes:
    """Return what the names of a key's entry and lease end in."""
    raw = utf8(key)
    if _PLAIN.match(raw):
        return b"k" + raw
    return b"h" + urlsafe_b64encode(blake2b(raw, digest_size=DIGEST_BYTES).digest()).rstrip(b"=")


def tag_rest(tag: bytes) -> bytes:
    """Return what the names of a tag's version and fence end in."""
    return b85encode(tag)
