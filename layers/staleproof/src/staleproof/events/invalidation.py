"""`Invalidation`: one applied change, as the journal, the bus and the peers carry it.

It is idempotent and commutative: applying it twice, or after a later one, ends in the same state. It has
no ordering field on purpose. JSON on the wire, so that any language and a person at a console can read it.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from staleproof.errors import MalformedEventError, UnsupportedEventVersionError
from staleproof.keys import MAX_KEY_BYTES
from staleproof.tags import MAX_TAG_BYTES, ROOT, TagId, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCHEMA = 1
PART = 64
"""Targets a journal record holds at most: a near cache reads its last record again at every check."""

_Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TAG_BYTES)]
_Key = Annotated[str, msgspec.Meta(max_length=8 * MAX_KEY_BYTES)]


class Cause(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Why an invalidation happened, for `explain`.

    Attributes:
        source: where the change came from, such as `dynamodb:Flights` or `application`.
        rules: names of the rules that matched.
        position: the record's place in its source, such as a shard's sequence number.
        entity: what changed, in the source's own words.
        operation: `insert`, `modify`, `remove` or a source's own word.
        changed_ms: UTC milliseconds of the change at its source, 0 if unknown.
    """

    source: str = "application"
    rules: tuple[str, ...] = ()
    position: str = ""
    entity: str = ""
    operation: str = ""
    changed_ms: int = 0


class Invalidation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Tags and keys to forget in one namespace, and why.

    Attributes:
        id: the event's identity, kept across regions and redeliveries.
        origin: the region where it was first applied; only that region replicates it.
        namespace: the namespace it concerns.
        tags: tag texts.
        keys: key texts.
        clear: forget the whole namespace.
        soft: what it names becomes stale instead of gone, for those whose policy serves stale values; a reader that
            does not know this field forgets it all, which is safe.
        superseded: the keys' entries where it is applied are the new ones already, and stay; copies of the old ones go.
            Other regions get it without this.
        row_version: the source row's version after the change, or None. With it, a load that read an older
            row from a lagging replica is served but not stored, for *lag_ms*.
        lag_ms: how long a replica of the source may lag behind, in milliseconds.
        at_ms: UTC milliseconds at which the origin applied it.
        trace: trace id, or "".
        schema: version of this very shape.
    """

    id: str
    origin: str
    namespace: str
    tags: tuple[_Tag, ...] = ()
    keys: tuple[_Key, ...] = ()
    clear: bool = False
    soft: bool = False
    superseded: bool = False
    row_version: int | None = None
    lag_ms: int = 0
    at_ms: int = 0
    trace: str = ""
    cause: Cause = Cause()
    schema: int = SCHEMA

    @property
    def tag_ids(self) -> list[TagId]:
        """The wire ids of everything that it rotates, the root for `clear`."""
        ids = list(map(tag_id, self.tags))
        return [ROOT, *ids] if self.clear else ids

    @property
    def evicted(self) -> tuple[str, ...]:
        """The keys whose entries go, or become stale."""
        return () if self.superseded else self.keys

    def parts(self, size: int = PART) -> Iterator[Invalidation]:
        """Yield it in pieces of at most *size* tags and *size* keys, all with its id."""
        if len(self.tags) <= size and len(self.keys) <= size:
            yield self
            return
        for start in range(0, max(len(self.tags), len(self.keys)), size):
            piece = slice(start, start + size)
            yield msgspec.structs.replace(
                self, tags=self.tags[piece], keys=self.keys[piece], clear=self.clear and start == 0
            )


def in_parts(invalidations: Sequence[Invalidation]) -> Sequence[Invalidation]:
    """Return all *parts* of all *invalidations*: mostly themselves."""
    for each in invalidations:
        if len(each.tags) > PART or len(each.keys) > PART:
            break
    else:
        return invalidations
    return [part for each in invalidations for part in each.parts()]


def new_id() -> str:
    """Return a fresh event id: 48 bits of UTC milliseconds, then 80 random bits, in hex; it sorts by time."""
    moment = time.time_ns() // 1_000_000 << 80
    return (moment | _random_bits()(80)).to_bytes(16, "big").hex()  # in half the time of a format


@cache
def _random_bits() -> Callable[[int], int]:
    from random import getrandbits  # noqa: PLC0415 - who only reads starts without

    return getrandbits


def genesis(namespace: str) -> Invalidation:
    """Return the empty record that opens a journal, so that a follower has a place to stand."""
    return Invalidation(id=new_id(), origin="", namespace=namespace)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Invalidation)


def encode(invalidation: Invalidation) -> bytes:
    """Return the wire form, JSON."""
    return _encoder.encode(invalidation)


def decode(raw: bytes | str) -> Invalidation:
    """Read the wire form.

    Raises:
        MalformedEventError: it is no JSON, or a field is missing or has the wrong shape.
        UnsupportedEventVersionError: its schema is newer than this release reads.
    """
    try:
        return _checked(_decoder.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedEventError(f"invalidation: {error}; send the JSON of schema {SCHEMA}") from error


def convert(document: Any) -> Invalidation:
    """Read a wire form that some transport has already parsed from JSON; raises as `decode` does."""
    try:
        return _checked(msgspec.convert(document, Invalidation))
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:  # a name may hold half of a surrogate pair
        raise MalformedEventError(f"invalidation: {error}; send the JSON of schema {SCHEMA}") from error


def _checked(invalidation: Invalidation) -> Invalidation:
    if invalidation.schema != SCHEMA:
        raise UnsupportedEventVersionError(
            f"invalidation {invalidation.id!r} has schema {invalidation.schema}; this release reads {SCHEMA}: "
            "upgrade the consumer, then redrive"
        )
    for field, texts, most in (("tags", invalidation.tags, MAX_TAG_BYTES), ("keys", invalidation.keys, None)):
        for text in texts:
            if not text.isascii():  # of ASCII, the shape has counted characters, which are bytes
                _check_bytes(field, text, most)
    return invalidation


def _check_bytes(field: str, text: str, most: int | None) -> None:
    """Refuse what would be refused as a tag or key later on, at every read of the journal and by who cannot help it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise MalformedEventError(
            f"invalidation: {field} hold half of a surrogate pair; send well-formed text"
        ) from error
    if most is not None and size > most:
        raise MalformedEventError(
            f"invalidation: {field} hold {text[:40]!r}… of {size} bytes; send at most {most} (hash long parts)"
        )
