"""Rules kept in the Parameter Store and in S3, and what they put off in a queue, over HTTP."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.emulator import Emulator, client
from local.supervisor import Supervisor
from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline import bootstrap
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.deferral import DUE, DueTranslator
from staleproof_pipeline.deferral_queue import DeferralQueue
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.followups import Deferred
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.rule_texts import ObjectText, ParameterText
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.pattern import compiled
from staleproof_pipeline.rules.reload import LiveRules
from staleproof_pipeline.settings import Settings
from tests.unit.change_records import HOME, invalidation, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof_pipeline.rules.reload import RulesText

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]

GOOD = 'version: 1\nrules:\n  - {name: first, when: {table: Flights}, tags: ["flight:{id}"]}\n'
OTHER = GOOD.replace("first", "second")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Supervisor() as owner:
        server = Emulator(owner)
        server.start()
        yield server


class Parameter:
    """A parameter that tests write and rules are read from."""

    def __init__(self, emulator: Emulator) -> None:
        self.client = emulator.client("ssm", HOME)
        self.name = f"/staleproof/{secrets.token_hex(8)}"

    def put(self, text: str) -> None:
        self.client.put_parameter(Name=self.name, Value=text, Type="String", Overwrite=True)

    def text(self, client: Any = None) -> RulesText:
        return ParameterText(lambda: client or self.client, self.name)


class Object:
    """An object of a versioned bucket, likewise."""

    def __init__(self, emulator: Emulator) -> None:
        self.client = emulator.client("s3", HOME)
        self.bucket = f"rules-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, text: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key="rules.yaml", Body=text.encode())

    def text(self, client: Any = None) -> RulesText:
        return ObjectText(lambda: client or self.client, self.bucket, "rules.yaml")


@pytest.fixture(params=[Parameter, Object], ids=["ssm", "s3"])
def place(request: pytest.FixtureRequest, emulator: Emulator) -> Parameter | Object:
    made: Parameter | Object = request.param(emulator)
    return made


def test_rules_follow_what_is_written(place: Parameter | Object) -> None:
    """New rules hold, unchanged ones are not read again, wrong ones are refused."""
    clock = ManualClock()
    place.put(GOOD)
    rules = LiveRules(place.text(), interval=1, clock=clock)
    first = rules.current()
    clock.advance(2)
    assert rules.current() is first
    place.put(OTHER)
    clock.advance(2)
    assert rules.current().digest == loader.digest(OTHER)
    place.put("nonsense")
    clock.advance(2)

    assert rules.current().digest == loader.digest(OTHER)
    assert tuple(rules.counts) == (2, 1, 1, 0)


def test_a_start_goes_back_to_the_last_good_version(place: Parameter | Object) -> None:
    """A process that starts while the newest text is wrong takes the newest good one of the store's history."""
    for text in (GOOD, OTHER, "nonsense", "version: 2"):
        place.put(text)

    assert LiveRules(place.text()).current().digest == loader.digest(OTHER)


def test_what_is_not_there_is_to_be_mended(place: Parameter | Object) -> None:
    """A name that nobody wrote to is a wrong setting."""
    with pytest.raises(ConfigurationError, match="there is none; write the rules there"):
        LiveRules(place.text()).current()


def test_a_service_that_is_away_is_to_be_retried(place: Parameter | Object) -> None:
    """A start without the service says: retry. A running process keeps what it has."""
    clock = ManualClock()
    place.put(GOOD)
    rules = LiveRules(place.text(), interval=1, clock=clock)
    first = rules.current()
    kind = "ssm" if isinstance(place, Parameter) else "s3"
    nobody = client(kind, HOME, "http://127.0.0.1:1", attempts=1)
    with pytest.raises(ProviderUnavailableError, match="retry"):
        LiveRules(place.text(nobody)).current()
    away = LiveRules(place.text(nobody), interval=1, clock=clock, fallback=first)
    clock.advance(2)

    assert away.current() is first
    assert away.counts.unreachable >= 1
    assert rules.current() is first


def test_a_queue_holds_back_what_is_put_off(emulator: Emulator) -> None:
    """What is deferred comes out of the queue as it went in, in as many messages as it needs, and is applicable."""
    sqs = emulator.client("sqs", HOME)
    url = sqs.create_queue(QueueName=f"deferred-{secrets.token_hex(8)}")["QueueUrl"]
    large = invalidation(1, tags=[f"tag:{number}" for number in range(100)])
    items = [Deferred(invalidation(number), 1) for number in range(2, 14)]
    queue = DeferralQueue(lambda: sqs, url)
    assert queue.defer([Deferred(large, 400), *items]) == [None] * 13

    translator = DueTranslator(loader.loads(GOOD), HOME, "flights")
    found: dict[str, set[str]] = {}
    while sum(map(len, found.values())) < 112:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            translated = translator.translate({"messageId": "m", "body": message["Body"]}, DUE)
            assert translated.error is None
            for each in translated.invalidations:
                found.setdefault(each.id, set()).update(each.tags)
            with suppress(ClientError):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert found["i1"] == set(large.tags)
    assert set(found) == {f"i{number}" for number in range(1, 14)}


