"""Published messages: what applications that know Staleproof say, whatever carries it.

A change, which rules then read::

    {"staleproof": "change", "schema": 1, "id": "…", "entity": "product", "operation": "modify", "keys": {"id": 7},
     "old": {…} | null, "new": {…} | null, "changed_ms": 1360332012000, "region": "eu-west-1", "trace": ""}

An invalidation, for which no rule is needed::

    {"staleproof": "invalidate", "schema": 1, "id": "…", "namespace": "shop" | null, "tags": […], "keys": […],
     "soft": false, "row_version": null, "lag_ms": 0, "trace": ""}

Fields that are added later within a schema are let pass; another schema is not guessed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from staleproof.errors import OversizedEventError, UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Source, shown
from staleproof_pipeline.sources import Asked
from staleproof_pipeline.sources.fields import optional, required, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof_pipeline.sources.carried import Carrier

MARK = "staleproof"
"""The field by which a message is told from any other."""

SCHEMA = 1
MAX_TARGETS = 10_000
"""Tags, and keys, of one message."""

_NOT_TOLD = {
    Operation.INSERT: frozenset({"old"}),
    Operation.REMOVE: frozenset({"new"}),
    Operation.MODIFY: frozenset[str](),
    Operation.OTHER: frozenset[str](),
}


def is_published(document: Any) -> TypeGuard[dict[str, Any]]:
    """Say whether *document* claims to be a published message."""
    return isinstance(document, dict) and isinstance(document.get(MARK), str)


def read(document: dict[str, Any], carrier: Carrier) -> ChangeEvent | Asked:
    """Return what the message says.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: its schema, or its kind, is one that this release does not read.
        OversizedEventError: it names more than `MAX_TARGETS`.
    """
    kind = document[MARK]
    if kind not in _READERS:
        raise UnsupportedEventVersionError(
            f"{MARK}: {kind[:40]!r} is none of {', '.join(_READERS)}; upgrade the pipeline, then redrive"
        )
    schema = required(document, "schema", int)
    if schema != SCHEMA:
        raise UnsupportedEventVersionError(
            f"schema: {shown(schema)} is not {SCHEMA}, which this release reads; upgrade the pipeline, then redrive"
        )
    return _READERS[kind](document, carrier)


def _change(document: dict[str, Any], carrier: Carrier) -> ChangeEvent:
    operation = _operation(required(document, "operation", str))
    old, new = _row(document, "old"), _row(document, "new")
    rows = (("old", old), ("new", new))
    return ChangeEvent.of(
        id=required(document, "id", str),
        source=Source.APPLICATION,
        channel=carrier.channel,
        entity=required(document, "entity", str),
        operation=operation,
        keys=optional(document, "keys", dict, {}),
        old=old,
        new=new,
        images=frozenset(name for name, row in rows if row is not None) | _NOT_TOLD[operation],
        changed_ms=optional(document, "changed_ms", int, 0) or carrier.changed_ms,
        position=carrier.position,
        region=optional(document, "region", str, "") or carrier.region,
        trace=optional(document, "trace", str, "") or carrier.trace,
        schema_version=str(SCHEMA),
    )


def _operation(text: str) -> Operation:
    try:
        return Operation(text)
    except ValueError as error:
        raise wrong("operation", text, f"one of {', '.join(Operation)}") from error


def _row(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    return None if document.get(name) is None else required(document, name, dict)


def _invalidate(document: dict[str, Any], carrier: Carrier) -> Asked:
    tags, keys = _texts(document, "tags"), _texts(document, "keys")
    if not tags and not keys:
        raise wrong("tags", [], "a tag; the message names no key either", "name what is stale")
    return Asked(
        id=_bounded(document, "id", 512),
        namespace=None if document.get("namespace") is None else required(document, "namespace", str),
        tags=tags,
        keys=keys,
        soft=_flag(document, "soft"),
        row_version=None if document.get("row_version") is None else required(document, "row_version", int),
        lag_ms=optional(document, "lag_ms", int, 0),
        trace=optional(document, "trace", str, "") or carrier.trace,
        channel=carrier.channel,
        position=str(carrier.position),
    )


def _bounded(document: dict[str, Any], name: str, limit: int) -> str:
    text = required(document, name, str)
    if not 0 < len(text) <= limit:
        raise wrong(name, text, f"a text of 1 to {limit} characters")
    return text


def _texts(document: dict[str, Any], name: str) -> tuple[str, ...]:
    texts = optional(document, name, list, [])
    if len(texts) > MAX_TARGETS:
        raise OversizedEventError(f"{name}: {len(texts)} exceed {MAX_TARGETS}; send several messages")
    for at, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise wrong(f"{name}[{at}]", text, "a text of at least one character")
    return tuple(dict.fromkeys(texts))


def _flag(document: dict[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise wrong(name, value, "true or false")
    return value


_READERS: dict[str, Callable[[dict[str, Any], Carrier], ChangeEvent | Asked]] = {
    "change": _change,
    "invalidate": _invalidate,
}
