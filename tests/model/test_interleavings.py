"""P1 and P2 under arbitrary interleavings, command by command; and proof that this test can fail.

Each broken variant below is one of the tempting simplifications. A test that could not tell it from the real
algorithm would prove nothing, so each must be caught.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from staleproof.cache import composing, core, filling
from staleproof.cache.commands import Landed, TakeSnapshot
from staleproof.cache.flights import Flight
from staleproof.cache.near import NearCache
from staleproof.entry import decode, ended, prolonged
from staleproof.policies import guard, judgement
from staleproof.ports import Observed
from staleproof.providers.redis.cluster_rotation import ClusterRotation, parcel
from staleproof.providers.redis.cluster_steps import ClusterSteps
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.journal import page, range_after
from staleproof.providers.redis.parcels import Waves
from staleproof.providers.redis.rotation import Rotation
from staleproof.providers.redis.steps import Steps
from tests.model import simulated_redis
from tests.model.simulated_redis import SimulatedRedis, parsed
from tests.model.world import (
    CLEARING,
    EVICTING,
    LAGGING,
    MODES,
    MOVING,
    REVEALED,
    SOFT,
    SOFTLY_EVICTING,
    STATIC,
    Mode,
    StaleReadError,
    World,
    clustered,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 2.0
EXAMPLES = int(os.environ.get("STALEPROOF_EXAMPLES", "400"))

PAUSES = [0.5, 1.0, 2.5, 6.0, 70.0]

turns = st.tuples(st.integers(0, 9), st.integers(1, 14))  # who goes next, and for how many commands
schedules = st.lists(turns, min_size=25, max_size=50)
evictions = st.lists(st.integers(0, 40), max_size=3)
pauses = st.lists(st.sampled_from(PAUSES), max_size=3)
orders = st.integers(0, 2**32)  # in which order the nodes of a cluster come to what they are sent
plots = st.tuples(schedules, evictions, pauses, orders)

Plot = tuple[list[tuple[int, int]], list[int], list[float], int]


def play(mode: Mode, plot: Plot) -> None:
    """Two loaders, a process of two threads with a strict near cache, one with a bounded one, two writers, trouble."""
    schedule, evicted, paused, order = plot
    world = World(mode, order)
    strict, bounded = world.process(staleness=0), world.process(staleness=BOUND)
    actors = [
        world.reads(world.process(), 3),
        world.reads(world.process(), 3),
        world.reads(strict, 3),
        world.reads(strict, 3),
        world.reads(bounded, 4),
        world.writes(1, 2),
        world.writes(2, 2),
        world.evict(iter(() if mode.lagging else evicted)),  # an evicted fence is a fence that fell early
        world.tick(iter(paused)),
        world.replicate(3),
    ]
    run(actors, iter(schedule))
    # Whatever happened: who reads now sees all that was acknowledged, in every process.
    world.clock.advance(BOUND + 0.001)
    for process in (world.process(), strict, bounded):
        run([world.read(process)], iter(()))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(plot=plots)
def test_no_read_is_staler_than_promised(mode: Mode, plot: Plot) -> None:
    """P1 for strict readers, P2 for bounded ones, P6 for whatever was evicted: in any order of steps."""
    play(mode, plot)


@pytest.mark.parametrize("mode", [clustered(mode) for mode in MODES], ids=lambda mode: mode.name)
@settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow])
@given(plot=plots)
def test_no_read_in_a_cluster_is_staler_than_promised(mode: Mode, plot: Plot) -> None:
    """The same, where nodes come to the commands of a wave in any order."""
    play(mode, plot)


@settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow])
@given(plot=plots)
def test_increments_lose_nothing(plot: Plot) -> None:
    """However they interleave, every increment counts once, and near copies are not older than the last one.

    But for lost replies: whether a store was done is not known then, and it counts again.
    """
    schedule, _, paused, order = plot
    world = World(STATIC, order, lossy=False)
    strict = world.process(staleness=0)
    actors = [
        world.increments(world.process(), 1, 3),
        world.increments(world.process(), 2, 3),
        world.increments(strict, 3, 2),
        world.tick(
            iter(each for each in paused if each < 1)
        ),  # a lease, and the entry itself, may well run out
    ]
    run(actors, iter(schedule))
    assert sorted(value for _, value in world.acknowledged) == list(range(9))
    for process in (world.process(), strict):
        run([world.read(process)], iter(()))


def _breaks(mode: Mode, plot: Plot) -> bool:
    try:
        play(mode, plot)
    except StaleReadError:
        return True
    return False


def drawn(number: int) -> Plot:
    """The plot of a number, the same in every process, whatever else is loaded there."""
    chance = Random(number)
    schedule = [(chance.randint(0, 9), chance.randint(1, 14)) for _ in range(chance.randint(25, 50))]
    evicted = [chance.randint(0, 40) for _ in range(chance.randint(0, 3))]
    paused = [chance.choice(PAUSES) for _ in range(chance.randint(0, 3))]
    return schedule, evicted, paused, chance.getrandbits(32)


def is_caught(mode: Mode, beginning: int) -> bool:
    """Search for an interleaving in which the algorithm, as now patched, serves a stale value."""
    return any(_breaks(mode, drawn(number)) for number in range(beginning, beginning + 6_000))


def late_version(patch: pytest.MonkeyPatch) -> None:
    """Take the versions after the load."""
    compose_all = composing.compose_all

    def broken(core: Any, items: Any) -> Any:
        (item,) = items
        late = yield TakeSnapshot(item.tags, item.call.policy.tag_ttl_ms)
        return (yield from compose_all(core, [replace(item, snapshot=late)]))

    patch.setattr(filling, "compose_all", broken)


def no_guard(patch: pytest.MonkeyPatch) -> None:
    """Trust a version that was created after the result revealed its tag."""
    patch.setattr(guard, "moved", lambda *_: False)


def no_lease_fence(patch: pytest.MonkeyPatch) -> None:
    """Evict a key and leave its lease."""
    rotation = Rotation.pack

    def broken(self: Rotation, invalidations: Any) -> Any:
        return [_without_lease(command) for command in rotation(self, invalidations)]

    patch.setattr(Rotation, "pack", broken)


def _without_lease(packed: bytes) -> bytes:
    (command,) = parsed(packed)
    leased = command[0] == b"UNLINK" and command[-1].endswith(b":l")
    return commands([tuple(command[:2])]).packed if leased else packed


def no_insert_fence(patch: pytest.MonkeyPatch) -> None:
    """Insert into the near cache whatever was read."""
    patch.setattr(NearCache, "_named_since", lambda *_: False)


def missing_is_valid(patch: pytest.MonkeyPatch) -> None:
    """Take a missing version for an unchanged one."""

    def broken(raw: bytes | None, versions: Any, expected: bytes) -> Any:
        if raw is None:
            return None
        places = range(len(expected), len(expected) + 8 * len(versions), 8)
        lenient = [now or raw[at : at + 8] for now, at in zip(versions, places, strict=True)]
        return judgement.payload_of(raw, lenient, expected)

    patch.setattr(core, "payload_of", broken)


def any_row_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Store what a lagging replica said."""
    patch.setattr(composing, "acceptable", lambda *_: True)


