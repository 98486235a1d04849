"""`staleproof.toml`, or `[tool.staleproof]` of a `pyproject.toml`, as a source of settings.

`tomllib` tells no lines. They are found when somebody asks, in an error or a listing: the text is parsed again
statement by statement, each under its table's header, and what appears is noted. Whatever does not parse yet, such as
the first line of a list, is a statement that goes on.
"""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from staleproof.config.given import Given, Layer, flat
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 262_144
SHARED = "pyproject.toml"
OURS = ("tool", "staleproof")


def read(path: str) -> Layer:
    """Return what the file at *path* gives.

    Raises:
        ConfigurationError: it cannot be read, is no TOML, is larger than 256 KiB, or is a `pyproject.toml` that holds
            no table of ours.
    """
    text = _text(path)
    try:
        table: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}; correct the file") from error
    above = ""
    if Path(path).name == SHARED:
        above = ".".join((*OURS, ""))
        for name in OURS:
            table = table.get(name)
            if not isinstance(table, dict):
                raise ConfigurationError(
                    f"{path}: has no table [{'.'.join(OURS)}]; add it, or name another file"
                )
    places = Places(text)
    return {name: Given(value, partial(places.say, path, above + name)) for name, value in flat(table)}


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; make it readable, or set STALEPROOF_FILE to another, or to none"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 at byte {error.start}; save it as such") from error
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"{path}: has more than {MAX_BYTES} bytes; settings are short")
    return text


class Places:
    """The lines of a TOML text, by dotted path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: Mapping[str, int] | None = None

    def say(self, file: str, path: str) -> str:
        """Return where in *file* the value of *path* stands: `staleproof.toml:12`."""
        if self._lines is None:
            self._lines = lines(self._text)
        line = self._lines.get(path)
        return file if line is None else f"{file}:{line}"


def lines(text: str) -> dict[str, int]:
    """Return the line of each leaf of *text*, a valid TOML document."""
    found: dict[str, int] = {}
    header = ""
    statement: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        statement.append(line)
        try:
            parsed = tomllib.loads("\n".join((header, *statement)))
        except tomllib.TOMLDecodeError:
            continue  # a list or a long text that goes on
        for path, _ in flat(parsed):
            found.setdefault(path, number - len(statement) + 1)
        if line.lstrip().startswith("[") and len(statement) == 1:
            header = line
        statement = []
    return found
