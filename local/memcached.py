"""A real Memcached node, from Debian's `memcached` package: loopback, a free port, nothing on disk."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

from local.conditions import wait_until
from local.loopback import HOST, exchange, free_port
from local.supervisor import Supervisor, SupervisorError

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIES = 3


def program() -> str:
    """Return where the server program is.

    Raises:
        SupervisorError: it is not installed.
    """
    found = shutil.which("memcached")
    if found is None:
        raise SupervisorError("there is no memcached on this machine; install it: apt-get install memcached")
    return found


class Memcached:
    """One node. It keeps its port over `kill` and `start`, so that clients find it again.

    Args:
        supervisor: owns the process.
        name: names the process and its log, `memcached-1`.
        options: more of the server's own options, such as `-I 2m`.
    """

    def __init__(self, supervisor: Supervisor, name: str, *, options: Sequence[str] = ()) -> None:
        self._supervisor = supervisor
        self.name = name
        self._options = options
        self.port = 0

    @property
    def host_and_port(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The same as a cache URL."""
        return f"memcached://{self.host_and_port}/"

    def start(self, timeout: float = 10.0) -> None:
        """Start the node, on the port it had before if it had one, and wait until it answers.

        Raises:
            SupervisorError: it is not installed, or ended at once; the text carries the end of its log.
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

    def stop(self) -> None:
        """End the node."""
        self._supervisor.stop(self.name)

    def kill(self) -> None:
        """End the node without warning, as a crash does."""
        self._supervisor.kill(self.name)

    def signal(self, number: int) -> None:
        """Send the node a signal, SIGSTOP for one that hangs."""
        self._supervisor.signal(self.name, number)

    def _start_on(self, port: int, timeout: float) -> None:
        user = ["-u", "root"] if os.getuid() == 0 else []
        command = [program(), "-l", HOST, "-p", str(port), "-U", "0", "-t", "2", "-m", "64"]
        pid = self._supervisor.spawn(self.name, [*command, *user, *self._options])
        tls = "-Z" in self._options

        def ready() -> bool:
            if not self._supervisor.running(self.name):
                raise SupervisorError(f"{self.name} ended: {self._supervisor.tail(self.name)}")
            if tls:  # it cannot be asked in the clear who it is; that it listens must do
                return listens(port)
            # A server that cannot get its port leaves it to another one, which answers: ask who it is.
            return f"STAT pid {pid}\r\n".encode() in exchange(port, b"stats\r\n", 1 << 16)

        try:
            wait_until(ready, f"{self.name} answers on port {port}", timeout=timeout)
        except (SupervisorError, TimeoutError):
            self._supervisor.kill(self.name)
            raise
        self.port = port


def listens(port: int) -> bool:
    """Say whether anybody listens at *port*."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
