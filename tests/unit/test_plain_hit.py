"""The hot path of a hit: what it says is what the judgement at length says, and where it is unsure it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof import MISSING, Cache, Policy
from staleproof.cache.core import Hit
from staleproof.entry import TIMES_BYTES, Entry, encode
from staleproof.ports import Observed
from staleproof.providers.memory import MemoryProvider

VERSIONS = [b"version1", b"version2"]


def looked_at(raw: bytes | None, versions: list[Any], size: int = 10) -> tuple[Any, Any, Cache]:
    cache = Cache(MemoryProvider("plain"), policy=Policy(ttl=60))
    call = cache.call("key", ["tag"], kind=bytes)
    if raw == b"?":
        payload = call.codec.encode(b"v" * size)
        entry = Entry(
            call.codec.codec_id, b"".join(call.tags), b"".join(VERSIONS), 2, 1, 0, 0, payload, cost_us=7
        )
        raw = encode(entry)
    observed = Observed(raw, versions)
    return cache.core.plain_hit(call, call.tags, observed), cache.core.judge(call, call.tags, observed), cache


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_a_plain_hit_is_the_judged_one(size: int) -> None:
    """Value, cost and bytes are those of the judgement, for small values and large ones."""
    value, judged, cache = looked_at(b"?", VERSIONS, size)

    assert isinstance(judged, Hit)
    assert value == judged.value == b"v" * size
    assert cache.statistics.saved_us == judged.cost_us == 7
    assert cache.statistics.bytes_read == judged.size


@pytest.mark.parametrize(
    "versions",
    [[VERSIONS[0], None], [VERSIONS[0], b"versionX"], [VERSIONS[0]], [], VERSIONS[::-1], [None, None]],
)
def test_other_versions_are_no_plain_hit(versions: list[Any]) -> None:
    """A version that is missing or another one makes no hit, and nothing is counted."""
    value, judged, cache = looked_at(b"?", versions)

    assert value is MISSING
    assert not isinstance(judged, Hit)
    assert not cache.statistics.hits


@pytest.mark.parametrize("raw", [None, b"", b"\xe2", b"another program's"])
def test_what_is_no_entry_is_no_plain_hit(raw: bytes | None) -> None:
    """Nothing, and what another program wrote, is a miss."""
    assert looked_at(raw, VERSIONS)[0] is MISSING


def test_an_entry_that_was_cut_short_is_no_plain_hit() -> None:
    """Wherever it was cut: within its head, its times or its payload."""
    cache = Cache(MemoryProvider("plain"), policy=Policy(ttl=60))
    call = cache.call("key", ["tag"], kind=bytes)
    payload = call.codec.encode(b"value")
    whole = encode(Entry(call.codec.codec_id, b"".join(call.tags), b"".join(VERSIONS), 2, 1, 0, 0, payload))

    assert cache.core.plain_hit(call, call.tags, Observed(whole, VERSIONS)) == b"value"
    assert len(whole) > TIMES_BYTES + len(payload)
    for length in range(len(whole)):
        assert cache.core.plain_hit(call, call.tags, Observed(whole[:length], VERSIONS)) is MISSING
