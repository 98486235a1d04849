"""The rules file: what it may say, and that every mistake is told with its line and its fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from staleproof.errors import ConfigurationError
from staleproof_pipeline.rules import loader

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "shared" / "src" / "staleproof_pipeline" / "rules" / "schema.json"

HEAD = """version: 1
rules:
  - name: flight
"""


def refused(text: str) -> str:
    """The message about *text*."""
    with pytest.raises(ConfigurationError) as caught:
        loader.loads(text, "rules.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", ["shared/rules/rules.yaml", "examples/departures/rules.yaml"])
def test_the_rules_that_we_ship_are_valid(path: str) -> None:
    """The rules of the stack and of the example load."""
    assert len(loader.load(ROOT / path)) >= 1


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "    wen: {table: F}\n    tags: [a]\n",
            "rules.yaml:4: rules[0].wen: unknown field; did you mean 'when'?",
        ),
        (
            "    when: {tabel: F}\n    tags: [a]\n",
            "rules.yaml:4: rules[0].when.tabel: unknown field; did you mean 'table'?",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    zzz: 1\n",
            "rules.yaml:6: rules[0].zzz: unknown field; use one of",
        ),
        ("    tags: [a]\n", "rules.yaml:3: rules[0].when: Field required; add it"),
        ("    when: {table: F}\n", "rules.yaml:3: rules[0]: a rule needs 'tags' or 'keys'"),
        (
            "    when: {table: F}\n    tags:\n      - a\n      - 'b:{c'\n",
            "rules.yaml:7: rules[0].tags[1]: template 'b:{c': a brace is not closed; write fields as {name}",
        ),
        ("    when: {table: F}\n    tags: ['b:{c d}']\n", "field '{c d}' is not a name; write {name}"),
        ("    when: {table: F}\n    tags: ['b:{c:lowr}']\n", "did you mean 'lower'?"),
        ("    when: {table: F}\n    tags: ['b:{@tenant}']\n", "{@tenant} is the application's"),
        (
            "    when: {table: F}\n    tags: [a]\n    row_version: 'v:int'\n    lag: 1s\n",
            "without a formatter",
        ),
        ("    when: {table: F}\n    tags: ['b:{new}']\n", "{new} is a whole row; name an attribute"),
        (
            "    when: {table: F, operation: upsert}\n    tags: [a]\n",
            "rules[0].when.operation[0]: Input should be 'insert', 'modify', 'remove' or 'other', not 'upsert'",
        ),
        ("    when: {source: pigeon, table: F}\n    tags: [a]\n", "rules[0].when.source: Input should be"),
        ("    when: {source: dynamodb}\n    tags: [a]\n", "a rule for dynamodb needs 'table'"),
        ("    when: {source: eventbridge}\n    tags: [a]\n", "a rule for eventbridge needs 'detail_type'"),
        ("    when: {table: F, detail_type: D}\n    tags: [a]\n", "'detail_type' is for source eventbridge"),
        (
            "    when: {source: eventbridge, detail_type: D, changed: [x]}\n    tags: [a]\n",
            "'table' and 'changed' are for source dynamodb",
        ),
        (
            "    when: {source: eventbridge, detail_type: D}\n    tags: ['a:{old.x}']\n",
            "{old.x}: an event tells no old row; write {x}",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    row_version: version\n",
            "'row_version' and 'lag' go together",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    row_version: version\n    lag: 2 parsecs\n",
            "rules.yaml:7: rules[0].lag: lag='2 parsecs' is no duration; write seconds, or '250ms'",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    row_version: version\n    lag: 2h\n",
            "'2h' is more than an hour",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    namespace: a b\n",
            "rules.yaml:6: rules[0].namespace: namespace 'a b'",
        ),
        (
            "    when: {table: F}\n    tags: 5\n",
            "rules[0].tags: Input should be a valid list, not 5; write a list",
        ),
        ("    when: {table: F}\n    tags: [a:{b}]\n", "rules[0].tags[0]: Input should be a valid string"),
        (
            "    when: {table: F}\n    tags: [a]\n  - name: flight\n    when: {table: G}\n    tags: [a]\n",
            "two rules are called 'flight'; rename one",
        ),
        (
            "    when: {table: F}\n    when: {table: G}\n    tags: [a]\n",
            "rules.yaml:5: 'when' is given twice; keep one",
        ),
        ("    when: &w {table: F}\n    tags: *w\n", "rules.yaml:5: alias *w: write it out"),
        ("    when: {table: F\n    tags: [a]\n", "rules.yaml:5: YAML: "),
        ("    when: {table: F}\n   tags: [a]\n", "rules.yaml:5: YAML: "),
        (
            "    when: {table: F}\n    tags: [a]\n    description: 2001-99-99\n",
            "rules.yaml:6: '2001-99-99': month",
        ),
        (
            "    when: {table: F}\n    tags: [a]\n    description: !!python/name:os.system x\n",
            "rules.yaml:6: ",
        ),
        ("    when: {? [a] : F}\n    tags: [a]\n", "rules.yaml:4: a key must be a plain word"),
        ("    when: " + "[" * 40 + "]" * 40 + "\n", "rules.yaml:4: nested deeper than 20"),
    ],
)
def test_a_mistake_is_told_with_line_path_value_and_fix(rule: str, told: str) -> None:
    """Each kind of mistake, in syntax or in meaning, is told where it is and what to write instead."""
    assert told in refused(HEAD + rule)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "rules.yaml:1: the file: Input should be a valid dictionary"),
        ("- 1\n", "rules.yaml:1: the file: Input should be a valid dictionary"),
        ("version: 2\nrules: []\n", "rules.yaml:1: version: Input should be 1, not 2"),
        ("version: 1\n", "rules.yaml:1: rules: Field required; add it"),
        ("version: 1\nrules: []\n", "rules.yaml:2: rules: List should have at least 1 item"),
        ("version: 1\x00\n", "rules.yaml:1: unacceptable character"),
        ("a: " + "x" * 300_000, "larger than"),
    ],
)
def test_a_wrong_file_is_told_as_a_whole(text: str, told: str) -> None:
    """So is a file that is empty, of another version, too large or no text."""
    assert told in refused(text)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("!!bool foo", "rules.yaml:2: 'foo' is no bool"),
        ("!!int ''", "rules.yaml:2: '' is no int"),
        ("!!timestamp x", "rules.yaml:2: 'x' is no timestamp"),
        ("\n" + "\n".join(" " * n + "a:" for n in range(1, 600)), "rules.yaml:22: nested deeper than 20"),
        ("[" * 5_000, "rules.yaml:2: nested deeper than 20"),
        ("0x" + "f" * 5_000, "rules.yaml:2: a value of 5002 characters; write at most"),
        ("true", "rules.yaml:2: version: Input should be 1, not True"),
        ("1.0", "rules.yaml:2: version: Input should be 1, not 1.0"),
    ],
    ids=["bool", "int", "timestamp", "maps", "brackets", "hex", "true", "float"],
)
def test_what_the_yaml_reader_did_not_foresee_is_told_too(value: str, told: str) -> None:
    """Whatever stands behind a tag, or nests, ends in an error with file and line, never in a raw exception."""
    assert told in refused(f"# rules\nversion: {value}\n")


def test_an_event_has_no_old_row_version() -> None:
    """An event tells one state, so a version of the row before it is a mistake."""
    rule = "    when: {source: eventbridge, detail_type: D}\n    tags: [a]\n    row_version: old.v\n    lag: 1s\n"

    assert "{old.v}: an event tells no old row; write {v}" in refused(HEAD + rule)


def test_a_path_with_a_nul_is_told() -> None:
    """A path that no system takes is a wrong setting like any other."""
    with pytest.raises(ConfigurationError, match=r"rules file .*null byte; set STALEPROOF_RULES"):
        loader.load("/a\x00b")


def test_a_file_above_the_limit_is_refused_whatever_it_holds(tmp_path: Path) -> None:
    """Bytes count, not characters: a file is read whole or refused, never cut in silence."""
    text = HEAD + "    when: {table: F}\n    tags: [a]\n# é\n"
    path = tmp_path / "rules.yaml"
    path.write_text(text + "# " + "c" * (loader.MAX_BYTES - len(text.encode()) - 2), encoding="utf-8")
    assert len(loader.load(path)) == 1

    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"rules.yaml:1: larger than 262144 bytes"):
        loader.load(path)
    with pytest.raises(ConfigurationError, match="larger than"):
        loader.loads("# " + "é" * 140_000)


def test_all_mistakes_are_told_at_once_in_order() -> None:
    """Nobody has to correct one mistake to learn of the next."""
    text = HEAD + "    wen: 1\n  - name: '?'\n    when: {table: F}\n    tags: [a]\n    kyes: []\n"

    lines = [int(line.split(":")[1]) for line in refused(text).splitlines()]

    assert lines == sorted(lines)
    assert {4, 5, 8} <= set(lines)


def test_a_missing_file_names_the_variable(tmp_path: Path) -> None:
    """A path that cannot be read says which setting names it."""
    with pytest.raises(ConfigurationError, match=r"nowhere.yaml: No such file .*set STALEPROOF_RULES"):
        loader.load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    """Another encoding is told as such."""
    path = tmp_path / "rules.yaml"
    path.write_bytes("version: 1 # ä".encode("latin-1"))

    with pytest.raises(ConfigurationError, match="save the file as UTF-8"):
        loader.load(path)


def test_the_digest_names_the_version_of_the_rules() -> None:
    """Two texts have two digests, one text always the same."""
    text = HEAD + "    when: {table: F}\n    tags: [a]\n"

    assert loader.loads(text).digest == loader.loads(text).digest
    assert loader.loads(text).digest != loader.loads(text + "# changed\n").digest


def test_the_published_schema_is_the_models() -> None:
    """The schema that editors use is the model's own; this prints the new one when it is not."""
    assert json.loads(SCHEMA.read_text()) == loader.schema(), json.dumps(loader.schema(), indent=2)
