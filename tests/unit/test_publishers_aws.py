"""Publishing over AWS: sizes and batches, what is sent again and what is not, where clients lead, both faces alike."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import (
    ConfigurationError,
    OversizedEventError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.events import Change, Invalidate
from staleproof.events.change import decode
from staleproof.publishers import (
    AsyncEventBridgePublisher,
    AsyncOutboxPublisher,
    EventBridgePublisher,
    OutboxPublisher,
    outbox_item,
    outbox_table,
    pauses,
)
from staleproof.publishers.aws_clients import connect, localstack
from staleproof.publishers.backoff import Pauses
from staleproof.publishers.delivery import Limits, Parcel, batches
from staleproof.publishers.eventbridge_route import MAX_ENTRY, EventBridgeRoute, entry_size
from tests.unit.aws_shapes import Recording, operations, refusal, validate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PAUSES = Pauses(attempts=4, first=0.1, longest=5.0, chance=lambda: 1.0)


def change(number: int = 1, **fields: Any) -> Change:
    return Change.now("product", "modify", keys={"id": number}, **fields)


class Script:
    """A bus that answers each request by the next of *answers*; entries by default are taken."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.slept: list[float] = []
        self.client = Recording("events", {"put_events": self._put})

    def _put(self, Entries: list[Any]) -> Any:  # noqa: N803 - as the API writes it
        answer = self.answers.pop(0) if self.answers else [None] * len(Entries)
        if isinstance(answer, Exception):
            raise answer
        told = [{"ErrorCode": code, "ErrorMessage": "no"} if code else {"EventId": "e"} for code in answer]
        return {"FailedEntryCount": sum(map(bool, answer)), "Entries": told}

    @property
    def sent(self) -> list[list[str]]:
        """The ids in each request."""
        return [[decode(each["Detail"]).id for each in given["Entries"]] for _, given in self.client.calls]

    @property
    def publisher(self) -> EventBridgePublisher:
        """A publisher to it."""
        return EventBridgePublisher(
            "shop", client=lambda: self.client, pauses=PAUSES, sleep=self.slept.append
        )

    async def send_async(self, messages: list[Change]) -> Any:
        """Send *messages* from asyncio."""
        stand = self

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        class Awaited:
            async def put_events(self, **given: Any) -> Any:
                return stand.client.put_events(**given)

        @asynccontextmanager
        async def client() -> AsyncIterator[Any]:
            yield Awaited()

        async with AsyncEventBridgePublisher("shop", client=client, pauses=PAUSES, sleep=sleep) as publisher:
            return await publisher.send(messages)


# --- what is sent again ------------------------------------------------------------------------------------------


async def both(make: Callable[[], Script], messages: list[Change]) -> tuple[Script, list[Any]]:
    """Send from both faces; check that they did the same; return what the blocking one did."""
    one, other = make(), make()
    receipts = one.publisher.send(messages)
    assert [(each.id, str(each.error)) for each in await other.send_async(messages)] == [
        (each.id, str(each.error)) for each in receipts
    ]
    assert (other.sent, other.slept) == (one.sent, one.slept)
    return one, receipts


async def test_only_what_was_refused_is_sent_again() -> None:
    """Of a batch of which three entries failed, these three go again, and then the one that is left."""
    messages = [change(number) for number in range(10)]
    codes: list[Any] = [None] * 10
    codes[2] = codes[5] = codes[9] = "ThrottlingException"
    script, receipts = await both(lambda: Script(codes, [None, "InternalFailure", None]), messages)

    ids = [each.id for each in messages]
    assert script.sent == [ids, [ids[2], ids[5], ids[9]], [ids[5]]]
    assert script.slept == [0.1, 0.2]
    assert all(receipt.taken for receipt in receipts)


async def test_an_entry_that_cannot_be_is_not_sent_again() -> None:
    """A code that no retry mends is the entry's receipt at once, with the service's words."""
    script, receipts = await both(lambda: Script([None, "MalformedDetail"]), [change(1), change(2)])

    assert len(script.sent) == 1
    assert isinstance(receipts[1].error, ProviderRejectedError)
    assert "MalformedDetail no" in str(receipts[1].error)


