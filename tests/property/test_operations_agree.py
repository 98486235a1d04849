"""The memory provider's operations and the scripts are one thing: on random sequences, with time, all answer alike.

A server's clock cannot be moved, so what is stored there is aged instead: moments in it are moved back, and lives
shortened. Units are hours, and time passes in steps of 0.37 of them: no step comes so near to a bound that the few
milliseconds by which a server is later would matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from local.supervisor import Supervisor
from staleproof.clock import ManualClock
from staleproof.ports.operations import (
    FilterAdd,
    FilterBegin,
    FilterFill,
    FilterLook,
    FilterSwap,
    Forget,
    FreeLock,
    Held,
    KeepLock,
    Latest,
    Push,
    Take,
    TakeLock,
    Taken,
)
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import RedisProvider
from tests.integration.debian_redis import DebianRedis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

HOUR_US, HOUR_MS, STEP = 3_600_000_000, 3_600_000, 0.37
SLACK_US = 120_000_000
"""By how much a server may be later, in microseconds."""

OWNERS = ("a0", "b1", "c2")
BUILDS = (b"build--1", b"build--2")
DIGESTS = [bytes([n, 0, 9, n, 2 * n | 1, n, 0, 0]) for n in range(8)]


class Aged(NamedTuple):
    """A server whose things can be made older."""

    provider: Any
    client: Any

    def wait(self, seconds: float) -> None:
        """Make everything older."""
        for name in self.client.scan_iter(b"sp:agree:*"):
            left = self.client.pttl(name) - round(seconds * 1_000)
            life = self.client.pttl(name)
            if life >= 0 and left <= 0:
                self.client.delete(name)
                continue
            if name.endswith(b":limit"):
                full = int(self.client.get(name)) - round(seconds * 1_000_000)
                self.client.set(name, full)
            elif name.endswith(b":lock"):
                owner, token, until = self.client.get(name).split(b":")
                older = max(0, int(until) - round(seconds * 1_000_000))
                self.client.set(name, b"%b:%b:%d" % (owner, token, older))
            if life >= 0:
                self.client.pexpire(name, left)


class InMemory(NamedTuple):
    """The memory provider, whose clock can be moved."""

    provider: Any
    clock: ManualClock

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)


@pytest.fixture(scope="module")
def servers(valkey_url: str) -> Iterator[list[Aged]]:
    """The newest engine and the oldest."""
    with Supervisor() as owner:
        oldest = DebianRedis(owner, "agree-7.0")
        oldest.start()
        made = [
            Aged(RedisProvider.from_url(url, namespace="agree"), redis.Redis.from_url(url))
            for url in (valkey_url, oldest.url())
        ]
        yield made
        for each in made:
            each.provider.close()
            each.client.close()
        oldest.close()


names = st.sampled_from(["n", "m"])
steps = st.one_of(
    st.builds(Take, names, st.just(HOUR_US), st.integers(1, 4), st.integers(0, 3)),
    st.tuples(st.just("take lock"), names, st.sampled_from(OWNERS)),
    st.tuples(st.just("keep lock"), names, st.sampled_from(OWNERS), st.integers(0, 1)),
    st.tuples(st.just("free lock"), names, st.sampled_from(OWNERS), st.integers(0, 1)),
    st.builds(
        Push,
        names,
        st.lists(st.binary(max_size=3), min_size=1, max_size=4).map(tuple),
        st.integers(1, 5),
        st.sampled_from([0, HOUR_MS]),
        st.booleans(),
    ),
    st.builds(Latest, names, st.integers(1, 6), st.booleans()),
    st.builds(Forget, names, st.sampled_from(["limit", "list", "stream", "filter"])),
    st.builds(FilterBegin, names, st.sampled_from(BUILDS), st.integers(1, 40), st.integers(1, 4), st.none()),
    st.builds(
        FilterFill,
        names,
        st.sampled_from(BUILDS),
        st.lists(st.sampled_from(DIGESTS), max_size=3),
        st.just(value=False),
    ),
    st.builds(
        FilterSwap, names, st.sampled_from(BUILDS), st.sampled_from([0, HOUR_MS]), st.just(value=False)
    ),
    st.builds(
        FilterAdd, names, st.lists(st.sampled_from(DIGESTS), min_size=1, max_size=3), st.just(value=False)
    ),
    st.builds(FilterLook, names, st.just(DIGESTS), st.just(value=False)),
    st.integers(1, 4),  # so many steps of time
)


class Player:
    """Plays steps on one provider, and tells what can be compared: tokens by their order, moments within slack."""

    def __init__(self, on: Aged | InMemory) -> None:
        self._on = on
        self._tokens: dict[tuple[str, str], list[int]] = {}
        self._last: dict[str, int] = {}

    def play(self, step: Any) -> Any:
        """Do *step*."""
        if isinstance(step, int):
            return self._on.wait(step * STEP * 3_600)
        perform = self._on.provider.perform
        if not isinstance(step[0], str) or " lock" not in step[0]:
            reply = perform(step)
            return list(reply) if isinstance(step, Latest) else reply
        what, name, owner, *past = step
        if what == "take lock":
            return self._taken(name, owner, perform(TakeLock(name, owner, HOUR_MS)))
        known = self._tokens.get((name, owner), [1, 1])
        token = known[-1 - past[0]] if len(known) > past[0] else 1
        if what == "keep lock":
            return perform(KeepLock(name, owner, token, HOUR_MS))
        return perform(FreeLock(name, owner, token))

    def _taken(self, name: str, owner: str, held: Held) -> tuple[str, bool]:
        if not held.token:
            return "busy", False
        known = self._tokens.setdefault((name, owner), [])
        again = held.token == self._last.get(name)
        assert again or held.token > self._last.get(name, 0)
        self._last[name] = held.token
        if not again:
            known.append(held.token)
        return "taken", again


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, Taken):
        near = all(abs(a - b) <= SLACK_US for a, b in zip(one[1:], other[1:], strict=True))
        return near and one.allowed == other.allowed
    return bool(one == other)


@settings(max_examples=60)
@given(st.lists(steps, max_size=25))
def test_all_answer_alike(servers: list[Aged], played: list[Any]) -> None:
    """Whatever is asked in whatever order, and however much time passes: memory, Valkey and Redis 7.0 answer alike."""
    clock = ManualClock()
    for each in servers:
        for name in each.client.scan_iter(b"sp:agree:*"):
            each.client.delete(name)
    players = [Player(InMemory(MemoryProvider("agree", clock=clock), clock)), *map(Player, servers)]
    for step in played:
        first, *others = (player.play(step) for player in players)
        assert all(alike(first, other) for other in others), (step, first, others)