def gap_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """Go on after a journal that was lost as if nothing had been in it."""
    advance = NearCache.advance

    def broken(self: NearCache, asked: Any, page: Any) -> None:
        advance(self, asked, page._replace(contiguous=True, last=page.last or asked.cursor))

    patch.setattr(NearCache, "advance", broken)


def any_flight_will_do(patch: pytest.MonkeyPatch) -> None:
    """Hand a load's value to whoever joined it, also if it began before he asked."""
    patch.setattr(Flight, "outcome", lambda self, _: Landed(self.value))


def soft_is_no_rotation(patch: pytest.MonkeyPatch) -> None:
    """Keep the version of a softly invalidated tag, and note its end only."""
    patch.setattr(simulated_redis, "succeeded", lambda held, _version, _at: held)


def soft_leaves_the_lease(patch: pytest.MonkeyPatch) -> None:
    """Let a load in flight store after its key was softly evicted."""

    def broken(self: SimulatedRedis, key: bytes, *rest: bytes) -> int:
        moment = rest[-1]
        moved = ended(self.get(key) or b"", int.from_bytes(moment, "little"))
        if moved is not None:
            self.strings[key] = (moved, self.strings[key][1])
        return int(moved is not None)

    patch.setattr(SimulatedRedis, "soften_key", broken)


def softly_evicted_by_time(patch: pytest.MonkeyPatch) -> None:
    """Mark no entry, and let its end alone say that it is over: clocks differ."""
    patch.setattr(simulated_redis, "ended", lambda raw, at_ms: prolonged(raw, _end(raw), at_ms))


def _end(raw: bytes) -> int:
    entry = decode(raw)
    return entry.expires_ms if entry else 0


def journal_beside_the_versions(patch: pytest.MonkeyPatch) -> None:
    """Append to the journal in the wave that removes what its record names."""
    waves = ClusterRotation.waves

    def broken(self: ClusterRotation, invalidations: Any, parts: Any) -> Any:
        fences, forgotten, journal = waves(self, invalidations, parts)
        return [fences, [*forgotten, *journal]]

    patch.setattr(ClusterRotation, "waves", broken)


