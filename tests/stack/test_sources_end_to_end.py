"""Every source, from its producer's API to a read that became fresh in both regions; and killed in the middle."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from local.conditions import wait_until
from local.configuration import Schedule
from local.emulator import ACCOUNT
from local.event_sources.checkpoint import Checkpoints
from local.event_sources.log_mapping import KafkaLog, KinesisLog, LogMapping
from local.event_sources.queue_mapping import QueueMapping
from local.function_host import FunctionHost
from local.kafka_broker import KafkaBroker
from local.regions import REGIONS, TwoRegions
from local.resources import Resources
from local.schedule import ScheduleDriver
from staleproof import Cache
from staleproof.providers.redis import RedisProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(90)]

HOME, PEER = REGIONS
NAMESPACE = "shop"
STREAM = "changes"
RULES = """
version: 1
rules:
  - {name: told, when: {source: application, entity: product}, tags: ["product:{id}"]}
  - {name: announced, when: {source: eventbridge, detail_type: Renamed}, tags: ["product:{id}"]}
  - {name: logged, when: {source: kafka, table: products}, tags: ["product:{id}"]}
  - {name: row, when: {source: dynamodb, table: "items-*"}, tags: ["product:{id}"]}
  - {name: object, when: {source: s3, channel: "pictures-*"}, tags: ["product:{key}"]}
"""
TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}


def message(product: str) -> dict[str, Any]:
    row = {"id": product}
    told = {"staleproof": "change", "schema": 1, "entity": "product", "operation": "modify", "keys": row}
    return {**told, "id": secrets.token_hex(8), "old": row, "new": row}


class Stack:
    """Two regions, and a source more each time that a test asks for one."""

    def __init__(self, regions: TwoRegions, broker: KafkaBroker, folder: Path) -> None:
        self.regions = regions
        self.home = regions.home
        self.broker = broker
        self.folder = folder
        self.providers = {
            name: RedisProvider.from_url(each.valkey.url, namespace=NAMESPACE)
            for name, each in regions.regions.items()
        }
        self.caches = {name: Cache(each, region=name) for name, each in self.providers.items()}

    def becomes_fresh(self, product: str, produce: Callable[[str], object]) -> None:
        """Readers of both regions hold *product*; *produce* tells its change; both read it anew."""
        truth = "old"

        def read(name: str) -> str:
            return self.caches[name].get_or_load(product, lambda: truth, tags=[f"product:{product}"])

        assert [read(name) for name in self.caches] == ["old", "old"]
        truth = "new"
        assert [read(name) for name in self.caches] == ["old", "old"]
        produce(product)
        for name in self.caches:
            wait_until(lambda name=name: read(name) == "new", f"{product} is fresh in {name}", timeout=40)  # type: ignore[misc]

    def all_heard(self, products: list[str]) -> None:
        """Wait until both regions' journals name every product."""
        for provider in self.providers.values():
            wait_until(
                lambda provider=provider: {f"product:{each}" for each in products} <= tags(provider),  # type: ignore[misc]
                "every change is applied",
                timeout=40,
            )

    def host(self, function: str, **environ: str) -> FunctionHost:
        deployed = self.regions.function(self.home, function, f"functions.{function}.app:handler")
        deployed = deployed.model_copy(update={"environ": {**deployed.environ, **environ}})
        return FunctionHost(deployed, self.folder / f"{function}-{secrets.token_hex(4)}.log")

    def worker(self, *arguments: str) -> str:
        """Start a worker process of the home region; return its name."""
        name = f"worker-{secrets.token_hex(4)}"
        environ = {
            **self.regions.function(self.home, "worker", "").environ,
            "STALEPROOF_STREAM_IDLE": "200ms",
        }
        command = [sys.executable, "-m", "staleproof.cli", "worker", "--health", "none", *arguments]
        self.regions.supervisor.spawn(name, command, environ)
        return name

    def close(self) -> None:
        for each in self.providers.values():
            each.close()


def tags(provider: RedisProvider) -> set[str]:
    page = provider.journal("", 100_000)
    return {tag for _, each in page.records if each for tag in each.tags}


@contextlib.contextmanager
def running(mapping: Any, host: FunctionHost) -> Iterator[FunctionHost]:
    stop = threading.Event()
    thread = threading.Thread(target=mapping.run, args=[stop])
    thread.start()
    try:
        yield host
    finally:
        stop.set()
        thread.join()
        host.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sources")
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    with TwoRegions(namespace=NAMESPACE, rules=rules, replicate_every=0.2, timeout=10) as regions:
        broker = KafkaBroker(regions.supervisor)
        broker.start()
        made = Stack(regions, broker, folder)
        yield made
        made.close()


