"""A Redis stream's feed over a real server: what is left by the dead, trimmed away, flushed, or kills who takes it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import CredentialProvider, Redis, RedisCluster

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey import Valkey
from local.valkey_cluster import ValkeyCluster
from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.redis import Connections
from staleproof_pipeline import bootstrap
from staleproof_pipeline.consuming import opening
from staleproof_pipeline.consuming.consumer import Consumed, Consumer
from staleproof_pipeline.consuming.stream_line import StreamLine
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.report import Outcome, RecordOutcome, Report
from staleproof_pipeline.settings import Settings
from tests.integration.debian_redis import DebianRedis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof_pipeline.consuming.feed import Taken
    from staleproof_pipeline.consuming.stream_feed import StreamFeed

pytestmark = pytest.mark.redis

RULES = (
    "version: 1\nrules:\n  - {name: any, when: {source: application, entity: product}, tags: [products]}\n"
)
IDLE = 0.05


class Lost(NullObserver):
    def __init__(self) -> None:
        self.records: list[int] = []

    def lost(self, source: str, records: int, told: str) -> None:
        self.records.append(records)


class Stand:
    """A stream, and pipelines that drain it."""

    def __init__(self, url: str, name: str) -> None:
        plain = url.partition("?cluster")[0]
        self.client: Any = RedisCluster.from_url(plain) if plain != url else Redis.from_url(url)
        self.stream = f"changes-{name}"
        self.settings = Settings(
            cache_url=url,
            namespace=name,
            region="eu-west-1",
            rules_text=RULES,
            dead_letter_queue_url="none",
            stream=self.stream,
            stream_idle=IDLE,
        )
        self.feeds: list[StreamFeed] = []
        self.letters = MemoryDeadLetters()
        self.observer = Lost()
        self.pipeline = bootstrap.pipeline(self.settings, dead_letters=self.letters, links=[])

    def add(self, *numbers: int) -> list[Any]:
        told = {"staleproof": "invalidate", "schema": 1, "keys": []}
        return [
            self.client.xadd(self.stream, {"m": json.dumps({**told, "id": f"e{n}", "tags": [f"t{n}"]})})
            for n in numbers
        ]

    def feed(self, name: str = "", **options: Any) -> StreamFeed:
        made = opening.stream_feed(self.settings, SYSTEM_CLOCK, consumer=name, **options)
        self.feeds.append(made)
        return made

    def close(self) -> None:
        """Close all connections, those of the dead as well."""
        for each in self.feeds:
            each._line.close()
        self.pipeline.invalidator._providers.get(self.settings.namespace).close()
        self.client.close()

    def consumer(self, feed: Any) -> Consumer:
        return Consumer(
            feed, self.pipeline.invalidator, self.pipeline.gaps, observer=self.observer, pause=time.sleep
        )

    def drain(self, feed: Any = None) -> Consumed:
        """Consume until there is nothing more."""
        made = self.consumer(feed or self.feed())
        while made.step(0, lambda: True):
            pass
        made.step(0, lambda: True)
        return made.consumed

    def journal(self) -> list[str]:
        page = self.pipeline.invalidator._providers.get(self.settings.namespace).journal("", 100_000)
        return [each.id if not each.clear else "clear" for _, each in page.records if each and each.origin]

    def pending(self) -> int:
        return int(self.client.xpending(self.stream, "staleproof")["pending"])


@pytest.fixture
def stand(valkey_url: str, fresh_namespace: str) -> Iterator[Stand]:
    made = Stand(valkey_url, fresh_namespace)
    yield made
    made.close()


def die_with(stand: Stand, name: str = "dead", times: int = 1) -> int:
    """Let consumers take what there is, and die; return how many entries they had."""
    taken = 0
    for _ in range(times):
        time.sleep(IDLE * 1.2)
        taken = len(stand.feed(name).take(0).records)
    time.sleep(IDLE * 1.2)
    return taken


def test_nothing_is_acknowledged_before_it_is_applied(stand: Stand) -> None:
    """Whoever dies after applying, before acknowledging, leaves the entry to be applied again."""
    stand.add(1)
    feed = stand.feed()
    taken = feed.take(0)
    report = stand.pipeline.invalidator.apply(taken.records, feed.source, feed.order)
    assert stand.pending() == 1

    feed.settle(taken.records, report.outcomes)
    feed.take(0)
    assert stand.pending() == 0


def test_what_a_dead_consumer_left_is_taken_over(stand: Stand) -> None:
    """After it was idle for long enough, and once only."""
    stand.add(*range(5))
    assert die_with(stand) == 5
    stand.add(5)

    assert stand.drain().applied == 6
    assert sorted(stand.journal()) == [f"e{n}" for n in range(6)]
    assert stand.pending() == 0


def test_a_failed_entry_stays_pending(stand: Stand) -> None:
    """Its neighbours are acknowledged; it comes again."""
    stand.add(1, 2, 3)
    feed = stand.feed()
    taken = feed.take(0)
    outcomes = [RecordOutcome(Outcome.APPLIED)] * 3
    outcomes[1] = RecordOutcome(Outcome.FAILED, RuntimeError("away"))
    feed.settle(taken.records, outcomes)
    feed.close()
    time.sleep(IDLE * 1.2)

    assert stand.pending() == 1
    assert [each["id"] for each in stand.feed().take(0).records] == [taken.records[1]["id"]]


def test_an_entry_that_kills_is_buried_and_its_neighbours_are_not(stand: Stand) -> None:
    """Delivered again and again without an answer, it goes to the dead letter, with its payload; others are applied."""
    killer = str(stand.add(0, 1, 2)[1].decode())
    deaths = 0
    for _ in range(20):
        time.sleep(IDLE * 1.2)
        feed = stand.feed(f"victim-{deaths}")
        consumer = stand.consumer(_Deadly(feed, killer))
        try:
            while consumer.step(0, lambda: True):
                pass
            break
        except ZeroDivisionError:
            deaths += 1
    else:
        raise AssertionError("it kills for ever")

    stand.drain()
    (letter,) = stand.letters.letters
    assert (letter.reason, letter.payload["id"]) == ("spent", killer)
    assert 3 <= deaths <= 6
    assert set(stand.journal()) == {"e0", "e2"}
    assert stand.pending() == 0


class _Deadly:
    """A feed whose taker dies of one entry."""

    def __init__(self, feed: StreamFeed, killer: str) -> None:
        self._feed, self._killer = feed, killer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def take(self, wait: float) -> Taken:
        taken = self._feed.take(wait)
        if any(each["id"] == self._killer for each in taken.records):
            raise ZeroDivisionError
        return taken


def test_ghosts_are_acknowledged_counted_and_made_up_for(stand: Stand) -> None:
    """Entries trimmed while a dead consumer had them may have changed anything: the namespace is cleared, once."""
    stand.add(*range(4))
    die_with(stand)
    stand.client.xtrim(stand.stream, maxlen=1, approximate=False)

    done = stand.drain()

    assert (done.applied, stand.observer.records) == (1, [3])
    assert sorted(stand.journal()) == ["clear", "e3"]
    assert stand.pending() == 0
    assert stand.drain().gaps == 0


def test_entries_trimmed_unread_are_a_gap(stand: Stand) -> None:
    """A producer that trims faster than anybody reads loses changes; that is told, counted, and never silent."""
    stand.add(1)
    assert stand.drain().applied == 1
    stand.add(*range(2, 12))
    stand.client.xtrim(stand.stream, maxlen=3, approximate=False)

    done = stand.drain()

    assert (done.applied, done.gaps, stand.observer.records) == (3, 1, [7])
    assert stand.journal().count("clear") == 1
    stand.add(12)
    assert stand.drain().gaps == 0


def test_a_gap_outlives_its_finder(stand: Stand) -> None:
    """Who finds that entries were trimmed, and is killed before it made up for them, leaves the gap to the next."""
    feed = stand.feed()
    stand.drain(feed)
    stand.add(*range(20))
    stand.client.xtrim(stand.stream, maxlen=15, approximate=False)
    assert [each.records for each in stand.feed("killed").take(0).gaps] == [5]
    time.sleep(IDLE * 1.2)

    done = stand.drain(stand.feed("next"))

    assert (done.applied, done.gaps) == (15, 1)
    assert stand.observer.records == [5]
    assert "clear" in stand.journal()


def test_ghosts_outlive_their_finder(stand: Stand) -> None:
    """Entries that were trimmed in a dead consumer's hand are found again, if their finder is killed as well."""
    stand.add(*range(6))
    die_with(stand)
    stand.client.xtrim(stand.stream, maxlen=4, approximate=False)
    for name in ("killed", "killed too"):
        assert [each.records for each in stand.feed(name).take(0).gaps] == [2]
        time.sleep(IDLE * 1.2)

    done = stand.drain(stand.feed("next"))

    assert (done.applied, done.gaps, stand.pending()) == (4, 1, 0)


