"""`OperationsContract`: the laws of `staleproof.ports.operations`, for providers that can run operations.

Fixtures to supply: `provider`, fresh and empty; and `elapse`, a function that lets some seconds pass for its server.
How finely it measures time is said in `finest`: see `staleproof.testing.abilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import ProviderRejectedError
from staleproof.ports.operations import (
    Ask,
    FilterAdd,
    FilterBegin,
    FilterFill,
    FilterLook,
    FilterSwap,
    Forget,
    FreeLock,
    KeepLock,
    Latest,
    Native,
    Push,
    Pushed,
    Take,
    TakeLock,
)
from staleproof.testing.abilities import Able
from staleproof.testing.examples import MINUTE

if TYPE_CHECKING:
    from staleproof.testing.examples import Elapse

HOUR_US = 3_600_000_000
ADA, BOB = "ada0", "b0b0"
ONE, TWO = b"build--1", b"build--2"
DIGESTS = [bytes([n, 2 * n, 0, 1, n | 1, n, 7, 0]) for n in range(1, 60)]
NAMES = ["n", "n}", "{n", "{7}", "n{7}", "n:lock", "ü", "n" * 700, "n" * 701, " "]
"""Texts that no two of may meet in one thing."""


class LimitLaws(Able):
    """What a rate limit does."""

    def test_a_limit_lets_through_its_capacity_and_no_more(self, provider: Any) -> None:
        """At once a limit lets through its capacity, then refuses, and tells how long to wait."""
        taken = [provider.perform(Take("n", HOUR_US, 3, 1)) for _ in range(5)]
        assert [each.allowed for each in taken] == [True, True, True, False, False]
        assert [each.wait_us > 0 for each in taken] == [False, False, False, True, True]
        assert all(each.wait_us <= HOUR_US for each in taken)
        assert all(0 < each.used_us <= 3 * HOUR_US for each in taken)

    def test_a_limit_refills(self, provider: Any, elapse: Elapse) -> None:
        """What was taken comes back one by one, after the time that the answer told."""
        unit = round(self.brief * 1_000_000)
        assert provider.perform(Take("n", unit, 1, 1)).allowed
        elapse(self.over)
        assert provider.perform(Take("n", unit, 1, 1)).allowed

    def test_a_cost_is_taken_whole_or_not_at_all(self, provider: Any) -> None:
        """What costs more than is left is refused and takes nothing; what costs less still goes through."""
        assert provider.perform(Take("n", HOUR_US, 5, 3)).allowed
        assert not provider.perform(Take("n", HOUR_US, 5, 3)).allowed
        assert provider.perform(Take("n", HOUR_US, 5, 2)).allowed

    def test_looking_takes_nothing(self, provider: Any) -> None:
        """A cost of nothing is always let through and changes nothing."""
        assert provider.perform(Take("n", HOUR_US, 1, 0)) == (True, 0, 0)
        assert provider.perform(Take("n", HOUR_US, 1, 1)).allowed
        assert 0 < provider.perform(Take("n", HOUR_US, 1, 0)).used_us <= HOUR_US
        assert not provider.perform(Take("n", HOUR_US, 1, 1)).allowed

    def test_a_lowered_limit_holds_at_once(self, provider: Any) -> None:
        """A limit that was higher before counts as empty, and not as more than empty."""
        assert provider.perform(Take("n", HOUR_US, 9, 9)).allowed
        assert provider.perform(Take("n", HOUR_US, 2, 0)).used_us == 2 * HOUR_US

    def test_names_are_told_apart(self, provider: Any) -> None:
        """No two names share a limit, a lock or a list, whatever characters or lengths they have."""
        for name in NAMES:
            assert provider.perform(Take(name, HOUR_US, 1, 1)).allowed
            assert provider.perform(TakeLock(name, ADA, MINUTE)).token
            assert provider.perform(Push(name, (name.encode(),), 5, 0)) == Pushed(1, 0)
        assert [provider.perform(Latest(name, 5)) for name in NAMES] == [[name.encode()] for name in NAMES]

    def test_what_is_forgotten_begins_anew(self, provider: Any) -> None:
        """A limit that was forgotten is full; forgetting tells whether there was anything."""
        provider.perform(Take("n", HOUR_US, 1, 1))
        assert provider.perform(Forget("n", "limit"))
        assert not provider.perform(Forget("n", "limit"))
        assert provider.perform(Take("n", HOUR_US, 1, 1)).allowed


class LockLaws(Able):
    """What a lock does."""

    def test_a_lock_has_one_holder(self, provider: Any) -> None:
        """A held lock is refused to others, who are told for how long it is held yet, and known to its owner."""
        mine = provider.perform(TakeLock("n", ADA, MINUTE))
        assert mine.token
        assert mine.left_ms == MINUTE
        theirs = provider.perform(TakeLock("n", BOB, MINUTE))
        assert theirs.token == 0
        assert 0 < theirs.left_ms <= MINUTE
        assert provider.perform(TakeLock("n", ADA, MINUTE)) == mine

    def test_tokens_rise(self, provider: Any, elapse: Elapse) -> None:
        """Every holder's token is greater than those before, whether the lock was freed, ran out or was forgotten."""
        tokens = [provider.perform(TakeLock("n", ADA, MINUTE)).token]
        for _ in range(20):
            assert provider.perform(FreeLock("n", ADA, tokens[-1]))
            tokens.append(provider.perform(TakeLock("n", ADA, MINUTE)).token)
        assert provider.perform(KeepLock("n", ADA, tokens[-1], self.brief_ms))
        elapse(self.over)
        tokens.append(provider.perform(TakeLock("n", BOB, MINUTE)).token)
        provider.perform(Forget("n", "lock"))
        elapse(self.finest)
        tokens.append(provider.perform(TakeLock("n", ADA, MINUTE)).token)
        assert tokens == sorted(set(tokens))

    def test_only_the_owner_frees_and_prolongs(self, provider: Any) -> None:
        """Another owner, or another token of the same one, can neither free a lock nor prolong it."""
        token = provider.perform(TakeLock("n", ADA, MINUTE)).token
        for owner, theirs in ((BOB, token), (ADA, token - 1), (BOB, 0)):
            assert not provider.perform(FreeLock("n", owner, theirs))
            assert not provider.perform(KeepLock("n", owner, theirs, MINUTE))
        assert provider.perform(TakeLock("n", BOB, MINUTE)).token == 0
        assert provider.perform(KeepLock("n", ADA, token, MINUTE))
        assert provider.perform(FreeLock("n", ADA, token))
        assert provider.perform(TakeLock("n", BOB, MINUTE)).token > token

    def test_a_lock_runs_out(self, provider: Any, elapse: Elapse) -> None:
        """A dead holder's lock is free after its time; the late holder can prolong it no more."""
        token = provider.perform(TakeLock("n", ADA, self.brief_ms)).token
        elapse(self.over)
        assert not provider.perform(KeepLock("n", ADA, token, MINUTE))
        assert provider.perform(TakeLock("n", BOB, MINUTE)).token > token
        assert not provider.perform(FreeLock("n", ADA, token))

    def test_a_lock_is_prolonged_or_shortened(self, provider: Any, elapse: Elapse) -> None:
        """A lock is held for the time that its owner asked for last, whatever was asked for before."""
        token = provider.perform(TakeLock("n", ADA, MINUTE)).token
        assert provider.perform(KeepLock("n", ADA, token, 10 * MINUTE))
        assert provider.perform(TakeLock("n", BOB, MINUTE)).left_ms > 5 * MINUTE
        assert provider.perform(KeepLock("n", ADA, token, self.brief_ms))
        elapse(self.over)
        assert provider.perform(TakeLock("n", BOB, MINUTE)).token > token

    def test_freeing_tells_whether_another_had_it(self, provider: Any, elapse: Elapse) -> None:
        """Freed twice, or after it ran out, a lock that nobody else had is freed all the same."""
        token = provider.perform(TakeLock("n", ADA, self.brief_ms)).token
        elapse(self.over)
        assert provider.perform(FreeLock("n", ADA, token))
        assert provider.perform(FreeLock("n", ADA, token))
        provider.perform(TakeLock("n", BOB, MINUTE))
        assert not provider.perform(FreeLock("n", ADA, token))

    def test_an_owner_without_token_frees(self, provider: Any) -> None:
        """Who asked for a lock and got no answer frees what he may have got."""
        provider.perform(TakeLock("n", ADA, MINUTE))
        assert provider.perform(FreeLock("n", ADA, 0))
        assert provider.perform(TakeLock("n", BOB, MINUTE)).token
        assert provider.perform(TakeLock("n", ADA, MINUTE)).token == 0


