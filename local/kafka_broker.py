"""A broker that speaks Kafka's protocol, from the `noida-db` wheel: loopback, a free port, data in the stack's folder.

It is protocol-compatible, not Apache Kafka: topics appear when they are written to, with one partition.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import noida_db

from local.conditions import wait_until
from local.loopback import HOST, exchange, free_port
from local.supervisor import SupervisorError

if TYPE_CHECKING:
    from local.supervisor import Supervisor

TRIES = 3
API_VERSIONS = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
"""A request for the versions of the protocol that are spoken, and the beginning of its header: number 1."""


class KafkaBroker:
    """One broker. It keeps its port over `stop`, `kill` and `start`; a `kill` takes what was not written yet.

    Args:
        supervisor: owns the process.
        name: names the process, its log and its folder.
    """

    def __init__(self, supervisor: Supervisor, name: str = "kafka") -> None:
        self._supervisor = supervisor
        self.name = name
        self.port = 0

    @property
    def server(self) -> str:
        """Where clients bootstrap, `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self, timeout: float = 20.0) -> None:
        """Start it, on the port it had before if it had one, and wait until it answers.

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
        binary = Path(noida_db.__file__).with_name("noida-db")
        folder = self._supervisor.directory / self.name
        options = ("--only", "kafka", "--kafka-port", str(port), "--host", HOST, "--data-dir", str(folder))
        self._supervisor.spawn(self.name, [str(binary), "start", *options])

        def ready() -> bool:
            if not self._supervisor.running(self.name):
                raise SupervisorError(f"{self.name} ended: {self._supervisor.tail(self.name)}")
            return exchange(port, API_VERSIONS)[4:8] == API_VERSIONS[8:12]

        try:
            wait_until(ready, f"{self.name} answers on port {port}", timeout=timeout)
        except (SupervisorError, TimeoutError):
            self._supervisor.kill(self.name)
            raise
        self.port = port
