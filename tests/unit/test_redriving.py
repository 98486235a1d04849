"""Redriving: nothing is lost, nothing is done that harms, and everything is accounted for."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import Cache
from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError, EventError, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.dead_letter import DeadLetter, bodies
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.record_place import MAX_PLACE, RecordPlace
from staleproof_pipeline.redriving import opening
from staleproof_pipeline.redriving import parcel as parcels
from staleproof_pipeline.redriving.letter_filter import LetterFilter
from staleproof_pipeline.redriving.line_store import FileText, LineStore
from staleproof_pipeline.redriving.step import Fate, Step
from staleproof_pipeline.settings import Settings
from tests.unit.change_records import EVENTS, RULES, poison, record, sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staleproof_pipeline.redriving.store import Held


class Place:
    """A namespace, and a redriver over it with the rules that hold."""

    def __init__(self, *, provider: Any = None, rules: str = RULES) -> None:
        self.clock = ManualClock(wall=1_700_000_000.0)
        self.provider = provider or MemoryProvider("flights", clock=self.clock)
        self.settings = Settings(
            cache_url="memory://",
            namespace="flights",
            region="eu-west-1",
            rules_text=rules,
            peers=("us-east-1",),
        )
        self.paused: list[float] = []

    def run(self, address: str, *, client: Any = None, limit: int | None = None, **wanted: Any) -> list[Step]:
        """Redrive what lies at *address*."""
        redriver = opening.redriver(
            self.settings,
            opening.Wanted(address, **wanted),
            pause=self._pause,
            client=client or _forbidden,
            clock=self.clock,
            providers=Providers(lambda _: self.provider),
            links=[],
        )
        return list(redriver.run(limit=limit))

    def applied(self) -> list[str]:
        """The tags of everything that was applied."""
        page = self.provider.journal("", 100_000)
        return [tag for _, each in page.records if each is not None for tag in each.tags]

    def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.clock.advance(seconds)


def _forbidden(service: str, region: str) -> Any:
    raise AssertionError(service, region)


def letter(payload: Any, source: str = "dynamodb", reason: str = "malformed", **fields: Any) -> DeadLetter:
    number = sum(json.dumps(payload).encode())
    made = DeadLetter(
        f"letter-{number}-{source}",
        reason,
        "was wrong",
        payload,
        source,
        "1",
        "0" * 16,
        "eu-west-1",
        1_699_990_000_000,
    )
    return made._replace(**fields)


def written(path: Path, *letters: DeadLetter) -> str:
    path.write_text("".join(f"{body}\n" for each in letters for body in bodies(each)))
    return str(path)


def left(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_letter_goes_after_it_was_applied(tmp_path: Path) -> None:
    """What is applied or ignored is gone from the store; what it makes stale is gone from the cache."""
    place, path = Place(), tmp_path / "letters.ndjson"
    address = written(path, letter(record(1)), letter(record(2, table="Elsewhere")))

    assert [each.fate for each in place.run(address)] == [Fate.APPLIED, Fate.IGNORED]
    assert (path.read_text(), place.applied()) == ("", ["flight:f1", "airline:UA"])


def test_what_fails_again_stays_with_another_attempt(tmp_path: Path) -> None:
    """Its reason, error and rules are those of the last attempt; its identity and payload stay."""
    place, path = Place(), tmp_path / "letters.ndjson"
    kept = letter(poison(1))
    address = written(path, kept)

    assert [each.fate for each in place.run(address)] == [Fate.AGAIN]
    assert [each.fate for each in place.run(address)] == [Fate.AGAIN]
    (found,) = left(path)
    assert (found["id"], found["payload"], found["attempts"]) == (kept.id, kept.payload, 3)
    assert "UPSERT" in found["error"]
    assert found["rules"] != kept.rules


def test_letters_of_the_first_schema_are_read(tmp_path: Path) -> None:
    """A letter that lay there when this release came is redriven."""
    old = {"schema": 1, **letter(record(1))._asdict()}
    for name in ("trace", "channel", "attempts"):
        del old[name]
    path = tmp_path / "letters.ndjson"
    path.write_text(json.dumps(old))

    assert [each.fate for each in Place().run(str(path))] == [Fate.APPLIED]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "it is no JSON"),
        ('{"schema": 9, "id": "a", "reason": "b", "at_ms": 1}', "newer than"),
        ('{"schema": 2, "id": 7, "reason": "b", "at_ms": 1}', "dead letter"),
        (json.dumps({"schema": 2, **letter(record(1), source="carrier-pigeon")._asdict()}), "carrier-pigeon"),
        (json.dumps({"DDBStreamBatchInfo": {"shardId": 5}}), "shardId"),
        ("[" * 100_000, "it is no JSON"),
    ],
)
def test_what_is_no_letter_stays(tmp_path: Path, line: str, told: str) -> None:
    """It is told, costs the others nothing, and is still there."""
    path = tmp_path / "letters.ndjson"
    (body,) = bodies(letter(record(1)))
    path.write_text(f"{line}\n{body}\n")

    first, second = Place().run(str(path))
    assert (first.fate, second.fate) == (Fate.UNREADABLE, Fate.APPLIED)
    assert told in first.told
    assert path.read_text() == f"{line}\n"


def test_pieces_are_gathered_and_half_a_letter_stays(tmp_path: Path) -> None:
    """A letter in pieces is one letter, wherever they lie; one of which a piece is missing is told and kept."""
    path = tmp_path / "letters.ndjson"
    noise = "".join(hashlib.sha256(bytes([at])).hexdigest() for at in range(40))
    whole = bodies(letter(record(1, noise=noise)), 700)
    half = bodies(letter(record(2, noise=noise)), 700)[:-1]
    path.write_text("\n".join([*whole[1:], *half, whole[0]]))

    steps = Place().run(str(path))
    assert [each.fate for each in steps] == [Fate.APPLIED, Fate.UNREADABLE]
    assert [line for line in path.read_text().splitlines() if line] == half


def test_a_dry_run_says_what_would_happen_and_does_nothing(tmp_path: Path) -> None:
    """Rules, tags and errors are told by the rules that hold; store and cache stay as they are."""
    place, path = Place(), tmp_path / "letters.ndjson"
    address = written(path, letter(record(1)), letter(poison(2)), letter(record(3, table="Elsewhere")))
    before = path.read_bytes()

    steps = place.run(address, dry=True)
    assert [each.fate for each in steps] == [Fate.APPLIED, Fate.AGAIN, Fate.IGNORED]
    assert (steps[0].rules, steps[0].told) == (("flight",), "flight:f1, airline:UA")
    assert "Elsewhere" in steps[2].told
    assert (path.read_bytes(), place.applied()) == (before, [])


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["reason=malformed"], ["flight:f1"]),
        (["reason=malformed", "reason=oversized"], ["flight:f1", "flight:f2"]),
        (["contains=event-3"], ["flight:f3"]),
        (["source=kafka"], []),
        (["since=1h"], ["flight:f3"]),
        (["until=2023-11-14T20:00:00"], ["flight:f1", "flight:f2"]),
        (["channel=table/Flights"], ["flight:f1"]),
    ],
)
def test_a_filter_leaves_the_others_alone(tmp_path: Path, filters: list[str], names: list[str]) -> None:
    """Only what passes is applied; the rest stays, uncounted."""
    place, path = Place(), tmp_path / "letters.ndjson"
    address = written(
        path,
        letter(record(1), channel="arn:aws:dynamodb:eu-west-1:1:table/Flights/stream/x"),
        letter(record(2), reason="oversized"),
        letter(record(3), reason="refused", at_ms=1_699_999_000_000),
    )

    place.run(address, filters=filters)
    assert [tag for tag in place.applied() if tag.startswith("flight:")] == names
    assert len(left(path)) == 3 - len(names)


@pytest.mark.parametrize("text", ["reason", "colour=red", "since=yesterday", "since="])
def test_a_filter_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    """Nothing is redriven by a condition that was meant otherwise."""
    with pytest.raises(ConfigurationError, match="filter"):
        Place().run(written(tmp_path / "letters", letter(record(1))), filters=[text])


def test_limit_and_rate_are_kept(tmp_path: Path) -> None:
    """At most so many letters are tried, at most so many a second."""
    place, path = Place(), tmp_path / "letters.ndjson"
    address = written(path, *(letter(record(number)) for number in range(30)))

    assert len(place.run(address, limit=20, rate=10)) == 20
    assert sum(place.paused) == pytest.approx(1.9)
    assert len(left(path)) == 10


class Away(MemoryProvider):
    """A cache that goes away after some calls."""

    calls = 2

    def invalidate(self, invalidations: Any) -> Any:
        """Answer so often, then no more."""
        self.calls -= 1
        if self.calls < 0:
            raise ProviderUnavailableError("away")
        return super().invalidate(invalidations)


def test_a_cache_that_goes_away_stops_the_run(tmp_path: Path) -> None:
    """What was applied is settled, everything else stays as it was: no attempt is counted for an outage."""
    path = tmp_path / "letters.ndjson"
    address = written(path, *(letter(record(number)) for number in range(5)))

    with pytest.raises(ProviderUnavailableError):
        Place(provider=Away("flights")).run(address)
    assert [each["attempts"] for each in left(path)] == [1, 1, 1]


def test_what_is_added_meanwhile_is_kept(tmp_path: Path) -> None:
    """A file that somebody appends to while it is redriven loses nothing."""
    path = tmp_path / "letters.ndjson"
    written(path, letter(record(1)))
    store = LineStore(FileText(path))
    store.remove(store.take())
    with path.open("a") as file:
        file.write("a new letter\n")
    store.close()
    assert path.read_text() == "a new letter\n"


# --- what AWS gave up ------------------------------------------------------------------------------------------


def test_a_batch_with_its_records_is_applied(tmp_path: Path) -> None:
    """The copy that S3 has is read as the event it is; a record that fails becomes a letter of its own."""
    place, path = Place(), tmp_path / "letters.ndjson"
    info = {
        "shardId": "s",
        "startSequenceNumber": "1",
        "endSequenceNumber": "2",
        "batchSize": 2,
        "streamArn": "arn",
    }
    event = {"Records": [record(1), poison(2)]}
    path.write_text(json.dumps({"DDBStreamBatchInfo": info, "payload": json.dumps(event)}))

    (step,) = place.run(str(path))
    assert (step.fate, step.records, step.reason) == (Fate.AGAIN, 2, "undelivered")
    (found,) = left(path)
    assert (found["reason"], found["payload"]) == ("malformed", event["Records"][1])
    assert place.applied() == ["flight:f1", "airline:UA"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_event_of_the_bus_is_applied(tmp_path: Path, wrapped: bool) -> None:
    """As a rule's dead letter holds it, and as a function's destination wraps it."""
    event = sample("eventbridge-application")
    destination = {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": event,
    }
    path = tmp_path / "undelivered.ndjson"
    path.write_text(json.dumps(destination if wrapped else event))

    place = Place()
    assert [each.fate for each in place.run(str(path))] == [Fate.APPLIED]
    assert place.applied()


def test_what_was_put_off_and_never_came_back_is_applied(tmp_path: Path) -> None:
    """A deferred invalidation that its queue gave up is applied like any."""
    path = tmp_path / "undelivered.ndjson"
    path.write_text(json.dumps({"id": "i", "origin": "eu-west-1", "namespace": "flights", "tags": ["a"]}))

    place = Place()
    assert [each.fate for each in place.run(str(path))] == [Fate.APPLIED]
    assert place.applied() == ["a"]


def test_every_kind_of_event_is_redriven(tmp_path: Path) -> None:
    """Whatever a function may be invoked with, and AWS may give up, has a fate by the rules that hold."""
    path = tmp_path / "undelivered.ndjson"
    events = [json.dumps(json.loads(each.read_text())) for each in sorted(EVENTS.glob("*.json"))]
    path.write_text("\n".join(events))

    steps = Place().run(str(path), dry=True)
    assert len(steps) == len(set(events))
    assert {each.fate for each in steps} == {Fate.APPLIED, Fate.IGNORED, Fate.AGAIN}
    assert {each.source for each in steps} >= {
        "dynamodb",
        "eventbridge",
        "kafka",
        "kinesis",
        "s3",
        "sqs",
        "sns",
    }


class Refusing(MemoryProvider):
    """A cache that refuses one tag."""

    def invalidate(self, invalidations: Any) -> Any:
        """Refuse what names it."""
        if any("flight:f1" in each.tags for each in invalidations):
            raise ProviderRejectedError("no")
        return super().invalidate(invalidations)


def test_what_the_cache_refuses_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    """Of a batch it becomes a letter of its own, and so does what can never be applied; the rest is applied."""
    place, path = Place(provider=Refusing("flights")), tmp_path / "undelivered.ndjson"
    path.write_text(json.dumps({"Records": [record(1), record(2), poison(3), record(4)]}))

    (step,) = place.run(str(path))
    assert step.fate is Fate.AGAIN
    assert sorted((each["reason"], each["payload"]["eventID"]) for each in left(path)) == [
        ("malformed", "event-3"),
        ("refused", "event-1"),
    ]
    assert {"flight:f2", "flight:f4"} <= set(place.applied())
    assert [each.fate for each in place.run(str(path))] == [Fate.AGAIN, Fate.AGAIN]
    assert [each["attempts"] for each in left(path)] == [2, 2]


def test_tombstones_are_read_as_the_settings_say(tmp_path: Path) -> None:
    """A record without a value removes its row, or is ignored where another record tells of every removal."""
    path = tmp_path / "undelivered.ndjson"
    path.write_text(json.dumps(sample("kafka-tombstone")))
    rules = "version: 1\nrules: [{name: a, when: {source: kafka, entity: '*'}, clear: true, tags: []}]"
    place = Place(rules=rules)
    assert [each.fate for each in place.run(str(path), dry=True)] == [Fate.APPLIED]
    place.settings = place.settings.model_copy(update={"kafka_tombstones": "ignore"})
    assert [each.fate for each in place.run(str(path), dry=True)] == [Fate.IGNORED]


# --- twice, months later, killed in the middle ------------------------------------------------------------------


class Killed(BaseException):
    """The process died."""


class Dying(LineStore):
    """A store of a process that dies at the n-th of its steps."""

    left = 0

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def remove(self, held: Sequence[Held]) -> None:
        """Die before, or remove."""
        self._step()
        super().remove(held)

    def close(self) -> None:
        """Die before writing."""
        raise Killed


numbers = st.integers(0, 4)
letters = st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=6)


@given(
    sent=letters,
    deaths=st.lists(st.integers(0, 6), max_size=3),
    changed=st.lists(numbers, max_size=4),
    days=st.integers(0, 365),
)
def test_redriving_loses_nothing_and_harms_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    sent: list[tuple[int, bool]],
    deaths: list[int],
    changed: list[int],
    days: int,
) -> None:
    """However often it is killed, repeated or late: every letter is applied or still there, and no read is stale."""
    path = tmp_path_factory.mktemp("letters") / "letters.ndjson"
    place = Place()
    cache = Cache(place.provider, region="eu-west-1", clock=place.clock)
    rows = dict.fromkeys(range(5), 0)

    def read(number: int) -> int:
        return cache.get_or_load(f"f{number}", lambda: rows[number], tags=[f"flight:f{number}"])

    for number in rows:
        read(number)
    made = [letter((poison if bad else record)(number), at_ms=at) for at, (number, bad) in enumerate(sent)]
    made = [each._replace(id=str(at)) for at, each in enumerate(made)]
    for number, _ in sent:
        rows[number] += 1  # the change that the letter is about, which the cache has not heard of
    address = written(path, *made)
    place.clock.advance(days * 86_400)
    for number in changed:  # later changes, which it has heard of
        rows[number] += 1
        cache.invalidate(f"flight:f{number}")
        read(number)

    for death in deaths:
        _killed(place, path, death)
        assert {each["id"] for each in left(path)} == {each.id for each in made}
    place.run(address)
    place.run(written(path.with_name("copies"), *made))

    assert sorted(each["id"] for each in left(path)) == sorted(
        each.id for each, (_, bad) in zip(made, sent, strict=True) if bad
    )
    good = {number for number, bad in sent if not bad} | set(changed)
    assert all(read(number) == rows[number] for number in good)


def _killed(place: Place, path: Path, step: int) -> None:
    """Redrive *path*, and die at a step, at the latest before what is left is written."""
    store = Dying(FileText(path))
    store.left = step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "store", lambda *_: store)
        with pytest.raises(Killed):
            place.run("")


TEXTS = st.sampled_from(
    [
        "payload",
        "requestPayload",
        "requestContext",
        "recordsInfo",
        "p-0",
        "1",
        "dynamodb",
        "Records",
        "",
        "detail",
    ]
)
WORDS = (
    "schema id reason at_ms chunk of zlib source payload origin namespace Records DDBStreamBatchInfo KafkaBatchInfo "
    "requestPayload requestContext recordsInfo batchSize body shardId startSequenceNumber topic headers dynamodb "
    "SequenceNumber attributes s3 Sns"
)
NAMES = st.sampled_from(WORDS.split())
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=6),
    max_leaves=25,
)


@given(found=HOSTILE)
def test_whatever_lies_in_a_store_is_read_or_refused(found: Any) -> None:
    """No text, however hostile, ends in anything but a parcel or an error of events; a place is always told."""
    text = json.dumps(found)
    place = RecordPlace.of(found)
    assert all(type(each) is str and len(each) <= MAX_PLACE for each in place)
    parcels.piece(text)
    try:
        parcel = parcels.read([text])
    except EventError:
        return
    assert parcel.id
    LetterFilter.of(["reason=a", "since=1h"], 1).passes(parcel, [text], 0)


def test_an_address_without_a_place_is_told() -> None:
    """Each kind of address says what it lacks."""
    with pytest.raises(ConfigurationError, match="stream=KEY"):
        Place().run("redis://127.0.0.1:1/0")
    with pytest.raises(ConfigurationError, match="names no bucket"):
        Place().run("s3://")
    with pytest.raises(ConfigurationError, match="name a file of letters"):
        Place().run("no-such-file")
    with pytest.raises(ConfigurationError, match="STALEPROOF_DEAD_LETTER_QUEUE_URL is not set"):
        Place().run("")
