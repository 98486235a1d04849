"""Avro schemas by subject: which schema the keys and values of which topic were written by, as a file says it.

    {"shop.flights-value": {"type": "record", "name": "Flight", "fields": [{"name": "gate", "type": "string"}]},
     "shop.flights-key": "string"}

One object, JSON or YAML. Its names are subjects as registries call them by default, `TOPIC-value` and `TOPIC-key`; what
stands behind a name is an Avro schema, written out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof_pipeline.rules.marks import Document, MarkedError
from staleproof_pipeline.sources.avro import Schema
from staleproof_pipeline.sources.avro_schema import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_BYTES = 256 * 1_024
"""Of all schemas together."""

MAX_TOLD = 20
"""Errors that one message lists."""

MAX_NESTED, MAX_SCALAR = 100, 65_536
"""Of YAML: schemas nest deeper than rules, and their `doc` may be long."""

_SUBJECT = re.compile(r"[A-Za-z0-9._-]{1,249}-(?:key|value)\Z")


def loads(text: str, name: str) -> dict[str, Schema]:
    """Return the schemas in *text*, by subject; *name* stands for the file in messages.

    Raises:
        ConfigurationError: the text is too large or no object, or a subject or a schema is wrong; all that are.
    """
    check_size(len(text.encode(errors="surrogatepass")), name)
    found = _object(text, name)
    if not isinstance(found, dict) or not found:
        raise ConfigurationError(
            f'{name}: it holds no schemas; write an object such as {{"TOPIC-value": {{"type": "record", …}}}}'
        )
    return compiled(((subject, each, name) for subject, each in found.items()))


def compiled(found: Iterable[tuple[str, Any, str]]) -> dict[str, Schema]:
    """Return the schemas of triples: the subject, the schema, and what stands for its file in messages.

    Raises:
        ConfigurationError: as `loads` does.
    """
    schemas: dict[str, Schema] = {}
    wrong: list[str] = []
    for subject, schema, name in found:
        if not _SUBJECT.match(subject):
            wrong.append(f"{name}: {subject[:80]!r} is no subject; name it TOPIC-value or TOPIC-key")
            continue
        try:
            # Dates are YAML's idea of what stands in some `doc`.
            schemas[subject] = Schema(json.dumps(schema, default=str))
        except SchemaError as error:
            wrong.append(f"{name}: {subject}: {error}; write an Avro schema")
    if wrong:
        more = [f"… and {len(wrong) - MAX_TOLD} more"] if len(wrong) > MAX_TOLD else []
        raise ConfigurationError("\n".join(wrong[:MAX_TOLD] + more))
    return schemas


def check_size(size: int, name: str) -> None:
    """Refuse *size* bytes if they are too many.

    Raises:
        ConfigurationError: they are.
    """
    if size > MAX_BYTES:
        raise ConfigurationError(
            f"{name}: larger than {MAX_BYTES} bytes; leave out 'doc', and topics that are not read"
        )


def _object(text: str, name: str) -> Any:
    if text.lstrip().startswith("{"):
        return json_of(text, name)  # far faster than YAML, and a function's cold start waits for it
    try:
        return Document(text, max_depth=MAX_NESTED, max_scalar=MAX_SCALAR).value
    except MarkedError as error:
        raise ConfigurationError(f"{name}:{error.line}: {error}") from error


def json_of(text: str, name: str) -> Any:
    """Return what the JSON *text* says.

    Raises:
        ConfigurationError: it is none, or gives a name twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{name}:{error.lineno}: no JSON: {error.msg}; correct it") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: {error}; correct it") from error


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:80]!r} is given twice; keep one")
        found[name] = value
    return found
