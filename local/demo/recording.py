"""Every read of a process, appended to a file in a few bytes.

A record is `start, end, key, flags, count` and then one byte a row: the version read, in the order of the key's rows
(`timetable.Key`). Times are nanoseconds of the monotonic clock, which all processes of a machine share.
0 says that the row was not there, `NOT_SHOWN` that the page had no reason to show it: an airline none of whose flights
is on it. A record cut off at the end of a file, which a killed process may leave, is not read.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEAR, SERVER, LOADED = range(3)
SOURCES = ("near", "server", "loaded")
TRAFFIC, WATCH, FINAL = range(3)
"""Why it was read: as a passenger would; to see a change arrive; to compare everything at the end."""
NOT_SHOWN = 255
MAX_VERSION = 254

_HEAD = Struct("<qqHBB")
_FLUSH = 1 << 16


class Read(NamedTuple):
    """One read: monotonic nanoseconds, the key's number, where it came from, why, and the versions of its rows."""

    start: int
    end: int
    key: int
    source: int
    purpose: int
    versions: bytes


class Recorder:
    """Appends to *path*, buffered; `close` writes the rest."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._buffer = bytearray()

    def add(self, start: int, end: int, key: int, source: int, purpose: int, versions: bytes) -> None:
        """Append one record; see `Read`."""
        self._buffer += _HEAD.pack(start, end, key, source | purpose << 4, len(versions))
        self._buffer += versions
        if len(self._buffer) > _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.write(self._buffer)
        self._buffer.clear()

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        self._file.close()


def read_records(path: Path) -> Iterator[Read]:
    """Yield the reads recorded in *path*, in the order in which they ended."""
    data = path.read_bytes()
    place, size = 0, _HEAD.size
    while place + size <= len(data):
        start, end, key, flags, count = _HEAD.unpack_from(data, place)
        place += size
        if place + count > len(data):
            return
        yield Read(start, end, key, flags & 15, flags >> 4, data[place : place + count])
        place += count
