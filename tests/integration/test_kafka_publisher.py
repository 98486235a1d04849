"""Publishing to Kafka, over the real protocol: the contract of both faces, order, brokers that die, closing."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer
from kafka.net.inet import KafkaNetSocket
from kafka.structs import TopicPartition

from local.kafka_broker import KafkaBroker
from local.supervisor import Supervisor
from staleproof import publishers
from staleproof.errors import ConfigurationError, OversizedEventError, ProviderUnavailableError
from staleproof.events import Change, Invalidate
from staleproof.events.change import decode
from staleproof.publishers import AsyncKafkaPublisher, KafkaPublisher
from staleproof.publishers.kafka_records import record_key
from staleproof.testing import Blocking, PublisherContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


@pytest.fixture(scope="module")
def broker(supervisor: Supervisor) -> KafkaBroker:
    server = KafkaBroker(supervisor)
    server.start()
    return server


@pytest.fixture
def topic() -> str:
    return f"changes-{secrets.token_hex(6)}"


def records(server: str, topic: str) -> list[Any]:
    """Everything that the topic holds."""
    consumer = KafkaConsumer(
        bootstrap_servers=server, consumer_timeout_ms=10_000, auto_offset_reset="earliest"
    )
    try:
        if topic not in consumer.topics():
            return []
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        found: list[Any] = []
        while len(found) < end:
            found += consumer.poll(timeout_ms=10_000).get(place, [])
        return found
    finally:
        consumer.close()


class TestKafka(PublisherContract):
    refuses = False

    @pytest.fixture
    def publisher(self, broker: KafkaBroker, topic: str) -> Iterator[Any]:
        with KafkaPublisher(broker.server, topic) as publisher:
            yield publisher

    @pytest.fixture
    def arrived(self, broker: KafkaBroker, topic: str) -> Callable[[], list[bytes]]:
        return lambda: [record.value for record in records(broker.server, topic)]


class TestAsyncKafka(TestKafka):
    @pytest.fixture
    def publisher(self, broker: KafkaBroker, topic: str) -> Iterator[Any]:
        held = Blocking(AsyncKafkaPublisher(broker.server, topic))
        yield held
        held.shut()


@pytest.fixture(autouse=True)
def _refused_sockets_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """kafka-python leaves the socket of a refused connection to the garbage collector, which then complains."""
    connect = KafkaNetSocket.sock_connect

    async def closing(self: Any, net: Any, sock: Any, *args: Any, **given: Any) -> Any:
        try:
            return await connect(self, net, sock, *args, **given)
        except BaseException:
            sock.close()
            raise

    monkeypatch.setattr(KafkaNetSocket, "sock_connect", closing)


def change(number: int = 1, **fields: Any) -> Change:
    return Change.now("product", "modify", keys={"id": number}, **fields)


def test_a_record_says_what_it_is(broker: KafkaBroker, topic: str) -> None:
    """Key, header and place are those of the message, so that a consumer need not look into it."""
    with publishers.of(f"kafka://{broker.server}/{topic}") as publisher:
        receipts = publisher.publish(change(), Invalidate.now("catalog"))
    first, second = records(broker.server, topic)

    assert [receipt.place for receipt in receipts] == [f"{topic}-0:0", f"{topic}-0:1"]
    assert (first.key, first.headers) == (b'["product",{"id":1}]', [("staleproof", b"change")])
    assert (second.key, second.headers) == (None, [("staleproof", b"invalidate")])


def test_a_key_is_the_rows_whatever_the_order_of_its_attributes() -> None:
    """Two changes of one row have one key, however a program wrote its attributes and numbers."""
    one = Change.now("product", "modify", keys={"shop": "a", "id": 42})
    other = Change.now("product", "remove", keys={"id": 42.0, "shop": "a"})

    assert record_key(one) == record_key(other) == b'["product",{"id":42,"shop":"a"}]'


def test_a_broker_that_dies_is_told_and_found_again(supervisor: Supervisor) -> None:
    """While nobody is there every receipt says so, in time; when somebody is, the same publisher goes on."""
    broker = KafkaBroker(supervisor, "kafka-mortal")
    broker.start()
    with KafkaPublisher(broker.server, "changes", timeout=1.0) as publisher:
        publisher.publish(change())
        broker.kill()
        missed = publisher.send([change(number) for number in range(3)])
        assert [type(receipt.error) for receipt in missed] == [ProviderUnavailableError] * 3
        broker.start()
        again = [change(number) for number in range(3)]
        deadline = time.monotonic() + 30
        while not all(receipt.taken for receipt in publisher.send(again)):
            assert time.monotonic() < deadline
        assert {each.id for each in again} <= {
            decode(record.value).id for record in records(broker.server, "changes")
        }
    broker.stop()


def test_nobody_there_is_waited_for_once() -> None:
    """A hundred messages to nowhere wait one time-out, not a hundred."""
    began = time.monotonic()
    with KafkaPublisher(NOBODY, "changes", timeout=0.2) as publisher:
        receipts = publisher.send([change(number) for number in range(100)])

    assert time.monotonic() - began < 10
    assert all(isinstance(receipt.error, ProviderUnavailableError) for receipt in receipts)


def test_a_record_that_is_too_large_for_the_producer_hinders_no_other(
    broker: KafkaBroker, topic: str
) -> None:
    """What the client library refuses by size is an oversized event; the rest is taken."""
    with KafkaPublisher(broker.server, topic, max_request_size=2_000) as publisher:
        receipts = publisher.send([change(), change(new={"text": "x" * 4_000}), change()])

    assert [type(receipt.error) for receipt in receipts] == [type(None), OversizedEventError, type(None)]


async def test_the_event_loop_goes_on_while_a_broker_is_waited_for() -> None:
    """Waiting for brokers happens in a thread: the loop is not held up."""
    async with AsyncKafkaPublisher(NOBODY, "changes", timeout=0.5) as publisher:
        sending = asyncio.create_task(publisher.send([change()]))
        turns = 0
        while not sending.done():
            await asyncio.sleep(0.005)
            turns += 1
        (receipt,) = await sending

    assert turns > 10
    assert isinstance(receipt.error, ProviderUnavailableError)


async def test_tasks_share_requests_and_get_their_own_receipts(broker: KafkaBroker, topic: str) -> None:
    """Hundreds of tasks that send at once, through a queue of three places, each get the receipt of their message."""
    async with AsyncKafkaPublisher(broker.server, topic, waiting=3) as publisher:
        sent = [change(number) for number in range(200)]
        answers = await asyncio.gather(*(publisher.publish(each) for each in sent))

    assert [answer[0].id for answer in answers] == [each.id for each in sent]
    assert len(await asyncio.to_thread(records, broker.server, topic)) == 200


async def test_closing_sends_what_waits(broker: KafkaBroker, topic: str) -> None:
    """What was given before `close` is taken when it returns."""
    publisher = AsyncKafkaPublisher(broker.server, topic)
    sending = [asyncio.create_task(publisher.send([change(number)])) for number in range(20)]
    await asyncio.sleep(0)
    await publisher.close()

    answers = await asyncio.gather(*sending)
    assert all(receipt.taken for answer in answers for receipt in answer)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        (f"kafka://{NOBODY}/t?acks=0", "acks"),
        (f"kafka://{NOBODY}/t?enable_idempotence=false", "enable_idempotence"),
        (f"kafka://{NOBODY}/t?max_in_flight_requests_per_connection=9", "max_in_flight"),
        (f"kafka://{NOBODY}/t?sasl_plain_pasword=hush", "sasl_plain_pasword"),
        (f"kafka://{NOBODY}/t?timeout=-1", "timeout"),
        ("kafka://host/t", "host:9092"),
        (f"kafka://{NOBODY}/not a topic", "topic"),
        (f"kafka://app:hush@{NOBODY}/t", "sasl_plain_password"),
    ],
)
def test_options_that_break_a_promise_are_refused(url: str, named: str) -> None:
    """What would lose, double or reorder records is refused by name, and nothing secret is told."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        publishers.of(url)
    assert "hush" not in str(caught.value)


def test_iam_and_sasl_pass_through() -> None:
    """The options of the client library reach it as they were written; texts stay texts."""
    seen: dict[str, Any] = {}

    def producer(**options: Any) -> Any:
        seen.update(options)
        raise ValueError("enough")

    url = (
        f"kafka://{NOBODY},b.example:9098/t?security_protocol=SASL_SSL&sasl_mechanism=AWS_MSK_IAM&client_id=7"
    )
    with pytest.raises(ConfigurationError, match="enough"):
        publishers.of(url, producer=producer).send([change()])
    assert seen["bootstrap_servers"] == [NOBODY, "b.example:9098"]
    assert (seen["security_protocol"], seen["sasl_mechanism"]) == ("SASL_SSL", "AWS_MSK_IAM")
    assert (seen["client_id"], seen["acks"], seen["enable_idempotence"]) == ("7", "all", True)
