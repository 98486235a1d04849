"""The page of settings says what the settings are: its tables are made from the model.

`UPDATE=1` rewrites them: `UPDATE=1 make test PYTEST_ARGS=tests/unit/test_settings_page.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.config.listing import policy_meanings, writable_fields
from staleproof.config.table import DEFAULTS, REQUIRED, SERVER, SETTINGS, variable
from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "operations" / "settings.md"


def shown(default: Any) -> str:
    if default is REQUIRED:
        return "required"
    words = {None: "none", (): "none", True: "true", False: "false"}
    plain = default is None or isinstance(default, bool | tuple)
    return f"`{words[default] if plain else default}`"


def settings() -> Iterator[str]:
    yield "| variable | setting | meaning | default |\n|---|---|---|---|"
    for path, each in SETTINGS.items():
        mark = " ↻" if each.reloads else ""
        yield f"| `{variable(path)}` | `{path}`{mark} | {each.meaning} | {shown(each.default)} |"


def policies() -> Iterator[str]:
    meanings = policy_meanings()
    yield "| variable | field | meaning | default |\n|---|---|---|---|"
    for name in writable_fields():
        meaning = meanings[name].removesuffix(".").replace("|", "\\|")
        yield f"| `{variable(name)}` | `{name}` | {meaning} | {shown(DEFAULTS[name])} |"


def providers() -> Iterator[str]:
    yield "| column | meaning | default |\n|---|---|---|"
    for name, each in SERVER.items():
        default = "the cache's" if each.default is None else shown(each.default)
        yield f"| `{name}` | {each.meaning} | {default} |"


@pytest.mark.parametrize("table", [settings, policies, providers], ids=lambda table: table.__name__)
def test_a_table_of_the_page_is_that_of_the_model(table: Any) -> None:
    """Variables, meanings and defaults on the page are those that the code has."""
    begin, end = f"<!-- {table.__name__}: made from the model -->\n", "\n<!-- end -->"
    text = PAGE.read_text()
    expected = "\n".join(table())
    if os.environ.get("UPDATE"):
        before, _, rest = text.partition(begin)
        text = before + begin + expected + end + rest.partition(end)[2]
        PAGE.write_text(text)

    assert text.partition(begin)[2].partition(end)[0] == expected
