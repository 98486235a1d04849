"""Paths into JSON documents, and what is done at their ends: pure functions that change no document in place.

A path is the part of JSONPath that names one place: `$` is the document, `$.name`, `$["any name"]` and `$[0]` lead
inwards; `$[-1]` counts from the end. What means several places (`..`, `*`, filters) is refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from staleproof.cache.missing import MISSING
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Steps: TypeAlias = "tuple[str | int, ...]"

MAX_DEPTH = 100
MAX_PATH = 1_000
_STEP = re.compile(
    r"""\.([A-Za-z_][\w-]*)|\[(-?\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]|\['((?:[^'\\]|\\['\\])*)'\]"""
)


def parsed(path: str) -> Steps:
    """Return the steps of *path*.

    Raises:
        ConfigurationError: it is no path to one place.
    """
    given: object = path
    if not isinstance(given, str) or not path.startswith("$") or len(path) > MAX_PATH:
        raise ConfigurationError(
            f"path={path!r:.100} must begin with '$', such as '$.address.city' or '$.items[0]'"
        )
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ConfigurationError(
                f'path={path!r} cannot be read from {path[at : at + 20]!r} on; write .name, [0] or ["any name"], '
                "for one place at a time"
            )
        steps.append(_step(step, path))
        at = step.end()
    if len(steps) > MAX_DEPTH:
        raise ConfigurationError(f"path={path!r:.100} has more than {MAX_DEPTH} steps")
    return tuple(steps)


def _step(match: re.Match[str], path: str) -> str | int:
    name, index, double, single = match.groups()
    if name is not None:
        return name
    if index is not None:
        return int(index)
    if double is None:
        return re.sub(r"\\(.)", r"\1", single or "")
    try:
        return str(json.loads(double, strict=False))
    except ValueError as error:
        raise ConfigurationError(
            f"path={path!r:.100}: {double!r:.50} is no text in JSON's escapes"
        ) from error


def rendered(steps: Sequence[str | int]) -> str:
    """Return *steps* as a server's module reads them."""
    return "".join(f"[{step}]" if isinstance(step, int) else f"[{json.dumps(step)}]" for step in steps)


def checked(value: Any, depth: int = 0) -> Any:
    """Return *value*, which JSON can hold and give back as it is.

    Raises:
        ConfigurationError: it cannot; the message names the type.
    """
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"value: more than {MAX_DEPTH} levels deep; keep documents flatter")
    if value is None or type(value) in {str, bool, int}:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is list:
        return [checked(each, depth + 1) for each in value]
    if type(value) is dict and all(type(name) is str for name in value):
        return {name: checked(each, depth + 1) for name, each in value.items()}
    raise ConfigurationError(
        f"value: a {type(value).__name__} is nothing that JSON gives back; use dict with text keys, list, str, int, "
        "finite float, bool or None"
    )


def found(document: Any, steps: Sequence[str | int]) -> Any:
    """Return what is at the end of *steps*, or `MISSING`."""
    for step in steps:
        document = _inside(document, step)
        if document is MISSING:
            break
    return document


def _inside(document: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return document.get(step, MISSING) if isinstance(document, dict) else MISSING
    if isinstance(document, list) and -len(document) <= step < len(document):
        return document[step]
    return MISSING


def changed(document: Any, steps: Sequence[str | int], change: Callable[[Any], Any]) -> Any:
    """Return a copy of *document* where what is at the end of *steps* is replaced by what *change* makes of it.

    *change* gets `MISSING` for a name that an object does not have yet. Return `MISSING` if there is no such place, or
    *change* returns `MISSING`: then nothing is to be changed.
    """
    if not steps:
        return change(document)
    step, rest = steps[0], steps[1:]
    inner = _inside(document, step)
    if inner is MISSING and (rest or not (isinstance(step, str) and isinstance(document, dict))):
        return MISSING
    new = changed(inner, rest, change)
    if new is MISSING:
        return MISSING
    if isinstance(document, dict):
        return {**document, step: new}
    at = step if isinstance(step, int) and step >= 0 else len(document) + int(step)
    return [*document[:at], new, *document[at + 1 :]]


def merged(document: Any, patch: Any) -> Any:
    """Return *document* with *patch* merged into it, by RFC 7396: None removes, objects merge, others replace."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def added(value: Any, by: float) -> Any:
    """Return *value* plus *by*.

    Raises:
        ConfigurationError: one of the two is no number, or the sum is none that JSON can hold.
    """
    for each in (value, by):
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise ConfigurationError(
                f"increment: a {type(each).__name__} cannot be counted up; name a number's path"
            )
    return checked(value + by)
