"""`staleproof rules`: what a file says is checked, shown and held to its examples before a pipeline reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from staleproof.cli.program import program
from staleproof_pipeline.rules import loader

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
EVENTS = ROOT / "events"

FILE = """version: 1
rules:
  - name: price
    when: {table: Products, changed: [price]}
    tags: ["product:{id}"]
  - name: gone
    when: {table: Products, operation: remove}
    keys: ["page:{id}"]
examples:
  - name: a price changes
    given: {table: Products, keys: {id: 1}, old: {price: 5}, new: {price: 6}}
    expect: {rules: [price], tags: ["product:1"]}
"""


def run(*arguments: Any, given: str | None = None) -> Result:
    return CliRunner().invoke(program, ["rules", *map(str, arguments)], prog_name="staleproof", input=given)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(FILE)
    return path


# --- the shop ---------------------------------------------------------------------------------------------


def test_the_shop_has_twenty_rules_and_passes_its_own_tests() -> None:
    """The example's rules are held to its examples, every rule is shown, and nothing in it is doubtful."""
    tested, covered = run("test", SHOP / "rules.yaml"), run("coverage", SHOP / "rules.yaml", "--min", 100)
    linted = run("lint", SHOP / "rules.yaml", "--strict")

    assert len(loader.load(SHOP / "rules.yaml")) == 20
    assert (tested.exit_code, covered.exit_code, linted.exit_code) == (0, 0, 0), tested.output + linted.output
    assert "24 passed, 0 failed" in tested.output
    assert "20 of 20 rules matched, 100 %" in covered.output


def test_an_event_of_the_shop_is_explained() -> None:
    """Which rules fire, why the others do not, and which tags and keys fall."""
    ran = run("explain", SHOP / "rules.yaml", SHOP / "events" / "order.json", "--namespace", "shop")
    lines = {line.split()[1]: line for line in ran.output.splitlines() if len(line.split()) > 1}

    assert ran.exit_code == 0
    assert lines["order-placed"].startswith("fires")
    assert "detail_type" in lines["customer-moved"]
    assert "it is about Customer Moved, and this is 'Order Placed'" in lines["customer-moved"]
    assert "falls in shop: bought-with:pen, bought-with:ink, orders:c9, board:c9" in ran.output


def test_effects_are_explained() -> None:
    """Windows, second invalidations, fences, warm-ups and shadow mode are told beside what falls at once."""
    changes: dict[str, dict[str, Any]] = {
        "falls at most twice in 500 ms in default: stock:acme:1 (soft)": {
            "table": "p-Stock", "keys": {"tenant": "acme", "id": 1}, "old": {"pieces": 2}, "new": {"pieces": 1},
        },
        "falls again after 2000 ms in default: prices:c9": {
            "source": "eventbridge", "detail_type": "Customer Moved", "new": {"customer": "c9"},
        },
        "would fall, but for shadow mode in default: wishes:c9": {"table": "p-Wishes", "keys": {"customer": "c9"}},
        "detail:acme:1 (row version 8 for 2000 ms)": {
            "table": "p-Products", "keys": {"tenant": "acme", "id": 1}, "old": {"version": 7}, "new": {"version": 8},
        },
        "is loaded again in default: product:acme:1": {
            "table": "p-Products", "keys": {"tenant": "acme", "id": 1}, "old": {"cents": 7}, "new": {"cents": 8},
        },
        "falls in default: everything": {"source": "kafka", "table": "shop.tariffs", "truncated": True},
        "nothing falls": {"table": "Unknown", "keys": {"id": 1}},
    }  # fmt: skip
    for line, change in changes.items():
        ran = run("explain", SHOP / "rules.yaml", "-", given=json.dumps(change))
        assert (ran.exit_code, line in ran.output) == (0, True), ran.output


