"""A table with a stream, and a driver from it to the recording function, for the tests of the stream mapping."""

import json
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from local.conditions import wait_until
from local.configuration import StreamMapping
from local.emulator import Emulator
from local.event_sources.checkpoint import Checkpoints
from local.event_sources.stream_mapping import StreamDriver
from local.function_host import Function, FunctionHost
from local.valkey import Valkey

HOME = "eu-west-1"
FAST = {"first_pause": 0.01, "longest_pause": 0.05}


def recording(valkey: Valkey, name: str = "table", *, region: str = HOME, timeout: float = 10.0) -> Function:
    """Return a function that writes what it is given to *valkey*."""
    environ = {"STALEPROOF_CACHE_URL": valkey.url}
    handler = f"tests.stack.handlers.recording:{name}"
    return Function(name=name, handler=handler, region=region, environ=environ, timeout=timeout)


class Feed:
    """A table with a stream, and a driver from it to the recording function, in threads of the test."""

    def __init__(self, emulator: Emulator, valkey: Valkey, recorded: Any, folder: Path) -> None:
        self.emulator, self.valkey, self.recorded, self.folder = emulator, valkey, recorded, folder
        self.dynamodb = emulator.client("dynamodb", HOME)
        self.sqs = emulator.client("sqs", HOME)
        self.table = f"table-{uuid.uuid4().hex[:8]}"
        made = self.dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.stream_arn: str = made["TableDescription"]["LatestStreamArn"]
        self.queue_url: str = self.sqs.create_queue(QueueName=f"{self.table}-failures")["QueueUrl"]
        self._stack = ExitStack()

    def put(self, *markers: int, **attributes: Any) -> None:
        """Write an item a marker, in this order."""
        for number in markers:
            item = {"k": {"S": f"key-{number}"}, "v": {"N": str(number)}, **attributes}
            self.dynamodb.put_item(TableName=self.table, Item=item)

    def fail(self, number: int, *ways: str) -> None:
        """Fail the record in these ways, one a delivery."""
        self.recorded.rpush(f"once:{number}", *ways)

    def mapping(self, **settings: Any) -> StreamMapping:
        """Return the mapping's settings."""
        given = {"on_failure_queue_url": self.queue_url, **FAST, **settings}
        return StreamMapping(function="table", stream_arn=self.stream_arn, **given)

    def drive(self, *, timeout: float = 10.0, **settings: Any) -> Callable[[], None]:
        """Start a driver; return what stops it."""
        host = FunctionHost(recording(self.valkey, timeout=timeout), self.folder / "function.log")
        driver = StreamDriver(
            self.mapping(**settings),
            host,
            Checkpoints(self.folder / "checkpoints.json"),
            lambda service: self.emulator.client(service, HOME),
        )
        stop = threading.Event()
        thread = threading.Thread(target=driver.run, args=[stop])
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()
            host.close()

        self._stack.callback(end)
        return end

    def deliveries(self, count: int) -> list[list[int]]:
        """Wait until *count* batches were delivered; return all that were."""
        wait_until(lambda: self.recorded.llen("deliveries") >= count, f"{count} deliveries")
        return [json.loads(each) for each in self.recorded.lrange("deliveries", 0, -1)]

    def events(self) -> list[Any]:
        """Return the events that the function was given."""
        return [json.loads(each) for each in self.recorded.lrange("events", 0, -1)]

    def dead_letters(self, count: int = 1) -> list[Any]:
        """Wait until the OnFailure queue has given *count* messages; return their bodies."""
        found: list[Any] = []

        def enough() -> bool:
            answer = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            found.extend(json.loads(each["Body"]) for each in answer.get("Messages", []))
            return len(found) >= count

        wait_until(enough, f"{count} dead letters")
        return found

    def sequence(self, number: int) -> str:
        """Return the sequence number of the record called *number*."""
        records = [record for event in self.events() for record in event["Records"]]
        return next(
            str(each["dynamodb"]["SequenceNumber"])
            for each in records
            if each["dynamodb"]["NewImage"]["v"]["N"] == str(number)
        )

    def checkpoint(self) -> str | None:
        """Return the stream's checkpoint as it is in the file."""
        path = self.folder / "checkpoints.json"
        places = json.loads(path.read_text()) if path.exists() else {}
        return next(iter(places.values()), None)

    def close(self) -> None:
        """Stop the drivers."""
        self._stack.close()
