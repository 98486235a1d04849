"""The charter: what every node of a cluster knows about the ring that it is part of.

Theory of operation
-------------------
Clients learn of a new ring at different moments, and a node keeps its contents while it is no part of the ring. Without
care both break P1. A client of the old ring invalidates on the old owner, and a client of the new ring does not see it.
And a node that owns a key again still has what it stored when it owned it before, which nobody removed meanwhile.

So each node holds a *charter*, one item: the ring's version, and its *terms*. A term is the list of members from some
version on, with a random token. The name of everything that is stored carries the token of the term since which the
node has owned the key *without a break*. What a node stored in an earlier, interrupted ownership is thereby out of
reach, without being looked for; and what it owned all the time stays.

* **Check.** Every exchange with a node ends with a look at its charter: 32 random bits and the item's cas, a line of
  thirty bytes. If it is not the charter that the names were made by, the answers are thrown away and the step is run
  again by the new one.
* **Adoption.** Whoever learns of a new ring first writes the charters of all nodes, of the old ring and of the new;
  only then he marks them *complete* and uses the ring. So while one client uses the new ring, no client of the old one
  can finish anything on a node unnoticed.
* **In doubt, nothing.** A charter that is lost (a restart, a flush) is written anew with a fresh token, as if versions
  were skipped, since nobody knows what was removed elsewhere meanwhile (P6).

A node that was taken out of the ring and cannot be reached is taken for ended. Should it live on behind a partition, a
client beside it notices at its next question for the list of nodes.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from os import urandom
from typing import TYPE_CHECKING

import msgspec

from staleproof.providers.memcached.members import Names, ring

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_BYTES = 9
MAX_TERMS = 8
"""Changes of the ring after which a node forgets everything once: each costs a look at a ring for every name."""


class Term(msgspec.Struct, frozen=True, array_like=True):
    """From some version on, *members* were the ring; *token* names what a node came to own then."""

    token: str
    members: Names


class Charter(msgspec.Struct, frozen=True, array_like=True):
    """What one node knows.

    Attributes:
        version: the ring's version.
        complete: whether all nodes of this ring, and of the one before, have been told.
        terms: oldest first; the last one is the ring now.
    """

    version: int
    complete: bool
    terms: tuple[Term, ...]

    @property
    def members(self) -> Names:
        """The ring's members now."""
        return self.terms[-1].members


def fresh(version: int, members: Names, *, complete: bool) -> Charter:
    """Return the charter of a node that is to forget everything."""
    return Charter(version, complete, (_term(members),))


def advanced(known: Charter, version: int, members: Names) -> Charter:
    """Return what a node's charter becomes when the ring's *version* is one of *members*.

    Versions come one by one; if some were skipped, nobody can say who owned what in between.
    """
    if version != known.version + 1 or len(known.terms) >= MAX_TERMS:
        return fresh(version, members, complete=False)
    return Charter(version, complete=False, terms=(*known.terms, _term(members)))


def completed(known: Charter) -> Charter:
    """Return *known* once all nodes have been told."""
    return Charter(known.version, complete=True, terms=known.terms)


def tokens(charter: Charter, member: str) -> Callable[[str], str]:
    """Return the function that gives the token for each key that *member* owns now."""
    newest = charter.terms[-1].token
    if len(charter.terms) == 1:
        return lambda _: newest
    before = [(term.token, ring(term.members) if term.members else None) for term in charter.terms[-2::-1]]

    def token(key: str) -> str:
        since = newest
        for earlier, owner in before:
            if owner is None or owner(key) != member:
                break
            since = earlier
        return since

    return token


def _term(members: Names) -> Term:
    return Term(urlsafe_b64encode(urandom(TOKEN_BYTES)).decode(), members)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Charter)


def encode(charter: Charter) -> bytes:
    """Return the stored form."""
    return _encoder.encode(charter)


def decode(raw: bytes) -> Charter | None:
    """Read the stored form; None if it is none, which counts as lost."""
    try:
        charter = _decoder.decode(raw)
    except msgspec.MsgspecError:
        return None
    return charter if charter.terms and all(term.members for term in charter.terms) else None