class ListLaws(Able):
    """What a bounded list does, and a bounded stream."""

    @pytest.fixture(params=[False, True], ids=["list", "stream"])
    def stream(self, request: pytest.FixtureRequest) -> bool:
        """Whether it is a stream."""
        chosen: bool = request.param
        return chosen

    def test_a_list_keeps_the_newest(self, provider: Any, stream: bool) -> None:  # noqa: FBT001 - a parameter
        """Pushing above the bound drops the oldest, and tells how many; the newest come first."""
        values = tuple(b"%d" % n for n in range(7))
        assert provider.perform(Push("n", values[:2], 4, 0, stream)) == Pushed(2, 0)
        assert provider.perform(Push("n", values[2:5], 4, 0, stream)) == Pushed(4, 1)
        assert provider.perform(Push("n", values[5:], 4, 0, stream)) == Pushed(4, 2)
        assert provider.perform(Latest("n", 9, stream)) == [b"6", b"5", b"4", b"3"]
        assert provider.perform(Latest("n", 2, stream)) == [b"6", b"5"]

    def test_more_than_is_kept_may_be_pushed(self, provider: Any, stream: bool) -> None:  # noqa: FBT001
        """Of a push above the bound the last ones stay; a lower bound holds at once."""
        values = tuple(b"%d" % n for n in range(500))
        assert provider.perform(Push("n", values, 3, 0, stream)) == Pushed(3, 497)
        assert provider.perform(Push("n", (b"", b"\x00\r\n"), 1, 0, stream)) == Pushed(1, 4)
        assert provider.perform(Latest("n", 9, stream)) == [b"\x00\r\n"]

    def test_a_push_begins_its_life_anew(self, provider: Any, elapse: Elapse, stream: bool) -> None:  # noqa: FBT001
        """A list lives for as long as its last push says, for ever if that says so; then nothing is left."""
        provider.perform(Push("n", (b"1",), 4, self.brief_ms, stream))
        provider.perform(Push("n", (b"2",), 4, 0, stream))
        provider.perform(Push("m", (b"1",), 4, 0, stream))
        provider.perform(Push("m", (b"2",), 4, self.brief_ms, stream))
        elapse(self.over)
        assert provider.perform(Latest("n", 1, stream)) == [b"2"]
        assert provider.perform(Latest("m", 9, stream)) == []
        assert provider.perform(Push("m", (b"3",), 4, 0, stream)) == Pushed(1, 0)


