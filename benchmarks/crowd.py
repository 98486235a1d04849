"""Rows of the invalidation of a tag that very many entries carry.

The entries are real: each is encoded under the tag's current version, stored under a key of its own, and a sample of
them is read through the cache: hits before an invalidation, misses after it, and hits again when the
version is put back, which is how each measured invalidation finds the whole crowd alive.
"""

from __future__ import annotations

import random
from functools import cache, partial
from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from benchmarks.measurement import Subject, compare, repeated
from benchmarks.stand import BenchmarkError
from staleproof import MISSING
from staleproof.codecs import MsgpackCodec
from staleproof.entry import Entry, encode
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.stand import Stand

MANY = 1_000_000
FEW = 1_000
BATCH = 1_000
SAMPLE = 200
_codec: MsgpackCodec[bytes] = MsgpackCodec(bytes)


class Crowd:
    """*count* entries that carry one tag.

    Args:
        stand: where they are stored.
        count: how many.
    """

    def __init__(self, stand: Stand, count: int) -> None:
        self.tag = f"crowd-of-{count}"
        self.count = count
        self._stand = stand
        self._ids = [ROOT, tag_id(self.tag)]
        self._versions = list(stand.provider.snapshot(self._ids, 0, guard=False).versions)
        self._revive = ("SET", stand.provider.keys.version(self._ids[1]), self._versions[1])

    def fill(self) -> None:
        """Store the entries.

        Raises:
            BenchmarkError: a sample of them does not read as hits, or an invalidation does not make misses of them.
        """
        for start in range(0, self.count, BATCH):
            self._stand.send(*self._commands(range(start, min(start + BATCH, self.count))))
        self.check()

    def _commands(self, numbers: range) -> Iterator[tuple[str, bytes, bytes]]:
        key = self._stand.provider.keys.entry
        blank = Entry(
            codec=_codec.codec_id,
            ids=b"".join(self._ids),
            versions=b"".join(self._versions),
            named=2,
            born_ms=0,
            expires_ms=0,
            row_version=0,
            payload=b"",
        )
        for number in numbers:
            yield "SET", key(self._name(number)), encode(blank._replace(payload=self._value(number)))

    def _name(self, number: int) -> str:
        return f"{self.tag}:{number}"

    @staticmethod
    def _value(number: int) -> bytes:
        return _codec.encode(b"%018d" % number)  # 20 bytes

    def check(self) -> None:
        """Prove with a sample that the entries carry the tag."""
        alive = partial(self._hits, random.Random(self.count).sample(range(self.count), SAMPLE))
        before = alive()
        self.invalidate()
        after = alive()
        self.revive()
        if (before, after, alive()) != (SAMPLE, 0, SAMPLE):
            raise BenchmarkError(
                f"of {SAMPLE} entries under {self.tag!r}, {before} were hits, and {after} after an invalidation"
            )

    def _hits(self, numbers: list[int]) -> int:
        get = self._stand.cache.get
        found = (get(self._name(number), tags=[self.tag], kind=bytes) for number in numbers)
        return sum(value is not MISSING for value in found)

    def invalidate(self) -> None:
        """Invalidate the tag, as an application does."""
        self._stand.cache.invalidate(self.tag)

    def revive(self, _number: int = 1) -> None:
        """Give the tag its old version again: every entry is a hit once more."""
        self._stand.send(self._revive)

    def subject(self) -> Subject:
        """The invalidation, each time of the whole living crowd."""
        return Subject(repeated(self.invalidate), prepare=self.revive, number=1, samples=25)


@cache
def crowd_of(count: int, stand: Stand) -> Crowd:
    """Return the stand's crowd of that size, filled when it is first asked for."""
    crowd = Crowd(stand, count)
    crowd.fill()
    return crowd


def vs_set(stand: Stand, seconds: float) -> Figures:
    """Compare the invalidation of a tag on a million entries with our raw SET."""
    crowd = crowd_of(MANY, stand)
    reference = stand.raw_set(crowd.revive, number=1)._replace(samples=25)
    return Figures.of(compare(crowd.subject(), reference, seconds=seconds), f"{crowd.count:,} entries stored")


def vs_few(stand: Stand, seconds: float) -> Figures:
    """Compare the invalidation of a tag on a million entries with that of a tag on a thousand."""
    many, few = crowd_of(MANY, stand), crowd_of(FEW, stand)
    measured = compare(many.subject(), few.subject(), seconds=seconds)
    return Figures.of(measured, f"{many.count:,} and {few.count:,} entries stored")
