"""A wave's way through a cluster, step by step: the nodes are played by the test, nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import AskError, BusyLoadingError, ClusterDownError, MovedError, TryAgainError

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.redis.chart import Chart
from staleproof.providers.redis.delivery import Delivery, Pause, Refresh
from staleproof.providers.redis.failures import UnsureError
from staleproof.providers.redis.parcels import Parcel
from staleproof.providers.redis.slots import SLOTS, slot_of
from staleproof.providers.redis.topology import UNKNOWN, Topology, understood
from staleproof.providers.redis.tour import ROUNDS, first, following, stop

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = ("a", 1), ("b", 2), ("c", 3)
HALF = SLOTS // 2
LOST = ProviderUnavailableError("away")


def halves(low: Any = A, high: Any = B) -> Topology:
    return Topology([low] * HALF + [high] * HALF, {low: 1, high: 1})


@pytest.fixture
def chart() -> Chart:
    chart = Chart(1.0)
    chart.replace(halves())
    return chart


def parcel(slot: int, *words: str) -> Parcel:
    return Parcel(slot, b"name", tuple(hiredis.pack_command((word,)) for word in words))


def words(packed: bytes) -> list[str]:
    reader = hiredis.Reader()
    reader.feed(packed)
    found = []
    while (command := reader.gets()) is not False:
        found.append(b" ".join(command).decode())
    return found


class Play:
    """Answers what a delivery asks for.

    Attributes:
        log: what happened, in order: who was sent what, refreshes, pauses.
        topology: what a refresh finds; None for what was known.
    """

    def __init__(self, chart: Chart, answer: Callable[[Any, str, int], Any]) -> None:
        self._chart = chart
        self._answer = answer
        self._asked: dict[tuple[Any, str], int] = {}
        self.log: list[str] = []
        self.topology: Topology | None = None

    def run(self, delivery: Delivery) -> list[Any]:
        run, reply = delivery.run(), None
        while True:
            try:
                wanted = run.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = self._do(wanted)

    def _do(self, wanted: Any) -> Any:
        if isinstance(wanted, Pause):
            self.log.append("pause")
            return None
        if isinstance(wanted, Refresh):
            self.log.append("refresh")
            self._chart.replace(self.topology or self._chart.topology)
            return None
        self.log.append(
            "; ".join(f"{group.address[0]}: {', '.join(words(group.exchange.packed))}" for group in wanted)
        )
        return [self._outcome(group) for group in wanted]

    def _outcome(self, group: Any) -> Any:
        replies = []
        for word in words(group.exchange.packed):
            count = self._asked[group.address, word] = self._asked.get((group.address, word), 0) + 1
            answer = self._answer(group.address, word, count)
            if answer is LOST:
                return LOST
            replies.append(answer)
        return replies


def fine(address: Any, word: str, _: int) -> str:
    return f"{word} of {address[0]}"


def test_each_node_is_sent_its_part_at_once(chart: Chart) -> None:
    """Replies come in the order of the parcels' commands, whoever gave them."""
    play = Play(chart, fine)
    parcels = [parcel(HALF, "x"), parcel(0, "y", "z"), parcel(HALF + 1, "v")]
    assert play.run(Delivery(parcels, chart, 1.0)) == ["x of b", "y of a", "z of a", "v of b"]
    assert play.log == ["b: x, v; a: y, z"]


def test_nothing_is_sent_for_nothing(chart: Chart) -> None:
    """An empty wave is answered by nobody."""
    play = Play(chart, fine)
    assert play.run(Delivery([], chart, 1.0)) == []
    assert play.log == []


def test_a_moved_slot_is_followed_and_remembered(chart: Chart) -> None:
    """Only what was redirected is sent again, and the next delivery goes the straight way."""

    def answer(address: Any, word: str, count: int) -> Any:
        return MovedError("1 c:3") if address == A and word == "x" else fine(address, word, count)

    play = Play(chart, answer)
    assert play.run(Delivery([parcel(1, "x"), parcel(2, "y")], chart, 1.0)) == ["x of c", "y of a"]
    assert play.log == ["a: x, y", "refresh", "c: x"]
    assert play.run(Delivery([parcel(1, "x")], chart, 1.0)) == ["x of c"]


