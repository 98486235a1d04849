"""Reading the rules file. Every error says file and line, the path, the value and what to do, all of them at once."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from staleproof.errors import ConfigurationError
from staleproof_pipeline.rules.condition import Condition, When
from staleproof_pipeline.rules.example import Example, Expected, Given
from staleproof_pipeline.rules.marks import Document, MarkedError
from staleproof_pipeline.rules.model import Conditional, Rule, RuleFile
from staleproof_pipeline.rules.ruleset import Ruleset, digest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_BYTES = 256 * 1_024
MAX_TOLD = 20
"""Errors that one message lists."""

_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): RuleFile,
    ("rules",): Rule,
    ("rules", "when"): When,
    ("rules", "tags"): Conditional,
    ("rules", "keys"): Conditional,
    ("rules", "tags", "when"): Condition,
    ("rules", "keys", "when"): Condition,
    ("examples",): Example,
    ("examples", "given"): Given,
    ("examples", "expect"): Expected,
}
"""By the names on the way to a field: `rules[0].when.tabel` is a field of what lies at `rules`, `when`."""

_MEANT = {
    "throttle": "coalesce",
    "debounce": "coalesce",
    "topic": "channel",
    "bucket": "channel",
    "queue": "channel",
}
"""What people call a field that has another name here."""

_FIXES = {
    "missing": "add it",
    "literal_error": "use one of those",
    "enum": "use one of those",
    "string_type": "write text, in quotes if need be",
    "list_type": "write a list",
    "model_type": "write fields, one a line",
}


def load(path: str | Path) -> Ruleset:
    """Read the file at *path*.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    return loads(read(path), str(path))


def read(path: str | Path) -> str:
    """Return the text of the file at *path*.

    Raises:
        ConfigurationError: it cannot be read, is too large or no text.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        shown = str(path).replace("\0", "\\0")
        raise ConfigurationError(
            f"rules file {shown}: {reason}; set STALEPROOF_RULES to a readable file"
        ) from error
    _check_size(len(raw), str(path))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: {error.reason}; save the file as UTF-8") from error


def loads(text: str, name: str = "rules") -> Ruleset:
    """Read rules from *text*; *name* stands for the file in messages. Raises as `load` does."""
    _check_size(len(text.encode(errors="surrogatepass")), name)
    try:
        document = Document(text)
    except MarkedError as error:
        raise ConfigurationError(f"{name}:{error.line}: {error}") from error
    try:
        return Ruleset(RuleFile.model_validate(document.value), text)
    except ValidationError as error:
        raise ConfigurationError(_told(error, document, name)) from error


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise ConfigurationError(f"{name}:1: larger than {MAX_BYTES} bytes; split the deployment")


def _told(error: ValidationError, document: Document, name: str) -> str:
    found = error.errors(include_url=False)
    lines = sorted((document.line(_place(each)), _sentence(each)) for each in found)
    told = [f"{name}:{line}: {sentence}" for line, sentence in lines[:MAX_TOLD]]
    if len(lines) > MAX_TOLD:
        told.append(f"… and {len(lines) - MAX_TOLD} more")
    return "\n".join(told)


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    """Where an error lies: names that stand for no field go, and a pattern's error says where in it."""
    path = tuple(part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("<")))
    return path + tuple(getattr(detail.get("ctx", {}).get("error"), "place", ()))


def _sentence(detail: ErrorDetails) -> str:
    path = _written(_place(detail)) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown field; {_suggestion(_place(detail))}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in {"missing", "value_error"}:
        fix = _FIXES.get(detail["type"])
        return f"{path}: {message}" + (f"; {fix}" if fix else "")
    fix = _FIXES.get(detail["type"], "correct it")
    return f"{path}: {message}, not {repr(detail['input'])[:80]}; {fix}"


def _written(place: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _suggestion(place: tuple[str | int, ...]) -> str:
    *around, field = place
    names = tuple(part for part in around if isinstance(part, str))
    known = sorted(_MODELS.get(names, Rule).model_fields)
    if (meant := _MEANT.get(str(field))) in known:
        return f"did you mean {meant!r}?"
    close = difflib.get_close_matches(str(field), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the rules file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Staleproof rules",
        **RuleFile.model_json_schema(),
    }


__all__ = ["MAX_BYTES", "digest", "load", "loads", "read", "schema"]
