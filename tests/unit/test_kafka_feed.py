"""Kafka's feed over a client that is a fake by hand: what arrives, goes, is lost, and what is committed when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import (
    CommitFailedError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)
from kafka.structs import TopicPartition

from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof_pipeline.consuming.kafka_client import translated
from staleproof_pipeline.consuming.kafka_feed import KafkaFeed
from staleproof_pipeline.report import Outcome, RecordOutcome

DONE = RecordOutcome(Outcome.APPLIED)
FAILED = RecordOutcome(Outcome.FAILED, RuntimeError("away"))
ONE, TWO = TopicPartition("t", 0), TopicPartition("t", 1)


class Client:
    """A group's member as the client library shows it."""

    def __init__(self) -> None:
        self.logs: dict[Any, list[int]] = {ONE: [], TWO: []}
        self.begins = {ONE: 0, TWO: 0}
        self.committed_offsets: dict[Any, int] = {}
        self.positions: dict[Any, int] = {}
        self.arriving: set[Any] = set()
        self.mine: set[Any] = set()
        self.stopped: set[Any] = set()
        self.listener: Any = None
        self.commit_error: Exception | None = None
        self.closed = False

    def subscribe(self, topics: Any, listener: Any) -> None:
        self.listener = listener

    def give(self, *partitions: Any) -> None:
        self.arriving |= set(partitions)

    def take_away(self, *partitions: Any) -> None:
        self.listener.on_partitions_revoked(set(partitions))
        self.mine -= set(partitions)

    def poll(self, timeout_ms: int, max_records: int = 500) -> dict[Any, list[Any]]:
        if self.arriving:
            self.mine |= self.arriving
            for each in self.arriving:
                self.positions[each] = self.committed_offsets.get(each, self.begins[each])
            self.listener.on_partitions_assigned(self.arriving)
            self.arriving = set()
        pages = {}
        for each in self.mine - self.stopped:
            offsets = [n for n in self.logs[each] if n >= max(self.positions[each], self.begins[each])]
            if offsets[:max_records]:
                pages[each] = [record(each, n) for n in offsets[:max_records]]
                self.positions[each] = offsets[:max_records][-1] + 1
        return pages

    def assignment(self) -> set[Any]:
        return set(self.mine)

    def commit(self, offsets: dict[Any, Any]) -> None:
        if self.commit_error is not None:
            raise self.commit_error
        self.committed_offsets.update({each: told.offset for each, told in offsets.items()})

    def committed(self, partition: Any) -> int | None:
        return self.committed_offsets.get(partition)

    def beginning_offsets(self, partitions: Any) -> dict[Any, int]:
        return {each: self.begins[each] for each in partitions}

    def end_offsets(self, partitions: Any) -> dict[Any, int]:
        return {each: max([*(n + 1 for n in self.logs[each]), self.begins[each]]) for each in partitions}

    def position(self, partition: Any) -> int:
        return self.positions[partition]

    def seek(self, partition: Any, offset: int) -> None:
        self.positions[partition] = offset

    def pause(self, *partitions: Any) -> None:
        self.stopped |= set(partitions)

    def resume(self, *partitions: Any) -> None:
        self.stopped -= set(partitions)

    def highwater(self, partition: Any) -> int | None:
        return max(self.logs[partition], default=-1) + 1

    def close(self, **_: Any) -> None:
        self.closed = True


def record(partition: Any, offset: int) -> Any:
    return SimpleNamespace(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        timestamp=1,
        timestamp_type=0,
        key=None,
        value=b"{}",
        headers=[],
    )


@pytest.fixture
def client() -> Client:
    made = Client()
    made.give(ONE)
    return made


def feed_of(client: Client) -> KafkaFeed:
    return KafkaFeed(lambda: client, ["t"])


def offsets(records: Any) -> list[int]:
    return [each["offset"] for each in records]


def step(feed: KafkaFeed, *outcomes: RecordOutcome) -> list[int]:
    taken = feed.take(0)
    feed.settle(taken.records, outcomes or [DONE] * len(taken.records))
    return offsets(taken.records)


def test_an_offset_is_committed_after_its_record_and_before_the_next(client: Client) -> None:
    """A death in between repeats a batch, and skips nothing."""
    client.logs[ONE] = [0, 1, 2]
    feed = feed_of(client)
    taken = feed.take(0)
    assert client.committed_offsets == {}
    feed.settle(taken.records, [DONE] * 3)
    feed.take(0)

    assert client.committed_offsets == {ONE: 3}


def test_a_failed_record_holds_its_partition_back(client: Client) -> None:
    """Others go on."""
    client.give(ONE, TWO)
    client.logs = {ONE: [0, 1, 2], TWO: [0, 1]}
    feed = feed_of(client)
    taken = feed.take(0)
    feed.settle(
        taken.records,
        [FAILED if (each["partition"], each["offset"]) == (0, 1) else DONE for each in taken.records],
    )
    feed.close()

    assert client.committed_offsets == {ONE: 1, TWO: 2}
    assert client.closed


def test_partitions_that_go_are_committed_first_and_not_afterwards(client: Client) -> None:
    """What is dealt with after they went is another member's to repeat."""
    client.give(ONE, TWO)
    client.logs = {ONE: [0], TWO: [0]}
    feed = feed_of(client)
    step(feed)
    client.take_away(TWO)
    assert client.committed_offsets == {ONE: 1, TWO: 1}
    client.logs[ONE].append(1)
    taken = feed.take(0)
    client.take_away(ONE)
    feed.settle(taken.records, [DONE])
    feed.take(0)

    assert client.committed_offsets == {ONE: 1, TWO: 1}