def test_a_node_that_does_not_name_its_host_means_its_own(chart: Chart) -> None:
    """As clusters do whose nodes do not know under which name they are reached."""

    def answer(address: Any, word: str, count: int) -> Any:
        return MovedError("1 :9") if address == A else fine(address, word, count)

    play = Play(chart, answer)
    play.run(Delivery([parcel(1, "x")], chart, 1.0))
    assert chart.topology.owners[1] == ("a", 9)


def test_a_key_that_is_being_moved_is_asked_for_elsewhere_and_the_next_at_home(chart: Chart) -> None:
    """Each command of a parcel goes to where its own key is: one that is still at home must not be made abroad."""

    def answer(address: Any, word: str, count: int) -> Any:
        return AskError("1 b:2") if address == A and word == "lease" else fine(address, word, count)

    play = Play(chart, answer)
    replies = play.run(Delivery([parcel(1, "lease", "entry")], chart, 1.0))
    assert replies == ["lease of b", "entry of a"]
    assert play.log == ["a: lease, entry", "b: ASKING, lease", "a: entry"]
    assert chart.topology.owners[1] == A


@pytest.mark.parametrize("error", [TryAgainError("x"), ClusterDownError("x"), BusyLoadingError("x")])
def test_what_passes_is_waited_for(chart: Chart, error: Exception) -> None:
    """After a pause the parcel is sent again from where it stopped; what is not about one slot refreshes the chart."""

    def answer(address: Any, word: str, count: int) -> Any:
        return error if word == "y" and count < 3 else fine(address, word, count)

    play = Play(chart, answer)
    assert play.run(Delivery([parcel(1, "x", "y")], chart, 1.0)) == ["x of a", "y of a"]
    assert play.log.count("pause") == 2
    assert ("refresh" in play.log) is not isinstance(error, TryAgainError)
    assert [each for each in play.log if each.startswith("a")] == ["a: x, y", "a: y", "a: y"]


def test_patience_ends(chart: Chart) -> None:
    """What does not pass in time is unavailable, with the reason."""
    play = Play(chart, lambda *_: TryAgainError("Multiple keys"))
    with pytest.raises(ProviderUnavailableError, match=r"not ready: Multiple keys.*retry"):
        play.run(Delivery([parcel(1, "x")], chart, 0.0))


def test_circles_end(chart: Chart) -> None:
    """Two nodes that send each other's clients to and fro are unavailable."""
    play = Play(chart, lambda address, *_: MovedError("1 b:2" if address == A else "1 a:1"))
    with pytest.raises(ProviderUnavailableError, match="redirects in circles"):
        play.run(Delivery([parcel(1, "x")], chart, 0.0))


def test_a_lost_node_is_the_error_while_the_cluster_names_it(chart: Chart) -> None:
    """Nobody waits for a failover: that is for whoever called to decide."""
    play = Play(chart, lambda address, word, count: LOST if address == A else fine(address, word, count))
    with pytest.raises(ProviderUnavailableError, match="away"):
        play.run(Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 1.0))
    assert play.log == ["a: x; b: y", "refresh"]


def test_a_lost_nodes_heir_is_asked(chart: Chart) -> None:
    """Once the cluster names another, what the lost one was sent goes there, and nothing else again."""
    play = Play(chart, lambda address, word, count: LOST if address == A else fine(address, word, count))
    play.topology = halves(C, B)
    assert play.run(Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 1.0)) == ["x of c", "y of b"]
    assert play.log == ["a: x; b: y", "refresh", "c: x"]


def test_what_must_not_be_sent_twice_is_not_sent_to_an_heir(chart: Chart) -> None:
    """The lost node may have executed it, and its heir may know: the whole step is to be run anew."""
    play = Play(chart, lambda address, word, count: LOST if address == A else fine(address, word, count))
    play.topology = halves(C, B)
    with pytest.raises(UnsureError):
        play.run(Delivery([parcel(1, "x")], chart, 1.0, once=True))
    assert play.log == ["a: x", "refresh"]


