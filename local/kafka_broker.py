"""A broker that speaks Kafka's protocol, from the `noida-db` wheel: loopback, a free port, data in the stack's folder.

It is protocol-compatible, not Apache Kafka: topics appear when they are written to, with one partition.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import noida_db

from local.loopback import HOST, exchange
from local.server import LocalServer

if TYPE_CHECKING:
    from local.supervisor import Supervisor

API_VERSIONS = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
"""A request for the versions of the protocol that are spoken, and the beginning of its header: number 1."""


class KafkaBroker(LocalServer):
    """One broker. It keeps its port over `stop`, `kill` and `start`; a `kill` takes what was not written yet.

    Args:
        supervisor: owns the process.
        name: names the process, its log and its folder.
    """

    def __init__(self, supervisor: Supervisor, name: str = "kafka") -> None:
        super().__init__(supervisor, name)

    @property
    def server(self) -> str:
        """Where clients bootstrap, `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self, timeout: float = 20.0) -> None:
        """See `LocalServer.start`."""
        super().start(timeout)

    def _spawn(self, port: int) -> int:
        binary = Path(noida_db.__file__).with_name("noida-db")
        folder = self._supervisor.directory / self.name
        options = ("--only", "kafka", "--kafka-port", str(port), "--host", HOST, "--data-dir", str(folder))
        return self._supervisor.spawn(self.name, [str(binary), "start", *options])

    def _answers(self, port: int, pid: int) -> bool:
        del pid  # the protocol does not tell whose answer it is
        return exchange(port, API_VERSIONS)[4:8] == API_VERSIONS[8:12]
