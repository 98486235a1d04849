"""`program`: the command whose subcommands come from entry points.

A package adds one by an entry point of the group `staleproof.commands`: its name is the subcommand, its object a
`click.Command` or `click.Group`. One that cannot be imported is told when it is called for; the others go on.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NoReturn

import click

from staleproof import __version__
from staleproof.errors import CacheError, ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "staleproof.commands"
MISCONFIGURED, FAILED = 2, 1
"""Exit codes: correct something and call again; or, call again later."""

EXAMPLES = """\b
Examples:
  staleproof --version
  staleproof config --help
"""


class Program(click.Group):
    """A group that finds its subcommands through entry points, and tells errors a line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return sorted({*super().list_commands(ctx), *_registered()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand *cmd_name*, None if there is none."""
        found = super().get_command(ctx, cmd_name)
        registered = _registered().get(cmd_name) if found is None else None
        return found if registered is None else _loaded(registered)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what it raises of ours becomes lines and an exit code."""
        try:
            return super().invoke(ctx)
        except CacheError as error:
            _tell(str(error))
            ctx.exit(MISCONFIGURED if isinstance(error, ConfigurationError) else FAILED)


def _registered() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=GROUP)}


def _loaded(registered: EntryPoint) -> click.Command:
    try:
        command = registered.load()
    except Exception as error:  # noqa: BLE001 - whatever a package's import raises, the others go on
        lacks_rich = isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rich")
        return _broken(
            registered, f"{type(error).__name__}: {error}" + "; install staleproof[cli]" * lacks_rich
        )
    if not isinstance(command, click.Command):
        return _broken(registered, f"it is a {type(command).__name__}, no click.Command")
    return command


def _broken(registered: EntryPoint, why: str) -> click.Command:
    """Return a command that says why the registered one cannot be had."""

    def tell(**_: Any) -> NoReturn:
        _tell(f"the command {registered.name} ({registered.value}) cannot be loaded: {why}")
        sys.exit(FAILED)

    anything = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    return click.Command(
        registered.name,
        callback=tell,
        params=[anything],
        short_help="cannot be loaded",
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )


def _tell(lines: str) -> None:
    for line in lines.splitlines():
        click.echo(f"error: {line}", err=True)


@click.group(cls=Program, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="staleproof")
def program() -> None:
    """Look at a cache, and at what it is told to be."""
