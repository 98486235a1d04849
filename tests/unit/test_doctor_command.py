"""`staleproof doctor` as a command: its options, its exit codes, and what it says where there is nothing to examine."""

from __future__ import annotations

import ast
import json
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from staleproof.aws import address_of, describe
from staleproof.cli import doctor, doctor_report
from staleproof.cli.doctor import command
from staleproof.cli.doctor_discovery import described
from staleproof.cli.doctor_finding import Finding, Severity, fault, fine, note, warn, worst
from staleproof.cli.program import GROUP, program
from tests.architecture.tree import ROOT
from tests.unit.elasticache_account import Account, cluster, datastore, group, sharded, user

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(autouse=True)
def apart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that a test gives."""
    monkeypatch.chdir(tmp_path)
    for name in ("STALEPROOF_CACHE_URL", "STALEPROOF_NAMESPACE", "STALEPROOF_STAGE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, ["doctor", *arguments], prog_name="staleproof")


def test_it_is_a_command_of_the_package() -> None:
    """The command is found by its entry point, like any other."""
    assert "doctor" in {each.name for each in entry_points(group=GROUP)}
    assert "Examine the cache at URL" in run("--help").output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("redis://127.0.0.1", "--from-env"),
        ("--name", "shop", "--from-env"),
        ("redis://127.0.0.1", "--user", "app"),
        ("--from-env", "--secret-id", "x"),
        ("redis://127.0.0.1", "--samples", "0"),
    ],
)
def test_contradictory_options_are_usage_errors(arguments: Sequence[str]) -> None:
    """One cache is examined, and an address says itself who to be."""
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert "Usage:" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("http://hush:hush@cache",), "URL has the scheme 'http'"),
        (("rediss://app:hush@cache?iam=shop",), "has a password beside iam"),
        (("--from-env",), "cache_url is not set"),
        (("--name", "cache.abc.cache.amazonaws.com"), "not its endpoint"),
    ],
)
def test_what_cannot_be_examined_is_told(arguments: Sequence[str], told: str) -> None:
    """A wrong address or name is a line and exit code 2; a password in it is not shown."""
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert "hush" not in ran.stderr


def test_a_cache_in_the_process_needs_no_doctor() -> None:
    """There is nothing to reach."""
    ran = run("memory://", "--strict")
    assert ran.exit_code == 0
    assert "lives within one process" in ran.output


def test_the_environment_names_the_cache() -> None:
    """`--from-env` takes what `Cache.from_env()` would."""
    environ = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop"}
    ran = CliRunner().invoke(command, ["--from-env", "--json"], env=environ)
    assert json.loads(ran.stdout)["worst"] == "info"


FINE = fine("tls", "TLSv1.3")
NOTE = note("keyspace", "5 keys", "of others")
WARN = warn("latency", "9 ms", "every read takes as long", "run nearer")
FAULT = fault("permissions", "not allowed: mget", "reading does not work", "add +mget")


@pytest.mark.parametrize(
    ("findings", "lenient", "strict"),
    [([], 0, 0), ([FINE, NOTE], 0, 0), ([WARN, FINE], 0, 1), ([FAULT, WARN], 2, 2)],
)
def test_exit_codes_are_for_machines(
    findings: list[Finding], lenient: int, strict: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 for errors; warnings count with `--strict` only."""
    monkeypatch.setattr(doctor, "_examined", lambda *_, **__: ("cache:6379", findings, {}))
    assert run("redis://cache").exit_code == lenient
    assert run("redis://cache", "--strict").exit_code == strict


