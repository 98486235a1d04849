"""`staleproof config`: what would be in force, from where, and nothing secret."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from staleproof.cli import configuration
from staleproof.cli.configuration import EXAMPLES, command
from staleproof.config import ParameterStore, Settings
from staleproof.config.listing import Row, policy_meanings, writable_fields
from staleproof.config.table import SETTINGS
from staleproof.policies.policy import Policy
from tests.unit.settings_parameters import Parameters

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
namespace = "shop"
pickle_keys = ["hush-hush-hush-hush-hush-hush-hush", "quiet-quiet-quiet-quiet-quiet-quiet"]
[policies.hot]
ttl = "1m"
[policies.plain]
[providers.sessions]
url = "redis://app:hush@sessions"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a settings file, and an environment with an address."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "STALEPROOF_STAGE", "STALEPROOF_SSM_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STALEPROOF_CACHE_URL", "rediss://app:hush@cache:6379/0")
    (tmp_path / "staleproof.toml").write_text(FILE)
    return tmp_path


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """What lies in the Parameter Store, which every client in this test asks."""
    held = Parameters({"/staleproof/prod/ttl": "1h", "/shop/cache/ttl": "2h"})
    held.put("/staleproof/prod/lease", "7s", "SecureString")
    monkeypatch.setattr("staleproof.config.parameter_store.client", lambda: held)
    return held


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def listed(*arguments: str) -> dict[str, Any]:
    ran = run("--json", *arguments)
    assert ran.exit_code == 0, ran.output
    return {row["setting"]: row for row in json.loads(ran.stdout)}


def test_every_setting_is_listed() -> None:
    """Every setting, every field that can be written, and what named policies and providers say."""
    named = ["policies.hot.ttl", "policies.plain", "providers.sessions.url"]
    assert list(listed()) == [*SETTINGS, *writable_fields(), *named]
    assert set(Policy.FIELDS) - set(writable_fields()) == {"ttl_from", "admit"}


def test_each_has_value_origin_and_meaning() -> None:
    """The value is as it was written, the origin where; and every row says what it is for."""
    rows = listed()
    assert rows["namespace"] == {
        "setting": "namespace",
        "value": "shop",
        "origin": "staleproof.toml:1",
        "meaning": SETTINGS["namespace"].meaning,
        "reloads": False,
    }
    assert (rows["ttl"]["value"], rows["ttl"]["origin"], rows["ttl"]["reloads"]) == ("10m", "default", True)
    assert (rows["policies.hot.ttl"]["value"], rows["policies.hot.ttl"]["origin"]) == (
        "1m",
        "staleproof.toml:4",
    )
    assert rows["policies.plain"]["meaning"] == "as the default policy"
    assert [path for path, row in rows.items() if not row["meaning"]] == []
    assert policy_meanings().keys() >= Policy.FIELDS.keys()


def test_secrets_stay_hidden(parameters: Parameters) -> None:
    """Neither form shows a password, a key or a SecureString."""
    del parameters
    table, data = run("--stage", "prod"), run("--stage", "prod", "--json")
    for shown in (table.output, data.output):
        assert "hush" not in shown
        assert "quiet" not in shown
        assert "rediss://app:***@cache:6379/0" in shown
        assert "7s" not in shown
    rows = listed("--stage", "prod")
    assert rows["pickle_keys"]["value"] == ["***", "***"]
    assert (rows["lease"]["value"], rows["lease"]["origin"]) == ("***", "ssm /staleproof/prod/lease")


def test_a_pipe_gets_a_line_a_setting() -> None:
    """Where nobody looks, no value is folded or cut, and nothing is coloured."""
    lines = run().stdout.splitlines()
    assert len(lines) == 1 + len(listed())
    assert lines[0].split() == ["setting", "value", "origin", "meaning"]
    assert "\x1b" not in run().stdout
    (hot,) = [line for line in lines if line.startswith("policies.hot.ttl")]
    assert hot.split()[1:3] == ["1m", "staleproof.toml:4"]


def test_a_narrow_terminal_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is little room, texts are folded, not cut."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = run().stdout
    assert max(map(len, shown.splitlines())) <= 60
    assert "…" not in shown


def test_options_name_the_sources(folder: Path, parameters: Parameters) -> None:
    """Stage, path and file are those that the options name, as their variables would."""
    del parameters
    (folder / "other.toml").write_text("namespace = 'other'")
    assert listed("--stage", "prod")["ttl"]["origin"] == "ssm /staleproof/prod/ttl"
    assert listed("--ssm-path", "/shop/cache")["ttl"]["value"] == "2h"
    assert listed("--file", "other.toml")["namespace"]["origin"] == "other.toml:1"


def test_faults_are_lines_and_exit_code_2() -> None:
    """An invalid configuration prints a line for each fault, and nothing else."""
    from staleproof.cli.program import program  # noqa: PLC0415 - as the command line reaches it

    ran = CliRunner().invoke(program, ["config", "--file", "none"], env={"STALEPROOF_TTL": "soon"})
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert [line.partition(";")[0] for line in ran.stderr.splitlines()] == [
        "error: namespace is not set",
        "error: environment STALEPROOF_TTL: ttl='soon' is no duration",
    ]


EXAMPLE_LINES = re.findall(r"^ +staleproof config(.*)$", EXAMPLES, re.MULTILINE)


@pytest.mark.parametrize("line", EXAMPLE_LINES)
def test_examples_of_the_help_run(line: str, parameters: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--help` shows can be typed."""
    del parameters
    monkeypatch.setenv("STALEPROOF_NAMESPACE", "shop")
    assert run(*shlex.split(line)).exit_code == 0
    assert f"staleproof config{line}" in run("--help").output


def test_it_shows_what_a_cache_would_take(parameters: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that are listed are those of `Settings.from_env`."""
    del parameters
    taken: list[Settings] = []

    def rows(settings: Settings) -> list[Row]:
        taken.append(settings)
        return []

    monkeypatch.setattr(configuration, "rows", rows)
    run("--stage", "prod")
    assert taken == [Settings.from_env(stage="prod", parameters=ParameterStore())]
