"""Names that no setting has: what to say of one, and which it may have been meant to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from staleproof.config.table import DEFAULTS, NAME, PREFIX, SERVER, SETTINGS, variable

if TYPE_CHECKING:
    from staleproof.config.given import Given

TABLES = {"policies": DEFAULTS, "providers": SERVER}


def complaint(path: str, given: Given) -> str | None:
    """Return what is wrong with *path*, which is no setting; None if it is an empty table that may be one."""
    top, *rest = path.split(".")
    if top in TABLES and rest and not re.fullmatch(NAME, rest[0]):
        return (
            f"{given.origin}: {top} has the name {rest[0]!r}; write lower-case letters, digits and single "
            "underscores, so that every source can"
        )
    below = _below(path)
    if below:
        return None if given.value == {} else f"{given.origin}: {path} is a table; it has {', '.join(below)}"
    return f"{given.origin}: there is no setting {path!r}; {_fix(path, given)}"


def _below(path: str) -> list[str]:
    """Return what may stand in the table *path*, nothing if it is none."""
    top, *rest = path.split(".")
    if top in TABLES:
        return ["a table for each name"] if not rest else list(TABLES[top]) if len(rest) == 1 else []
    return [known.removeprefix(f"{path}.") for known in SETTINGS if known.startswith(f"{path}.")]


def _fix(path: str, given: Given) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only who errs pays

    top, _, rest = path.partition(".")
    if top in TABLES and "." in rest:
        name, _, column = rest.partition(".")
        near = [f"{top}.{name}.{each}" for each in get_close_matches(column, TABLES[top], 1)]
    else:
        near = get_close_matches(path, (*SETTINGS, *DEFAULTS), 1)
    if not near:
        return "`staleproof config` lists those there are"
    meant = variable(near[0]) if PREFIX in given.origin else near[0]
    return f"did you mean {meant}?"
