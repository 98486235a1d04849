"""Settings for people: every one with its value as it was written, its origin and its meaning. Secrets stay hidden."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.config.secret import HIDDEN
from staleproof.config.table import DEFAULTS, SETTINGS, setting
from staleproof.errors import ConfigurationError
from staleproof.policies.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.config.settings import Settings

_FIELD = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class Row(NamedTuple):
    """One setting.

    Attributes:
        setting: its path.
        value: as written, masked where it is secret; a text, number, boolean, None or a list of texts.
        origin: where it was written.
        meaning: what it is for.
        reloads: whether a running process takes a new value.
    """

    setting: str
    value: Any
    origin: str
    meaning: str
    reloads: bool


def rows(settings: Settings) -> Iterator[Row]:
    """Yield every setting, then what named policies and providers say for themselves."""
    meanings = policy_meanings()
    for path in (*SETTINGS, *writable_fields()):
        yield _row(settings, path, meanings.get(path, ""))
    for path in sorted(settings.given):
        if path.startswith(("policies.", "providers.")):
            yield _row(settings, path, meanings.get(path.rpartition(".")[2], ""))


def _row(settings: Settings, path: str, meaning: str) -> Row:
    found = setting(path)
    if found is None:  # an empty table: all as the default policy
        return Row(path, "", settings.origin(path), "as the default policy", reloads=True)
    value = _shown(settings, path, secret=found.secret)
    return Row(path, value, settings.origin(path), found.meaning or meaning, found.reloads)


def _shown(settings: Settings, path: str, *, secret: bool) -> Any:
    given, found = settings.given.get(path), setting(path)
    if given is None:
        default = found.default if found else None
        return list(default) if isinstance(default, tuple) else default
    if given.secret:
        return HIDDEN
    if not secret or found is None:
        return given.value
    checked = found.check(given.value, path)
    return [str(each) for each in checked] if isinstance(checked, tuple) else str(checked)


def writable_fields() -> list[str]:
    """Return the fields of a policy that can be written; the others take functions, and belong into code."""
    return [name for name in DEFAULTS if not _takes_function(name)]


def _takes_function(name: str) -> bool:
    try:
        Policy.FIELDS[name](_takes_function, name)
    except ConfigurationError:
        return False
    return True


def policy_meanings() -> dict[str, str]:
    """Return what `Policy` says of each of its fields; nothing where docstrings were stripped."""
    arguments = inspect.cleandoc(Policy.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    return {name: re.sub(r"\s+", " ", text) for name, text in _FIELD.findall(arguments)}