def test_a_slot_that_nobody_serves_is_waited_for(chart: Chart) -> None:
    """It may be on its way; if not, it is named."""
    chart.replace(Topology([A] * HALF + [None] * HALF, {A: 0}))
    play = Play(chart, fine)
    with pytest.raises(ProviderUnavailableError, match=f"hash slot {HALF} is not served"):
        play.run(Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 0.0))
    play = Play(chart, fine)
    play.topology = halves()
    assert play.run(Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 1.0)) == ["x of a", "y of b"]


# --- replicas ------------------------------------------------------------------------------------------


def info(online: int) -> bytes:
    lines = [
        "role:master",
        f"connected_slaves:{online + 1}",
        "slave9:ip=x,port=1,state=wait_bgsave,offset=1,lag=0",
    ]
    lines += [f"slave{number}:ip=x,port=1,state=online,offset=1,lag=0" for number in range(online)]
    return "\r\n".join(lines).encode()


def settling(online: int, acknowledged: Callable[[int], int], marked: Any = b"OK") -> Callable[..., Any]:
    def answer(_: Any, word: str, count: int) -> Any:
        if word.startswith("WAIT"):
            return acknowledged(int(word.split()[1]))
        if word.startswith("INFO"):
            return info(online)
        if word.startswith("SET mark"):
            return marked
        return 0 if word == "noop" else 1

    return answer


def mark(_: bytes) -> bytes:
    return b"mark"


def test_each_group_waits_for_its_replicas(chart: Chart) -> None:
    """Behind what it writes go a mark, the wait, and the question how many there are."""
    play = Play(chart, settling(1, lambda _: 1))
    delivery = Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 1.0, mark)
    assert play.run(delivery) == [1, 1]
    assert delivery.unsettled is None
    assert play.log == [
        "a: x, SET mark  PX 2000, WAIT 1 500, INFO replication; b: y, SET mark  PX 2000, WAIT 1 500, INFO replication"
    ]


def test_more_replicas_than_were_known_are_waited_for(chart: Chart) -> None:
    """The first answer says how many there are, the second wait is for all of them, and it is remembered."""
    play = Play(chart, settling(3, lambda asked: asked))
    delivery = Delivery([parcel(1, "x")], chart, 1.0, mark)
    assert play.run(delivery) == [1]
    assert [line.split(", ")[2] for line in play.log] == ["WAIT 1 500", "WAIT 3 500"]
    play.log.clear()
    play.run(Delivery([parcel(1, "x")], chart, 1.0, mark))
    assert [line.split(", ")[2] for line in play.log] == ["WAIT 3 500"]


@pytest.mark.parametrize(("online", "had"), [(2, 1), (1, 0), (0, 0)])
def test_too_few_are_noted_and_the_work_is_done(chart: Chart, online: int, had: int) -> None:
    """The replies come all the same: what is not acknowledged had better be applied."""
    play = Play(chart, settling(online, lambda _: had))
    delivery = Delivery([parcel(1, "x"), parcel(HALF, "y")], chart, 1.0, mark)
    assert play.run(delivery) == [1, 1]
    assert "not acknowledged" in str(delivery.unsettled)


def test_a_mark_that_was_redirected_waits_for_nothing(chart: Chart) -> None:
    """If nothing else was written, the group is not settled by a wait that had nothing to wait for."""
    play = Play(chart, settling(1, lambda _: 1, marked=AskError("1 b:2")))
    with pytest.raises(ProviderUnavailableError, match="cannot be waited for"):
        play.run(Delivery([parcel(1, "noop")], chart, 0.0, mark))
    play = Play(chart, settling(1, lambda _: 1, marked=AskError("1 b:2")))
    assert play.run(Delivery([parcel(1, "x")], chart, 1.0, mark)) == [1]


# --- slots and topologies --------------------------------------------------------------------------------


PLAIN = st.binary().map(lambda text: text.translate(None, b"{}"))


@given(PLAIN, PLAIN.filter(bool), st.binary())
def test_what_stands_in_braces_decides(before: bytes, inside: bytes, behind: bytes) -> None:
    """The first braces count, unless there is nothing in them."""
    assert slot_of(before + b"{" + inside + b"}" + behind) == slot_of(inside)
    assert 0 <= slot_of(before + behind) < SLOTS


def test_known_slots() -> None:
    """Those of the specification, and what servers say."""
    known = {b"123456789": 12739, b"foo": 12182, b"{user1000}.following": 3443, b"foo{}{bar}": 8363, b"": 0}
    assert {key: slot_of(key) for key in known} == known


