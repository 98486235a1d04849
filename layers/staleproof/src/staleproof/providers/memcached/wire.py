"""The meta protocol's bytes: requests as they are sent, and `Replies`, which reads what comes back. No I/O here.

Every request that is made here has exactly one reply, so that replies are told apart by counting. What a reply's
first two letters mean:

=======  ==========================================================================================
`HD`     done
`VA`     done, and a value follows
`EN`     nothing is stored under this name
`NS`     not stored: something is there already (`add`), or nothing (`append`)
`EX`     not done: what is stored is not what was compared with
`NF`     not done: nothing is stored under this name
=======  ==========================================================================================

See https://github.com/memcached/memcached/blob/master/doc/protocol.txt, "Meta commands".
"""

from __future__ import annotations

from typing import NamedTuple

from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError

END = b"\r\n"
BROKEN = (b"ERROR", b"CLIENT_ERROR")
"""After these nobody knows what the server makes of the bytes that follow: the connection must go."""
MAX_LINE, MAX_DIGITS = 2_048, 20
"""What a reply's line and a number in it may have; a name has 250 bytes."""
TOO_LARGE = b"SERVER_ERROR object too large"
CROWDED = b"ERROR Too many open connections"


class Reply(NamedTuple):
    """One reply: its line without the end, and its value if it has one."""

    line: bytes
    value: bytes | None = None

    @property
    def done(self) -> bool:
        """Whether the server did what it was asked."""
        return self.line.startswith(b"HD")

    @property
    def failed(self) -> bool:
        """Whether the server could not do it: not one of the answers that the protocol foresees."""
        return self.line.startswith(b"SERVER_ERROR")

    def flag(self, letter: bytes) -> bytes | None:
        """Return what stands behind the flag *letter*, None if it is not there."""
        for word in self.line.split(b" ")[1:]:
            if word.startswith(letter):
                return word[1:]
        return None

    def number(self, letter: bytes) -> int:
        """Return the number behind the flag *letter*, 0 if it is not there."""
        given = self.flag(letter) or b"0"
        try:
            return int(given[:MAX_DIGITS])
        except ValueError as error:
            raise malformed(self.line) from error


class Replies:
    """Reads so many replies from whatever pieces they come in.

    Args:
        wanted: how many replies there will be.
    """

    __slots__ = ("_at", "_buffer", "_wanted", "found")

    def __init__(self, wanted: int) -> None:
        self.found: list[Reply] = []
        self._wanted = wanted
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> bool:
        """Take the next piece; say whether all replies are there.

        Raises:
            ProviderRejectedError: the server does not understand what it was sent.
            ProviderUnavailableError: it has too many connections, or sends more than it was asked for.
        """
        buffer, found = self._buffer, self.found
        buffer += data
        while len(found) < self._wanted:
            reply = self._next(buffer)
            if reply is None:
                return False
            if reply.line.startswith(BROKEN):
                raise refused(reply.line)
            found.append(reply)
        if self._at != len(buffer):
            raise ProviderUnavailableError("memcached sent more than it was asked for; retry")
        return True

    def _next(self, buffer: bytearray) -> Reply | None:
        end = buffer.find(END, self._at)
        if end < 0:
            if len(buffer) - self._at > MAX_LINE:
                raise malformed(bytes(buffer[self._at : self._at + MAX_LINE]))
            return None
        line = bytes(buffer[self._at : end])
        start = end + 2
        if not line.startswith(b"VA "):
            self._at = start
            return Reply(line)
        size = line[3:].partition(b" ")[0]
        if not size.isdigit() or len(size) > MAX_DIGITS:
            raise malformed(line)
        stop = start + int(size)
        if len(buffer) < stop + 2:
            return None
        if buffer[stop : stop + 2] != END:
            raise malformed(line)
        self._at = stop + 2
        return Reply(line, bytes(memoryview(buffer)[start:stop]))


def malformed(line: bytes) -> ProviderUnavailableError:
    """Return what to raise for an answer that is none; who knows what comes behind it."""
    return ProviderUnavailableError(f"memcached answered {line[:80]!r}, which is no reply; retry")


def refused(line: bytes) -> ProviderError:
    """Return what to raise for an answer after which the connection is of no use."""
    text = line[:200].decode(errors="replace")
    if line.startswith(CROWDED):
        return ProviderUnavailableError(
            f"memcached has too many connections ({text}); retry, or raise its -c"
        )
    return ProviderRejectedError(
        f"memcached does not understand the meta protocol ({text}); it needs memcached 1.6 or later"
    )


def get(name: bytes, flags: bytes = b"v") -> bytes:
    """Ask for what is stored under *name*; *flags* say what of it."""
    return b"mg %b %b\r\n" % (name, flags)


def put(name: bytes, value: bytes, flags: bytes) -> bytes:
    """Store *value*; *flags* say how, and under what condition."""
    return b"ms %b %d %b\r\n%b\r\n" % (name, len(value), flags, value)


def delete(name: bytes, cas: bytes | None = None) -> bytes:
    """Remove *name*, with *cas* only if it is still that one."""
    return b"md %b\r\n" % name if cas is None else b"md %b C%b\r\n" % (name, cas)