# --- producers and mappings -----------------------------------------------------------------------------------------


class Source:
    """How changes get in, and what carries them on to a function."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.name = secrets.token_hex(4)

    def produce(self, product: str) -> None:
        raise NotImplementedError

    def consuming(self) -> contextlib.AbstractContextManager[FunctionHost]:
        raise NotImplementedError


class Queue(Source):
    suffix = ""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.queue = f"q{self.name}{self.suffix}"
        attributes = {"FifoQueue": "true"} if self.suffix else {}
        self.sqs = stack.home.client("sqs")
        self.url = self.sqs.create_queue(QueueName=self.queue, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{HOME}:{ACCOUNT}:{self.queue}"

    def produce(self, product: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(message(product)))

    def consuming(self) -> contextlib.AbstractContextManager[FunctionHost]:
        host = self.stack.host("invalidate_from_queue")
        return running(QueueMapping(self.url, self.arn, host, self.stack.home.client("sqs")), host)


class FifoQueue(Queue):
    suffix = ".fifo"

    def produce(self, product: str) -> None:
        self.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=json.dumps(message(product)),
            MessageGroupId=product,
            MessageDeduplicationId=secrets.token_hex(8),
        )


class TopicQueue(Queue):
    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.sns = stack.home.client("sns")
        self.topic = self.sns.create_topic(Name=f"t{self.name}")["TopicArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn)

    def produce(self, product: str) -> None:
        self.sns.publish(TopicArn=self.topic, Message=json.dumps(message(product)))


class BucketQueue(Queue):
    """A bucket's notifications, by a queue."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.s3 = stack.home.client("s3")
        self.bucket = f"pictures-{self.name}"
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
        told = {"QueueArn": self.arn, "Events": ["s3:ObjectCreated:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def produce(self, product: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=product, Body=b"picture")


class Direct(Source):
    """A function that is called, until it has answered."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.host = stack.host("invalidate_from_bus")

    def produce(self, product: str) -> None:
        for _ in range(5):
            if self.host.invoke(message(product)).error is None:
                return

    @contextlib.contextmanager
    def consuming(self) -> Iterator[FunctionHost]:
        with self.host:
            yield self.host


class Topic(Direct):
    """A topic's notification, as Lambda hands it over."""

    def produce(self, product: str) -> None:
        told = {"TopicArn": f"arn:aws:sns:{HOME}:{ACCOUNT}:t", "MessageId": self.name}
        record = {"EventSource": "aws:sns", "Sns": {**told, "Message": json.dumps(message(product))}}
        for _ in range(5):
            if self.host.invoke({"Records": [record]}).error is None:
                return


class Kinesis(Source):
    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.kinesis = stack.home.client("kinesis")
        self.kinesis.create_stream(StreamName=self.name, ShardCount=1)
        self.kinesis.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig={"Delay": 1})

    def produce(self, product: str) -> None:
        data = json.dumps(message(product)).encode()
        self.kinesis.put_record(StreamName=self.name, Data=data, PartitionKey=product)

    def consuming(self) -> contextlib.AbstractContextManager[FunctionHost]:
        host = self.stack.host("invalidate_from_table")
        arn = f"arn:aws:kinesis:{HOME}:{ACCOUNT}:stream/{self.name}"
        log = KinesisLog(self.stack.home.client("kinesis"), self.name, arn)
        return running(LogMapping(log, host, Checkpoints(self.stack.folder / f"{self.name}.json")), host)


class Kafka(Source):
    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.topic = f"k{self.name}"

    def produce(self, product: str) -> None:
        producer: Any = KafkaProducer(bootstrap_servers=[self.stack.broker.server])
        value = json.dumps(message(product)).encode()
        producer.send(self.topic, key=product.encode(), value=value)
        producer.close()

    @contextlib.contextmanager
    def consuming(self) -> Iterator[FunctionHost]:
        host = self.stack.host("invalidate_from_kafka")
        consumer = KafkaConsumer(bootstrap_servers=[self.stack.broker.server], auto_offset_reset="earliest")
        log = LogMapping(
            KafkaLog(consumer, self.topic), host, Checkpoints(self.stack.folder / f"{self.name}.json")
        )
        try:
            with running(log, host):
                yield host
        finally:
            consumer.close()


class DrainedStream(Source):
    def produce(self, product: str) -> None:
        with Redis.from_url(self.stack.home.valkey.url) as client:
            client.xadd(self.name, {"m": json.dumps(message(product))})

    def consuming(self) -> contextlib.AbstractContextManager[FunctionHost]:
        host = self.stack.host(
            "drain_redis_stream", STALEPROOF_STREAM=self.name, STALEPROOF_STREAM_IDLE="200ms"
        )
        host.function = host.function.model_copy(update={"timeout": 4.0})
        return running(ScheduleDriver(Schedule(function="drain_redis_stream", every=0.1), host), host)


SOURCES = [Queue, FifoQueue, TopicQueue, BucketQueue, Topic, Direct, Kinesis, Kafka, DrainedStream]
every_source = pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.__name__)