def fences_beside_the_versions(patch: pytest.MonkeyPatch) -> None:
    """Bump guards and raise row fences in the wave that removes the versions."""
    waves = ClusterRotation.waves

    def broken(self: ClusterRotation, invalidations: Any, parts: Any) -> Any:
        fences, forgotten, journal = waves(self, invalidations, parts)
        return [[*fences, *forgotten], journal]

    patch.setattr(ClusterRotation, "waves", broken)


def fences_after_the_versions(patch: pytest.MonkeyPatch) -> None:
    """Bump guards once the versions are gone."""
    waves = ClusterRotation.waves

    def broken(self: ClusterRotation, invalidations: Any, parts: Any) -> Any:
        fences, forgotten, journal = waves(self, invalidations, parts)
        return [forgotten, fences, journal]

    patch.setattr(ClusterRotation, "waves", broken)


def snapshots_in_one_wave(patch: pytest.MonkeyPatch) -> None:
    """Read guards and row fences in the wave that reads the versions."""
    send = ClusterSteps._send

    def broken(self: ClusterSteps, *waves: Any, **options: Any) -> Any:
        return send(self, [unit for wave in waves for unit in wave], **options)

    patch.setattr(ClusterSteps, "_send", broken)


def any_page_is_a_ticket(patch: pytest.MonkeyPatch) -> None:
    """Take what was read beside a page of the journal for younger than it."""

    def broken(self: ClusterSteps, key: str, tags: Any, cursor: str, limit: int) -> Any:
        follow = parcel(range_after(self.keys.journal, cursor, limit))
        followed, entry, *versions = yield Waves([[follow, *self.look(key, tags)]], foreign=True)
        return page(followed, cursor, limit), Observed(entry, versions)

    patch.setattr(ClusterSteps, "read_following", broken)


def entries_go_before_leases(patch: pytest.MonkeyPatch) -> None:
    """Remove an entry first, and then the lease under which it could be stored again."""
    waves = ClusterRotation.waves

    def broken(self: ClusterRotation, invalidations: Any, parts: Any) -> Any:
        return [
            [each._replace(packed=each.packed[::-1]) for each in wave]
            for wave in waves(self, invalidations, parts)
        ]

    patch.setattr(ClusterRotation, "waves", broken)


def offers_come_back(patch: pytest.MonkeyPatch) -> None:
    """Send again what creates versions, after a lost reply."""
    for kind in (Steps, ClusterSteps):
        patch.setattr(kind, "_send", _again(kind._send))


def _again(send: Any) -> Any:
    return lambda self, *waves, **options: send(self, *waves, **{**options, "once": False})


BROKEN = [
    (offers_come_back, STATIC),
    (offers_come_back, clustered(STATIC)),
    (journal_beside_the_versions, clustered(STATIC)),
    (journal_beside_the_versions, clustered(EVICTING)),
    (fences_after_the_versions, clustered(REVEALED)),
    (fences_beside_the_versions, clustered(LAGGING)),
    (snapshots_in_one_wave, clustered(REVEALED)),
    (snapshots_in_one_wave, clustered(LAGGING)),
    (any_page_is_a_ticket, clustered(STATIC)),
    (entries_go_before_leases, clustered(EVICTING)),
    (late_version, clustered(STATIC)),
    (no_guard, clustered(REVEALED)),
    (any_flight_will_do, STATIC),
    (any_flight_will_do, EVICTING),
    (soft_is_no_rotation, SOFT),
    (soft_leaves_the_lease, SOFTLY_EVICTING),
    (softly_evicted_by_time, SOFTLY_EVICTING),
    (late_version, STATIC),
    (no_guard, REVEALED),
    (no_guard, MOVING),
    (no_lease_fence, EVICTING),
    (no_insert_fence, STATIC),
    (missing_is_valid, CLEARING),
    (missing_is_valid, STATIC),
    (gap_is_ignored, STATIC),
    (any_row_is_kept, LAGGING),
]


BEGINNINGS = {
    ("offers_come_back", "clustered static"): 1_170,
    ("journal_beside_the_versions", "clustered static"): 1_290,
    ("fences_beside_the_versions", "clustered lagging"): 430,
    ("entries_go_before_leases", "clustered evicting"): 1_800,
    ("any_flight_will_do", "static"): 360,
    ("no_insert_fence", "static"): 410,
}
"""Where a search begins that finds at once. From elsewhere it finds as well, at times after thousands of plays."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "mode"), BROKEN, ids=lambda each: getattr(each, "__name__", None) or each.name
)
def test_each_broken_variant_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same search finds a stale read once a step of the algorithm is left out."""
    broken(monkeypatch)
    assert is_caught(mode, BEGINNINGS.get((broken.__name__, mode.name), 0))
