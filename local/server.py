"""A server program on the loopback: started on a free port, asked until it answers, on the same port ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.conditions import wait_until
from local.loopback import free_port
from local.supervisor import SupervisorError

if TYPE_CHECKING:
    from local.supervisor import Supervisor

TRIES = 3
"""Free ports to try: another program may take one before ours has it."""


class LocalServer:
    """One server. It keeps its port over `stop`, `kill` and `start`, so that clients find it again.

    Args:
        supervisor: owns the process.
        name: names the process, its log and its folder.
    """

    def __init__(self, supervisor: Supervisor, name: str) -> None:
        self._supervisor = supervisor
        self.name = name
        self.port = 0

    def start(self, timeout: float = 10.0) -> None:
        """Start it, on the port it had before if it had one, and wait until it answers.

        Raises:
            SupervisorError: it is not installed, or ended instead; the text carries the end of its log.
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
        """End it."""
        self._supervisor.stop(self.name)

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        self._supervisor.kill(self.name)

    def signal(self, number: int) -> None:
        """Send it a signal, SIGSTOP for one that hangs."""
        self._supervisor.signal(self.name, number)

    def _start_on(self, port: int, timeout: float) -> None:
        pid = self._spawn(port)

        def ready() -> bool:
            if not self._supervisor.running(self.name):
                raise SupervisorError(f"{self.name} ended: {self._supervisor.tail(self.name)}")
            return self._answers(port, pid)

        try:
            wait_until(ready, f"{self.name} answers on port {port}", timeout=timeout)
        except (SupervisorError, TimeoutError):
            self._supervisor.kill(self.name)
            raise
        self.port = port

    def _spawn(self, port: int) -> int:
        """Start the program on *port*; return its process id."""
        raise NotImplementedError

    def _answers(self, port: int, pid: int) -> bool:
        """Say whether the process *pid* answers at *port*: one that cannot get its port leaves it to another."""
        raise NotImplementedError
