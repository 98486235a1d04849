"""Letters in a Redis stream, see `dead_letter_stream`. What is stored after the redriving began waits for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.dead_letter_stream import FIELD, MAX_ENTRY, added, carried
from staleproof_pipeline.redriving.store import Held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from staleproof_pipeline.consuming.stream_line import StreamLine
    from staleproof_pipeline.dead_letter import DeadLetter

PAGE = 50


class StreamStore:
    """A `LetterStore`.

    Args:
        line: leads to the server.
        stream: the stream's key.
    """

    def __init__(self, line: StreamLine, stream: bytes) -> None:
        self._line = line
        self._stream = stream
        self._next = b"-"
        self._end: bytes | None = None

    def take(self) -> list[Held]:
        """See `LetterStore.take`."""
        if self._end is None:
            newest = self._asked("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
            if not newest:
                return []
            self._end = newest[0][0]
        found = self._asked("XRANGE", self._stream, self._next, self._end, "COUNT", PAGE)
        if found:
            self._next = b"(" + found[-1][0]
        return [_held(entry, fields) for entry, fields in found]

    def remove(self, held: Sequence[Held]) -> None:
        """See `LetterStore.remove`."""
        receipts = [receipt for each in held for receipt in each.receipts]
        if receipts:
            self._asked("XDEL", self._stream, *receipts)

    def replace(self, held: Held, letters: Sequence[DeadLetter]) -> None:
        """See `LetterStore.replace`; here both are one step."""
        adding = [added(self._stream, each, body) for each in letters for body in bodies(each, MAX_ENTRY)]
        replies = self._line.ask(("MULTI",), *adding, ("XDEL", self._stream, *held.receipts), ("EXEC",))
        carried(replies, self._line)

    def release(self, held: Sequence[Held]) -> None:
        """See `LetterStore.release`."""

    def close(self) -> None:
        """See `LetterStore.close`."""
        self._line.close()

    def _asked(self, *command: Any) -> Any:
        (reply,) = self._line.ask(command)
        if isinstance(reply, Exception):
            raise self._line.refused(reply)
        return reply


def _held(entry: bytes, fields: Sequence[bytes]) -> Held:
    told = dict(zip(fields[::2], fields[1::2], strict=False))
    name = entry.decode()
    return Held(name, (told.get(FIELD, b"").decode(errors="replace"),), (name,), int(name.partition("-")[0]))
