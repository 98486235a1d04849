"""Push first, the journal as the safety net: nothing owed to a peer is skipped, and nothing goes round in a circle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.errors import ProviderUnavailableError
from staleproof.events import Invalidation
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.replication.eventbridge_link import EventBridgeLink
from staleproof_pipeline.replication.follow import Followed, JournalFollower
from staleproof_pipeline.replication.links import MemoryLink, Shipment
from staleproof_pipeline.replication.packing import MAX_ENTRIES, MAX_ENTRY, MAX_REQUEST, parcels, requests
from staleproof_pipeline.replication.push import Pusher
from staleproof_pipeline.sources import Replicated
from staleproof_pipeline.sources.eventbridge import parse
from tests.unit.change_records import HOME, PEER, invalidation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.ports import JournalPage


# --- packing -------------------------------------------------------------------------------------------------


def arrived(details: Sequence[str]) -> list[Invalidation]:
    """What the peer reads from entries' details."""
    read: list[Invalidation] = []
    for detail in details:
        found = parse({
            "version": "0", "id": "e", "detail-type": "Staleproof Invalidation", "source": "staleproof",
            "region": HOME, "detail": json.loads(detail),
        })  # fmt: skip
        assert isinstance(found, Replicated)
        assert found.errors == ()
        assert found.origin == HOME
        read += found.invalidations
    return read


@given(
    records=st.lists(
        st.builds(
            lambda number, tags, keys: Invalidation(
                id=str(number), origin=HOME, namespace="flights", tags=tuple(tags), keys=tuple(keys)
            ),
            st.integers(0, 10**6),
            st.lists(
                st.text(min_size=1, max_size=60).filter(lambda t: len(t.encode()) <= 1_000), max_size=80
            ),
            st.lists(st.text(min_size=1, max_size=60), max_size=5),
        ),
        max_size=30,
    )
)
def test_packing_loses_nothing_and_keeps_the_bounds(records: list[Invalidation]) -> None:
    """Whatever is packed arrives, every entry and request within its bounds, every record accounted for."""
    limit = 4_000
    packed = list(parcels(records, HOME, limit))
    read = arrived([each.detail for each in packed])

    assert {(each.id, tag) for each in read for tag in each.tags} == {
        (each.id, tag) for each in records for tag in each.tags
    }
    assert {(each.id, key) for each in read for key in each.keys} == {
        (each.id, key) for each in records for key in each.keys
    }
    assert {number for each in packed for number in each.numbers} == set(range(len(records)))
    assert all(len(each.detail.encode()) <= limit for each in packed)


def test_the_largest_record_is_divided() -> None:
    """A record of the most and longest targets still fits, in several entries."""
    widest = Invalidation(
        id="i",
        origin=HOME,
        namespace="flights",
        tags=tuple(f"{n:04}" + "\x01" * 1_000 for n in range(64)),
        keys=tuple(f"{n:04}" + "k" * 4_000 for n in range(64)),
    )
    packed = list(parcels([widest], HOME))

    assert len(packed) > 1
    assert all(len(each.detail.encode()) <= MAX_ENTRY for each in packed)
    assert {each.numbers for each in packed} == {(0,)}
    assert len({tag for each in arrived([p.detail for p in packed]) for tag in each.tags}) == 64


def test_requests_keep_the_bus_bounds() -> None:
    """At most ten entries and 240 kB travel in one request."""
    records = [invalidation(n, tags=[f"{n}-{i}-" + "x" * 900 for i in range(60)]) for n in range(40)]
    packed = list(parcels(records, HOME))
    grouped = list(requests(packed))

    assert [each for group in grouped for each in group] == packed
    assert all(len(group) <= MAX_ENTRIES for group in grouped)
    assert all(sum(len(each.detail) for each in group) <= MAX_REQUEST for group in grouped)


# --- the link over a bus -----------------------------------------------------------------------------------


