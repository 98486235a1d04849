"""An address chooses a publisher, both faces alike; what is wrong is told, and what an absent extra is called."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from staleproof import publishers
from staleproof.errors import ConfigurationError, UnpublishedError
from staleproof.events import Change
from staleproof.ports import AsyncPublisher, Publisher, Receipt
from staleproof.publishers import AwaitingPublisher, BlockingPublisher

ADDRESSES = {
    "eventbridge://shop?region=eu-west-1": "EventBridgePublisher",
    "eventbridge:arn:aws:events:eu-west-1:123456789012:event-bus/shop": "EventBridgePublisher",
    "dynamodb://outbox?ttl=3600": "OutboxPublisher",
    "dynamodb:arn:aws:dynamodb:eu-west-1:123456789012:table/outbox": "OutboxPublisher",
    "redis://127.0.0.1:6379/0?stream=changes&maxlen=100": "RedisStreamsPublisher",
    "rediss://127.0.0.1:6379/0?stream=changes&cluster=true": "RedisStreamsPublisher",
    "kafka://127.0.0.1:9092/changes": "KafkaPublisher",
    "kafka://a:9092,b:9092/changes?compression_type=gzip": "KafkaPublisher",
    "MEMORY://": "MemoryPublisher",
    "null://": "NullPublisher",
}
PAIRS = [
    ("EventBridgePublisher", "AsyncEventBridgePublisher", {"client", "sleep"}),
    ("OutboxPublisher", "AsyncOutboxPublisher", {"client", "sleep"}),
    ("RedisStreamsPublisher", "AsyncRedisStreamsPublisher", {"sleep"}),
    ("KafkaPublisher", "AsyncKafkaPublisher", {"waiting"}),
    ("MemoryPublisher", "AsyncMemoryPublisher", set[str]()),
    ("NullPublisher", "AsyncNullPublisher", set[str]()),
]


@pytest.mark.parametrize(("url", "name"), ADDRESSES.items())
def test_an_address_chooses(url: str, name: str) -> None:
    """The scheme names the transport, for both faces; nothing is connected."""
    blocking, awaiting = publishers.of(url), publishers.async_of(url)
    assert (type(blocking).__name__, type(awaiting).__name__) == (name, f"Async{name}")
    assert (isinstance(blocking, BlockingPublisher), isinstance(awaiting, AwaitingPublisher)) == (True, True)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "scheme"),
        ("amqp://host", "amqp"),
        (7, "scheme"),
        ("eventbridge://", "names nothing"),
        ("eventbridge://shop?client=x", "'client' is no option"),
        ("eventbridge:arn:aws:events:eu-west-1:123456789012:event-bus/shop?region=us-east-1", "region"),
        ("dynamodb://outbox?maxlen=1", "'maxlen' is no option"),
        ("redis://127.0.0.1:6379/0", "stream=NAME"),
        ("redis://127.0.0.1:6379/0?stream=s&maxlen=many", "maxlen"),
        ("kafka://127.0.0.1:9092", "no topic"),
        ("memory://elsewhere", "leads nowhere"),
        ("null://?a=b", "leads nowhere"),
    ],
)
def test_an_address_that_says_nothing_is_refused(url: Any, named: str) -> None:
    """Both faces tell what is wrong, and what to write."""
    for make in (publishers.of, publishers.async_of):
        with pytest.raises(ConfigurationError, match=named):
            make(url)


def test_an_option_goes_before_the_address() -> None:
    """What a program says is what counts; an unknown option is told."""
    publisher: Any = publishers.of("redis://127.0.0.1:6379/0?stream=changes&maxlen=5", maxlen=7)
    assert 7 in publisher._route.command(b"")
    with pytest.raises(ConfigurationError, match="nonsense"):
        publishers.of("memory://", nonsense=1)


@pytest.mark.parametrize(("blocking", "awaiting", "own"), PAIRS)
def test_both_faces_take_the_same(blocking: str, awaiting: str, own: set[str]) -> None:
    """A publisher and its twin have the same methods and arguments, but for what waits and what connects."""

    def shape(name: str, method: str) -> list[tuple[str, Any]]:
        taken = inspect.signature(getattr(getattr(publishers, name), method)).parameters.values()
        return [(each.name, each.kind) for each in taken if each.name not in own]

    for method in ("__init__", "send", "publish", "close"):
        assert shape(blocking, method) == shape(awaiting, method)


def test_faces_keep_to_their_ports() -> None:
    """What the ports ask for, the faces have, and type checkers agree."""
    one: Publisher = publishers.of("null://")
    other: AsyncPublisher = publishers.async_of("null://")
    for port, face in ((Publisher, one), (AsyncPublisher, other)):
        for method in ("send", "publish", "close"):
            asked = list(inspect.signature(getattr(port, method)).parameters)[1:]
            assert list(inspect.signature(getattr(face, method)).parameters) == asked


def test_an_error_of_several_says_which_and_can_be_sent_elsewhere() -> None:
    """`UnpublishedError` names the first message, knows whether a retry is enough, and survives a pickle."""
    import copy  # noqa: PLC0415

    error = UnpublishedError([Receipt("a"), Receipt("b", error=ConfigurationError("no; mend it"))])
    assert (str(error), error.passing) == (
        "1 of 2 messages were not taken, the first of them b: no; mend it",
        False,
    )
    assert [receipt.id for receipt in copy.copy(error).receipts] == ["a", "b"]


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("kafka", "kafka://127.0.0.1:9092/t", "staleproof[kafka]"),
        ("redis", "redis://127.0.0.1:6379/0?stream=s", "staleproof[redis]"),
        ("boto3", "eventbridge://shop?region=eu-west-1", "staleproof[aws]"),
        ("aiobotocore", "dynamodb://outbox?region=eu-west-1", "staleproof[aws-async]"),
    ],
)
def test_an_absent_extra_is_named(module: str, url: str, extra: str) -> None:
    """Without its client library a transport says what to install, from either face."""
    face = (
        "asyncio.run(publishers.async_of(URL).send([M]))"
        if module == "aiobotocore"
        else "publishers.of(URL).send([M])"
    )
    program = (
        f"import asyncio, sys; sys.modules[{module!r}] = None\n"
        "from staleproof import publishers\nfrom staleproof.events import Change\n"
        f"URL, M = {url!r}, Change.now('p', 'modify')\n"
        f"try:\n    {face}\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.stdout.startswith("ConfigurationError")
    assert extra in ran.stdout


def test_nobody_pays_for_publishers() -> None:
    """Neither a cache nor an address of memory loads a transport; a message loads no client library."""
    program = (
        "import sys\nfrom staleproof import Cache, publishers\nfrom staleproof.events import Change\n"
        "early = 'staleproof.publishers.addresses' in sys.modules\n"
        "publishers.of('memory://').publish(Change.now('p', 'modify'))\n"
        "print(early, *sorted({'kafka', 'redis', 'boto3', 'botocore', 'aiobotocore', 'asyncio'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_null_refuses_what_others_would() -> None:
    """What works against nowhere works elsewhere: an oversized message is refused there, too."""
    with pytest.raises(UnpublishedError):
        publishers.of("null://").publish(Change.now("p", "modify", new={"a": "x" * 2_000_000}))


@pytest.mark.parametrize("url", ["kafka://user:pa/sswd@a:9092", "kafka://user:pa/sswd%40a:9092/changes"])
def test_a_part_of_a_password_does_not_pass_for_a_topic(url: str) -> None:
    """A slash in a password must be escaped; whoever forgets it does not read the rest in an error."""
    with pytest.raises(ConfigurationError, match="it holds a user or password") as caught:
        publishers.of(url)
    assert not {"pa", "sswd"} & set(str(caught.value).replace("'", " ").replace("/", " ").split())
