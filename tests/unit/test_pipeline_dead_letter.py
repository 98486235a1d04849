"""Dead letters keep everything, whatever its size, and come back as they were."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import MalformedEventError
from staleproof.events import Invalidation
from staleproof_pipeline.dead_letter import MAX_BODY, DeadLetter, assemble, bodies
from staleproof_pipeline.dead_letter_queue import DeadLetterQueue
from staleproof_pipeline.deferral_queue import DeferralQueue
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.followups import Deferred

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead"


def letter(payload: Any, error: str = "eventName: 'UPSERT' is not one of INSERT") -> DeadLetter:
    return DeadLetter.about(
        payload, MalformedEventError(error), source="dynamodb", rules="0" * 16, region="eu-west-1", at_ms=1
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(payload=JSON, limit=st.integers(700, 3_000))
def test_a_letter_comes_back_as_it_was(payload: Any, limit: int) -> None:
    """Whole, compressed or in chunks: what is stored is the payload, each message within the limit."""
    kept = letter(payload)
    messages = bodies(kept, limit)

    assert assemble(reversed(messages)) == kept
    assert all(len(message.encode()) <= limit for message in messages)


def test_a_payload_above_a_messages_size_is_compressed() -> None:
    """What compresses below the bound is one message."""
    kept = letter({"text": "x" * 3_000_000})
    (body,) = bodies(kept)

    assert len(body) < MAX_BODY
    assert "payload" not in json.loads(body)
    assert assemble([body]) == kept


def test_what_does_not_compress_is_stored_in_chunks() -> None:
    """The chunks share an id, say how many there are, and lose nothing."""
    kept = letter({"raw": base64.b64encode(os.urandom(2_500_000)).decode()})
    messages = bodies(kept)
    heads = [json.loads(each) for each in messages]

    assert len(messages) > 1
    assert {each["id"] for each in heads} == {kept.id}
    assert [(each["chunk"], each["of"]) for each in heads] == [
        (n, len(messages)) for n in range(len(messages))
    ]
    assert assemble(messages) == kept


def test_a_missing_chunk_is_told() -> None:
    """Half a letter is no letter."""
    messages = bodies(letter({"raw": base64.b64encode(os.urandom(5_000)).decode()}), 2_000)

    with pytest.raises(MalformedEventError, match=r"chunks \[1\] of \d+ are missing"):
        assemble([messages[0], *messages[2:]])


@pytest.mark.parametrize("message", ["", "{}", "[]", '{"zlib": 5}', '{"schema":1,"zlib":"AAAA"}'])
def test_what_is_no_letter_is_told(message: str) -> None:
    """Something else in the queue ends in an error of ours."""
    with pytest.raises(MalformedEventError, match="dead letter"):
        assemble([message])


def test_text_that_a_queue_would_refuse_is_escaped() -> None:
    """Control characters and lone surrogates, which SQS refuses, travel as ASCII."""
    kept = letter({"text": "\x00\x0b\ufffe\ud800"}, error="\x00\ud800")
    (body,) = bodies(kept)

    assert body.isascii()
    assert body.isprintable()
    assert assemble([body]) == kept


# --- the queue ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sqs() -> Any:
    return boto3.client(
        "sqs",
        region_name="eu-west-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="x",  # noqa: S106
    )


def sent(count: int) -> dict[str, Any]:
    took = [{"Id": str(n), "MessageId": "m", "MD5OfMessageBody": "0" * 32} for n in range(count)]
    return {"Successful": took, "Failed": []}


def answering(sqs: Any, *answers: dict[str, Any]) -> Stubber:
    """Requests are validated by botocore against the service's own model."""
    stubber = Stubber(sqs)
    for answer in answers:
        stubber.add_response("send_message_batch", answer)
    stubber.activate()
    return stubber


def test_letters_share_requests_of_ten(sqs: Any) -> None:
    """Twelve letters take two requests."""
    stubber = answering(sqs, sent(10), sent(2))

    assert DeadLetterQueue(lambda: sqs, URL).store([letter(n) for n in range(12)]) == [None] * 12
    stubber.assert_no_pending_responses()


def test_large_letters_do_not_share_a_request(sqs: Any) -> None:
    """All messages of a request together stay below the queue's bound."""
    stubber = answering(sqs, sent(1), sent(1))

    DeadLetterQueue(lambda: sqs, URL).store([letter("x" * 600_000), letter("y" * 600_000)])

    stubber.assert_no_pending_responses()


def test_a_refused_message_is_its_own_letters_error(sqs: Any) -> None:
    """Only the letter whose message was refused is not stored."""
    failed = {"Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "again"}]}
    answering(sqs, {**sent(1), **failed})

    first, second = DeadLetterQueue(lambda: sqs, URL).store([letter(1), letter(2)])

    assert first is None
    assert isinstance(second, DeliveryError)
    assert "InternalError again" in str(second)


def test_a_message_that_the_answer_leaves_out_is_not_stored(sqs: Any) -> None:
    """Only what the queue says it has is taken for stored: of letters, and of what is put off."""
    answering(sqs, sent(1), sent(1))
    put_off = [
        Deferred(Invalidation(id=each, origin="eu-west-1", namespace="n", tags=("a",)), 1) for each in "ab"
    ]

    for stored in (
        DeadLetterQueue(lambda: sqs, URL).store([letter(1), letter(2)]),
        DeferralQueue(lambda: sqs, URL).defer(put_off),
    ):
        assert stored[0] is None
        assert "leaves it out" in str(stored[1])


def test_a_queue_that_is_away_is_told_with_its_setting(sqs: Any) -> None:
    """No letter is stored, and the error names what to check."""
    stubber = Stubber(sqs)
    stubber.add_client_error("send_message_batch", "AWS.SimpleQueueService.NonExistentQueue")
    stubber.activate()

    (error,) = DeadLetterQueue(lambda: sqs, URL).store([letter(1)])

    assert isinstance(error, DeliveryError)
    assert "check STALEPROOF_DEAD_LETTER_QUEUE_URL and sqs:SendMessage" in str(error)


def test_a_queue_that_is_never_needed_is_never_connected() -> None:
    """The client is made for the first letter."""

    def forbidden() -> Any:
        raise AssertionError

    assert DeadLetterQueue(forbidden, URL).store([]) == []
