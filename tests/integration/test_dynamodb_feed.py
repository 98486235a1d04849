"""A DynamoDB stream's feed: shards that split, marks that were trimmed, workers that share.

The ledger is a real server; the streams' API is a fake, since the emulator knows one shard and forgets nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from redis import Redis

from local.conditions import wait_until
from staleproof import aws
from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof_pipeline.consuming.dynamodb_feed import DynamoDbFeed
from staleproof_pipeline.consuming.shard_ledger import END, ShardLedger, keys
from staleproof_pipeline.consuming.stream_api import StreamApi
from staleproof_pipeline.consuming.stream_line import StreamLine
from staleproof_pipeline.report import Outcome, RecordOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Flights/stream/2024-01-01T00:00:00.000"
DONE = RecordOutcome(Outcome.APPLIED)
FAILED = RecordOutcome(Outcome.FAILED, RuntimeError("away"))


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetRecords")


class Streams:
    """The streams' API: shards with records, some of them trimmed."""

    def __init__(self) -> None:
        self.shards: dict[str, dict[str, Any]] = {}
        self.error: Exception | None = None
        self.expired: set[str] = set()

    def shard(self, name: str, *numbers: int, parent: str = "", closed: bool = False) -> None:
        self.shards[name] = {"numbers": list(numbers), "parent": parent, "closed": closed, "trimmed": 0}

    def describe_stream(self, StreamArn: str, ExclusiveStartShardId: str = "") -> Any:  # noqa: N803
        self._fail()
        names = sorted(self.shards)
        at = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        described = []
        for name in names[at : at + 2]:
            shard = self.shards[name]
            ranged = {
                "StartingSequenceNumber": "1",
                **({"EndingSequenceNumber": "9"} if shard["closed"] else {}),
            }
            described.append(
                {"ShardId": name, "ParentShardId": shard["parent"], "SequenceNumberRange": ranged}
            )
        last = {"LastEvaluatedShardId": names[at + 1]} if len(names) > at + 2 else {}
        return {"StreamDescription": {"Shards": described, **last}}

    def get_shard_iterator(
        self,
        StreamArn: str,  # noqa: N803
        ShardId: str,  # noqa: N803
        ShardIteratorType: str,  # noqa: N803
        SequenceNumber: str = "0",  # noqa: N803
    ) -> Any:
        self._fail()
        shard = self.shards[ShardId]
        if ShardIteratorType == "AFTER_SEQUENCE_NUMBER" and int(SequenceNumber) < shard["trimmed"]:
            raise refusal("TrimmedDataAccessException")
        newest = max(shard["numbers"], default=0)
        after = newest if ShardIteratorType == "LATEST" else int(SequenceNumber)
        return {"ShardIterator": f"{ShardId}|{after}"}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        self._fail()
        name, _, after = ShardIterator.partition("|")
        if ShardIterator in self.expired:
            raise refusal("ExpiredIteratorException")
        shard = self.shards[name]
        found = [n for n in sorted(shard["numbers"]) if n > int(after)][:Limit]
        last = found[-1] if found else int(after)
        done = shard["closed"] and last >= max(shard["numbers"], default=0)
        return {
            "Records": [{"eventID": f"e{n}", "dynamodb": {"SequenceNumber": str(n)}} for n in found],
            **({} if done else {"NextShardIterator": f"{name}|{last}"}),
        }

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Stand:
    """A stream and those that read it."""

    def __init__(self, url: str, name: str) -> None:
        self.api = Streams()
        self._url, self.name = url, name
        self._lines: list[StreamLine] = []

    def ledger(self, worker: str = "w", lease: float = 30.0) -> ShardLedger:
        line = StreamLine(lambda: aws.connections(self._url, timeout=1.0), keys(self.name)[0], 2.0)
        self._lines.append(line)
        return ShardLedger(line, self.name, worker, lease=lease)

    def feed(self, worker: str = "w", **options: Any) -> DynamoDbFeed:
        return DynamoDbFeed(StreamApi(self.api, ARN), self.ledger(worker), pause=lambda _: None, **options)

    def close(self) -> None:
        for each in self._lines:
            each.close()


@pytest.fixture
def stand(valkey_url: str, fresh_namespace: str) -> Iterator[Stand]:
    made = Stand(valkey_url, fresh_namespace)
    yield made
    made.close()


def numbers(records: Any) -> list[int]:
    return [int(each["dynamodb"]["SequenceNumber"]) for each in records]


def step(feed: DynamoDbFeed, outcome: RecordOutcome = DONE) -> list[int]:
    taken = feed.take(0)
    if taken.gaps:
        feed.closed_gaps()
    feed.settle(taken.records, [outcome] * len(taken.records))
    return numbers(taken.records)


def everything(feed: DynamoDbFeed, steps: int = 12) -> list[int]:
    return [number for _ in range(steps) for number in step(feed)]


def test_parents_are_read_through_before_their_children(stand: Stand) -> None:
    """A change of an item in a child is newer than any in its parent, whatever the API lists first."""
    stand.api.shard("a-child", 30, 31, parent="z-parent")
    stand.api.shard("b-child", 40, parent="z-parent")
    stand.api.shard("z-parent", *range(1, 8), closed=True)

    found = everything(stand.feed(count=3))

    assert found[:7] == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(found[7:]) == [30, 31, 40]
    assert stand.ledger().marks()["z-parent"] == END


def test_a_restart_goes_on_from_what_was_settled(stand: Stand) -> None:
    """What was taken and not settled comes again; what was settled does not."""
    stand.api.shard("s", 1, 2, 3, 4, 5)
    first = stand.feed(count=2)
    assert step(first) == [1, 2]
    assert numbers(first.take(0).records) == [3, 4]  # and dies
    first.close()

    assert everything(stand.feed()) == [3, 4, 5]


