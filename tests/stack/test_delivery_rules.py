"""The rules of delivery, without servers: which records are sent again, which are given up, what a response says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.event_sources import batch_response
from local.event_sources.batch_window import BatchWindow
from local.event_sources.checkpoint import Checkpoints
from local.event_sources.pacing import Pacing
from local.event_sources.retry import (
    FOREVER,
    Batch,
    Checkpoint,
    Delivery,
    Discard,
    Failed,
    FailedFrom,
    Outcome,
    Pause,
    Record,
    RetryPolicy,
    Step,
    Succeeded,
)
from local.event_sources.stream_records import lambda_record
from local.function_host import FunctionError, Invocation


def records(*numbers: int) -> list[Record]:
    return [Record(str(number), {"n": number}) for number in numbers]


def numbers(batch: Batch | None) -> list[int]:
    return [] if batch is None else [record.order for record in batch.records]


def without_pauses(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Pause)]


# --- the state machine -------------------------------------------------------------------------------------------


def test_success_moves_the_checkpoint_to_the_last_record() -> None:
    """A batch that succeeded is dealt with as a whole."""
    delivery = Delivery(RetryPolicy(), records(1, 2, 3))

    assert delivery.apply(Succeeded()) == [Checkpoint("3")]
    assert delivery.current is None


def test_partial_failure_keeps_everything_from_the_failed_record_on() -> None:
    """The checkpoint goes before the failed record, and what follows it is delivered again."""
    delivery = Delivery(RetryPolicy(), records(8, 9, 10, 11))

    assert without_pauses(delivery.apply(FailedFrom("10"))) == [Checkpoint("9")]
    assert numbers(delivery.current) == [10, 11]


def test_failed_batch_is_delivered_again_as_often_as_is_granted() -> None:
    """With N retries a batch is delivered N + 1 times and then given up."""
    delivery = Delivery(RetryPolicy(maximum_retry_attempts=2), records(1, 2))
    steps = [without_pauses(delivery.apply(Failed("no"))) for _ in range(3)]

    assert steps[:2] == [[], []]
    match steps[2]:
        case [Discard(batch), Checkpoint(sequence)]:
            assert (numbers(batch), batch.invocations, sequence) == ([1, 2], 3, "2")
        case other:
            pytest.fail(f"not given up: {other}")


def test_splitting_costs_no_attempt() -> None:
    """A halved batch has as many attempts left as it had before: only a retry of the same records spends one."""
    delivery = Delivery(RetryPolicy(maximum_retry_attempts=0, bisect=True), records(1, 2, 3))
    seen = []
    while (batch := delivery.current) is not None:
        seen.append(numbers(batch))
        delivery.apply(Failed("no") if 3 in numbers(batch) else Succeeded())

    assert seen == [[1, 2, 3], [1, 2], [3]]


def test_bisect_splits_a_partial_failure_at_the_returned_record() -> None:
    """With bisect a partial failure is itself the split, so it costs no attempt unless nothing was acknowledged."""
    delivery = Delivery(RetryPolicy(maximum_retry_attempts=1, bisect=True), records(1, 2, 3))
    delivery.apply(FailedFrom("2"))
    delivery.apply(FailedFrom("3"))
    assert without_pauses(delivery.apply(FailedFrom("3"))) == []
    (given_up, _) = delivery.apply(FailedFrom("3"))

    assert isinstance(given_up, Discard)
    assert numbers(given_up.batch) == [3]


def test_pauses_double_up_to_a_bound() -> None:
    """A function that keeps failing is asked less and less often, but never less than the bound says."""
    policy = RetryPolicy(first_pause=0.1, longest_pause=1.0)

    assert [policy.pause(count) for count in (1, 2, 3, 4, 5, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@st.composite
def shards(draw: st.DrawFn) -> list[Record]:
    """Records whose sequence numbers differ in length, so that comparing them as text would be wrong."""
    gaps = draw(st.lists(st.integers(1, 400), min_size=1, max_size=12))
    return records(*[sum(gaps[: place + 1]) for place in range(len(gaps))])


POLICIES = st.builds(RetryPolicy, st.sampled_from([FOREVER, 0, 1, 3]), st.booleans())


@given(shards(), POLICIES, st.data())
def test_every_record_is_delivered_or_dead_lettered_in_order(
    shard: list[Record], policy: RetryPolicy, data: st.DataObject
) -> None:
    """Whatever the function answers: no record is skipped, none is dealt with twice or before an older one."""
    delivery = Delivery(policy, shard)
    owed = [record.order for record in shard]
    for turn in range(1000):
        batch = delivery.current
        if batch is None:
            break
        assert (
            numbers(batch) == owed[: len(batch.records)]
        )  # begins at the oldest that is owed, without a gap
        outcome = Succeeded() if turn > 40 else data.draw(outcomes(batch))
        acknowledged = acknowledged_by(outcome, batch)
        for step in delivery.apply(outcome):
            match step:
                case Discard(given_up):
                    assert policy.maximum_retry_attempts != FOREVER
                    acknowledged += numbers(given_up)
                case Checkpoint(sequence):
                    passed = [order for order in owed if order <= int(sequence)]
                    assert set(passed) <= set(acknowledged)
                    owed = owed[len(passed) :]
                case Pause(seconds):
                    assert 0 < seconds <= policy.longest_pause

    assert owed == []


def outcomes(batch: Batch) -> st.SearchStrategy[Outcome]:
    """Return what a function may answer to *batch*."""
    places = [record.sequence for record in batch.records]
    return st.one_of(
        st.just(Succeeded()), st.just(Failed("no")), st.builds(FailedFrom, st.sampled_from(places))
    )


def acknowledged_by(outcome: Outcome, batch: Batch) -> list[int]:
    match outcome:
        case Succeeded():
            return numbers(batch)
        case FailedFrom(sequence):
            return [order for order in numbers(batch) if order < int(sequence)]
    return []


@given(shards(), st.integers(0, 3), st.booleans())
def test_broken_function_blocks_a_shard_no_longer_than_its_cap(
    shard: list[Record], cap: int, bisect: bool
) -> None:
    """A function that always fails is invoked a bounded number of times, and every record is dead-lettered."""
    delivery = Delivery(RetryPolicy(cap, bisect), shard)
    given_up: list[int] = []
    for _ in range(len(shard) * (cap + 2) + 1):
        if delivery.current is None:
            break
        for step in delivery.apply(Failed("no")):
            given_up += numbers(step.batch) if isinstance(step, Discard) else []

    assert given_up == [record.order for record in shard]


# --- responses ---------------------------------------------------------------------------------------------------

BATCH = Batch(tuple(records(9, 10, 11)))


@pytest.mark.parametrize(
    "payload", [None, {}, "", [], {"batchItemFailures": []}, {"batchItemFailures": None}]
)
def test_empty_response_acknowledges_the_batch(payload: Any) -> None:
    """Nothing, or no failures, is a success."""
    assert batch_response.judge(Invocation("r", payload), BATCH, report_failures=True) == Succeeded()


@pytest.mark.parametrize(
    "payload",
    [
        {"batchItemFailure": []},
        {"batchItemFailures": [{"id": "9"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": "8"}]},
        {"batchItemFailures": [{"itemIdentifier": 9}]},
        {"batchItemFailures": [{"itemIdentifier": "9"}, "10"]},
        {"batchItemFailures": {"itemIdentifier": "9"}},
        "done",
        True,
        ["9"],
    ],
)
def test_unreadable_response_fails_the_batch(payload: Any) -> None:
    """A wrong key, an empty, null or unknown identifier, or another type, acknowledges nothing."""
    outcome = batch_response.judge(Invocation("r", payload), BATCH, report_failures=True)

    assert isinstance(outcome, Failed)
    assert not outcome.unhandled


def test_lowest_returned_number_counts_as_a_number() -> None:
    """Nine is below ten, though "10" is below "9"."""
    payload = {"batchItemFailures": [{"itemIdentifier": "10"}, {"itemIdentifier": "9"}]}

    assert batch_response.judge(Invocation("r", payload), BATCH, report_failures=True) == FailedFrom("9")


def test_response_is_ignored_unless_the_mapping_asks_for_it() -> None:
    """Without ReportBatchItemFailures a response says nothing; an error still fails the batch."""
    payload = {"batchItemFailures": [{"itemIdentifier": "9"}]}
    broken = Invocation("r", error=FunctionError("ValueError", "no"))

    assert batch_response.judge(Invocation("r", payload), BATCH, report_failures=False) == Succeeded()
    assert isinstance(batch_response.judge(broken, BATCH, report_failures=False), Failed)


# --- batches, shapes, places, paces ------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 5), st.integers(80, 400))
def test_batches_hold_everything_in_order_within_their_bounds(
    sizes: list[int], size: int, max_bytes: int
) -> None:
    """Records leave in the order they came, none is lost, and only a record too large by itself exceeds the bound."""
    window = BatchWindow(size, max_bytes=max_bytes)
    given_in = [Record(str(place), {"pad": "x" * length}) for place, length in enumerate(sizes)]
    window.add(given_in, now=0.0)
    batches = []
    while batch := window.take(now=0.0):
        batches.append(batch)

    assert [record for batch in batches for record in batch] == given_in
    assert all(len(batch) <= size for batch in batches)
    assert all(len(batch) == 1 or sum(len(str(r.body)) for r in batch) <= max_bytes for batch in batches)


def test_window_waits_for_its_time_or_a_full_batch() -> None:
    """A batch leaves when it is full, or when its first record has waited as long as it may."""
    window = BatchWindow(size=3, seconds=10)
    window.add(records(1), now=100.0)
    window.add(records(2), now=105.0)

    assert (window.take(now=109.9), window.due()) == ([], 110.0)
    assert [record.order for record in window.take(now=110.0)] == [1, 2]


def test_expired_item_names_who_removed_it() -> None:
    """The identity of a time-to-live removal is written in small letters in an event."""
    record = {
        "eventID": "1",
        "dynamodb": {"Keys": {"k": {"S": "a"}}},
        "userIdentity": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
    }

    assert lambda_record(record, "arn")["userIdentity"] == {
        "type": "Service",
        "principalId": "dynamodb.amazonaws.com",
    }


def test_checkpoints_survive_their_writer(tmp_path: Any) -> None:
    """What one object remembered, the next one reads; a shard without a place has none."""
    path = tmp_path / "places.json"
    Checkpoints(path).set("one", "5")
    Checkpoints(path).set("two", "7")
    again = Checkpoints(path)

    assert [again.get(shard) for shard in ("one", "two", "three")] == ["5", "7", None]


def test_poller_is_quick_while_there_is_work_and_slow_in_a_lull() -> None:
    """After something was found the next question follows at once; after long silence within the longest wait."""
    pacing = Pacing(shortest=0.001, longest=0.02, patience=2)
    waits = [pacing.after(found=False) for _ in range(200)]

    assert (waits[0], waits[-1]) == (0.001, 0.02)
    assert waits == sorted(waits)
    assert pacing.after(found=True) == 0.0
    assert pacing.after(found=False) == 0.001
