"""The stream mapping against the real emulator and real functions: Lambda's semantics of failure, to the letter."""

import os
import signal
from typing import Any

import pytest

from local.conditions import wait_until
from local.configuration import DriverConfiguration
from local.supervisor import Supervisor
from tests.stack.feed import HOME, Feed, recording

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_records_arrive_in_order_in_batches_of_the_size_set(feed: Feed) -> None:
    """A batch holds BatchSize records at most, oldest first, and the checkpoint ends at the newest."""
    feed.put(1, 2, 3, 4, 5)
    feed.drive(batch_size=2)

    assert feed.deliveries(3) == [[1, 2], [3, 4], [5]]
    wait_until(lambda: feed.checkpoint() == feed.sequence(5), "the checkpoint at the last record")


def test_event_has_the_shape_that_lambda_sends(feed: Feed) -> None:
    """An event is JSON: binary is base64 text, the creation time a number, and the stream is named."""
    nested = {"L": [{"M": {"raw": {"B": b"\x00\xff"}}}, {"BS": [b"one"]}]}
    feed.put(1, b={"B": b"\x01\x02"}, nested=nested)
    feed.dynamodb.delete_item(TableName=feed.table, Key={"k": {"S": "key-1"}})
    feed.drive()
    feed.deliveries(1)

    inserted, removed = feed.events()[0]["Records"]
    body = inserted["dynamodb"]
    assert set(inserted) == {"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "eventSourceARN",
                             "dynamodb"}  # fmt: skip
    assert (inserted["eventName"], inserted["eventSource"], inserted["awsRegion"]) == (
        "INSERT",
        "aws:dynamodb",
        HOME,
    )
    assert inserted["eventSourceARN"] == feed.stream_arn
    assert isinstance(body["ApproximateCreationDateTime"], int)
    assert body["NewImage"]["b"] == {"B": "AQI="}
    assert body["NewImage"]["nested"] == {"L": [{"M": {"raw": {"B": "AP8="}}}, {"BS": ["b25l"]}]}
    assert body["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert (removed["eventName"], removed["dynamodb"]["OldImage"]) == ("REMOVE", body["NewImage"])


def test_everything_from_the_lowest_failed_record_on_is_delivered_again(feed: Feed) -> None:
    """The lowest returned sequence number is the checkpoint: later successes run again, earlier ones do not."""
    feed.put(1, 2, 3, 4, 5)
    feed.fail(4, "report")
    feed.fail(2, "report")
    feed.drive()

    assert feed.deliveries(2) == [[1, 2, 3, 4, 5], [2, 3, 4, 5]]


def test_unusable_response_is_a_failure_of_the_whole_batch(feed: Feed) -> None:
    """A response with a wrong key is never taken for an acknowledgement."""
    feed.put(1, 2)
    feed.fail(2, "wrong-key")
    feed.drive()

    assert feed.deliveries(2) == [[1, 2], [1, 2]]


def test_poison_is_dead_lettered_after_the_retry_cap_and_the_shard_goes_on(feed: Feed) -> None:
    """After MaximumRetryAttempts retries the OnFailure queue gets the batch's metadata; the next one is delivered."""
    feed.put(1, 2, 3)
    feed.recorded.hset("always", "2", "raise")
    feed.drive(batch_size=2, maximum_retry_attempts=2)

    assert feed.deliveries(4) == [[1, 2], [1, 2], [1, 2], [3]]
    (envelope,) = feed.dead_letters()
    request_id, timestamp = envelope["requestContext"].pop("requestId"), envelope.pop("timestamp")
    info = envelope["DDBStreamBatchInfo"]
    arrivals = [info.pop("approximateArrivalOfFirstRecord"), info.pop("approximateArrivalOfLastRecord")]
    assert envelope == {
        "requestContext": {
            "functionArn": f"arn:aws:lambda:{HOME}:000000000000:function:table",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000000000000000000-00000000",
            "startSequenceNumber": feed.sequence(1),
            "endSequenceNumber": feed.sequence(2),
            "batchSize": 2,
            "streamArn": feed.stream_arn,
        },
    }
    assert len(request_id) == 36
    assert all(text.endswith("Z") and len(text) == 24 for text in [timestamp, *arrivals])


def test_bisect_isolates_the_poison(feed: Feed) -> None:
    """With bisect a failed batch is halved until the poison stands alone, and only the poison is dead-lettered."""
    feed.put(1, 2, 3, 4)
    feed.recorded.hset("always", "3", "raise")
    feed.drive(bisect=True, maximum_retry_attempts=1)

    assert feed.deliveries(6) == [[1, 2, 3, 4], [1, 2], [3, 4], [3], [3], [4]]
    (envelope,) = feed.dead_letters()
    info = envelope["DDBStreamBatchInfo"]
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == feed.sequence(3)
    assert (info["batchSize"], envelope["requestContext"]["approximateInvokeCount"]) == (1, 4)


def test_function_killed_in_mid_invocation_gets_the_records_again(feed: Feed) -> None:
    """`kill -9` of a function costs the invocation; a fresh process gets the same records."""
    feed.put(1, 2)
    feed.fail(1, "hang")
    feed.drive()
    _, pid = feed.recorded.blpop("hanging", timeout=10)
    os.kill(int(pid), signal.SIGKILL)

    assert feed.deliveries(2) == [[1, 2], [1, 2]]
    wait_until(lambda: feed.checkpoint() == feed.sequence(2), "the checkpoint at the last record")


def test_timed_out_function_gets_the_records_again(feed: Feed) -> None:
    """An invocation that exceeds the function's timeout is a failure of the batch."""
    feed.put(1)
    feed.fail(1, "hang")
    feed.drive(timeout=0.3)

    assert feed.deliveries(2) == [[1], [1]]


def test_driver_killed_between_apply_and_acknowledge_delivers_again(
    feed: Feed, supervisor: Supervisor
) -> None:
    """`kill -9` of the driver after the function applied a batch loses nothing: its successor delivers it again."""
    feed.put(1, 2)
    feed.fail(2, "kill-driver")
    settings = DriverConfiguration(
        region=HOME,
        endpoint=feed.emulator.endpoint,
        directory=feed.folder,
        functions=(recording(feed.valkey),),
        streams=(feed.mapping(),),
    )
    path = feed.folder / "driver.json"
    path.write_text(settings.model_dump_json())
    for _ in range(2):
        supervisor.spawn_module("driver", "local.driver", str(path))
        wait_until(lambda: not supervisor.running("driver") or feed.recorded.llen("deliveries") > 1, "an end")
        supervisor.stop("driver")

    assert feed.deliveries(2) == [[1, 2], [1, 2]]


def test_new_driver_goes_on_after_the_checkpoint(feed: Feed) -> None:
    """What was acknowledged is not delivered again by a driver that starts later."""
    feed.put(1, 2)
    end = feed.drive()
    wait_until(lambda: feed.checkpoint() and feed.checkpoint() == feed.sequence(2), "the checkpoint")
    end()
    feed.put(3)
    feed.drive()

    assert feed.deliveries(2) == [[1, 2], [3]]


def test_nothing_overtakes_a_dead_letter_that_cannot_be_sent(feed: Feed) -> None:
    """While the OnFailure queue cannot be reached the checkpoint stands still; then the letter is sent."""
    feed.put(1)
    feed.recorded.hset("always", "1", "raise")
    feed.sqs.delete_queue(QueueUrl=feed.queue_url)
    feed.drive(maximum_retry_attempts=0)
    feed.deliveries(1)
    feed.put(2)
    assert feed.checkpoint() is None
    feed.sqs.create_queue(QueueName=f"{feed.table}-failures")

    assert feed.dead_letters()[0]["DDBStreamBatchInfo"]["startSequenceNumber"] == feed.sequence(1)
    assert feed.deliveries(2) == [[1], [2]]


def test_batching_window_gathers_records(feed: Feed) -> None:
    """With a batching window an invocation waits for more records, until the batch is full."""
    feed.put(1)
    feed.drive(batch_size=3, batching_window=30)
    feed.put(2, 3)

    assert feed.deliveries(1) == [[1, 2, 3]]


def test_restarted_emulator_is_waited_for(feed: Feed, caplog: Any) -> None:
    """A driver outlives an outage of what it polls: it says so and keeps asking."""
    feed.put(1)
    feed.drive()
    feed.deliveries(1)
    feed.emulator.stop()
    wait_until(lambda: "stream" in caplog.text, "a word about the outage")
    feed.emulator.start()  # the table went with it; making one of the same name makes another stream
    wait_until(
        lambda: "ResourceNotFound" in caplog.text or "ExpiredIterator" in caplog.text, "a further question"
    )