class Bus:
    """EventBridge's PutEvents: answers with what each call is told to refuse; requests are held to AWS's model."""

    def __init__(self, *refusals: Any) -> None:
        self._model = boto3.client("events", region_name=HOME).meta.service_model.operation_model("PutEvents")
        self._refusals = list(refusals)
        self.calls: list[list[dict[str, Any]]] = []
        self.taken: list[str] = []

    def put_events(self, **request: Any) -> dict[str, Any]:
        report = ParamValidator().validate(request, self._model.input_shape)
        assert not report.has_errors(), report.generate_report()
        entries = request["Entries"]
        self.calls.append(entries)
        refused = self._refusals.pop(0) if self._refusals else ()
        if isinstance(refused, Exception):
            raise refused
        self.taken += [each["Detail"] for at, each in enumerate(entries) if at not in refused]
        answers = [
            {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
            if at in refused
            else {"EventId": str(at)}
            for at in range(len(entries))
        ]
        return {"FailedEntryCount": len(refused), "Entries": answers}


AWAY = EndpointConnectionError(endpoint_url="https://events.eu-west-1.amazonaws.com")


def link_to(bus: Bus, waits: list[float] | None = None) -> EventBridgeLink:
    waits = [] if waits is None else waits
    return EventBridgeLink(lambda: bus, "staleproof-dev", HOME, sleep=waits.append)


def wide(number: int) -> Invalidation:
    """A record that fills more than half an entry."""
    return invalidation(number, tags=[f"{number}-{i}-" + "x" * 1_000 for i in range(64)] * 2)


def test_a_taken_record_is_delivered_in_the_published_shape() -> None:
    """An entry names bus, source and detail-type, and its detail is what the peer reads."""
    bus = Bus()
    shipment = link_to(bus).send([invalidation(1), invalidation(2)])

    assert shipment == Shipment([True, True])
    ((entry,),) = bus.calls
    assert (entry["EventBusName"], entry["Source"]) == ("staleproof-dev", "staleproof")
    assert entry["DetailType"] == "Staleproof Invalidation"
    assert arrived(bus.taken) == [invalidation(1), invalidation(2)]


def test_only_refused_entries_are_sent_again() -> None:
    """What the bus took is not repeated; what it refused is, after a pause that grows."""
    bus, waits = Bus({1}, {0}), list[float]()
    shipment = link_to(bus, waits).send([wide(1), wide(2)])

    assert shipment == Shipment([True, True])
    first, *others = [len(call) for call in bus.calls]
    assert (first, others) == (len(bus.calls[0]), [1, 1][: len(others)])
    assert waits == sorted(waits)
    assert {each.id for each in arrived(bus.taken)} == {"i1", "i2"}


def test_what_stays_refused_is_left_to_the_follower() -> None:
    """After three attempts the record is told as undelivered, with the bus's own reason."""
    bus = Bus({0}, {0}, {0})
    shipment = link_to(bus).send([invalidation(1)])

    assert shipment == Shipment([False], "ThrottlingException: slow down")
    assert len(bus.calls) == 3


def test_a_bus_that_is_away_is_told_with_its_setting() -> None:
    """An unreachable bus raises nothing; the error says what to check."""
    shipment = link_to(Bus(AWAY)).send([invalidation(1)])

    assert shipment.delivered == [False]
    assert "check STALEPROOF_BUS and events:PutEvents" in shipment.error


def test_a_bus_that_is_away_is_asked_once() -> None:
    """What was taken before counts; for the rest nobody waits, since the batch has a deadline."""
    bus = Bus((), AWAY)
    records = [wide(n) for n in range(9)]
    shipment = link_to(bus).send(records)

    assert len(bus.calls) == 2
    taken = {each.id for each in arrived(bus.taken)}
    assert taken
    assert [each.id in taken for each in records] == list(shipment.delivered)
    assert not shipment.delivered[-1]


def test_nothing_to_ship_is_no_request() -> None:
    """An empty batch does not even make a client."""
    assert link_to(Bus()).send([]) == Shipment([])


# --- the follower ---------------------------------------------------------------------------------------------


class WeakLink(MemoryLink):
    """Takes everything but the tags in *refused*."""

    def __init__(self, *refused: str) -> None:
        super().__init__("weak")
        self.refused = set(refused)

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        flags = [not self.refused & set(each.tags) for each in records]
        self.records += [each for each, taken in zip(records, flags, strict=True) if taken]
        return Shipment(flags, "" if all(flags) else "refused")


class Heard(NamedTuple):
    """What an observer heard of a follower."""

    gaps: list[str]
    lags: list[int]

    def batch(self, report: Any, source: str, lags_ms: Sequence[int]) -> None: ...

    def noted(self, note: str) -> None: ...

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None: ...

    def followed(self, link: str, lag_ms: int) -> None:
        self.lags.append(lag_ms)

    def reloaded(self, digest: str, error: str) -> None: ...

    def shadowed(self, invalidation: Any) -> None: ...

    def gap(self, link: str, namespace: str) -> None:
        self.gaps.append(namespace)

    def progressed(self, source: str, progress: Any) -> None: ...

    def paused(self, source: str, error: str) -> None: ...

    def resumed(self, source: str) -> None: ...

    def lost(self, source: str, records: int, told: str) -> None: ...


class Region(NamedTuple):
    """A region's journal, and a follower of it."""

    provider: MemoryProvider
    link: Any
    follower: JournalFollower
    pusher: Pusher
    clock: ManualClock
    heard: Heard

    def ids(self) -> list[str]:
        """The ids of what the link took."""
        return [each.id for each in self.link.records]


def region(link: Any = None, *, page: int = 500, horizon_ms: int = 900_000) -> Region:
    clock, heard = ManualClock(), Heard([], [])
    provider = MemoryProvider("flights", clock=clock)
    providers = Providers(lambda _: provider)
    link = link or MemoryLink()
    follower = JournalFollower(
        [link], providers, ["flights"], HOME, observer=heard, clock=clock, page=page, horizon_ms=horizon_ms
    )
    return Region(provider, link, follower, Pusher([link], providers, HOME), clock, heard)


def applied(made: Region, *records: Invalidation) -> list[Any]:
    """Apply *records* in the region, and return them as the pusher is handed them."""
    places = made.provider.invalidate(records)
    return list(zip(["flights"] * len(records), places, records, strict=True))


def test_what_was_not_pushed_is_shipped_once() -> None:
    """The follower ships what the push missed, and nothing twice."""
    made = region()
    made.pusher.push(applied(made, invalidation(1)))
    applied(made, invalidation(2), invalidation(3))

    assert made.follower.run(10) == Followed(2, complete=True)
    assert made.follower.run(10) == Followed(0, complete=True)
    assert made.ids() == ["i1", "i2", "i3"]


@given(
    pushed=st.lists(st.booleans(), max_size=40),
    page=st.integers(1, 7),
    foreign=st.sets(st.integers(0, 39)),
)
def test_every_own_record_is_shipped_and_no_other(pushed: list[bool], page: int, foreign: set[int]) -> None:
    """Pushed or not, in pages of any size: each record of this origin arrives, none of another origin does."""
    made = region(page=page)
    for number, at_once in enumerate(pushed):
        record = invalidation(number, origin=PEER if number in foreign else HOME)
        placed = applied(made, record)
        if at_once:
            made.pusher.push(placed)

    assert made.follower.run(10).complete
    assert sorted(made.ids()) == sorted(f"i{n}" for n in range(len(pushed)) if n not in foreign)


def test_a_refused_record_holds_the_position_and_not_its_neighbours() -> None:
    """The position stays before it; what was delivered behind it does not travel again."""
    made = region(WeakLink("t2"))
    applied(made, *[invalidation(n) for n in range(5)])

    assert made.follower.run(10) == Followed(4, complete=False)
    made.link.refused.clear()
    assert made.follower.run(10) == Followed(1, complete=True)
    assert sorted(made.ids()) == [f"i{n}" for n in range(5)]


def test_a_crash_before_the_position_moves_ships_again() -> None:
    """Shipping comes first, the position after: the worst that a crash does is a repetition."""
    made = region()
    applied(made, invalidation(1))
    original, made.provider.advance = made.provider.advance, _crash  # type: ignore[method-assign]
    with pytest.raises(ProviderUnavailableError):
        made.follower.run(10)
    made.provider.advance = original  # type: ignore[method-assign]

    assert made.follower.run(10).shipped == 1
    assert made.ids() == ["i1", "i1"]


def _crash(name: str, place: str) -> None:
    raise ProviderUnavailableError("gone")


def test_a_lost_journal_clears_the_peers_once() -> None:
    """Where the position is gone, unknown records may be: the peers forget the namespace, and following goes on."""
    made = region()
    applied(made, invalidation(1))
    made.follower.run(10)
    applied(made, invalidation(2))
    _reset_position(made, "1-0#lost")

    assert made.follower.run(10).complete
    clear, *after = made.link.records[1:]
    assert (clear.clear, clear.namespace, clear.origin) == (True, "flights", HOME)
    assert [each.id for each in after] == ["i1", "i2"]
    assert made.heard.gaps == ["flights"]
    assert made.follower.run(10) == Followed(0, complete=True)


def test_an_empty_journal_after_a_loss_clears_once() -> None:
    """A journal that was deleted and not written since is opened anew, so that the gap closes."""
    made = region()
    _reset_position(made, "1-0#lost")

    assert made.follower.run(10).complete
    assert [each.clear for each in made.link.records] == [True]
    assert made.follower.run(10) == Followed(0, complete=True)


def test_a_journal_that_a_failover_cut_short_clears_once() -> None:
    """The position lies behind the journal's end: the peers clear, and what is appended next is shipped."""
    made = region()
    applied(made, invalidation(1))
    _reset_position(made, "99999999999999-0#lost")

    assert made.follower.run(10).complete
    assert [each.clear for each in made.link.records] == [True]
    assert made.follower.run(10) == Followed(0, complete=True)
    applied(made, invalidation(2))
    made.follower.run(10)
    assert [each.clear for each in made.link.records] == [True, False]


def test_an_unreadable_record_clears_the_peers() -> None:
    """A record that this release cannot read is not skipped: what it named is forgotten with everything else."""
    made = region()
    applied(made, invalidation(1), invalidation(2))
    read = made.provider.undelivered

    def unreadable(name: str, limit: int) -> JournalPage:
        page = read(name, limit)
        first, *rest = page.records
        return page._replace(records=[(first[0], None), *rest])

    made.provider.undelivered = unreadable  # type: ignore[method-assign]
    made.follower.run(0)

    assert [(each.clear, each.tags) for each in made.link.records] == [(True, ()), (False, ("t2",))]


def test_a_gap_stays_open_until_the_clear_is_delivered() -> None:
    """If the peers could not be told to clear, they are told at the next run."""
    made = region(WeakLink("t1"))
    applied(made, invalidation(1))
    _reset_position(made, "1-0#lost")

    assert not made.follower.run(10).complete
    made.link.refused.clear()
    assert made.follower.run(10).complete
    assert [each.clear for each in made.link.records] == [True, True, False]


def test_a_gap_closes_once_the_clear_is_delivered() -> None:
    """A record that is refused behind the clear does not make the peers clear again."""
    made = region(WeakLink("t2"))
    applied(made, invalidation(1), invalidation(2))
    _reset_position(made, "1-0#lost")

    made.follower.run(10)
    made.link.refused.clear()
    made.follower.run(10)
    assert [(each.clear, each.tags) for each in made.link.records] == [
        (True, ()),
        (False, ("t1",)),
        (False, ("t2",)),
    ]


def test_the_journal_is_trimmed_behind_every_link() -> None:
    """What every link passed and nobody needs any more goes; what is owed stays, however old."""
    made = region(WeakLink("t1"), horizon_ms=1_000)
    applied(made, invalidation(0), invalidation(1))
    made.clock.advance(60)
    made.follower.run(10)
    assert "i1" in [each.id for _, each in made.provider.undelivered("weak", 10).records if each]

    made.link.refused.clear()
    made.follower.run(10)
    applied(made, invalidation(2))
    made.clock.advance(60)
    made.follower.run(10)
    assert len(made.provider.journal("", 10).records) <= 1


@pytest.mark.parametrize("left", [[], [MemoryLink("eventbridge:new")]])
def test_a_link_that_is_no_more_holds_up_no_trimming(left: list[MemoryLink]) -> None:
    """A peer was removed, or its bus renamed: the old link is forgotten, and the journal is trimmed."""
    made = region(MemoryLink("eventbridge:old"))
    applied(made, invalidation(1))
    made.follower.run(10)
    applied(made, *[invalidation(n) for n in range(2, 20)])
    made.clock.advance(60)
    follower = JournalFollower(
        left, Providers(lambda _: made.provider), ["flights"], HOME, clock=made.clock, horizon_ms=1_000
    )

    assert follower.run(10).complete
    assert made.provider.followers() == [each.name for each in left]
    assert len(made.provider.journal("", 100).records) <= len(left)


def test_the_lag_of_a_link_is_the_age_of_what_it_owes() -> None:
    """A link that owes nothing has none."""
    made = region(WeakLink("t1"))
    applied(made, invalidation(1))
    made.clock.advance(60)
    made.follower.run(10)
    made.link.refused.clear()
    made.follower.run(10)

    assert made.heard.lags == [60_000, 0]


def test_a_run_ends_in_time() -> None:
    """With no time left a run ships one page, and says that it is not done."""
    made = region(page=2)
    applied(made, *[invalidation(n) for n in range(5)])

    assert made.follower.run(0) == Followed(2, complete=False)
    assert made.follower.run(0) == Followed(2, complete=False)
    assert made.follower.run(0) == Followed(1, complete=True)


def test_what_a_link_owes_is_held_though_its_follower_never_ran() -> None:
    """A failed push registers the link, so that no trimming takes away what it owes."""
    made = region(WeakLink("t1"))
    made.pusher.push(applied(made, invalidation(1)))
    made.clock.advance(10_000)
    made.provider.trim(1_000)

    made.link.refused.clear()
    assert made.follower.run(10).shipped == 1


def test_a_push_that_cannot_be_noted_raises_nothing() -> None:
    """The link has it; the follower will ship it a second time, which is harmless."""
    made = region()
    placed = applied(made, invalidation(1))

    def away(name: str, places: Sequence[str]) -> None:
        raise ProviderUnavailableError("gone")

    made.provider.pushed = away  # type: ignore[method-assign]
    made.pusher.push(placed)
    made.follower.run(10)

    assert made.ids() == ["i1", "i1"]


def _reset_position(made: Region, position: str) -> None:
    """Put the link where the journal is no more."""
    made.provider.undelivered(made.link.name, 1)
    made.provider.advance(made.link.name, position)
