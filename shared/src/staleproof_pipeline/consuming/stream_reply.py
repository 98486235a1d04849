"""What a server says of a stream and its groups, read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(NamedTuple):
    """One entry: its ID, and its fields, None if it was trimmed while somebody had it."""

    id: bytes
    fields: dict[bytes, bytes] | None


class Pending(NamedTuple):
    """An entry that somebody took: its ID, and how often it was delivered."""

    id: bytes
    times: int


class Read(NamedTuple):
    """What a read found, and how the group stood before it.

    Attributes:
        entries: what was taken.
        place: the last ID that the group has taken now.
        removed: how many entries of the stream are gone.
        entries_read: how many the group had taken before, None if the server does not know.
        backlog: how many wait now, None likewise.
        pending: how many are taken and not acknowledged.
    """

    entries: list[Entry]
    place: bytes
    removed: int
    entries_read: int | None
    backlog: int | None
    pending: int

    @classmethod
    def of(cls, replies: Sequence[Any], group: bytes) -> Read:
        """Read the replies to XINFO STREAM, XINFO GROUPS and XREADGROUP, of one step."""
        stream, groups, taken = replies
        facts = table(stream)
        ours = next((each for each in map(table, groups) if each[b"name"] == group), {})
        found = entries(taken[0][1]) if taken else []
        lag = ours.get(b"lag")
        return cls(
            found,
            found[-1].id if found else ours.get(b"last-delivered-id", b"0-0"),
            facts.get(b"entries-added", 0) - facts.get(b"length", 0),
            ours.get(b"entries-read"),
            None if lag is None else max(0, lag - len(found)),
            ours.get(b"pending", 0) + len(found),
        )

    @property
    def lost(self) -> int:
        """How many entries were gone before the group took them."""
        return 0 if self.entries_read is None else max(0, self.removed - self.entries_read)


def table(flat: Sequence[Any]) -> dict[bytes, Any]:
    """Return a flat reply of names and values as a table."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def entries(reply: Sequence[Any]) -> list[Entry]:
    """Return the entries of a reply."""
    return [
        Entry(place, None if fields is None else dict(zip(fields[::2], fields[1::2], strict=True)))
        for place, fields in (each for each in reply if each is not None)
    ]
