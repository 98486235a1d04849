"""Publishing to a Redis stream: servers that die and come back, clusters, wrong keys, trimming, several loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.cluster import RedisCluster

from local.supervisor import Supervisor
from local.valkey import Valkey
from local.valkey_cluster import ValkeyCluster
from staleproof import publishers
from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.events import Change
from staleproof.events.change import decode
from staleproof.publishers import AsyncRedisStreamsPublisher, Pauses, RedisStreamsPublisher
from staleproof.publishers.redis_streams import AT_ONCE
from staleproof.publishers.stream_address import StreamAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPT = Pauses(attempts=3, first=0.001, longest=0.001)
NOBODY = "redis://127.0.0.1:1/0"
pytestmark = pytest.mark.redis


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


def changes(count: int = 3) -> list[Change]:
    return [Change.now("product", "modify", keys={"id": number}) for number in range(count)]


def send(face: str, url: str, stream: str, messages: list[Change], **options: Any) -> list[Any]:
    """Send *messages* from one of the faces, and close."""
    if face == "blocking":
        with RedisStreamsPublisher(url, stream, pauses=PROMPT, **options) as publisher:
            return publisher.send(messages)

    async def sent() -> list[Any]:
        async with AsyncRedisStreamsPublisher(url, stream, pauses=PROMPT, **options) as publisher:
            return await publisher.send(messages)

    return asyncio.run(sent())


both = pytest.mark.parametrize("face", ["blocking", "awaiting"])


def test_a_server_that_came_back_is_found(supervisor: Supervisor) -> None:
    """While it is away every receipt says so; afterwards the same publisher, whose connections are dead, goes on."""
    server = Valkey(supervisor, "valkey-mortal")
    server.start()
    with RedisStreamsPublisher(server.url, "changes", pauses=PROMPT, timeout=2.0) as publisher:
        publisher.publish(*changes())
        server.kill()
        assert all(isinstance(each.error, ProviderUnavailableError) for each in publisher.send(changes()))
        server.start()
        assert all(receipt.taken for receipt in publisher.send(changes()))


def test_a_connection_that_broke_meanwhile_costs_an_attempt_and_no_message(supervisor: Supervisor) -> None:
    """A server that was restarted between two calls is not noticed by the caller."""
    server = Valkey(supervisor, "valkey-restarted")
    server.start()
    with RedisStreamsPublisher(server.url, "changes", pauses=PROMPT) as publisher:
        publisher.publish(*changes())
        server.kill()
        server.start()
        sent = changes()
        publisher.publish(*sent)
        with Redis.from_url(server.url) as client:
            found: Any = client.xrange("changes")
    assert [decode(fields[b"m"]).id for _, fields in found] == [each.id for each in sent]


@both
def test_nobody_there_is_told_within_the_attempts(face: str) -> None:
    """Thousands of messages to nowhere are refused by one batch's attempts."""
    receipts = send(face, NOBODY, "changes", changes(1_000))
    assert {type(receipt.error) for receipt in receipts} == {ProviderUnavailableError}
    assert len(receipts) == 1_000


@both
def test_a_key_that_is_no_stream_is_told(face: str, valkey_url: str, fresh_namespace: str) -> None:
    """The server's refusal is each message's, and lasting."""
    with Redis.from_url(valkey_url) as client:
        client.set(fresh_namespace, "text")
    receipts = send(face, valkey_url, fresh_namespace, changes())
    assert [type(receipt.error) for receipt in receipts] == [ProviderRejectedError] * 3
    assert "WRONGTYPE" in str(receipts[0].error)


@both
def test_a_stream_is_trimmed_as_it_grows(face: str, valkey_url: str, fresh_namespace: str) -> None:
    """A stream keeps about as many records as it should: trimming is by whole nodes, so a few more."""
    send(face, valkey_url, fresh_namespace, changes(1_000), maxlen=100)
    with Redis.from_url(valkey_url) as client:
        length: Any = client.xlen(fresh_namespace)
    assert 100 <= length < 400


async def test_tasks_share_a_publisher(valkey_url: str, fresh_namespace: str) -> None:
    """What many tasks send at once is taken, and each gets its own receipts."""
    async with AsyncRedisStreamsPublisher(valkey_url, fresh_namespace) as publisher:
        sent = changes(100)
        answers = await asyncio.gather(*(publisher.publish(each) for each in sent))
    assert [answer[0].id for answer in answers] == [each.id for each in sent]


async def test_a_thousand_tasks_open_few_connections(supervisor: Supervisor) -> None:
    """Connections of a loop are bounded, however many tasks publish at once."""
    server = Valkey(supervisor, "valkey-counted")
    server.start()
    async with AsyncRedisStreamsPublisher(server.url, "changes") as publisher:
        await asyncio.gather(*(publisher.publish(each) for each in changes(1_000)))
        with Redis.from_url(server.url) as client:
            told: Any = client.info("clients")
    assert told["connected_clients"] <= AT_ONCE + 1


def test_one_loop_after_another_uses_one_publisher(valkey_url: str, fresh_namespace: str) -> None:
    """A function that runs `asyncio.run` a call publishes in each: a loop that ended is not asked again."""
    publisher = AsyncRedisStreamsPublisher(valkey_url, fresh_namespace)

    async def once() -> None:
        await publisher.publish(*changes())
        await publisher.close()

    for _ in range(3):
        asyncio.run(once())
    with Redis.from_url(valkey_url) as client:
        length: Any = client.xlen(fresh_namespace)
    assert length == 9


@pytest.mark.slow
def test_a_cluster_is_written_to_and_a_plain_client_is_told(supervisor: Supervisor) -> None:
    """With `cluster=true` a stream on any node is found by both faces; without it the fix is told."""
    cluster = ValkeyCluster(supervisor, "publish")
    cluster.start()
    url = cluster.url
    streams = [f"changes-{number}" for number in range(6)]
    for stream in streams:
        for face in ("blocking", "awaiting"):
            assert all(each.taken for each in send(face, f"{url}?cluster=true", stream, changes()))
    client = RedisCluster.from_url(url)
    try:
        lengths: list[Any] = [client.xlen(stream) for stream in streams]
    finally:
        client.close()
    assert lengths == [6] * 6
    told = [receipt.error for stream in streams for receipt in send("blocking", url, stream, changes(1))]
    assert any(isinstance(error, ConfigurationError) and "cluster=true" in str(error) for error in told)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hu/sh@h:6379/0",
        "redis://:hush@h:x/0",
        "http://:hush@h",
        "redis://:hush@h/0?cluster=maybe",
        "redis:///0",
    ],
)
def test_an_address_that_cannot_be_read_tells_no_password(url: str) -> None:
    """Neither the error nor the address's repr repeats what may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStreamsPublisher(url, "changes")
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(StreamAddress.of("redis://:hush@host:6379/0"))


def test_an_address_may_say_who_to_be() -> None:
    """IAM and secrets are said in the address, as for a cache, and hold for both faces."""
    url = "rediss://iam-user@host:6379/0?iam=my-cache&stream=changes&region=eu-west-1"
    for make in (publishers.of, publishers.async_of):
        publisher: Any = make(url)
        assert publisher._address.credentials is not None
    with pytest.raises(ConfigurationError, match="TLS"):
        publishers.of(url.replace("rediss", "redis"))
