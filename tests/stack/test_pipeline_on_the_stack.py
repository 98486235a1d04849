"""The functions on the local stack, two regions of it: a row changes, and both regions' caches have heard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.regions import REGIONS, TwoRegions
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline.dead_letter import DeadLetter, assemble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]

HOME, PEER = REGIONS
RULES = """
version: 1
rules:
  - {name: item, when: {table: items}, tags: ["item:{k}", "shelf:{shelf}"]}
  - {name: announced, when: {source: eventbridge, detail_type: Restocked}, tags: ["shelf:{shelf}"]}
"""
TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRegions]:
    rules: Path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    mapping = {"first_pause": 0.02, "longest_pause": 0.2, "maximum_retry_attempts": 1_000}
    with TwoRegions(
        tables=[TABLE], namespace="shop", rules=rules, replicate_every=0.2, mapping=mapping
    ) as running:
        yield running


@pytest.fixture(scope="module")
def providers(stack: TwoRegions) -> Iterator[dict[str, RedisProvider]]:
    made = {
        name: RedisProvider.from_url(region.valkey.url, namespace="shop")
        for name, region in stack.regions.items()
    }
    yield made
    for provider in made.values():
        provider.close()


def put(stack: TwoRegions, key: str, **attributes: Any) -> None:
    item = {"k": {"S": key}, "shelf": {"S": "s1"}, **attributes}
    stack.home.client("dynamodb").put_item(TableName="items", Item=item)


def named(provider: RedisProvider) -> list[str]:
    """Every tag that the region's journal names."""
    page = provider.journal("", 100_000)
    return [tag for _, each in page.records if each for tag in each.tags]


def heard(provider: RedisProvider, tag: str) -> None:
    wait_until(lambda: tag in named(provider), f"{tag} is invalidated", timeout=30)


def letters(stack: TwoRegions, region: str) -> list[DeadLetter]:
    """Take what lies in the region's dead-letter queue."""
    queue, url = stack[region].client("sqs"), stack[region].dead_letter_queue_url
    found: list[DeadLetter] = []

    def taken() -> bool:
        answer = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        for message in answer.get("Messages", []):
            found.append(assemble([message["Body"]]))
            queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bool(found)

    wait_until(taken, "a dead letter", timeout=30)
    return found


def test_a_row_change_reaches_both_regions(stack: TwoRegions, providers: dict[str, RedisProvider]) -> None:
    """One write, two caches; the peer's record keeps the home's origin."""
    put(stack, "a")
    for provider in providers.values():
        heard(provider, "item:a")

    page = providers[PEER].journal("", 1_000)
    assert {each.origin for _, each in page.records if each and "item:a" in each.tags} == {HOME}


def test_an_application_event_reaches_both_regions(
    stack: TwoRegions, providers: dict[str, RedisProvider]
) -> None:
    """What an application announces in one region is invalidated in the other, too."""
    detail = json.dumps({"shelf": "announced"})
    entry = {
        "EventBusName": stack[PEER].bus,
        "Source": "com.example",
        "DetailType": "Restocked",
        "Detail": detail,
    }
    stack[PEER].client("events").put_events(Entries=[entry])

    for provider in providers.values():
        heard(provider, "shelf:announced")


def test_poison_lies_in_the_dead_letter_queue(stack: TwoRegions, providers: dict[str, RedisProvider]) -> None:
    """A value that no tag can be made of blocks nothing: its row is kept whole, and what else it names falls."""
    put(stack, "poison", shelf={"L": [{"S": "no text"}]})
    put(stack, "after")
    heard(providers[HOME], "item:after")

    (letter,) = letters(stack, HOME)
    assert (letter.reason, letter.source, letter.region) == ("malformed", "dynamodb", HOME)
    assert letter.payload["dynamodb"]["Keys"] == {"k": {"S": "poison"}}
    assert "a key field cannot be made of list" in letter.error
    assert "item:poison" in named(providers[HOME])


def test_an_outage_of_a_cache_delays_and_loses_nothing(
    stack: TwoRegions, providers: dict[str, RedisProvider]
) -> None:
    """Changes made while the home's cache is down are applied when it is back, in both regions."""
    valkey = stack[HOME].valkey
    valkey.kill()
    for number in range(20):
        put(stack, f"outage-{number}")
    valkey.start()

    for number in range(20):
        for provider in providers.values():
            heard(provider, f"item:outage-{number}")


def test_a_partition_delays_and_loses_nothing(stack: TwoRegions, providers: dict[str, RedisProvider]) -> None:
    """While regions are cut apart each goes on by itself; healed, the peer hears everything."""
    stack.cut()
    for number in range(20):
        put(stack, f"cut-{number}")
    heard(providers[HOME], "item:cut-19")
    assert not [tag for tag in named(providers[PEER]) if tag.startswith("item:cut-")]
    stack.heal()

    for number in range(20):
        heard(providers[PEER], f"item:cut-{number}")


def test_a_killed_consumer_loses_nothing(stack: TwoRegions, providers: dict[str, RedisProvider]) -> None:
    """The home's driver and its functions are killed in the middle of work, and started again."""
    for number in range(30):
        put(stack, f"killed-{number}")
        if number == 15:
            stack.kill_driver(HOME)
    stack.start_driver(HOME)

    for number in range(30):
        for provider in providers.values():
            heard(provider, f"item:killed-{number}")