def test_a_failed_record_is_where_its_shard_goes_on(stand: Stand) -> None:
    """Later successes are repeated, another shard's are not."""
    stand.api.shard("s", 1, 2, 3)
    stand.api.shard("t", 11, 12)
    feed = stand.feed()
    taken = feed.take(0)
    feed.settle(taken.records, [DONE, FAILED, DONE, DONE, DONE])
    feed.take(0)
    feed.close()

    assert stand.ledger().marks() == {"s": "1", "t": "12"}
    assert everything(stand.feed()) == [2, 3]


def test_a_mark_that_was_trimmed_is_a_gap(stand: Stand) -> None:
    """It is told until it is made up for; then the shard is read from its horizon."""
    stand.api.shard("s", 1, 2)
    first = stand.feed()
    everything(first, 2)
    first.close()
    stand.api.shards["s"].update(numbers=[50, 51], trimmed=50)
    feed = stand.feed()

    assert [len(feed.take(0).gaps) for _ in range(2)] == [1, 1]
    feed.closed_gaps()
    assert everything(feed) == [50, 51]


def test_a_shard_that_vanished_unread_is_a_gap(stand: Stand) -> None:
    """One that was read through is not: streams forget shards after a day."""
    stand.api.shard("done", 1, closed=True)
    stand.api.shard("half", 2, 3)
    first = stand.feed()
    everything(first, 4)
    first.close()
    del stand.api.shards["done"], stand.api.shards["half"]
    stand.api.shard("new", 9, parent="half")
    feed = stand.feed()

    taken = feed.take(0)
    assert [each.told for each in taken.gaps] == ["shard half was gone before it was read through"]
    feed.closed_gaps()
    feed.settle(taken.records, [DONE] * len(taken.records))
    assert numbers(taken.records) + everything(feed) == [9]
    assert set(stand.ledger().marks()) == {"new"}


def test_an_iterator_that_expired_is_made_anew(stand: Stand) -> None:
    """From the mark: nothing is skipped."""
    stand.api.shard("s", 1, 2, 3)
    feed = stand.feed(count=2)
    assert step(feed) == [1, 2]
    stand.api.expired.add("s|2")
    assert step(feed) == []
    stand.api.expired.clear()

    assert everything(feed) == [3]


def test_latest_is_latest_once(stand: Stand) -> None:
    """Where nobody has read, old records are past; after a restart nothing is skipped, though none was taken."""
    stand.api.shard("closed", 1, closed=True)
    stand.api.shard("s", 2, 3, parent="closed")
    first = stand.feed(latest=True)
    assert step(first) == []
    stand.api.shards["s"]["numbers"].append(4)

    assert 4 in everything(stand.feed("other", latest=True)) + everything(first)


def test_a_ledger_that_is_lost_skips_nothing(stand: Stand, valkey_url: str) -> None:
    """Its server came back empty, also where a group begins with what comes: it goes on from where it was."""
    stand.api.shard("s", 1, 2)
    feed = stand.feed(latest=True)
    assert step(feed) == []
    stand.api.shards["s"]["numbers"].append(3)
    assert step(feed) == [3]
    with Redis.from_url(valkey_url) as client:
        client.delete(*keys(stand.name)[:2])
    stand.api.error = EndpointConnectionError(endpoint_url="x")
    with pytest.raises(ProviderUnavailableError):
        feed.take(0)
    stand.api.error = None
    stand.api.shards["s"]["numbers"].append(4)

    assert 4 in everything(feed, 2)
    feed.close()
    stand.api.shards["s"]["numbers"].append(5)
    assert 5 in everything(stand.feed("other", latest=True), 2)


def test_workers_share_the_shards(stand: Stand) -> None:
    """Each has its part; when one leaves, the other takes over at once."""
    for at in range(4):
        stand.api.shard(f"s{at}", at + 1)
    shards = sorted(stand.api.shards)
    one, two = stand.ledger("one"), stand.ledger("two")
    first = one.share(shards, ())
    assert first == set(shards)

    two.share(shards, ())
    first = one.share(shards, first)
    second = two.share(shards, ())

    assert (len(first), len(second)) == (2, 2)
    assert first | second == set(shards)
    one.leave(first)
    assert two.share(shards, second) == set(shards)


def test_the_leases_of_the_dead_end(stand: Stand) -> None:
    """Nobody waits for a worker that was killed longer than its lease."""
    assert stand.ledger("dead", lease=0.2).share(["s"], ()) == {"s"}
    other = stand.ledger("other", lease=0.2)

    wait_until(lambda: other.share(["s"], ()) == {"s"}, "the lease ends", timeout=10)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (refusal("LimitExceededException"), ProviderUnavailableError),
        (refusal("InternalServerError"), ProviderUnavailableError),
        (EndpointConnectionError(endpoint_url="http://x"), ProviderUnavailableError),
        (refusal("AccessDeniedException"), ProviderRejectedError),
        (refusal("ResourceNotFoundException"), ConfigurationError),
    ],
)
def test_what_the_api_says_is_told_in_our_words(
    stand: Stand, error: Exception, ours: type[Exception]
) -> None:
    """The class says what to do: wait, correct the role, or name another stream. Nothing taken is lost."""
    stand.api.shard("s", 1, 2)
    feed = stand.feed(count=1)
    assert step(feed) == [1]
    stand.api.error = error
    with pytest.raises(ours):
        feed.take(0)
    stand.api.error = None

    assert everything(feed) == [2]
