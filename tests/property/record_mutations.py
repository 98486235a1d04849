"""Raw records made wrong, from a seed: what a broken producer, a cut line or somebody hostile could send.

A mutation strikes anywhere in a record, also inside the documents that it carries as JSON text and as base64.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPEN = 0.8
"""How often a mutation goes into a carried document instead of striking its text."""

SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -0.0, "", " ", "null", "\ud800", "x\x00y", "é" * 40, "1E999", "9" * 200, "-1",
    float("nan"), float("inf"), float("-inf"), 2**31, 2**53, 2**63, 2**64, -(2**63), 10**30, "9" * 20, "NaN", "{}",
    "[]", "eyJhIjoxfQ==", "insert", "remove", "eu-west-1", "us-east-1", "flights", "arn:aws:s3:::x", b"\xff\x00",
)  # fmt: skip
NAMES = (
    "S", "N", "M", "L", "B", "id", "keys", "new", "old", "op", "source", "before", "after", "payload", "schema",
    "Records", "staleproof", "detail", "detail-type", "Message", "Type", "TopicArn", "__op", "__deleted", "eventSource",
    "dynamodb", "tableName", "topic", "partition", "offset", "ddl", "status", "fields", "m", "key", "value", "$oid",
    "$numberLong",
)  # fmt: skip


def mutated(raw: Any, seed: int) -> Any:
    """*raw* with one to four mutations; now and then it is something else altogether."""
    random = Random(seed)
    if random.random() < 0.01:
        return _anything(random)
    made = copy.deepcopy(raw)
    for _ in range(random.randint(1, 4)):
        made = _struck(made, random)
    return made


def _struck(value: Any, random: Random) -> Any:
    """*value* with one mutation somewhere in it."""
    if isinstance(value, str) and (inner := _carried(value)) is not None and random.random() < OPEN:
        found, pack = inner
        return pack(_struck(found, random))
    if isinstance(value, dict | list) and value and random.random() < 0.85:
        at = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if _is_container(value[at]) or random.random() < 0.2:
            value[at] = _struck(value[at], random)
        else:
            _strike_inside(value, at, random)
        return value
    return random.choice(_STRIKES)(value, random)


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and _carried(value) is not None)


def _strike_inside(value: Any, at: Any, random: Random) -> None:
    """Change the members of a list or an object: drop, replace, repeat, reorder, add."""
    choice = random.randrange(6)
    if choice == 0:
        del value[at]
    elif choice == 1 and isinstance(value, list):
        value.insert(random.randrange(len(value) + 1), copy.deepcopy(value[at]))
    elif choice == 2 and isinstance(value, list):
        random.shuffle(value)
    elif choice == 2 and isinstance(value, dict):
        value[random.choice(NAMES)] = value.pop(at)
    elif choice == 3 and isinstance(value, dict):
        value[random.choice((7, None, ("a", 1), b"bytes", "\ud800", "", *NAMES))] = _anything(random)
    else:
        value[at] = random.choice(_STRIKES)(value[at], random)


def _carried(text: str) -> tuple[Any, Callable[[Any], Any]] | None:
    """The document that *text* carries, and how it is put back; None if it carries none."""
    if text[:1] in "[{" and text:
        try:
            return json.loads(text), _json
        except ValueError:
            return None
    if len(text) < 8 or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return json.loads(raw), lambda found: base64.b64encode(
            str(_json(found)).encode(errors="replace")
        ).decode()
    except ValueError:
        return _Bytes(
            raw
        ), lambda found: base64.b64encode(bytes(found)).decode() if isinstance(found, bytes) else found


class _Bytes(bytes):
    """Bytes that a text carried."""


def _json(found: Any) -> Any:
    try:
        return json.dumps(found, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(type(found))


# --- single strikes -------------------------------------------------------------------------------


def _replaced(_: Any, random: Random) -> Any:
    return random.choice(SCALARS)


def _retyped(value: Any, random: Random) -> Any:
    kinds: list[Callable[[Any], Any]] = [
        lambda each: [each],
        lambda each: {"S": each},
        lambda each: str(each)[:1_000],
    ]
    try:
        return random.choice(kinds)(value)
    except (ValueError, RecursionError):
        return None


def _cut(value: Any, random: Random) -> Any:
    if isinstance(value, str | bytes):
        cut = value[: random.randrange(len(value) + 1)]
        return _Bytes(cut) if isinstance(cut, bytes) else cut
    return value


def _flipped(value: Any, random: Random) -> Any:
    """One byte, or one character, is another."""
    if isinstance(value, bytes) and value:
        at = random.randrange(len(value))
        return _Bytes(value[:at] + bytes([random.randrange(256)]) + value[at + 1 :])
    if isinstance(value, str) and value:
        at = random.randrange(len(value))
        return (
            value[:at]
            + chr(random.choice((0, 34, 92, 43, 0x2028, 0xD800, 0x1F600, random.randrange(127))))
            + value[at + 1 :]
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return value + random.choice((-1, 1, 2**40, -(2**40)))
    return value


def _huge(_: Any, random: Random) -> Any:
    return random.choice(
        (
            lambda: "x" * 70_000,
            lambda: 10**5_000,
            lambda: [0] * 3_000,
            lambda: dict.fromkeys(map(str, range(2_000))),
        )
    )()


def _deep(value: Any, random: Random) -> Any:
    levels, kind = random.choice((12, 40, 90, 600)), random.randrange(3)
    for _ in range(levels):
        value = [value] if kind == 0 else {"M": {"a": value}} if kind == 1 else {"payload": value}
    return value


def _anything(random: Random) -> Any:
    return random.choice((_replaced, _huge, _deep))(random.choice(SCALARS), random)


_STRIKES: tuple[Callable[[Any, Random], Any], ...] = (
    *(_replaced,) * 6, *(_retyped,) * 3, *(_cut,) * 4, *(_flipped,) * 4, _huge, _deep,
)  # fmt: skip


def batches(raw: list[Any], count: int, size: int, seed: int) -> Iterator[list[Any]]:
    """*count* mutations of *raw* in batches: repeated and out of order too, with a good record now and then."""
    random = Random(seed)
    for start in range(0, count, size):
        batch = [
            copy.deepcopy(random.choice(raw))
            if random.random() < 0.05
            else mutated(random.choice(raw), seed + start + at)
            for at in range(min(size, count - start))
        ]
        if batch and random.random() < 0.5:
            batch[random.randrange(len(batch))] = batch[0]
        random.shuffle(batch)
        yield batch
