"""Redriving from SQS, S3 and streams: every call fits its service, and a death at any of them loses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import CacheError, ConfigurationError
from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.redriving import opening
from staleproof_pipeline.redriving.step import Fate
from tests.unit.change_records import poison, record
from tests.unit.letter_account import QUEUE, STREAM, TABLE_STREAM, Account, datum, item, undelivered
from tests.unit.test_redriving import Place, letter

if TYPE_CHECKING:
    from staleproof_pipeline.redriving.step import Step

FIRST = 400_000_000_000_000_499_660
BUCKET = "s3://undelivered/"


def fates(steps: list[Step]) -> list[Fate]:
    return [each.fate for each in steps]


def test_a_queue_is_emptied_of_what_was_applied() -> None:
    """What fails again is stored as a new message before the old one goes; what is left is visible again."""
    account, place = Account(), Place()
    account.put(
        *(bodies(letter(record(number)))[0] for number in range(12)), *bodies(letter(poison(20))), "nonsense"
    )

    steps = place.run(QUEUE, client=account.client)
    assert fates(steps) == [*[Fate.APPLIED] * 12, Fate.AGAIN, Fate.UNREADABLE]
    told = [json.loads(each) for each in account.messages.values() if each != "nonsense"]
    assert [each["attempts"] for each in told] == [2]
    assert (len(account.messages), account.taken & account.messages.keys()) == (2, set())
    assert len(place.applied()) == 24


def test_a_message_that_is_there_twice_goes_twice() -> None:
    """A queue may hold a letter twice; it is applied once, and both are gone."""
    account, place = Account(), Place()
    (body,) = bodies(letter(record(1)))
    account.put(body, body)

    assert fates(place.run(QUEUE, client=account.client)) == [Fate.APPLIED]
    assert account.messages == {}
    assert place.applied() == ["flight:f1", "airline:UA"]


@pytest.mark.parametrize("dry", [True, False])
def test_a_queue_that_shows_the_same_again_comes_to_an_end(dry: bool) -> None:
    """Messages that become visible again while the run lasts are not taken for others."""
    account, place = Account(), Place()
    account.put(*(bodies(letter(poison(number)))[0] for number in range(15)))
    client = account.client("sqs")
    receive = client.receive_message

    class Forgetful:
        """A queue whose messages are visible at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def receive_message(self, **given: Any) -> Any:
            answer = receive(**given)
            account.taken.clear()
            return answer

    steps = place.run(QUEUE, client=lambda *_: Forgetful(), dry=dry)
    assert len(steps) == (
        10 if dry else 15
    )  # of a queue that changes nothing it only ever sees the first ten
    assert len(account.messages) == 15


@pytest.mark.parametrize("method", ["receive_message", "delete_message_batch", "send_message_batch"])
def test_a_queue_that_is_away_loses_nothing(method: str) -> None:
    """Whichever call fails, every letter that was not applied is still there."""
    account, place = Account(), Place()
    account.put(*bodies(letter(poison(1))), *bodies(letter(record(2))))
    account.away.add(method)

    with pytest.raises(CacheError):
        place.run(QUEUE, client=account.client)
    account.away.clear()
    place.clock.advance(1)
    assert len(account.messages) >= 2
    assert sorted(fates(place.run(QUEUE, client=account.client))) == sorted([Fate.AGAIN, Fate.APPLIED])
    assert [json.loads(each)["reason"] for each in account.messages.values()] == ["malformed"]


# --- batches ----------------------------------------------------------------------------------------------------


def test_a_batch_of_a_table_is_read_again() -> None:
    """From its first sequence number to its last, over pages and empty pages; the message goes when it is applied."""
    account, place = Account(), Place()
    account.items += [item(number, FIRST + number * 7) for number in range(9)]
    account.put(json.dumps(undelivered("DDBStream", TABLE_STREAM, FIRST + 14, FIRST + 42, 5)))

    (step,) = place.run(QUEUE, client=account.client)
    assert (step.fate, step.records, step.source) == (Fate.APPLIED, 5, "dynamodb")
    assert account.messages == {}
    flights = [each for each in place.applied() if each.startswith("flight:")]
    assert flights == [f"flight:f{number}" for number in range(2, 7)]


def test_a_batch_of_kinesis_is_read_again() -> None:
    """A record's bytes become what the function would have got."""
    account, place = Account(), Place()
    message = {"staleproof": "invalidate", "schema": 1, "id": "i", "tags": ["board"]}
    account.data += [datum(json.dumps(message).encode(), FIRST + number) for number in range(3)]
    account.put(json.dumps(undelivered("Kinesis", STREAM, FIRST + 1, FIRST + 2, 2)))

    (step,) = place.run(QUEUE, client=account.client)
    assert (step.fate, step.records, place.applied()) == (Fate.APPLIED, 2, ["board", "board"])


