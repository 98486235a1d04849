"""Dead letters: what can never be applied, kept with its payload and the reason until somebody redrives it.

An envelope is JSON. A payload that would make it larger than a queue takes is compressed, and what is still too
large is cut into several messages with a common id; `assemble` puts them together again. Nothing is cut off.

    {"schema": 2, "id": …, "reason": "malformed", "error": …, "source": "dynamodb", "position": …,
     "rules": digest, "region": …, "at_ms": …, "trace": …, "channel": …, "attempts": 1,
     "payload": {…}}                                                      or "zlib": base64 instead of "payload"
    {"schema": 2, "id": …, "chunk": 0, "of": 3, "reason": …, "data": base64}                a piece of one

Letters of schema 1, which have no `trace`, `channel` and `attempts`, are read as well.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from staleproof.errors import EventError, MalformedEventError, UnsupportedEventVersionError
from staleproof.events.invalidation import new_id
from staleproof_pipeline.change import shown
from staleproof_pipeline.record_place import RecordPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEMA = 2
MAX_BODY = 1_000_000
"""Bytes of one message: SQS takes 1 MiB, attributes included."""

MAX_ERROR = 2_048
MAX_LETTER = 64 * 1_024 * 1_024
"""Bytes that `assemble` unpacks at most; an invocation's payload has 6 MB."""

DEEPEST = 200
"""Levels of a payload that are kept where JSON's own writer gives up, which is at about a thousand."""

_SINCE_2 = frozenset({"trace", "channel", "attempts"})
"""Fields that letters of schema 1 lack."""

_NUMBERS = frozenset({"at_ms", "attempts"})

WIDEST = 4_096
"""Bits of a whole number that are written as digits there."""


class DeadLetter(NamedTuple):
    """One of them.

    Attributes:
        id: its own identity.
        reason: short and of few kinds, for metrics: `malformed`, `unsupported-version`, `oversized`.
        error: the whole message.
        payload: the raw record.
        source: name of the source that reads the payload, such as `dynamodb`, `kafka`, `sqs`.
        position: the record's place in its source, as far as it can be read.
        rules: digest of the rules in force.
        region: where it happened.
        at_ms: when, in UTC milliseconds.
        trace: the record's trace id, or "".
        channel: what carried it, such as a stream's ARN or a topic, or "".
        attempts: how often it was given up: once, and once more at each redrive that failed.
    """

    id: str
    reason: str
    error: str
    payload: Any
    source: str
    position: str
    rules: str
    region: str
    at_ms: int
    trace: str = ""
    channel: str = ""
    attempts: int = 1

    @classmethod
    def about(
        cls, record: Any, error: Exception, *, source: str, rules: str, region: str, at_ms: int
    ) -> Self:
        """Return the letter about *record*."""
        place = RecordPlace.of(record)
        return cls(
            id=new_id(),
            reason=reason_of(error),
            error=str(error)[:MAX_ERROR],
            payload=record,
            source=source,
            position=place.position,
            rules=rules,
            region=region,
            at_ms=at_ms,
            trace=place.trace,
            channel=place.channel,
        )

    def again(self, error: Exception, *, rules: str, at_ms: int) -> Self:
        """Return the letter after another attempt, of *rules* at *at_ms*, that failed with *error*."""
        return self._replace(
            reason=reason_of(error),
            error=str(error)[:MAX_ERROR],
            rules=rules,
            at_ms=at_ms,
            attempts=self.attempts + 1,
        )


def reason_of(error: Exception) -> str:
    """Return the reason that a letter about *error* tells."""
    return error.reason if isinstance(error, EventError) else "unknown"


class DeadLetters(Protocol):
    """Where dead letters are kept."""

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """Store *letters*; return for each None, or why it is not stored (then its record is not handled)."""
        ...


