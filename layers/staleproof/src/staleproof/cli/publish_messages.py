"""What is to be published, read from options or from lines of JSON, within bounds; what is wrong, by line."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from staleproof.errors import EventError, MalformedEventError
from staleproof.events.bounds import MAX_MESSAGE
from staleproof.events.change import MARK, SCHEMA, Message, decode, now_ms
from staleproof.events.invalidation import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE = 2 * MAX_MESSAGE
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_reader = msgspec.json.Decoder(float_hook=Decimal)
_writer = msgspec.json.Encoder(decimal_format="number")


class Line(NamedTuple):
    """A line of a file: its number from 1 on, and the message in it, or what is wrong with it, and what it holds."""

    number: int
    message: Message | None
    error: EventError | None = None
    raw: bytes = b""


def message_of(document: Any) -> Message:
    """Return the message that *document* is; what a person need not write, `schema`, `id` and the time, is filled in.

    Raises:
        EventError: it is none.
    """
    if not isinstance(document, dict):
        raise MalformedEventError(
            'a message is an object, such as {"entity": "product", "operation": "modify"}'
        )
    kind = "change" if "entity" in document else "invalidate"
    filled = {MARK: kind, "schema": SCHEMA, "id": new_id()}
    if document.get(MARK, kind) == "change":
        filled["changed_ms"] = now_ms()
    return decode(_writer.encode({**filled, **document}))


def lines(stream: IO[bytes], skip: int = 0) -> Iterator[Line]:
    """Yield the messages in *stream*, one a line, behind the first *skip* lines; empty lines are none."""
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        whole = len(raw) <= LONGEST_LINE or raw.endswith(b"\n")
        while not whole and (rest := stream.readline(LONGEST_LINE)):
            whole = rest.endswith(b"\n")
        if number > skip and raw.strip():
            yield _line(number, raw)


def _line(number: int, raw: bytes) -> Line:
    try:
        if len(raw) > LONGEST_LINE:
            raise MalformedEventError(f"it is longer than {LONGEST_LINE} bytes; send a smaller message")
        return Line(number, message_of(_parsed(raw)))
    except EventError as error:
        return Line(number, None, error, raw.rstrip(b"\r\n") if len(raw) <= LONGEST_LINE else b"")


def _parsed(raw: bytes) -> Any:
    try:
        return _reader.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"it is no JSON: {error}; write a message a line") from error


def keys(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return the attributes that `NAME=VALUE` options name: plain numbers are numbers, `"42"` in quotes is a text.

    Raises:
        click.BadParameter: one has no name, or comes twice.
    """
    made: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals or name in made:
            raise click.BadParameter(f"{pair!r}: write NAME=VALUE, and each name once", param_hint="--key")
        made[name] = _value(text)
    return made


def _value(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        return Decimal(text) if "." in text else int(text)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def row(given: str | None, option: str) -> dict[str, Any] | None:
    """Return the row that an option gives as JSON, or as `@FILE`, `@-` for standard input.

    Raises:
        click.BadParameter: it is no object, or there is no such file.
    """
    if given is None:
        return None
    try:
        raw = _read(given[1:]) if given.startswith("@") else given.encode()
        found = _parsed(raw)
    except (OSError, EventError) as error:
        raise click.BadParameter(f"{given[:80]!r}: {error}", param_hint=option) from error
    if not isinstance(found, dict):
        raise click.BadParameter(
            f"{given[:80]!r} is no JSON object; write {{...}} or @FILE", param_hint=option
        )
    return found


def _read(path: str) -> bytes:
    with click.open_file(path, "rb") as stream:
        raw: bytes = stream.read(LONGEST_LINE + 1)
    if len(raw) > LONGEST_LINE:
        raise MalformedEventError(f"it is longer than {LONGEST_LINE} bytes; leave attributes out")
    return raw
