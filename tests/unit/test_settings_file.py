"""The settings file: found or named, read whole, and every value knows its line."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import ConfigurationError, Policy
from staleproof.config import Settings
from staleproof.config.given import flat
from staleproof.config.toml_file import MAX_BYTES, lines, read

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
# what the shop caches
cache_url = "redis://app:secret@cache:6379/0"
namespace = "shop"
ttl = "1h"
timeout = 0.5

[near]
max_copies = 500
max_bytes = "64MB"

[policies.hot]
ttl = "1m"
jitter = 0.1

[policies]
cold = { ttl = "1d", lease = "30s" }

[providers.sessions]
url = "memory://"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "staleproof.toml") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def fault(environ: dict[str, str] | None = None, **arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environ or {}, **arguments)
    return str(caught.value)


def test_the_file_of_the_working_directory_is_read(folder: Path) -> None:
    """A `staleproof.toml` where the process starts is enough; numbers and durations keep their types."""
    write(folder, WHOLE)
    settings = Settings.from_env({})
    assert settings.server.url.reveal() == "redis://app:secret@cache:6379/0"
    assert (settings.server.timeout, settings.near.max_copies, settings.near.max_bytes) == (
        0.5,
        500,
        64_000_000,
    )
    assert settings.policies == {
        "hot": Policy(ttl="1m", jitter=0.1),
        "cold": Policy(ttl="1d", lease="30s"),
    }
    assert settings.providers["sessions"].namespace == "shop"


def test_every_value_knows_its_line(folder: Path) -> None:
    """The origin is file and line, also of inline tables."""
    write(folder, WHOLE)
    settings = Settings.from_env({"STALEPROOF_TTL": "2h"})
    origins = {path: settings.origin(path) for path in settings.given}
    assert origins == {
        "cache_url": "staleproof.toml:2",
        "namespace": "staleproof.toml:3",
        "ttl": "environment STALEPROOF_TTL",
        "timeout": "staleproof.toml:5",
        "near.max_copies": "staleproof.toml:8",
        "near.max_bytes": "staleproof.toml:9",
        "policies.hot.ttl": "staleproof.toml:12",
        "policies.hot.jitter": "staleproof.toml:13",
        "policies.cold.ttl": "staleproof.toml:16",
        "policies.cold.lease": "staleproof.toml:16",
        "providers.sessions.url": "staleproof.toml:19",
    }


def test_faults_name_their_line(folder: Path) -> None:
    """Wrong values, unknown names and unknown tables are told with the line to go to."""
    write(
        folder,
        """
        cache_url = "memory://"
        namespace = "shop"
        stalenes = "1s"
        pickle_keys = [
          "secret",
        ]
        [policies.hot]
        ttl = "soon"
        [polices.cold]
        """,
    )
    assert [line.partition(";")[0] for line in fault().splitlines()] == [
        "staleproof.toml:4: there is no setting 'stalenes'",
        "staleproof.toml:10: there is no setting 'polices.cold'",
        "staleproof.toml:5: pickle_keys: key 1 of 1 has 6 characters",
        "staleproof.toml:9: policies.hot.ttl='soon' is no duration",
    ]


def test_a_file_may_be_named(folder: Path) -> None:
    """The environment or an argument names another file; `none` reads none."""
    write(folder, "ttl = 1", "staleproof.toml")
    other = write(folder, "cache_url='memory://'\nnamespace='other'", "other.toml")
    environ = {"STALEPROOF_FILE": str(other)}
    assert Settings.from_env(environ).server.namespace == "other"
    assert Settings.from_env({}, file=str(other)).origin("namespace") == f"{other}:2"
    assert Settings.from_env({}, file="none", cache_url="memory://", namespace="shop").policy == Policy()


def test_pyproject_holds_a_table_of_ours(folder: Path) -> None:
    """A `pyproject.toml` that is named is read from `[tool.staleproof]`; by itself it is not looked for."""
    path = write(
        folder,
        """
        [tool.other]
        ttl = 5
        [tool.staleproof]
        cache_url = "memory://"
        namespace = "shop"
        [tool.staleproof.policies.hot]
        ttl = "1m"
        """,
        "pyproject.toml",
    )
    settings = Settings.from_env({}, file="pyproject.toml")
    assert settings.policies["hot"] == Policy(ttl="1m")
    assert settings.origin("policies.hot.ttl") == "pyproject.toml:8"
    assert "cache_url is not set" in fault()
    path.write_text("[tool.other]")
    assert fault(file="pyproject.toml").startswith("pyproject.toml: has no table [tool.staleproof]; add it")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"ttl = ", "staleproof.toml: Invalid value (at end of document); correct the file"),
        (b"a = 1\nttl 1h", "staleproof.toml: Expected '=' after a key in a key/value pair (at line 2, column 5)"),
        (b"ttl = '\xff'", "staleproof.toml: is not UTF-8 at byte 7; save it as such"),
        (b"#" * (MAX_BYTES + 1), "staleproof.toml: has more than 262144 bytes; settings are short"),
        (b"file = 'other.toml'", "staleproof.toml:1: file says where settings lie and cannot lie there itself"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(folder: Path, raw: bytes, told: str) -> None:
    """The file is named, and the line where there is one."""
    (folder / "staleproof.toml").write_bytes(raw)
    assert fault().startswith(told)


def test_a_named_file_must_be_there(folder: Path) -> None:
    """A file that was named and is missing, or is a folder, is a fault; one that nobody named is not."""
    assert fault(file="no/such.toml").startswith("no/such.toml: there is no such file; put it there, or set")
    (folder / "folder.toml").mkdir()
    assert fault(file="folder.toml").startswith("folder.toml: Is a directory; make it readable")
    assert "cache_url is not set" in fault()


def test_a_file_is_read_again_when_it_changes(folder: Path) -> None:
    """Sources take a changed file anew, leave an unchanged one alone, and refuse to lose one."""
    path = write(folder, "cache_url='memory://'\nnamespace='shop'\nttl=1")
    sources = Settings.from_env({}).sources
    assert sources is not None
    before = sources.read()
    assert sources.read()["ttl"] is before["ttl"]
    path.write_text(path.read_text().replace("ttl=1", "ttl=25"))
    assert sources.settings().policy.ttl == 25
    path.unlink()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        sources.settings()


def test_a_path_that_cannot_be_looked_at_is_told() -> None:
    """What the system says of a path reaches whoever named it."""
    assert fault(file="x" * 300).endswith("File name too long; make it readable, or set STALEPROOF_FILE")


names = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
values = st.sampled_from(
    ["1", '"text"', "[\n  1,\n  2,\n]", '"""\na = 1\n[b]\n"""', "{ x = 1, y.z = 2 }", "'#'"]
)


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4))
def test_lines_are_those_where_statements_begin(tables: dict[str, dict[str, str]]) -> None:
    """Whatever values look like, a path's line is the one on which its key stands."""
    expected: dict[str, int] = {}
    written: list[str] = []
    for table, entries in tables.items():
        written += ["", f"  [ {table} ]  # a comment = 1"]
        if not entries:
            expected[table] = len(written)
        for name, value in entries.items():
            line = len(written) + 1
            written += f"{name} = {value}".split("\n")
            inner = ("x", "y.z") if value.startswith("{") else ("",)
            expected |= {f"{table}.{name}.{each}".rstrip("."): line for each in inner}
    assert {path: line for path, line in lines("\n".join(written)).items() if path in expected} == expected


def test_tables_are_flattened() -> None:
    """Leaves by dotted path; an empty table is a leaf."""
    assert dict(flat({"a": {"b": {"c": 1}, "d": {}}, "e": [2]})) == {"a.b.c": 1, "a.d": {}, "e": [2]}


def test_reading_finds_lines_only_when_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start whose settings are right does not look for lines."""
    path = write(folder, WHOLE)
    monkeypatch.setattr("staleproof.config.toml_file.lines", lambda _: pytest.fail("looked for lines"))
    assert read(str(path))["ttl"].value == "1h"
    Settings.from_env({})