def test_a_real_process_explains_as_json() -> None:
    """The installed command finds the group by its entry point, and a machine can read what it prints."""
    command = [sys.executable, "-m", "staleproof.cli", "rules", "explain", "--json"]
    ran = subprocess.run(
        [*command, SHOP / "rules.yaml", SHOP / "events" / "picture.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    (answer,) = json.loads(ran.stdout)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert [each["rule"] for each in answer["rules"] if each["fired"]] == ["picture-replaced"]
    assert {each["condition"] for each in answer["rules"] if not each["fired"]} == {"source"}
    assert [each["tags"] for each in answer["invalidations"]] == [["picture:pens/blue.png"]]
    assert answer["error"] == ""


# --- test -------------------------------------------------------------------------------------------------


def test_examples_that_hold_are_a_table_of_passes(rules: Path) -> None:
    """Exit code 0, and the rules that no example matches are named."""
    ran = run("test", rules)

    assert ran.exit_code == 0
    assert ["passed", "a", "price", "changes", "price", "product:1"] in [
        line.split() for line in ran.output.splitlines()
    ]
    assert "never matched: gone" in ran.output


def test_what_differs_is_told_as_a_diff(rules: Path) -> None:
    """Exit code 1; what was expected and does not fall, and what falls and was not expected."""
    expected = '{rules: [price], tags: ["product:1"]}'
    rules.write_text(FILE.replace(expected, '{rules: [gone], tags: ["p:1"], keys: [k]}'))
    ran, document = run("test", rules), json.loads(run("test", rules, "--json").output)

    assert ran.exit_code == 1
    for line in ("- rules: gone", "+ rules: price", "- tags: p:1", "+ tags: product:1", "- keys: k"):
        assert line in ran.output
    (example,) = document["examples"]
    assert not example["passed"]
    assert example["fallen"] == {
        "rules": ["price"],
        "tags": ["product:1"],
        "keys": [],
        "warm": [],
        "clear": False,
    }
    assert document["never_matched"] == ["gone"]


@pytest.mark.parametrize(
    ("example", "exit_code", "told"),
    [
        (
            "given: {table: Products, keys: {id: 1}, old: {price: 5}, new: {price: 5}}, expect: nothing",
            0,
            "nothing",
        ),
        ("given: {table: Products, keys: {id: 1}, new: {price: 5}}, expect: nothing", 1, "+ tags: product:1"),
        ("given: {file: gone.json}, expect: nothing", 1, "given: "),
        (
            "given: {file: event.json, record: 7}, expect: nothing",
            1,
            "has 1 records; record: 7 is none of them",
        ),
        ("given: {file: event.json}, expect: nothing", 0, "nothing"),
        (
            "given: {table: Products, new: {id: [1]}}, expect: {rules: [price]}",
            1,
            "dead letter: template 'product:{id}'",
        ),
    ],
)
def test_an_example_may_expect_nothing_or_name_a_file(
    rules: Path, example: str, exit_code: int, told: str
) -> None:
    """Raw events lie beside the rules file; what cannot be read, or would be dead-lettered, fails with its reason."""
    (rules.parent / "event.json").write_text((EVENTS / "dynamodb-modify.json").read_text())
    head = FILE.partition("examples:")[0]
    rules.write_text(f"{head}examples:\n  - {{name: e, {example}}}\n")
    ran = run("test", rules)

    assert (ran.exit_code, told in ran.output) == (exit_code, True), ran.output


def test_a_file_without_examples_has_passed_nothing(rules: Path) -> None:
    """Tests that are not there are no success."""
    rules.write_text(FILE.partition("examples:")[0])
    ran = run("test", rules)

    assert ran.exit_code == 1
    assert "there are no examples" in ran.output


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ("given: {table: P}, expect: {rules: [prise]}", "examples[0].expect.rules: there is no rule 'prise'"),
        ("given: {table: P}, expect: {}", "examples[0].expect: write what falls"),
        ("given: {table: P}, expect: noting", "examples[0].expect: Input should be 'nothing'"),
        ("given: {table: P, entity: Q}, expect: nothing", "examples[0].given: say what changed by one of"),
        (
            "given: {file: x.json, table: P}, expect: nothing",
            "'file' is a whole event; remove the other fields",
        ),
        (
            "given: {tabel: P}, expect: nothing",
            "examples[0].given.tabel: unknown field; did you mean 'table'?",
        ),
        (
            "given: {table: P}, expect: {tgas: [x]}",
            "examples[0].expect.tgas: unknown field; did you mean 'tags'?",
        ),
    ],
)
def test_a_mistake_in_an_example_has_its_place(rules: Path, example: str, told: str) -> None:
    """Exit code 2, with file, line and path, as for any mistake in the file."""
    head = FILE.partition("examples:")[0]
    rules.write_text(f"{head}examples:\n  - {{name: e, {example}}}\n")
    ran = run("test", rules)

    assert ran.exit_code == 2
    assert f"rules.yaml:{head.count(chr(10)) + 2}: " in ran.output
    assert told in ran.output


# --- lint, coverage, schema --------------------------------------------------------------------------------


