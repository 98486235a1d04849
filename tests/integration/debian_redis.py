"""Debian's Redis 7.0, the oldest engine that is supported: with users, over TLS, on the loopback."""

from __future__ import annotations

import subprocess
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import redis

from local.conditions import wait_until
from local.loopback import HOST, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from local.supervisor import Supervisor

BINARY = "/usr/bin/redis-server"
NAME = "localhost"
"""The name that the certificate is for. It is not for the loopback's address."""

AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
LEAF = """\
subjectAltName=DNS:localhost
basicConstraints=CA:FALSE
keyUsage=digitalSignature,keyEncipherment
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class Certificates:
    """An authority of our own, and a certificate for `localhost` that it signed; made by openssl in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.certificate, self.key = (
            folder / name for name in ("authority.pem", "server.pem", "server.key")
        )
        (folder / "leaf.cnf").write_text(LEAF)
        request, authority_key = folder / "server.csr", folder / "authority.key"
        extensions = [word for each in AUTHORITY for word in ("-addext", each)]
        self._openssl(
            "req",
            "-x509",
            *_new(authority_key, "Test authority"),
            *extensions,
            "-days",
            "2",
            "-out",
            self.authority,
        )
        self._openssl("req", *_new(self.key, NAME), "-out", request)
        signing = (
            "-CA",
            self.authority,
            "-CAkey",
            authority_key,
            "-CAcreateserial",
            "-extfile",
            folder / "leaf.cnf",
        )
        self._openssl("x509", "-req", "-in", request, *signing, "-days", "2", "-out", self.certificate)

    @staticmethod
    def _openssl(*arguments: Any) -> None:
        command = ["openssl", *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


def _new(key: Path, subject: str) -> tuple[Any, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    return (*curve, "-nodes", "-keyout", key, "-subj", f"/CN={subject}")


class DebianRedis:
    """One server. Clients reach it over TLS, tests by a socket of their own, as an administrator.

    Args:
        supervisor: owns the process.
        name: names the process and its log.
        tls: the certificates; without them clients speak plainly.
        options: further options of the server.
    """

    def __init__(
        self, supervisor: Supervisor, name: str, tls: Certificates | None = None, *options: str
    ) -> None:
        self._supervisor = supervisor
        self._name = name
        self._tls = tls
        self._options = options
        self._socket = supervisor.directory / f"{name}.sock"
        self.port = 0

    @cached_property
    def admin(self) -> Any:
        """The server as its administrator sees it."""
        return redis.Redis(unix_socket_path=str(self._socket), protocol=2)

    def url(self, credentials: str = "", query: str = "", host: str | None = None) -> str:
        """Return where clients connect, trusting the authority of the tests."""
        trust = f"ssl_ca_certs={quote(str(self._tls.authority), safe='/')}" if self._tls else ""
        queries = "&".join(each for each in (query, trust) if each)
        scheme, name = ("rediss", NAME) if self._tls else ("redis", HOST)
        place = f"{credentials}@" if credentials else ""
        return f"{scheme}://{place}{host or name}:{self.port}/0" + (f"?{queries}" if queries else "")

    @property
    def authority(self) -> Path | None:
        """The certificate of who vouches for the server."""
        return self._tls.authority if self._tls else None

    def start(self) -> None:
        """Start the server and wait until it answers its administrator."""
        self.port = free_port()
        secure = (
            ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
             "--tls-cert-file", str(self._tls.certificate), "--tls-key-file", str(self._tls.key))
            if self._tls
            else ("--port", str(self.port))
        )  # fmt: skip
        folder = self._supervisor.directory / self._name
        folder.mkdir()
        command = [BINARY, "--bind", HOST, *secure, "--unixsocket", str(self._socket), "--dir", str(folder)]
        quiet = ("--save", "", "--appendonly", "no", "--daemonize", "no", *self._options)
        self._supervisor.spawn(self._name, [*command, *quiet])
        wait_until(self._answers, f"{self._name} answers: {self._supervisor.tail(self._name)}", timeout=10)

    def set_user(self, name: str, *rules: str) -> None:
        """Set the rules of a user anew, as `ACL SETUSER` takes them."""
        self.admin.execute_command("ACL", "SETUSER", name, "reset", *rules)

    def refused(self) -> int:
        """How many attempts to authenticate were refused."""
        log: Any = self.admin.execute_command("ACL", "LOG")
        rows = [dict(zip(each[::2], each[1::2], strict=True)) for each in log]
        return sum(row[b"count"] for row in rows if row[b"reason"] == b"auth")

    def close(self) -> None:
        """Close the administrator's connection."""
        self.admin.close()

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.ConnectionError:
            return False
