"""Messages between the owner of an execution environment and the environment: JSON, each after its length.

Four bytes, big-endian, then that many bytes of UTF-8 JSON.
"""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

LENGTH = struct.Struct(">I")
MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of a synchronous invocation's payload, either way: Lambda's own bound."""
MAX_FRAME = MAX_PAYLOAD + 64 * 1024


class FrameTooLargeError(ValueError):
    """A message is larger than the bound."""


def send(connection: socket.socket, message: Any) -> None:
    """Write *message*.

    Raises:
        FrameTooLargeError: it is larger than an invocation's payload may be; nothing was written.
        TypeError: it is not JSON.
        OSError: the other side is gone.
    """
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MAX_FRAME:
        raise FrameTooLargeError(f"the payload has {len(body):,} bytes; the bound is {MAX_PAYLOAD:,}")
    connection.sendall(LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, deadline: float | None = None) -> Any:
    """Read one message.

    Args:
        connection: a connected stream socket.
        deadline: a `time.monotonic` after which `TimeoutError` is raised.

    Raises:
        EOFError: the other side is gone.
        TimeoutError: the deadline passed.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size, deadline))
    if length > MAX_FRAME:
        raise FrameTooLargeError(f"a message of {length:,} bytes is announced; the bound is {MAX_FRAME:,}")
    return json.loads(_exactly(connection, length, deadline))


def _exactly(connection: socket.socket, count: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 1e-6))
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError("the other side closed the connection")
        parts += part
    return bytes(parts)
