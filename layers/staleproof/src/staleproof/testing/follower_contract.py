"""`FollowerContract`: the laws of `staleproof.ports.Follower`. Inherit it beside `ProviderContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.testing.examples import invalidation

if TYPE_CHECKING:
    from staleproof.testing.examples import Elapse

PEER = "peer-region-1"
HORIZON_MS = 100
BEYOND = 1.2
"""Seconds after which a record is behind the horizon, also for a server that trims by whole seconds."""


class FollowerContract:
    """What a replication link may rely on. The `provider` fixture is a `Provider` and a `Follower`."""

    def test_everything_is_owed_at_first(self, provider: Any) -> None:
        """A new link owes every record, oldest first."""
        places = provider.invalidate([invalidation("a"), invalidation("b")])
        page = provider.undelivered(PEER, 10)
        assert [place for place, _ in page.records] == places
        assert page.last == places[-1]

    def test_what_was_pushed_is_not_owed_again(self, provider: Any) -> None:
        """Pushed records are left out, and the page still ends behind them."""
        places = provider.invalidate([invalidation(str(number)) for number in range(4)])
        provider.pushed(PEER, places[1:])
        page = provider.undelivered(PEER, 10)
        assert [place for place, _ in page.records] == places[:1]
        assert page.last == places[-1]
        provider.pushed(PEER, [])

    def test_an_advanced_link_owes_only_what_is_later(self, provider: Any) -> None:
        """The position moves on; a crash before `advance` ships again and never skips."""
        first, second = provider.invalidate([invalidation("a"), invalidation("b")])
        assert len(provider.undelivered(PEER, 10).records) == len([first, second])
        provider.advance(PEER, first)
        assert [place for place, _ in provider.undelivered(PEER, 10).records] == [second]
        provider.advance(PEER, second)
        page = provider.undelivered(PEER, 10)
        assert (list(page.records), page.contiguous) == ([], True)

    def test_a_position_moved_back_ships_again(self, provider: Any) -> None:
        """The slower of two overlapping runs, or a journal that a failover cut short: nothing is skipped."""
        first, second, third = provider.invalidate([invalidation(name) for name in "abc"])
        provider.undelivered(PEER, 10)
        provider.advance(PEER, second)
        provider.advance(PEER, first)
        assert [place for place, _ in provider.undelivered(PEER, 10).records] == [second, third]

    def test_a_forgotten_link_holds_back_nothing(self, provider: Any, elapse: Elapse) -> None:
        """A removed peer must not keep the journal for ever; if it comes back, it begins anew."""
        provider.undelivered(PEER, 10)
        places = provider.invalidate([invalidation("a"), invalidation("b")])
        provider.pushed(PEER, places[:1])
        elapse(BEYOND)
        assert provider.trim(HORIZON_MS) == 0
        provider.forget(PEER)
        assert provider.trim(HORIZON_MS) == len(places)
        places = provider.invalidate([invalidation("c")])
        assert [place for place, _ in provider.undelivered(PEER, 10).records] == places

    def test_links_are_known_until_they_are_forgotten(self, provider: Any) -> None:
        """A journal tells every link that ever asked or advanced, so that those that are no more can be given up."""
        (place,) = provider.invalidate([invalidation("a")])
        assert provider.followers() == []
        provider.undelivered(PEER, 10)
        provider.advance("another", place)
        assert sorted(provider.followers()) == ["another", PEER]
        provider.forget(PEER)
        assert provider.followers() == ["another"]

    def test_links_are_independent(self, provider: Any) -> None:
        """One link's progress says nothing of another's."""
        (place,) = provider.invalidate([invalidation("a")])
        provider.advance(PEER, place)
        assert [each for each, _ in provider.undelivered("another", 10).records] == [place]

    def test_trimming_waits_for_every_link(self, provider: Any, elapse: Elapse) -> None:
        """A record goes when it is older than the horizon and behind every link, not before."""
        provider.undelivered(PEER, 10)
        first, second, third = provider.invalidate([invalidation(name) for name in "abc"])
        elapse(BEYOND)
        assert provider.trim(HORIZON_MS) == 0
        provider.advance(PEER, second)
        assert provider.trim(60_000) == 0
        provider.trim(HORIZON_MS)
        page = provider.journal("", 10)
        assert [place for place, _ in page.records] == [second, third]
        assert not provider.journal(first, 10).contiguous
        assert provider.journal(second, 10).contiguous
