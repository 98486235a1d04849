"""The AWS APIs of both regions on this machine: one `ministack` process, regions kept apart by it.

It runs in an environment of its own, since it pins botocore exactly. What it writes goes into the stack's directory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

from local.loopback import HOST, exchange
from local.server import LocalServer
from requirements import environments

if TYPE_CHECKING:
    from pathlib import Path

    from local.supervisor import Supervisor

NAME = "emulator"
ACCOUNT = "000000000000"
HEALTH = b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}  # the emulator checks none


class Emulator(LocalServer):
    """The emulator's process.

    Args:
        supervisor: owns the process.
        cache_port: the server that emulated ElastiCache endpoints lead to; 0 if nothing asks for one.
    """

    def __init__(self, supervisor: Supervisor, cache_port: int = 0) -> None:
        super().__init__(supervisor, NAME)
        self._cache_port = cache_port

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return f"http://{HOST}:{self.port}"

    def start(self, timeout: float = 30.0) -> None:
        """See `LocalServer.start`; its environment is made if it is not there."""
        environments.ensure(environments.ENVIRONMENTS[NAME])
        super().start(timeout)

    def stop(self) -> None:
        """End it; the tables, queues and buses go with it."""
        self._supervisor.stop(NAME)

    def client(self, service: str, region: str) -> Any:
        """Return a new boto3 client of *service* in *region*."""
        return client(service, region, self.endpoint)

    @property
    def _folder(self) -> Path:
        return self._supervisor.directory / NAME

    def _spawn(self, port: int) -> int:
        python = environments.ENVIRONMENTS[NAME].python
        return self._supervisor.spawn(NAME, [str(python), "-m", "ministack"], self._environ(port))

    def _answers(self, port: int, pid: int) -> bool:
        mark = self._folder / f"ministack-{port}.pid"  # made once it has the port, so the answer is its own
        ours = mark.exists() and mark.read_text() == str(pid)
        return ours and b" 200" in exchange(port, HEALTH).split(b"\r\n", 1)[0]

    def _environ(self, port: int) -> dict[str, str]:
        folder = self._folder
        folder.mkdir(exist_ok=True)
        return {
            "PYTHONPATH": "",  # its environment is its own: our packages are not to be seen in it
            "GATEWAY_PORT": str(port),
            "BIND_HOST": HOST,  # its default is every interface
            "LAMBDA_EXECUTOR": "local",
            "REDIS_HOST": HOST,
            "REDIS_PORT": str(self._cache_port),
            "LOG_LEVEL": "WARNING",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "STATE_DIR": str(folder / "state"),
            "S3_DATA_DIR": str(folder / "s3"),
        }


def client(service: str, region: str, endpoint: str, *, attempts: int = 3) -> Any:
    """Return a boto3 client that reaches *endpoint* and nothing else, and tries a request so many times."""
    settings = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=2,
        read_timeout=30,
        proxies={},
    )
    return session().client(service, config=settings, **resource_arguments(region, endpoint))


def session() -> Any:
    """Return a boto3 session that knows nothing of its user's AWS files and profiles, and so cannot trip over them.

    Typed as anything: boto3's types take a service by its literal name; here it comes as an argument.
    """
    nothing = (None, None, None, None)
    files = (None, None, os.devnull, None)
    core = botocore.session.Session({"profile": nothing, "config_file": files, "credentials_file": files})
    return boto3.session.Session(botocore_session=core)


def resource_arguments(region: str, endpoint: str) -> dict[str, str]:
    """Return the keyword arguments with which a boto3 client or resource reaches the emulator."""
    return {"region_name": region, "endpoint_url": endpoint, **CREDENTIALS}