async def test_after_the_last_attempt_the_reason_is_told() -> None:
    """Attempts are counted: four requests, three growing pauses, and then the entry's error says that it may pass."""
    throttled = ["ThrottlingException"]
    script, (receipt,) = await both(lambda: Script(*[throttled] * 9), [change()])

    assert (len(script.sent), script.slept) == (4, [0.1, 0.2, 0.4])
    assert isinstance(receipt.error, ProviderUnavailableError)


async def test_a_service_that_is_away_is_not_asked_for_every_batch() -> None:
    """When a whole request fails to the end, the batches behind it get its error, and wait for nothing."""
    away = ConnectTimeoutError(endpoint_url="https://events")
    script, receipts = await both(lambda: Script(*[away] * 9), [change(number) for number in range(35)])

    assert len(script.sent) == 4
    assert [type(receipt.error) for receipt in receipts] == [ProviderUnavailableError] * 35


async def test_a_service_that_comes_back_gets_the_rest() -> None:
    """A request that failed once goes again as a whole, and the following ones go on."""
    away = ConnectTimeoutError(endpoint_url="https://events")
    script, receipts = await both(lambda: Script(away), [change(number) for number in range(15)])

    assert [len(each) for each in script.sent] == [10, 10, 5]
    assert all(receipt.taken for receipt in receipts)


async def test_one_entry_that_spoils_a_request_is_found() -> None:
    """A request that is refused for what one entry holds is sent entry by entry, so that the others get through."""
    invalid = refusal("ValidationException")
    script, receipts = await both(
        lambda: Script(invalid, [None], invalid, [None]), [change(n) for n in range(3)]
    )

    assert [len(each) for each in script.sent] == [3, 1, 1, 1]
    assert [receipt.taken for receipt in receipts] == [True, False, True]
    assert isinstance(receipts[1].error, ProviderRejectedError)


@pytest.mark.parametrize(
    "error", [refusal("AccessDeniedException"), refusal("ResourceNotFoundException"), NoCredentialsError()]
)
async def test_what_somebody_must_mend_is_told_at_once(error: Exception) -> None:
    """Missing permissions, a bus that is not there, no credentials: one request, and every receipt says so."""
    script, receipts = await both(lambda: Script(error), [change(number) for number in range(15)])

    assert len(script.sent) == 1
    assert [type(receipt.error) for receipt in receipts] == [ConfigurationError] * 15


async def test_an_answer_that_leaves_messages_out_says_nothing_of_any() -> None:
    """Which entries it means nobody knows: all go again, and none is called taken in the meantime."""
    messages = [change(1), change(2)]
    script, receipts = await both(lambda: Script([None], [None, None]), messages)
    assert [receipt.taken for receipt in receipts] == [True, True]
    assert [len(ids) for ids in script.sent] == [2, 2]

    _, lost = await both(lambda: Script(*[[None]] * 9), messages)
    assert ["1 of 2 messages" in str(receipt.error) for receipt in lost] == [True, True]


async def test_credentials_in_an_endpoint_are_not_told() -> None:
    """The client's errors repeat its URL, whatever stands in it."""
    away = ConnectTimeoutError(endpoint_url="http://user:sekret@127.0.0.1:9/")
    _, receipts = await both(lambda: Script(*[away] * 9), [change(1)])

    assert "http://***@127.0.0.1:9/" in str(receipts[0].error)
    assert "sekret" not in str(receipts[0].error)


def test_an_error_of_nobodys_passes_through() -> None:
    """A slip in a program is no receipt."""
    with pytest.raises(ZeroDivisionError):
        Script(ZeroDivisionError()).publisher.send([change()])


