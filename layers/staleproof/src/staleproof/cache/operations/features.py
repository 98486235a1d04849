"""Which modules a server has: asked once in a while, by what nobody is refused for long.

`COMMAND INFO` tells exactly which commands there are; where a user may not ask, `MODULE LIST` is tried; where neither
is allowed nobody knows, and the command itself is tried in earnest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from staleproof.cache.operations.performing import Perform
from staleproof.errors import ConfigurationError, ProviderRejectedError
from staleproof.ports.operations import Ask

if TYPE_CHECKING:
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core

BELIEVED = 300.0
"""Seconds for which an answer is believed: a server may be upgraded."""


class Module(NamedTuple):
    """A kind of module.

    Attributes:
        command: one that only it has.
        names: what servers call it.
        since: where ElastiCache has it.
        instead: what to do without it.
    """

    command: str
    names: tuple[str, ...]
    since: str
    instead: str


MODULES: Final = {
    "bloom": Module(
        "BF.MADD",
        ("bf", "bloom"),
        "ElastiCache: Valkey 8.1 or later",
        "leave module=True out: a bitmap does the same on any server",
    ),
    "json": Module(
        "JSON.SET",
        ("json", "ReJSON"),
        "ElastiCache: Valkey 7.2 or Redis OSS 6.2 or later",
        "leave module=True out: the document is then an ordinary entry",
    ),
    "search": Module(
        "FT.SEARCH",
        ("search",),
        "ElastiCache: Valkey 8.2 or later",
        "search in the source of truth, or in a search engine",
    ),
}
"""By our name for it."""

_ABOUT: Final = re.compile(rb"^(server_name|valkey_version|redis_version):([\w.+-]+)", re.MULTILINE)


class Modules(NamedTuple):
    """The modules of a server.

    Attributes:
        present: those of `bloom`, `json` and `search` that it has.
        told: whether it told; a user may be refused the question.
        server: its name and version, such as `valkey 9.1.2`; "" if it would not tell.
    """

    present: frozenset[str]
    told: bool
    server: str

    def require(self, name: str) -> None:
        """Make sure that the server has *name*; one that would not tell is believed to have it.

        Raises:
            ConfigurationError: it does not; the message names the server, and what to do.
        """
        module = MODULES.get(name)
        if module is None:
            raise ConfigurationError(f"no module is called {name!r}; the names are: {', '.join(MODULES)}")
        if self.told and name not in self.present:
            raise ConfigurationError(
                f"the server, {self.server or 'of unknown version'}, has no module {name!r} ({module.command}); use "
                f"one that has it ({module.since}), or {module.instead}"
            )


_known: WeakKeyDictionary[Core, tuple[float, Modules]] = WeakKeyDictionary()


def modules(core: Core) -> Plan[Modules]:
    """Return which modules the server has, as it was told within the last minutes.

    Raises:
        ProviderUnavailableError: the server is away.
    """
    known = _known.get(core)
    now = core.clock.monotonic()
    if known is not None and now - known[0] < BELIEVED:
        return known[1]
    found = yield from _asked()
    _known[core] = now, found
    return found


def _asked() -> Plan[Modules]:
    server = _name((yield from _tried("INFO", "server")))
    words = [module.command for module in MODULES.values()]
    commands = yield from _tried("COMMAND", "INFO", *words)
    if isinstance(commands, list):
        present = frozenset(name for name, known in zip(MODULES, commands, strict=False) if known)
        return Modules(present, told=True, server=server)
    listed = yield from _tried("MODULE", "LIST")
    if isinstance(listed, list):
        names = {_listed_name(row) for row in listed}
        present = frozenset(name for name, each in MODULES.items() if names & {*each.names})
        return Modules(present, told=True, server=server)
    return Modules(frozenset(), told=listed is None, server=server)


_REFUSED: Final = object()


def _tried(*words: str) -> Plan[Any]:
    """Return the reply, None where there is no server to ask, `_REFUSED` where the user may not."""
    try:
        return (yield Perform(Ask(words)))
    except ProviderRejectedError:
        return _REFUSED


def _name(reply: Any) -> str:
    if reply is None:
        return "the memory provider"
    found: list[tuple[bytes, bytes]] = _ABOUT.findall(reply) if isinstance(reply, bytes) else []
    about = dict(found)
    if not about:
        return ""
    name = about.get(b"server_name", b"redis")
    version = about.get(name + b"_version") or about.get(b"redis_version", b"")
    return f"{name.decode()} {version.decode()}".strip()


def _listed_name(row: Any) -> str:
    fields = dict(zip(row[::2], row[1::2], strict=False)) if isinstance(row, list) else {}
    name = fields.get(b"name", b"")
    return name.decode(errors="replace") if isinstance(name, bytes) else ""