class MemoryDeadLetters:
    """Dead letters in a list, for tests and for trying things out."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """See `DeadLetters.store`."""
        self.letters += letters
        return [None] * len(letters)


def bodies(letter: DeadLetter, limit: int = MAX_BODY) -> list[str]:
    """Return the message bodies, ASCII and of at most *limit* bytes each, that carry *letter*."""
    head = {"schema": SCHEMA, **letter._asdict()}
    plain = _json(head)
    if len(plain) <= limit:
        return [plain]
    packed = zlib.compress(_json(head.pop("payload")).encode(), 6)
    whole = _json({**head, "zlib": _base64(packed)})
    return [whole] if len(whole) <= limit else _chunks(letter, plain, limit)


def _chunks(letter: DeadLetter, plain: str, limit: int) -> list[str]:
    packed = zlib.compress(plain.encode(), 6)
    frame = {
        "schema": SCHEMA,
        "id": letter.id,
        "chunk": 0,
        "of": 0,
        "reason": letter.reason,
        "source": letter.source,
        "position": letter.position,
    }
    room = (
        (limit - len(_json(frame)) - 64) // 4 * 3
    )  # base64 turns 3 bytes into 4; 64 for "data" and the numbers
    pieces = [packed[at : at + room] for at in range(0, len(packed), room)]
    return [
        _json({**frame, "chunk": at, "of": len(pieces), "data": _base64(piece)})
        for at, piece in enumerate(pieces)
    ]


def assemble(messages: Iterable[str]) -> DeadLetter:
    """Return the letter that *messages* carry, all those of one id in any order.

    Raises:
        MalformedEventError: they are none, a chunk is missing, or it unpacks to more than `MAX_LETTER`.
        UnsupportedEventVersionError: a newer release wrote it.
    """
    try:
        documents = [json.loads(message) for message in messages]
        if documents and "chunk" in documents[0]:
            documents = [json.loads(_joined(documents))]
        (document,) = documents
        if "zlib" in document:
            document["payload"] = json.loads(_unpacked(base64.b64decode(document["zlib"])))
        return _read(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        raise MalformedEventError(
            f"dead letter: {error}; pass every message of one id, as they were stored"
        ) from error


def _joined(documents: Sequence[dict[str, Any]]) -> bytes:
    pieces = {document["chunk"]: document["data"] for document in documents}
    missing = set(range(documents[0]["of"])) - set(pieces)
    if missing:
        raise ValueError(f"chunks {sorted(missing)} of {documents[0]['of']} are missing")
    return _unpacked(b"".join(base64.b64decode(pieces[at]) for at in sorted(pieces)))


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(packed, MAX_LETTER)
    if unpacker.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MAX_LETTER} bytes")
    return raw


def _read(document: dict[str, Any]) -> DeadLetter:
    schema = document["schema"]
    if type(schema) is int and schema > SCHEMA:
        raise UnsupportedEventVersionError(
            f"dead letter: schema {schema} is newer than {SCHEMA}, which this release reads; redrive with a newer one"
        )
    found = DeadLetter(
        **{name: document[name] for name in DeadLetter._fields if name not in _SINCE_2 or name in document}
    )
    for name, value in found._asdict().items():
        if name != "payload" and type(value) is not (int if name in _NUMBERS else str):
            raise TypeError(f"{name}: {shown(value)} is no {'number' if name in _NUMBERS else 'text'}")
    return found


def _json(document: Any) -> str:
    # ASCII only: a queue refuses some characters, and JSON escapes them all. What is no JSON is told by its repr.
    try:
        return json.dumps(document, separators=(",", ":"), default=repr)
    except (
        TypeError,
        ValueError,
        RecursionError,
    ):  # a letter that cannot be written would block its shard for ever
        return json.dumps(_writable(document, 0), separators=(",", ":"), default=repr)


def _writable(value: Any, depth: int) -> Any:
    """Return *value* as JSON can hold it: names as texts, numbers of thousands of digits in hex, nothing too deep."""
    if isinstance(value, dict | list) and depth == DEEPEST:
        return shown(value, MAX_ERROR)
    if isinstance(value, dict):
        return {
            name if isinstance(name, str) else shown(name): _writable(each, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_writable(each, depth + 1) for each in value]
    return hex(value) if isinstance(value, int) and value.bit_length() > WIDEST else value


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