def test_trimming_what_was_read_is_no_gap(stand: Stand) -> None:
    """A stream is a transport: what everybody has read may go."""
    for round_ in range(5):
        stand.add(*range(10 * round_, 10 * round_ + 10))
        assert stand.drain() == Consumed(applied=10)
        stand.client.xtrim(stand.stream, maxlen=round_ % 3, approximate=False)


def test_a_new_group_begins_with_what_there_is(stand: Stand) -> None:
    """What was trimmed before anybody followed the stream is nobody's gap."""
    stand.add(*range(10))
    stand.client.xtrim(stand.stream, maxlen=4, approximate=False)

    assert stand.drain() == Consumed(applied=4)


def test_a_group_may_begin_with_what_comes(stand: Stand) -> None:
    """`latest` reads past what there is, when the group is made; later starts go on from where it stands."""
    stand.add(1)
    feed = stand.feed(latest=True)
    assert stand.drain(feed).applied == 0
    stand.add(2)

    assert stand.drain(stand.feed(latest=True)).applied == 1
    assert stand.journal() == ["e2"]


def test_after_a_flush_the_group_is_made_anew(stand: Stand) -> None:
    """The stream goes with its group while a consumer runs: it goes on from the new beginning, and clears."""
    feed = stand.feed()
    stand.add(1)
    stand.drain(feed)
    stand.client.delete(stand.stream)
    stand.add(2)

    done = stand.drain(feed)

    assert (done.applied, done.gaps) == (1, 1)
    assert "e2" in stand.journal()