def test_what_a_queue_does_not_take_is_told(emulator: Emulator) -> None:
    """A queue that is not there fails every item, and names the setting."""
    sqs = emulator.client("sqs", HOME)
    queue = DeferralQueue(lambda: sqs, f"{emulator.endpoint}/000000000000/nowhere-{secrets.token_hex(4)}")
    errors = queue.defer([Deferred(invalidation(1), 1), Deferred(invalidation(2), 1)])

    assert all(isinstance(each, DeliveryError) for each in errors)
    assert "STALEPROOF_DEFERRAL_QUEUE_URL" in str(errors[0])


MATCHERS: list[tuple[str, list[Any]]] = [
    ("state", ["running", "stopped"]),
    ("state", [{"prefix": "run"}]),
    ("state", [{"prefix": {"equals-ignore-case": "RUN"}}]),
    ("state", [{"suffix": "NING"}]),
    ("state", [{"equals-ignore-case": "RUNNING"}]),
    ("state", [{"anything-but": ["running"]}]),
    ("state", [{"anything-but": {"prefix": ["x", "run"]}}]),
    ("path", [{"anything-but": {"wildcard": "*/bin/*"}}]),
    ("path", [{"wildcard": "dir/*.png"}]),
    ("path", [{"wildcard": "dir/*/file"}]),
    ("count", [{"numeric": [">", 0, "<=", 5]}]),
    ("count", [{"numeric": ["=", 6]}]),
    ("count", ["5"]),
    ("ip", [{"cidr": "10.0.0.0/24"}]),
    ("ip", [{"cidr": "10.0.1.0/24"}]),
    ("tags", [{"anything-but": "blue"}]),
    ("tags", ["round"]),
    ("none", [{"exists": True}]),
    ("deep", [{"exists": True}]),
    ("missing", [{"exists": False}]),
    ("missing", [{"anything-but": "x"}]),
    ("null", [None]),
]
DETAIL = {
    "state": "running", "path": "dir/lib/file.png", "count": 5, "ip": "10.0.0.17", "tags": ["blue", "round"],
    "none": [], "deep": {"er": 1}, "null": None,
}  # fmt: skip


def test_patterns_match_as_another_implementation_of_them_does(emulator: Emulator) -> None:
    """The bus's own `TestEventPattern` and ours agree on every operator."""
    events = emulator.client("events", HOME)
    envelope = {
        "id": "1", "account": "1", "source": "aws.ec2", "time": "2026-01-01T00:00:00Z", "region": HOME,
        "resources": [], "detail-type": "x", "detail": DETAIL,
    }  # fmt: skip
    for field, matchers in MATCHERS:
        pattern = {"source": ["aws.ec2"], "detail": {field: matchers}}
        theirs = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(envelope))

        assert compiled(pattern)(envelope) is theirs["Result"], pattern


def test_a_delayed_rule_comes_back_through_the_queue(emulator: Emulator) -> None:
    """From a table's record to the second invalidation: what a rule puts off is stored before the record is handled."""
    sqs = emulator.client("sqs", HOME)
    name = f"deferred-{secrets.token_hex(8)}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    provider = MemoryProvider("flights")
    settings = Settings(
        cache_url="memory://",
        namespace="flights",
        region=HOME,
        rules_text=GOOD.replace("{id}", "{keys.flight_id}").replace('"]}', '"], delay: 1s}'),
        deferral_queue_url=url,
    )
    pipeline = bootstrap.pipeline(
        settings,
        providers=Providers(lambda _: provider),
        dead_letters=MemoryDeadLetters(),
        links=[],
        deferrer=DeferralQueue(lambda: sqs, url),
    )
    assert pipeline.apply_stream({"Records": [record(1)]}) == {"batchItemFailures": []}
    assert fallen(provider) == ["flight:f1"]

    messages: list[dict[str, Any]] = []
    while not messages:
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
    delivered = {
        "messageId": messages[0]["MessageId"],
        "body": messages[0]["Body"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{HOME}:000000000000:{name}",
        "attributes": {},
    }
    assert pipeline.apply_queue({"Records": [delivered]}) == {"batchItemFailures": []}
    assert fallen(provider) == ["flight:f1", "flight:f1"]


def fallen(provider: MemoryProvider) -> list[str]:
    page = provider.journal("", 100)
    return [tag for _, each in page.records if each is not None for tag in each.tags]
