"""The `staleproof` command: subcommands come from whoever brings them, and errors are lines with an exit code."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import staleproof
from staleproof.cli import main as entry
from staleproof.cli.program import GROUP, program

COMMANDS = """
import click
from staleproof.errors import ConfigurationError, ProviderUnavailableError

@click.command()
@click.argument("name")
def greet(name):
    click.echo(f"hello {name}")

@click.command()
def misconfigured():
    raise ConfigurationError("one thing; mend it\\nanother; mend it too")

@click.command()
def away():
    raise ProviderUnavailableError("nobody answers; retry")

broken = 5
"""
ENTRY_POINTS = f"""
[{GROUP}]
greet = staleproof_test_commands:greet
misconfigured = staleproof_test_commands:misconfigured
away = staleproof_test_commands:away
broken = staleproof_test_commands:broken
missing = staleproof_test_commands.nowhere:command
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments, prog_name="staleproof")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings commands, installed for as long as a test lasts."""
    (tmp_path / "staleproof_test_commands.py").write_text(COMMANDS)
    information = tmp_path / "staleproof_test_commands-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: staleproof-test-commands\nVersion: 1\n"
    )
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "staleproof_test_commands", raising=False)


def test_the_version_is_the_librarys() -> None:
    """`staleproof --version` says which library it looks with."""
    assert run("--version").output == f"staleproof, version {staleproof.__version__}\n"


def test_commands_are_entry_points() -> None:
    """The first command is found as any other package's is."""
    assert {each.name for each in entry_points(group=GROUP)} >= {"config"}
    assert "config" in run("--help").output


@pytest.mark.usefixtures("package")
def test_a_package_brings_commands() -> None:
    """A command that an installed package registers is listed, helped and run."""
    assert "greet" in run("--help").output
    assert run("greet", "you").output == "hello you\n"
    assert "NAME" in run("greet", "--help").output


@pytest.mark.usefixtures("package")
def test_a_broken_command_hinders_no_other() -> None:
    """What cannot be loaded says so when it is called, whatever it is called with; the rest works."""
    assert "cannot be loaded" in run("--help").output
    missing = run("missing", "--anything", "at", "all")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith(
        "error: the command missing (staleproof_test_commands.nowhere:command) cannot be"
    )
    assert "it is a int, no click.Command" in run("broken").stderr
    assert run("greet", "you").exit_code == 0


@pytest.mark.usefixtures("package")
def test_errors_are_lines_and_an_exit_code() -> None:
    """2 is for what a person mends, 1 for what time may; each fault has a line."""
    wrong, away = run("misconfigured"), run("away")
    assert (wrong.exit_code, wrong.stderr) == (2, "error: one thing; mend it\nerror: another; mend it too\n")
    assert (away.exit_code, away.stderr) == (1, "error: nobody answers; retry\n")


def test_an_unknown_command_is_told() -> None:
    """A command that nobody brings is a usage error."""
    assert run("confog").exit_code == 2


@pytest.mark.parametrize("absent", ["click", "rich"])
def test_without_its_extra_the_command_says_so(
    absent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed without the extra, the command says what to install instead of a traceback."""
    for name in [each for each in sys.modules if each.startswith(("staleproof.cli.", absent))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.setattr(sys, "argv", ["staleproof", "config", "--help"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code != 0
    assert "install staleproof[cli]" in capsys.readouterr().err


def test_the_script_is_installed() -> None:
    """`staleproof` runs from the command line."""
    script = str(Path(sys.executable).parent / "staleproof")
    ran = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"staleproof, version {staleproof.__version__}\n"


def test_the_library_loads_no_command() -> None:
    """A cold start pays for neither the command line nor the sources that it does not use."""
    program = (
        "import sys\n"
        "from staleproof import Cache\n"
        "Cache.from_env({'STALEPROOF_CACHE_URL': 'memory://', 'STALEPROOF_NAMESPACE': 'shop'})\n"
        "print(*sorted({'click', 'rich', 'tomllib', 'boto3', 'difflib', 'redis'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