class FilterLaws(Able):
    """What a Bloom filter does."""

    def build(self, provider: Any, build: bytes, digests: list[bytes], ttl_ms: int = 0) -> None:
        """Build a filter and put it in use."""
        assert provider.perform(FilterBegin("n", build, 5_000, 5))
        assert provider.perform(FilterFill("n", build, digests))
        assert provider.perform(FilterSwap("n", build, ttl_ms))

    def test_without_a_filter_nobody_knows(self, provider: Any) -> None:
        """Where no filter is in use there is no answer, and nothing is added to what is not there."""
        assert provider.perform(FilterLook("n", DIGESTS[:2])) is None
        assert provider.perform(FilterAdd("n", DIGESTS[:2])) == -1
        assert provider.perform(FilterLook("n", DIGESTS[:2])) is None
        assert not provider.perform(FilterSwap("n", ONE, 0))

    def test_what_was_added_is_found(self, provider: Any) -> None:
        """A filter finds whatever was filled in or added, and not everything else."""
        self.build(provider, ONE, DIGESTS[:20])
        assert provider.perform(FilterLook("n", DIGESTS[:20])) == [True] * 20
        assert not all(provider.perform(FilterLook("n", DIGESTS[20:])))
        assert provider.perform(FilterAdd("n", DIGESTS[10:30])) == 10
        assert provider.perform(FilterAdd("n", DIGESTS[10:30])) == 0
        assert provider.perform(FilterLook("n", DIGESTS[:30])) == [True] * 30

    def test_a_filter_is_built_beside_the_one_in_use(self, provider: Any) -> None:
        """While one is built the other answers; what is added meanwhile is in both."""
        self.build(provider, ONE, DIGESTS[:5])
        provider.perform(FilterBegin("n", TWO, 5_000, 5))
        assert provider.perform(FilterLook("n", DIGESTS[:5])) == [True] * 5
        assert provider.perform(FilterAdd("n", DIGESTS[5:6])) == 1
        assert provider.perform(FilterFill("n", TWO, DIGESTS[6:8]))
        assert provider.perform(FilterSwap("n", TWO, 0))
        assert provider.perform(FilterLook("n", DIGESTS[5:8])) == [True] * 3
        assert not all(provider.perform(FilterLook("n", DIGESTS[:5])))

    def test_of_two_builds_the_later_goes_on(self, provider: Any) -> None:
        """A build that was overtaken can neither fill nor be put in use."""
        provider.perform(FilterBegin("n", ONE, 5_000, 5))
        provider.perform(FilterBegin("n", TWO, 5_000, 5))
        assert not provider.perform(FilterFill("n", ONE, DIGESTS[:1]))
        assert not provider.perform(FilterSwap("n", ONE, 0))
        assert provider.perform(FilterSwap("n", TWO, 0))

    def test_a_filter_ends(self, provider: Any, elapse: Elapse) -> None:
        """After its time a filter is gone, as a whole: nobody knows, and nobody is told a wrong no."""
        self.build(provider, ONE, DIGESTS[:5], self.brief_ms)
        elapse(self.over)
        assert provider.perform(FilterLook("n", DIGESTS[:5])) is None
        assert provider.perform(FilterAdd("n", DIGESTS[:5])) == -1

    def test_a_forgotten_filter_is_gone(self, provider: Any) -> None:
        """Forgetting removes the filter in use and the one that is being built."""
        self.build(provider, ONE, DIGESTS[:5])
        provider.perform(FilterBegin("n", TWO, 5_000, 5))
        assert provider.perform(Forget("n", "filter"))
        assert provider.perform(FilterLook("n", DIGESTS[:5])) is None
        assert not provider.perform(FilterSwap("n", TWO, 0))


class OperationsContract(LimitLaws, LockLaws, ListLaws, FilterLaws):
    """Inherit, supply the fixtures, and every `test_` runs against your provider."""

    def test_a_module_that_is_not_there_is_refused(self, provider: Any) -> None:
        """A module's command is refused by a server without it, as what no retry can help."""
        with pytest.raises(ProviderRejectedError):
            provider.perform(Native("BF.ADD", "n", "bf", ("item",)))

    def test_a_server_may_be_asked_about_itself(self, provider: Any) -> None:
        """A question about the server is answered with a list, or with nothing where there is no server."""
        commands = provider.perform(Ask(("COMMAND", "INFO", "GET", "NO.SUCH")))
        assert commands is None or [bool(each) for each in commands] == [True, False]