def slots_reply(*ranges: Any) -> Any:
    return [[first, last, *nodes] for first, last, *nodes in ranges]


def test_a_topology_is_understood() -> None:
    """Hosts may be missing or unknown; then the node is where it was asked, or where its address says."""
    named = [b"node-a.example", 1, b"id"]
    unnamed = [b"", 2, b"id"]
    unknown = [b"?", 3, b"id", [b"ip", b"10.0.0.3"]]
    replica = [b"node-d.example", 4, b"id"]
    reply = slots_reply((0, 9, named, replica, replica), (10, 19, unnamed), (20, SLOTS - 1, unknown))
    topology = understood(reply, ("asked", 9))
    assert topology.primaries == [("10.0.0.3", 3), ("asked", 2), ("node-a.example", 1)]
    assert [topology.owners[slot] for slot in (9, 10, 20)] == [
        ("node-a.example", 1),
        ("asked", 2),
        ("10.0.0.3", 3),
    ]
    assert topology.replicas[("node-a.example", 1)] == 2


def test_no_topology_is_told() -> None:
    """A server that is no cluster is a mistake, one that knows of no slots is not ready."""
    with pytest.raises(ConfigurationError, match=r"a:1 is no cluster; leave out cluster=True"):
        understood(Exception("ERR This instance has cluster support disabled"), A)


@pytest.mark.parametrize(
    "reply",
    [
        5,
        None,
        b"OK",
        [5],
        [[0, 1]],
        [[0, 10**12, [b"a", 1]]],
        [[-1, 3, [b"a", 1]]],
        [[0, 1, [b"a", b"x"]]],
        [[0, 1, 7]],
    ],
)
def test_a_topology_that_cannot_be_read_is_a_rejection(reply: Any) -> None:
    """Whatever shape it has, and however many slots it claims; nothing is made as long as it says."""
    with pytest.raises(ProviderRejectedError, match="a:1 answered what it was not asked for"):
        understood(reply, A)
    with pytest.raises(ProviderUnavailableError, match="no hash slot"):
        understood([], A)


def test_nobody_asks_again_at_once(chart: Chart) -> None:
    """What was asked a moment ago is good enough; an error, too; a doubt is not."""
    assert not chart.is_due()
    chart.doubt()
    assert chart.is_due()
    with pytest.raises(ProviderUnavailableError):
        chart.fail(LOST)
    with pytest.raises(ProviderUnavailableError, match="away"):
        chart.is_due()
    assert Chart(1.0).topology is UNKNOWN
    assert Chart(1.0).unsure


# --- a tour ------------------------------------------------------------------------------------------------


def test_a_tour_visits_every_primary_to_its_end() -> None:
    """Page by page, one after another, and is over."""
    topology, cursor, seen = halves(), "", []
    while True:
        at = stop(topology, cursor)
        seen.append((at.address, at.place))
        cursor = following(topology, at, b"7" if at.place == "0" else b"0")
        if not cursor:
            break
    assert seen == [(A, "0"), (A, "7"), (B, "0"), (B, "7")]


def test_a_tour_goes_round_again_if_slots_changed_hands() -> None:
    """And not for ever."""
    rounds, cursor = 0, first(halves()).cursor()
    for number in range(100):
        topology = halves().moved({number: B})
        at = stop(topology, cursor)
        rounds += at.address == A and at.place == "0"
        cursor = following(topology, at, b"0")
        if not cursor:
            break
    assert rounds == ROUNDS


def test_a_node_that_serves_nothing_any_more_ends_no_tour() -> None:
    """Its cursor means nothing to others: the round begins again."""
    at = stop(halves(), "")
    cursor = following(halves(), at, b"7")
    assert stop(halves(C, B), cursor) == first(halves(C, B))


@pytest.mark.parametrize("cursor", ["7", "x a 1 c 1", "0 a x c 1", "0 a 1 c", "0 a 1 c x"])
def test_another_cursor_is_refused(cursor: str) -> None:
    """A cursor of one server, for instance."""
    with pytest.raises(ConfigurationError, match="none that a scan of a cluster returned"):
        stop(halves(), cursor)
