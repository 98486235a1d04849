"""Many keys at once when some are stale, or their loader fails: as for one key, in one load for all."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof import Policy, ProviderUnavailableError
from tests.unit.both_faces import FACES, Face

SWR = Policy(ttl=10, stale_while_revalidate=60)
SIE = Policy(ttl=10, stale_if_error=60, retry_after=5)
KEYS = ["a", "b", "c"]


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Face:
    return Face(awaited=request.param, background=False)


class Source:
    """Rows that change, and fail on demand."""

    def __init__(self, face: Face, policy: Policy) -> None:
        self.face = face
        self.policy = policy
        self.row = 1
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None

    def load(self, keys: list[str]) -> dict[str, int]:
        self.asked.append(keys)
        if self.failure is not None:
            raise self.failure
        return dict.fromkeys(keys, self.row)

    def read(self, keys: list[str] = KEYS) -> Any:
        loader = self.face.coloured(self.load)
        many = self.face.cache.get_or_load_many(keys, loader, tags=["rows"], policy=self.policy)
        return self.face.do(many)

    def change(self) -> None:
        self.row += 1


@FACES
def test_stale_values_are_loaded_anew_together(face: Face) -> None:
    """Without a background the reader who finds them stale loads all of them, in one call, and has the new ones."""
    source = Source(face, SWR)
    source.read()
    source.change()
    face.clock.advance(20)
    assert source.read() == dict.fromkeys(KEYS, 2)
    assert source.asked == [KEYS, KEYS]
    assert source.read() == dict.fromkeys(KEYS, 2)
    assert face.cache.statistics.refreshes == 1


@FACES
def test_what_another_renews_is_served_stale(face: Face) -> None:
    """Nobody waits for a lease while there is something to serve; what is missing is loaded all the same."""
    source = Source(face, SWR)
    source.read(["a", "b"])
    source.change()
    face.clock.advance(20)
    begun = face.cache.provider.begin(
        "a", face.cache.call("a", ["rows"]).tags, b"another", 60_000, 0, guard=False
    )
    assert face.do(begun).leased
    assert source.read() == {"a": 1, "b": 2, "c": 2}
    assert face.cache.statistics.stale_served == {"revalidating": 1}


@FACES
def test_a_hard_invalidation_leaves_nothing_to_serve(face: Face) -> None:
    """Stale values are for what ran out or was invalidated softly."""
    for policy in (SWR, SIE):
        source = Source(face, policy)
        source.read()
        source.change()
        face.do(face.cache.invalidate("rows"))
        assert source.read() == dict.fromkeys(KEYS, 2)
        source.failure = ValueError("the source is away")
        face.do(face.cache.invalidate("rows"))
        with pytest.raises(ValueError, match="away"):
            source.read()
        face.do(face.cache.clear())


@FACES
def test_a_loader_that_fails_is_made_up_for_where_it_can_be(face: Face) -> None:
    """All are served stale, and the loader rests; a key that has nothing to serve brings the failure out."""
    source = Source(face, SIE)
    source.read(["a", "b"])
    face.do(face.cache.invalidate("rows", soft=True))
    source.failure = ValueError("the source is away")
    assert source.read(["a", "b"]) == {"a": 1, "b": 1}
    assert source.read(["a", "b"]) == {"a": 1, "b": 1}
    assert len(source.asked) == 2
    with pytest.raises(ValueError, match="away"):
        source.read()
    face.clock.advance(6)
    source.failure = None
    source.change()
    assert source.read() == dict.fromkeys(KEYS, 2)


@FACES
def test_an_outage_of_the_loaders_own_is_no_outage_of_ours(face: Face) -> None:
    """A loader that cannot reach its server is called once, its exception passes through, and the leases are free."""
    source = Source(face, Policy())
    source.failure = ProviderUnavailableError("another server")
    with pytest.raises(ProviderUnavailableError, match="another server"):
        source.read()
    assert source.asked == [KEYS]
    assert not face.cache.statistics.fallbacks
    source.failure = None
    assert source.read() == dict.fromkeys(KEYS, 1)
    assert face.cache.statistics.stored == 3


@FACES
def test_a_cache_that_is_off_finds_nothing(face: Face) -> None:
    """Every way to read finds nothing while it is off, and everything again afterwards."""
    source = Source(face, Policy())
    source.read()
    cache, do = face.cache, face.do
    with cache.off():
        assert not do(cache.get("a", tags=["rows"]))
        assert not do(cache.exists("a", tags=["rows"]))
        assert do(cache.get_many(KEYS, tags=["rows"])) == {}
        assert source.read() == dict.fromkeys(KEYS, 1)
        assert do(cache.put_many({"d": 1})) == 0
    assert len(source.asked) == 2
    assert do(cache.get_many([*KEYS, "d"], tags=["rows"])) == dict.fromkeys(KEYS, 1)


@FACES
def test_blocks_that_overlap_leave_the_cache_as_it_was(face: Face) -> None:
    """It is off until the last of them ends, whatever their order; a switch that was thrown meanwhile stays."""
    cache = face.cache
    first, second = cache.off(), cache.off()
    with first:
        second.__enter__()
    assert cache.core.off
    cache.switch(off=True)
    second.__exit__(None, None, None)
    assert cache.core.off
    cache.switch(off=False)
    assert not cache.core.off
