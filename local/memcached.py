"""A real Memcached node, from Debian's `memcached` package: loopback, a free port, nothing on disk."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

from local.loopback import HOST, exchange
from local.server import LocalServer
from local.supervisor import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.supervisor import Supervisor


def program() -> str:
    """Return where the server program is.

    Raises:
        SupervisorError: it is not installed.
    """
    found = shutil.which("memcached")
    if found is None:
        raise SupervisorError("there is no memcached on this machine; install it: apt-get install memcached")
    return found


class Memcached(LocalServer):
    """One node. It keeps its port over `kill` and `start`, so that clients find it again.

    Args:
        supervisor: owns the process.
        name: names the process and its log, `memcached-1`.
        options: more of the server's own options, such as `-I 2m`.
    """

    def __init__(self, supervisor: Supervisor, name: str, *, options: Sequence[str] = ()) -> None:
        super().__init__(supervisor, name)
        self._options = options

    @property
    def host_and_port(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The same as a cache URL."""
        return f"memcached://{self.host_and_port}/"

    def _spawn(self, port: int) -> int:
        user = ["-u", "root"] if os.getuid() == 0 else []
        command = [program(), "-l", HOST, "-p", str(port), "-U", "0", "-t", "2", "-m", "64"]
        return self._supervisor.spawn(self.name, [*command, *user, *self._options])

    def _answers(self, port: int, pid: int) -> bool:
        if (
            "-Z" in self._options
        ):  # over TLS it cannot be asked in the clear who it is; that it listens must do
            return listens(port)
        return f"STAT pid {pid}\r\n".encode() in exchange(port, b"stats\r\n", 1 << 16)


def listens(port: int) -> bool:
    """Say whether anybody listens at *port*."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