def test_lint_tells_findings_and_their_fixes(rules: Path) -> None:
    """A table for people, JSON for machines; exit code 1 for errors, and for warnings with --strict."""
    rules.write_text(FILE.replace("changed: [price]", "operation: insert, old: {price: 5}"))
    ran, document = run("lint", rules), json.loads(run("lint", rules, "--json").output)

    assert ran.exit_code == 1
    assert "unreachable" in ran.output
    assert document["counts"]["error"] == 1
    assert {"code", "severity", "rule", "what", "fix"} == set(document["findings"][0])


def test_lint_is_strict_when_asked(rules: Path) -> None:
    """Warnings alone pass, unless they shall not."""
    rules.write_text(FILE.replace("table: Products, changed", "table: '*', changed"))

    assert run("lint", rules).exit_code == 0
    assert run("lint", rules, "--strict").exit_code == 1


def test_coverage_counts_events_too(rules: Path) -> None:
    """Rules that the examples do not match may be matched by recorded events."""
    event = {"table": "Products", "keys": {"id": 1}, "old": {"price": 5}}
    (rules.parent / "removed.json").write_text(json.dumps(event))

    assert run("coverage", rules, "--min", 60).exit_code == 1
    assert run("coverage", rules, rules.parent / "removed.json", "--min", 100).exit_code == 0
    assert json.loads(run("coverage", rules, "--json").output)["matched"] == {"price": 1, "gone": 0}
    assert "never" in run("coverage", rules).output


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("kafka-postgres-update", "public.flights"),
        ("kafka-plain", "flights"),
        ("sqs-received", "flight"),
        ("dynamodb-modify", "Flights"),
        ("kinesis-plain", "announcements"),
    ],
)
def test_an_event_as_its_source_delivers_it_is_read_as_a_whole(name: str, entity: str, rules: Path) -> None:
    """What a person has at hand is what Lambda, or the API, returned: of Kafka a list a partition."""
    ran = run("explain", rules, EVENTS / f"{name}.json", "--json")

    assert (ran.exit_code, [each["change"]["entity"] for each in json.loads(ran.stdout)]) == (0, [entity])


def test_the_schema_is_the_published_one() -> None:
    """What the command prints is the file that lies beside the model."""
    published = ROOT / "shared" / "src" / "staleproof_pipeline" / "rules" / "schema.json"

    assert json.loads(run("schema").output) == json.loads(published.read_text())


def test_our_own_files_satisfy_the_schema() -> None:
    """An editor has nothing to say about the files that we ship, and finds a misspelt field."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(loader.schema())
    for path in (
        SHOP / "rules.yaml",
        ROOT / "shared/rules/rules.yaml",
        ROOT / "examples/departures/rules.yaml",
    ):
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []
    wrong = yaml.safe_load(FILE.replace("changed", "chnaged"))
    assert list(validator.iter_errors(wrong))


# --- events and mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("event", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_any_event_is_explained_or_told_to_be_unreadable(event: Path, rules: Path) -> None:
    """Whatever a function may receive can be asked about; what it would dead-letter is an error in a line."""
    ran = run("explain", rules, event)

    assert ran.exit_code in {0, 1, 2}
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.output
    if ran.exit_code:
        assert "error: " in ran.output or "dead letter: " in ran.output


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("explain", "{rules}", "nowhere.json"), None, "nowhere.json: No such file"),
        (("explain", "{rules}", "-"), "{", "write the event as JSON"),
        (("explain", "{rules}", "-"), "[" * 100_000, "write the event as JSON"),
        (("explain", "{rules}", "-"), '{"table": "P", "operation": "upsert"}', "operation: Input should be"),
        (("explain", "{rules}", "-", "--record", "3"), '{"table": "P"}', "--record 3: the event has 1"),
        (("test", "nowhere.yaml"), None, "nowhere.yaml: No such file"),
        (("coverage", "{rules}", "nowhere.json"), None, "nowhere.json: No such file"),
    ],
)
def test_what_is_wrong_is_told_in_lines(
    rules: Path, arguments: tuple[str, ...], given: str | None, told: str
) -> None:
    """Exit code 2 and a line that says what to correct, never a trace."""
    ran = run(*(each.format(rules=rules) for each in arguments), given=given)

    assert ran.exit_code == 2
    assert told in ran.output


@pytest.mark.parametrize("name", ["lint", "test", "explain", "coverage", "schema"])
def test_every_command_has_help_with_an_example(name: str) -> None:
    """Whoever asks for help sees what to type."""
    ran = run(name, "--help")

    assert ran.exit_code == 0
    assert f"staleproof rules {name}" in ran.output