def test_several_pollers_share_a_stream(stand: Stand) -> None:
    """Each entry goes to one of them, all are applied, and nothing is left."""
    stand.add(*range(400))
    counts: list[int] = []

    def poll() -> None:
        counts.append(stand.drain(stand.feed(count=20)).applied)

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sum(counts) >= 400
    assert set(stand.journal()) == {f"e{n}" for n in range(400)}
    assert stand.pending() == 0


def test_consumers_that_left_are_forgotten_and_what_they_had_is_not(stand: Stand) -> None:
    """Closing forgets an empty consumer; one that still has something stays, or its entries would go with it."""
    stand.add(1, 2)
    first = stand.feed("first", count=1)
    first.take(0)
    first.close()
    assert consumers_of(stand) == {b"first": 1}
    second = stand.feed("second", count=1)
    stand.consumer(second).step(0, lambda: True)
    second.close()

    assert consumers_of(stand) == {b"first": 0}
    assert stand.journal() == ["e1"]


def consumers_of(stand: Stand) -> dict[bytes, int]:
    """What each consumer of the group has in hand."""
    told = stand.client.xinfo_consumers(stand.stream, "staleproof")
    return {each["name"]: each["pending"] for each in told}


def test_an_outage_over_many_runs_buries_nothing(stand: Stand) -> None:
    """A run that ends because the cache is away gives back what it has: at once, and not counted as a delivery."""
    stand.add(1, 2)
    for _ in range(7):
        feed = stand.feed(deliveries=3)
        taken = feed.take(0)
        assert (len(taken.records), len(taken.spent)) == (2, 0)
        feed.settle(taken.records, [RecordOutcome(Outcome.FAILED, ProviderUnavailableError("away"))] * 2)
        feed.close()

    assert stand.drain(stand.feed(deliveries=3)).applied == 2
    assert stand.letters.letters == []


def test_a_gap_of_a_removed_group_is_found_again_after_a_death(stand: Stand) -> None:
    """Who finds that the group is gone, and dies before it made up for it, leaves that to the others."""
    first, second = stand.feed("first"), stand.feed("second")
    stand.drain(first)
    stand.drain(second)
    stand.client.delete(stand.stream)
    assert [each.records for each in first.take(0).gaps] == [0]

    assert stand.drain(second).gaps == 1
    assert "clear" in stand.journal()


def test_a_wait_ends_when_something_comes(stand: Stand) -> None:
    """A consumer that waits is woken by the first entry, not by the end of its patience."""
    feed = stand.feed()
    feed.take(0)
    threading.Timer(0.05, stand.add, [1]).start()
    began = time.monotonic()

    taken = feed.take(30)
    while not taken:
        taken = feed.take(30)

    assert len(taken.records) == 1
    assert time.monotonic() - began < 10


