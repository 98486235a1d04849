"""The bridge between buses, against the real emulator and real functions: nothing is lost between two regions."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.conditions import wait_until
from local.configuration import BusSubscription
from local.emulator import Emulator
from local.event_sources.bus_bridge import BusBridge
from local.function_host import FunctionHost
from local.partition import Partition
from local.valkey import Valkey
from tests.stack.feed import HOME, recording

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

PEER = "us-east-1"


class Link:
    """A bus in the home region, a rule to a queue there, and a bridge to the recording function in the peer."""

    def __init__(self, emulator: Emulator, server: Valkey, recorded: Any, folder: Path) -> None:
        self.emulator, self.recorded = emulator, recorded
        name = f"link-{uuid.uuid4().hex[:8]}"
        self.bus = name
        self.events, self.sqs = emulator.client("events", HOME), emulator.client("sqs", HOME)
        self.peer_sqs = emulator.client("sqs", PEER)
        self.queue_url: str = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.dead_letter_url: str = self.peer_sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        self.events.create_event_bus(Name=name)
        self.events.put_rule(
            Name=name, EventBusName=name, EventPattern=json.dumps({"source": ["staleproof"]})
        )
        arn = f"arn:aws:sqs:{HOME}:000000000000:{name}"
        self.events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "1", "Arn": arn}])
        self.partition = Partition(folder)
        self._server, self._folder, self._stack = server, folder, ExitStack()

    def put(self, *details: Any, source: str = "staleproof") -> None:
        """Put an event a detail on the bus."""
        for detail in details:
            entry = {
                "EventBusName": self.bus,
                "Source": source,
                "DetailType": "T",
                "Detail": json.dumps(detail),
            }
            assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def bridge(self) -> None:
        """Start the bridge."""
        host = FunctionHost(recording(self._server, "bus", region=PEER), self._folder / "bus.log")
        subscription = BusSubscription(
            function="bus",
            origin=HOME,
            queue_url=self.queue_url,
            dead_letter_queue_url=self.dead_letter_url,
            retry_delays=(0,),
        )
        bridge = BusBridge(subscription, host, self.partition, self.emulator.client)
        stop = threading.Event()
        thread = threading.Thread(target=bridge.run, args=[stop])
        thread.start()
        self._stack.callback(host.close)
        self._stack.callback(thread.join)
        self._stack.callback(stop.set)

    def arrived(self, count: int) -> list[Any]:
        """Wait until *count* invocations were made; return the events of all that were."""
        wait_until(lambda: self.recorded.llen("bus") >= count, f"{count} events")
        return [json.loads(each) for each in self.recorded.lrange("bus", 0, -1)]

    def waiting(self) -> int:
        """Return how many events the queue holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())

    def close(self) -> None:
        """Stop the bridge."""
        self._stack.close()


@pytest.fixture
def link(emulator: Emulator, cache_server: Valkey, recorded: Any, tmp_path: Path) -> Iterator[Link]:
    made = Link(emulator, cache_server, recorded, tmp_path)
    yield made
    made.close()


def test_event_crosses_with_its_shape_and_its_origin(link: Link) -> None:
    """A function in the peer gets the event as EventBridge sends it: detail an object, region the origin's."""
    link.bridge()
    link.put({"tags": ["flight:1"]})

    (event,) = link.arrived(1)
    assert set(event) == {
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    }
    assert (event["version"], event["detail-type"], event["source"]) == ("0", "T", "staleproof")
    assert (event["region"], event["detail"]) == (HOME, {"tags": ["flight:1"]})
    wait_until(lambda: link.waiting() == 0, "an empty queue")


def test_only_what_the_rule_matches_crosses(link: Link) -> None:
    """An event that the rule does not match is not delivered."""
    link.bridge()
    link.put({"n": 1}, source="elsewhere")
    link.put({"n": 2})

    assert [event["detail"]["n"] for event in link.arrived(1)] == [2]


def test_cut_link_keeps_events_until_it_heals(link: Link) -> None:
    """During a partition events wait in the queue of their origin; when it heals, every one arrives."""
    link.bridge()
    link.put({"n": 0})
    link.arrived(1)
    link.partition.cut(HOME, PEER)
    link.put({"n": 1}, {"n": 2})
    wait_until(lambda: link.waiting() == 2, "two events in the queue")
    assert link.recorded.llen("bus") == 1
    link.partition.heal(HOME, PEER)

    assert sorted(event["detail"]["n"] for event in link.arrived(3)) == [0, 1, 2]


def test_failing_event_is_dead_lettered_after_two_retries(link: Link) -> None:
    """Three failed invocations send the event to the dead letter with the error; nothing behind it is held up."""
    link.bridge()
    link.put({"fail": True}, {"n": 1})
    wait_until(lambda: link.waiting() == 0, "an empty queue")
    answer = link.peer_sqs.receive_message(QueueUrl=link.dead_letter_url, MessageAttributeNames=["All"])

    (message,) = answer["Messages"]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["detail"] == {"fail": True}
    assert attributes.pop("RequestID")
    assert attributes == {"ErrorCode": "200", "ErrorMessage": "RuntimeError: told to fail"}
    assert [event["detail"].get("n") for event in link.arrived(4)].count(None) == 3


def test_message_that_is_no_event_is_dead_lettered_at_once(link: Link) -> None:
    """A body that is not JSON cannot be invoked with: it goes to the dead letter as it is."""
    link.bridge()
    link.sqs.send_message(QueueUrl=link.queue_url, MessageBody="not json")
    wait_until(lambda: link.waiting() == 0, "an empty queue")
    (message,) = link.peer_sqs.receive_message(QueueUrl=link.dead_letter_url)["Messages"]

    assert json.loads(message["Body"]) == "not json"
