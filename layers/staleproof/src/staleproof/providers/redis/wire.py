"""One connection, from packed bytes to replies: redis-py's `Connection`, past its command layer.

redis-py connects, negotiates TLS, authenticates and selects the database. After that a wire writes to the socket and
feeds the parser itself, which spares a third of the client's time for a small command. Two things it takes from behind
redis-py's public face, the socket and the hiredis reader; the tests of every provider hold them to the locked version.

A plain socket is made blocking, with the kernel's own time-outs: with Python's, each send and receive is preceded by a
`poll`. A TLS socket keeps Python's, since OpenSSL must see every wake-up.

Now and then a wire is *proved* before it is used (see `proof`): one that lay idle for long may be dead without
knowing it, and is opened anew; one that is to lead to a primary asks whether it still does, in the same write as what
it is used for.
"""

from __future__ import annotations

import socket
import ssl
import struct
from math import inf
from time import time
from typing import TYPE_CHECKING, Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.exceptions import ConnectionError as ConnectionLostError

from staleproof.providers.redis.proof import ROLE, UNPROVED, Proof, must_be_primary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUFFER_BYTES = 64 * 1_024


class Wire:
    """Exchanges over one redis-py connection; used by one thread at a time.

    Args:
        connection: of redis-py, not necessarily connected.
        timeout: seconds that one send or receive may take.
        watch: seconds after which it asks again whether it leads to a primary; infinite if it need not.

    Attributes:
        opened: whether the socket is open.
        greetings: what speaks first whenever it opens, with `exchange`.
    """

    __slots__ = (
        "_buffer",
        "_connection",
        "_feed",
        "_gets",
        "_receive",
        "_send",
        "_since",
        "_timeout",
        "_until",
        "_watch",
        "greetings",
        "opened",
    )

    def __init__(self, connection: Any, timeout: float, watch: float = inf) -> None:
        self._connection = connection
        self._timeout = timeout
        self._watch = watch
        self._prove_by(UNPROVED)
        self._buffer = bytearray(BUFFER_BYTES)
        self.greetings: Sequence[Callable[[Callable[[bytes, int], Any]], object]] = ()
        self.opened = False

    def exchange(self, packed: bytes, replies: int | None) -> Any:
        """Send *packed*; return so many *replies* in a list, or for None the one reply itself.

        An error reply is returned as an exception.

        Raises:
            RedisError, OSError: the wire must then be closed.
        """
        if not self._since <= time() < self._until:
            return self._prove(packed, replies)
        self._send(packed)
        if replies is None or replies:  # nothing is left over from before, so the parser is not asked first
            self._feed(self._buffer, 0, self._receive(self._buffer))
        if replies is None:
            reply = self._gets(False)  # noqa: FBT003 - hiredis's own signature: do not decode
            return self._reply() if reply is NOT_ENOUGH_DATA else reply
        return self.receive(replies)

    def send(self, packed: bytes) -> None:
        """Send *packed*; the replies are for `receive`. Raises as `exchange` does."""
        if not self._since <= time() < self._until:
            self._prove(b"", 0)
        self._send(packed)

    def receive(self, replies: int) -> list[Any]:
        """Return so many *replies* to what was sent; raises as `exchange` does."""
        gets, found = self._gets, []
        for _ in range(replies):
            reply = gets(False)  # noqa: FBT003
            found.append(self._reply() if reply is NOT_ENOUGH_DATA else reply)
        return found

    def _reply(self) -> Any:
        reply = self._gets(False)  # noqa: FBT003
        while reply is NOT_ENOUGH_DATA:
            count = self._receive(self._buffer)
            if not count:
                raise ConnectionLostError("the server closed the connection")
            self._feed(self._buffer, 0, count)
            reply = self._gets(False)  # noqa: FBT003
        return reply

    def _prove(self, packed: bytes, replies: int | None) -> Any:
        """Do as `exchange` does, on a wire that is good for it."""
        now = time()
        if self.opened and Proof(self._since, self._until).is_old(now):
            self.close()
        if not self.opened:
            self._open()
        watched = self._watch < inf
        if packed or watched:
            self._send(ROLE + packed if watched else packed)
        if watched:
            must_be_primary(self._reply())
        self._prove_by(Proof.of(now, self._watch))
        return self._reply() if replies is None else self.receive(replies)

    def _prove_by(self, proof: Proof) -> None:
        self._since, self._until = proof  # apart, for they are read at every exchange

    def _open(self) -> None:
        self._connection.connect()
        sock = self._connection._sock  # noqa: SLF001 - see the module's docstring
        reader = self._connection._parser._reader  # noqa: SLF001
        if not isinstance(sock, ssl.SSLSocket):
            _kernel_timeouts(sock, self._timeout)
        self._send: Callable[[bytes], object] = sock.sendall
        self._receive: Callable[[bytearray], int] = sock.recv_into
        self._feed, self._gets = reader.feed, reader.gets
        self.opened = True
        self._prove_by(Proof(time(), 0.0))
        for greeting in self.greetings:
            greeting(self.exchange)

    def close(self) -> None:
        """Close the socket; the next exchange connects again."""
        self.opened = False
        self._prove_by(UNPROVED)
        self._connection.disconnect()


def _kernel_timeouts(sock: socket.socket, timeout: float) -> None:
    value = struct.pack("ll", *divmod(round(timeout * 1_000_000), 1_000_000))
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