def test_a_key_that_is_no_stream_is_told(stand: Stand) -> None:
    """A wrong key is no outage: waiting would not help."""
    stand.client.set(stand.stream, "text")

    with pytest.raises(ProviderRejectedError, match="WRONGTYPE"):
        stand.feed().take(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cluster", "redis-7.0"])
def test_other_engines_and_clusters_do_the_same(kind: str, fresh_namespace: str) -> None:
    """A stream in a cluster lies on the node of its slot; Redis 7.0 answers as Valkey does."""
    with Supervisor() as owner, contextlib.ExitStack() as stack:
        url = clustered(owner) if kind == "cluster" else debian(owner)
        stand = Stand(url, fresh_namespace)
        stack.callback(stand.close)
        stand.add(*range(6))
        assert die_with(stand) == 6
        stand.add(6, 7)
        stand.client.xtrim(stand.stream, maxlen=4, approximate=False)

        done = stand.drain()

        assert (done.applied, done.gaps, stand.observer.records) == (4, 1, [4])
        assert sorted(stand.journal()) == ["clear", "e4", "e5", "e6", "e7"]
        assert stand.pending() == 0


def clustered(owner: Supervisor) -> str:
    return f"{ValkeyCluster(owner, 'streams', primaries=3).start().url}?cluster=true"


def debian(owner: Supervisor) -> str:
    server = DebianRedis(owner, "redis-streams")
    server.start()
    return server.url()


def test_an_outage_of_the_server_only_delays(fresh_namespace: str) -> None:
    """The server of stream and cache dies and comes back empty, or comes back with its data: nothing raises."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-stream", persist=owner.directory / "kept")
        server.start()
        stand = Stand(server.url, fresh_namespace)
        feed = stand.feed()
        pauses: list[float] = []
        consumer = stand.consumer(feed)
        consumer._pause = pauses.append
        stand.add(1)
        consumer.step(0, lambda: True)
        server.kill()
        assert consumer.step(0, lambda: True) == 0
        assert consumer.error is not None
        server.start()
        stand.add(2)

        def both() -> bool:
            consumer.step(0, lambda: False)
            return {"e1", "e2"} <= set(stand.journal())

        wait_until(both, "both entries are applied", timeout=20)
        stand.close()
        assert pauses


def test_consumers_that_are_gone_for_long_are_forgotten(stand: Stand) -> None:
    """Lambda's environments come and go; those that have nothing leave no trace, those that have something stay."""
    stand.add(1)
    holder, idle, living = (stand.feed(name) for name in ("holder", "idle", "living"))
    holder.take(0)
    idle._group.read(1)
    time.sleep(0.05)

    assert living._group.forget_others(idle_ms=20) == 1
    names = {each["name"] for each in stand.client.xinfo_consumers(stand.stream, "staleproof")}
    assert names == {b"holder"}


def test_credentials_that_were_rotated_are_fetched_anew(valkey_url: str) -> None:
    """Refused once, they are asked for again; refused twice, the refusal is told."""

    class Rotating(CredentialProvider):
        lifetime = None
        told = 0

        def get_credentials(self) -> tuple[str, str]:
            return "nobody", "wrong"

        def rejected(self) -> None:
            self.told += 1

    credentials: Any = Rotating()
    line = StreamLine(lambda: Connections(valkey_url, credentials=credentials), b"s", 2.0)

    with pytest.raises(ProviderUnavailableError):
        line.ask(("PING",))
    with pytest.raises(ProviderRejectedError):
        line.ask(("PING",))
    assert credentials.told == 1


class _Homeless:
    """A feed whose own server is away while something is in hand: it cannot even say that it lives."""

    def __init__(self, feed: StreamFeed) -> None:
        self._feed = feed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def keep(self) -> None:
        raise ProviderUnavailableError("away")


def test_a_consumer_lives_on_when_its_feed_cannot_keep(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is away, and with it the ledger of the feed's leases: what is in hand is tried until it is applied."""
    stand.add(1)
    apply = stand.pipeline.invalidator.apply
    outages = [ProviderUnavailableError("away")] * 3

    def away(records: Any, *rest: Any) -> Report:
        if outages:
            return Report(records, [RecordOutcome(Outcome.FAILED, outages.pop())] * len(records))
        return apply(records, *rest)

    monkeypatch.setattr(stand.pipeline.invalidator, "apply", away)

    assert stand.drain(_Homeless(stand.feed())).applied == 1
