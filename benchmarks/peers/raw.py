"""The unit of the peers' figures, and their crowds: packed commands over redis-py's own connection.

The unit is the same as in our own rows: one packed GET or SET of 1 kB, sent and read without a command layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from hiredis import pack_command

from benchmarks.measurement import Subject, repeated
from benchmarks.peers.port import CROWD, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEY = "raw"
BATCH = 1_000


class Raw:
    """One connection to the server that the peers use."""

    def __init__(self, url: str) -> None:
        pool = redis.ConnectionPool.from_url(url, protocol=2)
        self._connection: Any = pool.make_connection()
        self.send([("SET", KEY, VALUE)])

    def send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send *commands* in one write, and return their replies."""
        connection = self._connection
        connection.send_packed_command([b"".join(map(pack_command, commands))], check_health=False)
        return [connection.read_response(disable_decoding=True) for _ in commands]

    def get(self) -> Subject:
        """GET of 1 kB."""
        return Subject(repeated(self._one("GET", KEY)))

    def set(self) -> Subject:
        """SET of 1 kB."""
        return Subject(repeated(self._one("SET", KEY, VALUE)))

    def _one(self, *command: Any) -> Callable[[], Any]:
        connection = self._connection

        def exchange() -> Any:
            connection.send_packed_command([pack_command(command)], check_health=False)
            return connection.read_response(disable_decoding=True)

        return exchange

    def multiply(self, count: int) -> None:
        """Make *count* entries in the image of the crowd's first: the same value, in the same sets of keys."""
        (names,) = self.send([("KEYS", "*")])
        kinds = dict(zip(names, self.send([("TYPE", name) for name in names]), strict=True))
        values = [name for name in names if kinds[name] == b"string" and _in_crowd(name)]
        sets = [name for name in names if kinds[name] == b"set" and CROWD.encode() in name]
        stored = self.send([("GET", name) for name in values])
        for start in range(1, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            for name, value in zip(values, stored, strict=True):
                members = [_renamed(name, number) for number in numbers]
                self.send([("SET", member, value) for member in members])
                self.send([("SADD", each, *members) for each in sets])

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


def _in_crowd(name: bytes) -> bool:
    return CROWD.encode() in name and name.endswith(b":0")


def _renamed(name: bytes, number: int) -> bytes:
    return b"%b:%d" % (name.rpartition(b":")[0], number)