def test_pauses_grow_are_bounded_and_spread() -> None:
    """Each pause is at most twice the one before, between half and the whole of it, and none exceeds the longest."""
    assert Pauses(attempts=6, first=1.0, longest=5.0, chance=lambda: 1.0).each() == [1, 2, 4, 5, 5]
    assert Pauses(attempts=3, first=1.0, longest=5.0, chance=lambda: 0.0).each() == [0.5, 1.0]
    assert pauses(attempts=1).each() == []
    with pytest.raises(ConfigurationError, match="attempts"):
        pauses(attempts=0)


# --- sizes and batches -------------------------------------------------------------------------------------------


def test_an_entry_is_what_rules_match() -> None:
    """Detail-type, source, time, resources and trace header are where EventBridge's patterns look for them."""
    script = Script()
    route = EventBridgeRoute("shop", "shop.orders", ["arn:x"])
    entry, size = route.pack(change(changed_ms=1_000, trace="Root=1-67891233-abcdef012345678912345678"))
    script.publisher.publish(Invalidate.now("catalog"))

    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "shop",
        "shop.orders",
        "Staleproof Change",
    )
    assert (entry["Time"], entry["Resources"]) == (1.0, ["arn:x"])
    assert entry["TraceHeader"].startswith("Root=")
    assert size == 14 + len("shop.orders" + "Staleproof Change" + "arn:x") + len(entry["Detail"].encode())
    assert "TraceHeader" not in route.pack(change(trace="anything"))[0]
    assert script.client.calls[0][1]["Entries"][0]["DetailType"] == "Staleproof Invalidate"


def test_sizes_are_bytes() -> None:
    """A size is counted in UTF-8, not in characters."""
    entry: dict[str, Any] = {"Source": "ü", "DetailType": "d", "Detail": "{}", "Resources": ["ab"]}
    assert entry_size(entry) == 2 + 1 + 2 + 2


def test_an_oversized_entry_is_told_and_the_others_go() -> None:
    """An entry that the bus does not take has an error that names its size and the bound; the others are sent."""
    script = Script()
    text = "x" * (MAX_ENTRY - 150)
    receipts = script.publisher.send([change(1), change(2, new={"text": text}), change(3)])

    assert [receipt.taken for receipt in receipts] == [True, False, True]
    assert isinstance(receipts[1].error, OversizedEventError)
    assert str(MAX_ENTRY) in str(receipts[1].error)


def test_large_entries_go_alone() -> None:
    """Entries are put together up to what every bus takes; a larger one has a request of its own."""
    script = Script()
    script.publisher.publish(change(1), change(2, new={"text": "x" * 300_000}), change(3), change(4))

    assert [len(each) for each in script.sent] == [1, 1, 2]


@given(
    sizes=st.lists(st.integers(1, 40), max_size=60),
    most=st.integers(1, 10),
    most_bytes=st.integers(1, 60),
    ids=st.integers(1, 20),
)
def test_batches_keep_to_their_limits(sizes: list[int], most: int, most_bytes: int, ids: int) -> None:
    """Every parcel is in exactly one batch, in order; no batch is too large, unless a single parcel is."""
    parcels = [Parcel(number, str(number % ids), None, size) for number, size in enumerate(sizes)]
    made = list(batches(parcels, Limits(most, most_bytes, distinct=True)))

    assert [parcel for batch in made for parcel in batch] == parcels
    for batch in made:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or sum(parcel.size for parcel in batch) <= most_bytes
        assert len({parcel.id for parcel in batch}) == len(batch)


@pytest.mark.parametrize(
    ("bus", "source"),
    [("", "a"), ("a b", "a"), ("x" * 1_700, "a"), ("shop", "staleproof"), ("shop", "aws.s3"), ("shop", "")],
)
def test_what_a_bus_cannot_be_called_is_refused(bus: str, source: str) -> None:
    """A name that the service would refuse, and a source that the pipeline would not listen to, are slips."""
    with pytest.raises(ConfigurationError):
        EventBridgePublisher(bus, source=source)


# --- the outbox --------------------------------------------------------------------------------------------------