def test_a_pause_keeps_the_member_and_loses_nothing(client: Client) -> None:
    """What arrives meanwhile is put back; partitions are read again afterwards."""
    client.logs = {ONE: [0, 1], TWO: [0]}
    feed = feed_of(client)
    taken = feed.take(0)
    client.give(TWO)
    feed.keep()
    feed.settle(taken.records, [DONE] * 2)
    client.logs[ONE].append(2)

    assert sorted(step(feed)) == [0, 2]
    assert client.stopped == set()


def test_a_log_that_begins_behind_the_group_is_a_gap(client: Client) -> None:
    """Retention took what nobody had read: at the start, and while it runs."""
    client.committed_offsets = {ONE: 5}
    client.begins[ONE], client.logs[ONE] = 9, [9, 10]
    feed = feed_of(client)
    taken = feed.take(0)
    assert [each.records for each in taken.gaps] == [4]
    assert offsets(taken.records) == [9, 10]
    feed.closed_gaps()
    feed.settle(taken.records, [DONE] * 2)

    client.begins[ONE], client.logs[ONE] = 20, [20]
    assert [each.records for each in feed.take(0).gaps] == [9]


def test_a_log_that_is_shorter_than_the_group_is_a_gap(client: Client) -> None:
    """A topic that was made anew, or cut by an election: what the group had not read of the old one is lost."""
    client.committed_offsets = {ONE: 50}
    client.logs[ONE] = [0, 1]
    feed = feed_of(client)
    taken = feed.take(0)
    assert [each.records for each in taken.gaps] == [0]
    assert taken.records == []
    assert step(feed) == [0, 1]

    client.logs[ONE], client.positions[ONE] = [0], 0
    assert [each.records for each in feed.take(0).gaps] == [0]


def test_latest_skips_the_past_once_and_nothing_after_it(client: Client) -> None:
    """A group without offsets begins with what comes; one whose offset is gone begins early, or it would skip more."""
    client.logs[ONE] = [0, 1]
    feed = KafkaFeed(lambda: client, ["t"], latest=True)
    assert step(feed) == []
    client.logs[ONE].append(2)
    assert step(feed) == [2]

    feed.close()
    client.logs[ONE], client.begins[ONE] = [9, 10], 9
    client.give(ONE)
    again = KafkaFeed(lambda: client, ["t"], latest=True)
    taken = again.take(0)
    assert ([each.records for each in taken.gaps], offsets(taken.records)) == ([6], [9, 10])


def test_what_was_paused_goes_on_although_the_broker_was_away(client: Client) -> None:
    """A partition that stays paused would never be read again."""
    client.logs[ONE] = [0]
    feed = feed_of(client)
    step(feed)

    def away(**_: Any) -> Any:
        raise KafkaTimeoutError("away")

    poll, client.poll = client.poll, away  # type: ignore[method-assign, assignment]
    with pytest.raises(ProviderUnavailableError):
        feed.keep()
    client.poll = poll  # type: ignore[method-assign]

    assert client.stopped == set()


def test_closing_never_raises(client: Client) -> None:
    """Who ends has flushed nothing yet, and has other things to close."""
    feed = feed_of(client)
    feed.take(0)

    def away(**_: Any) -> None:
        raise KafkaTimeoutError("away")

    client.close = away  # type: ignore[method-assign]
    feed.close()


def test_holes_are_no_gap(client: Client) -> None:
    """Compaction and transactions leave offsets out."""
    client.logs[ONE] = [0, 4, 9]
    feed = feed_of(client)
    assert step(feed) == [0, 4, 9]
    client.logs[ONE].append(17)

    assert feed.take(0).gaps == []


def test_where_a_new_group_begins_is_remembered(client: Client) -> None:
    """Else a restart might begin later, where nothing was read before."""
    feed = feed_of(client)
    client.begins[ONE] = 7
    feed.take(0)
    feed.take(0)

    assert client.committed_offsets == {ONE: 7}


def test_a_failed_commit_is_told_or_belongs_to_others(client: Client) -> None:
    """A broker that is away: again, later. A group that went on without us: what we did comes again, harmlessly."""
    client.logs[ONE] = [0]
    feed = feed_of(client)
    step(feed)
    client.commit_error = KafkaTimeoutError("away")
    with pytest.raises(ProviderUnavailableError):
        feed.take(0)
    client.commit_error = None
    feed.take(0)
    assert client.committed_offsets == {ONE: 1}

    client.logs[ONE].append(1)
    step(feed)
    client.commit_error = CommitFailedError("another generation")
    assert feed.take(0).gaps == []


def test_the_clients_errors_are_told_in_our_words() -> None:
    """The class says what to do."""
    for theirs, ours in (
        (TopicAuthorizationFailedError("t"), ProviderRejectedError),
        (KafkaTimeoutError("t"), ProviderUnavailableError),
        (ConnectionResetError(), ProviderUnavailableError),
        (KafkaConfigurationError("t"), KafkaConfigurationError),
    ):
        with pytest.raises(ours), translated():
            raise theirs