@every_source
def test_a_change_makes_both_regions_read_anew(stack: Stack, kind: type[Source]) -> None:
    """From the producer's API, over the function in a process of its own, to readers of two regions."""
    source = kind(stack)

    with source.consuming():
        stack.becomes_fresh(f"{kind.__name__}-{source.name}", source.produce)


@every_source
def test_a_function_that_is_killed_loses_nothing(stack: Stack, kind: type[Source]) -> None:
    """Its process is killed again and again in the middle of batches; every change is applied in both regions."""
    source = kind(stack)
    products = [f"killed-{source.name}-{n}" for n in range(24)]

    with source.consuming() as host:
        for at, product in enumerate(products):
            source.produce(product)
            if at % 6 == 5:
                host.kill()
        stack.all_heard(products)


# --- workers --------------------------------------------------------------------------------------------------------


class WorkedStream(DrainedStream):
    def arguments(self) -> list[str]:
        return ["--source", "redis-stream", "--stream", self.name]


class WorkedKafka(Kafka):
    def arguments(self) -> list[str]:
        options = self.stack.folder / "kafka.json"
        options.write_text(
            json.dumps(
                {
                    "session_timeout_ms": 6_000,
                    "max_poll_interval_ms": 6_000,
                    "heartbeat_interval_ms": 500,
                    "group_instance_id": "one",
                }
            )
        )
        told = ["--bootstrap", self.stack.broker.server, "--topic", self.topic, "--group", self.name]
        return ["--source", "kafka", "--kafka-config", str(options), *told]


class WorkedTable(Source):
    """A table that no function follows."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        Resources(stack.regions.emulator, HOME).table({**TABLE, "TableName": f"items-{self.name}"})
        self.dynamodb = stack.home.client("dynamodb")

    def produce(self, product: str) -> None:
        item = {"id": {"S": product}}
        self.dynamodb.put_item(TableName=f"items-{self.name}", Item=item)

    def arguments(self) -> list[str]:
        return [
            "--source",
            "dynamodb-streams",
            "--table",
            f"items-{self.name}",
            "--group",
            self.name,
            "--lease",
            "1",
        ]


every_worker = pytest.mark.parametrize(
    "kind", [WorkedStream, WorkedKafka, WorkedTable], ids=lambda kind: kind.__name__
)


@every_worker
def test_a_worker_makes_both_regions_read_anew(stack: Stack, kind: type[Any]) -> None:
    """The same pipeline as a long-lived process."""
    source = kind(stack)
    name = stack.worker(*source.arguments())
    try:
        stack.becomes_fresh(f"{kind.__name__}-{source.name}", source.produce)
    finally:
        stack.regions.supervisor.stop(name, grace=10)


@every_worker
def test_a_worker_that_is_killed_loses_nothing(stack: Stack, kind: type[Any]) -> None:
    """Killed in the middle of its work, and started again: every change is applied in both regions."""
    source = kind(stack)
    products = [f"killed-{source.name}-{n}" for n in range(60)]
    name = stack.worker(*source.arguments(), "--batch", "7")
    for at, product in enumerate(products):
        source.produce(product)
        if at in {20, 40}:
            wait_until(
                lambda: f"product:{products[5]}" in tags(stack.providers[HOME]), "it works", timeout=40
            )
            stack.regions.supervisor.kill(name)
            name = stack.worker(*source.arguments(), "--batch", "7")

    stack.all_heard(products)
    assert stack.regions.supervisor.stop(name, grace=10) == 0