@pytest.mark.parametrize(("kind", "arn"), [("DDBStream", TABLE_STREAM), ("Kinesis", STREAM)])
@pytest.mark.parametrize("left", [0, 2])
def test_a_batch_that_was_trimmed_says_what_to_do(kind: str, arn: str, left: int) -> None:
    """Records that are gone, all or some, are never taken for done; `clear_lost` clears instead, and says so."""
    account, place = Account(), Place()
    account.items += [item(number, FIRST + 3 + number) for number in range(left)]
    account.data += [datum(b"{}", FIRST + 3 + number) for number in range(left)]
    account.put(json.dumps(undelivered(kind, arn, FIRST + 1, FIRST + 4, 4)))

    (step,) = place.run(QUEUE, client=account.client)
    assert step.fate is Fate.TRIMMED
    assert "staleproof invalidate --clear" in step.told
    assert len(account.messages) == 1
    (dry,) = place.run(QUEUE, client=account.client, clear_lost=True, dry=True)
    assert (dry.fate, len(account.messages)) == (Fate.CLEARED, 1)
    (done,) = place.run(QUEUE, client=account.client, clear_lost=True)
    assert (done.fate, account.messages) == (Fate.CLEARED, {})
    (cleared,) = [each for _, each in place.provider.journal("", 10).records if each and each.clear]
    assert cleared.cause.source == f"gap:{'kinesis' if kind == 'Kinesis' else 'dynamodb'}"


# --- the bucket ---------------------------------------------------------------------------------------------------


def test_objects_of_undelivered_batches_are_applied() -> None:
    """A copy in S3 has the records; those that fail become letters beside it, which the next run finds."""
    account, place = Account(), Place()
    for number in range(5):
        event = {"Records": [record(number), *([poison(9)] if number == 3 else [])]}
        told = undelivered("DDBStream", TABLE_STREAM, 1, 2, 2)
        account.objects[f"aws/lambda/{number}"] = json.dumps({**told, "payload": json.dumps(event)}).encode()

    steps = place.run(f"{BUCKET}aws/lambda/", client=account.client)
    assert fates(steps) == [Fate.APPLIED] * 3 + [Fate.AGAIN, Fate.APPLIED]
    (key,) = account.objects
    assert key.startswith("aws/lambda/redriven/")
    assert fates(place.run(f"{BUCKET}aws/lambda/", client=account.client)) == [Fate.AGAIN]
    assert list(account.objects) == [key]
    assert json.loads(account.objects[key])["attempts"] == 2


def test_an_object_of_lines_is_written_once() -> None:
    """A file of letters may lie in S3: what is left of it is written at the end, and nothing of it deletes it."""
    account, place = Account(), Place()
    lines = [*bodies(letter(record(1))), *bodies(letter(poison(2)))]
    account.objects["letters.ndjson"] = "\n".join(lines).encode()

    assert fates(place.run("s3://undelivered/letters.ndjson", client=account.client)) == [
        Fate.APPLIED,
        Fate.AGAIN,
    ]
    (line,) = account.objects["letters.ndjson"].splitlines()
    assert json.loads(line)["attempts"] == 2
    account.objects["letters.ndjson"] = lines[0].encode()
    place.run("s3://undelivered/letters.ndjson", client=account.client)
    assert account.objects == {}


def test_an_object_that_is_not_there_is_told() -> None:
    """The address is wrong, so nothing will ever come of it."""
    with pytest.raises(ConfigurationError, match="NoSuchKey"):
        Place().run("s3://undelivered/none.ndjson", client=Account().client)


def exercised() -> list[Any]:
    """Every client that redriving uses, after it was used."""
    account, place = Account(), Place()
    account.items += [item(1, FIRST)]
    account.data += [datum(b'{"staleproof": "invalidate", "schema": 1, "id": "i", "tags": ["a"]}', FIRST)]
    account.put(
        *bodies(letter(poison(1))),
        json.dumps(undelivered("DDBStream", TABLE_STREAM, FIRST, FIRST, 1)),
        json.dumps(undelivered("Kinesis", STREAM, FIRST, FIRST, 1)),
    )
    place.run(QUEUE, client=account.client)
    account.objects["batches/1"] = json.dumps({"Records": [record(1)]}).encode()
    account.objects["batches/2"] = json.dumps({"Records": [poison(1)]}).encode()
    place.run("s3://undelivered/batches/", client=account.client)
    return list(account.clients.values())


def test_a_place_of_its_own_is_the_default() -> None:
    """Without an address the deployment's own dead letters are redriven."""
    account, place = Account(), Place()
    place.settings = place.settings.model_copy(update={"dead_letter_queue_url": QUEUE})
    account.put(*bodies(letter(record(1))))
    assert fates(place.run("", client=account.client)) == [Fate.APPLIED]
    assert opening.Wanted().address == ""