def test_the_worst_comes_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets a line a finding, uncoloured, and a line that counts."""
    monkeypatch.delenv("COLUMNS", raising=False)
    doctor_report.table("cache:6379", [FINE, NOTE, WARN, FAULT])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "severity",
        "error",
        "warning",
        "info",
        "ok",
        "cache:6379:",
    ]
    assert lines[-1] == "cache:6379: 1 errors, 1 warnings, 1 notes, 1 fine"
    assert "add +mget" in lines[1]
    assert not any("\x1b" in line for line in lines)


def test_json_holds_everything() -> None:
    """Findings with all their fields, the worst severity, and the figures."""
    told = json.loads(doctor_report.as_json("cache:6379", [FINE, WARN], {"ping_p50_ms": 0.1}))
    assert (told["cache"], told["worst"], told["measured"]) == ("cache:6379", "warning", {"ping_p50_ms": 0.1})
    assert told["findings"][1] == {
        "check": "latency",
        "severity": "warning",
        "found": "9 ms",
        "means": "every read takes as long",
        "fix": "run nearer",
    }
    assert worst([]) is Severity.OK


def findings_made() -> set[str]:
    """Every check that the source makes findings of."""
    names: set[str] = set()
    for path in Path(doctor.__file__).parent.glob("doctor*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            name.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for name in node.targets
            if isinstance(name, ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in {"fine", "note", "warn", "fault"}:
                first = call.args[0]
                name = first.value if isinstance(first, ast.Constant) else constants.get(ast.unparse(first))
                names |= (
                    {str(name)} if name is not None else set()
                )  # None: a check that broke off, by its own name
    return names


def test_every_check_is_documented() -> None:
    """The page has a row for each check that findings are made of, and for no other."""
    page = (ROOT / "docs" / "operations" / "doctor.md").read_text().partition("## What it looks at")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == findings_made() | {
        "maxmemory-policy"
    }


# --- what AWS says -------------------------------------------------------------------------------------------


def checks(*held: dict[str, Any], name: str = "shop") -> dict[str, Finding]:
    cache = describe(name, client=Account(*held).client)
    return {each.check: each for each in described(cache, address_of(cache, read_only=True))}


def test_a_good_cache_is_described() -> None:
    """What AWS says, and the address with which a start asks nobody."""
    found = checks(group("shop", UserGroupIds=["g"]), user("app", "iam", "g"))
    assert {name: each.severity for name, each in found.items()} == {
        "aws": Severity.OK,
        "address": Severity.INFO,
    }
    assert found["aws"].found == "shop: valkey, replicationgroup, no cluster mode, available"
    assert found["address"].found.startswith(
        "rediss://app@master.shop.abc123.euw1.cache.amazonaws.com:6379/0?iam=shop"
    )
    assert found["address"].fix == "set STALEPROOF_CACHE_URL to it"


def test_what_aws_says_may_be_worrying() -> None:
    """No failover, nobody to be, a state in which it may not answer, a read-only copy."""
    found = checks(sharded("shop", AutomaticFailover="disabled", Status="rebooting"))
    assert {name: each.severity for name, each in found.items()} == {
        "aws": Severity.ERROR,
        "address": Severity.INFO,
        "failover": Severity.WARNING,
        "users": Severity.WARNING,
    }
    info = {"GlobalReplicationGroupId": "ldgnf-world", "GlobalReplicationGroupMemberRole": "SECONDARY"}
    world = datastore("ldgnf-world", us_east_1=("PRIMARY", "a"), eu_west_1=("SECONDARY", "shop"))
    told = checks(world, group("shop", GlobalReplicationGroupInfo=info), name="world")["datastore"]
    assert (told.severity, "us-east-1" in told.found) == (Severity.ERROR, True)


def unreachable(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


def test_memcached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS says of it, and then its nodes are asked; here there is no network."""
    account = Account(cluster("shop"))
    monkeypatch.setattr("staleproof.aws.discovery.connect", lambda *_: account.client)
    monkeypatch.setattr("socket.create_connection", unreachable)
    ran = run("--name", "shop")
    assert (ran.exit_code, "the list of nodes is not told" in ran.stdout) == (2, True)
    assert "memcached+discovery://shop.abc123.cfg.euw1.cache.amazonaws.com:11211/" in ran.stdout
