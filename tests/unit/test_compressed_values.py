"""Values that a cache compresses: read by every reader, whatever it would have written itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staleproof import Cache, Policy
from staleproof.codecs.compression import LZ4, NONE, ZSTD
from staleproof.codecs.dictionary import train
from staleproof.entry import decode
from staleproof.providers.memory import MemoryProvider

if TYPE_CHECKING:
    from staleproof.codecs.compression import Algorithm

ROWS = [{"id": number, "name": "a row like every other", "price": number / 3} for number in range(400)]


def bits(provider: MemoryProvider, key: str) -> int:
    """Return how the entry under *key* is compressed."""
    raw = provider.read(key, []).entry
    assert raw is not None
    entry = decode(raw)
    assert entry is not None
    return entry.codec & 0xF0


@pytest.mark.parametrize(("algorithm", "expected"), [("lz4", LZ4), ("zstd", ZSTD)])
def test_large_values_are_compressed_and_read_by_everybody(algorithm: Algorithm, expected: int) -> None:
    """Above the policy's threshold, and only there; a reader set otherwise reads them all the same."""
    provider = MemoryProvider("compressed")
    writer = Cache(provider, compression=algorithm)
    writer.get_or_load("large", lambda: ROWS)
    writer.get_or_load("small", lambda: ROWS[:2])
    assert (bits(provider, "large"), bits(provider, "small")) == (expected, NONE)
    reader = Cache(provider, policy=Policy(compress_above=None))
    assert reader.get("large") == ROWS
    assert reader.get_or_load("large", list) == ROWS
    assert reader.statistics.hits == 2


def test_a_policy_without_a_threshold_compresses_nothing() -> None:
    """None leaves every payload as the codec wrote it."""
    provider = MemoryProvider("plain")
    Cache(provider).get_or_load("large", lambda: ROWS, policy=Policy(compress_above=None))
    assert bits(provider, "large") == NONE


def test_dictionaries_of_two_releases_live_side_by_side() -> None:
    """The first dictionary writes, all of them read; a reader that lacks one loads anew."""
    samples = [Cache(MemoryProvider()).codec.codec_for(object).encode(row) for row in ROWS]
    old, new = (train(samples[start:], size=2_048) for start in (0, 100))
    provider = MemoryProvider("dictionaries")
    policy = Policy(compress_above=20)
    Cache(provider, compression="zstd", dictionaries=[old], policy=policy).get_or_load("old", lambda: ROWS[7])
    both = Cache(provider, compression="zstd", dictionaries=[new, old], policy=policy)
    both.get_or_load("new", lambda: ROWS[8])
    assert (bits(provider, "old"), bits(provider, "new")) == (ZSTD, ZSTD)
    assert (both.get("old"), both.get("new")) == (ROWS[7], ROWS[8])
    without = Cache(provider, policy=policy)
    assert without.get_or_load("new", lambda: "loaded") == "loaded"
    assert without.statistics.misses["codec"] == 1