def test_an_item_fits_into_a_transaction() -> None:
    """The item of a message is a valid part of the caller's own `TransactWriteItems`."""
    message = change()
    put: dict[str, Any] = {
        "Put": {"TableName": "outbox", "Item": outbox_item(message, ttl=60, now=lambda: 1_000.0)}
    }
    validate(
        {"TransactItems": [put]}, operations("dynamodb")["transact_write_items"].input_shape, "transaction"
    )

    assert put["Put"]["Item"]["expires_at"] == {"N": "1060"}
    assert decode(put["Put"]["Item"]["message"]["S"]) == message
    assert outbox_item(message, typed=False, now=lambda: 0.0)["id"] == message.id


def test_a_table_is_made_of_what_it_needs() -> None:
    """The arguments of `CreateTable` are valid, and its stream has what a reader needs."""
    made = outbox_table("outbox")
    validate(made, operations("dynamodb")["create_table"].input_shape, "table")
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}


def test_an_item_that_no_table_takes_is_told() -> None:
    """An item above DynamoDB's bound has an error in its receipt; inside a transaction it raises before it is sent."""
    with pytest.raises(OversizedEventError, match="409600"):
        outbox_item(change(new={"text": "x" * 410_000}))


@pytest.mark.parametrize(
    ("table", "ttl"), [("ab", 1), ("a b c", 1), ("outbox", 0), ("outbox", True), ("outbox", 1e12)]
)
def test_what_an_outbox_cannot_be_is_refused(table: str, ttl: float) -> None:
    """A table's name and a life are checked before anything is sent, for both faces."""
    for make in (OutboxPublisher, AsyncOutboxPublisher):
        with pytest.raises(ConfigurationError):
            make(table, ttl=ttl)


# --- where clients lead ------------------------------------------------------------------------------------------


@pytest.fixture
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_EVENTBRIDGE",
        "LOCALSTACK_HOST",
        "EDGE_PORT",
        "USE_SSL",
        "AWS_PROFILE",
    )
    for name in (*names, "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def endpoint(service: str = "events") -> str:
    client = connect(service, "eu-west-1")
    try:
        return str(client.meta.endpoint_url)
    finally:
        client.close()


@pytest.mark.usefixtures("_nowhere")
def test_by_default_it_is_aws() -> None:
    """A process that has localstack-client installed goes nowhere else for that."""
    assert endpoint() == "https://events.eu-west-1.amazonaws.com"


@pytest.mark.usefixtures("_nowhere")
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LOCALSTACK_HOST": "127.0.0.1:4999"}, "http://127.0.0.1:4999"),
        ({"LOCALSTACK_HOST": "127.0.0.1"}, "http://127.0.0.1:4566"),
        ({"LOCALSTACK_HOST": "127.0.0.1", "EDGE_PORT": "4777"}, "http://127.0.0.1:4777"),
        ({"EDGE_PORT": "4777"}, "http://localhost:4777"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "EDGE_PORT": "4777"}, "http://127.0.0.1:1"),
        (
            {"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:2", "LOCALSTACK_HOST": "x"},
            "http://127.0.0.1:2",
        ),
    ],
)
def test_a_local_stack_is_found(
    environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's own variables go first, then LocalStack's, so the same program runs against a stack that a user has."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert endpoint() == expected


@pytest.mark.usefixtures("_nowhere")
def test_without_localstack_client_its_variables_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed it is not led away."""
    monkeypatch.setenv("LOCALSTACK_HOST", "127.0.0.1")
    monkeypatch.setitem(__import__("sys").modules, "localstack_client.config", None)
    assert localstack("events") is None


@pytest.mark.usefixtures("_nowhere")
async def test_without_a_region_both_faces_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing region is the deployment's, and told as such before anything is sent."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        EventBridgePublisher("shop").send([change()])
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        await AsyncEventBridgePublisher("shop").send([change()])


def test_the_client_tries_once() -> None:
    """One layer retries, and it is ours."""
    client = connect("events", "eu-west-1", "http://127.0.0.1:1")
    try:
        assert client.meta.config.retries["total_max_attempts"] == 1
        with pytest.raises((ClientError, Exception)):
            client.put_events(Entries=[])
    finally:
        client.close()
