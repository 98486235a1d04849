"""Ports on the loopback interface: nothing that runs here listens anywhere else."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens on now; the caller starts its server at once, or tries another."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def exchange(port: int, request: bytes, limit: int = 256) -> bytes:
    """Send *request* to a local server and return the first bytes of its answer; empty if it does not answer."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(request)
            return connection.recv(limit)
    except OSError:
        return b""
