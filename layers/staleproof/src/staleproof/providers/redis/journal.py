"""The journal as a Redis stream: pages after a cursor, positions of links, and trimming; without I/O.

A page is read from the cursor *inclusive*: the server returns the cursor's own record first if nothing was
trimmed, deleted, re-created or lost in a failover between. If it does not, the page says so, and a near cache
clears (P6). One command answers both "what is new" and "did I miss anything".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import EventError
from staleproof.events import invalidation as records
from staleproof.ports import JournalId, JournalPage, Observed, journal_id, journal_order, journal_place
from staleproof.providers.redis.exchange import Exchange, chunks, commands
from staleproof.providers.redis.failures import UNREADABLE, unreadable
from staleproof.providers.redis.rotation import CHUNK
from staleproof.providers.redis.structure_steps import StructureSteps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.providers.redis.exchange import Command
    from staleproof.providers.redis.steps import Step
    from staleproof.tags import TagId

MARGIN_MS = 1
_MAX_PLACE = 2**64 - 1


def range_after(stream: bytes, cursor: JournalId, limit: int) -> Command:
    """Return the command that reads *limit* records after *cursor*, and the cursor's own before them."""
    return ("XRANGE", stream, journal_place(cursor) or "-", "+", "COUNT", limit + (1 if cursor else 0))


def page(reply: Sequence[tuple[bytes, Sequence[bytes]]], cursor: JournalId, limit: int) -> JournalPage:
    """Turn the reply to `range_after` into a page."""
    found = [_record(place, fields) for place, fields in reply]
    contiguous = not cursor or bool(found and found[0][0] == cursor)
    if cursor and contiguous:
        del found[0]
    kept = found[:limit]
    last = kept[-1][0] if kept else (cursor if contiguous else "")
    return JournalPage(kept, last, contiguous, len(found) < limit)


def _record(place: bytes, fields: Sequence[bytes]) -> tuple[JournalId, Invalidation | None]:
    """Return one record with its id; what cannot be read is None, which makes a near cache clear."""
    try:
        record = records.decode(dict(zip(fields[::2], fields[1::2], strict=True))[b"d"])
    except (KeyError, ValueError, EventError):
        return journal_id(place.decode(), ""), None
    return journal_id(place.decode(), record.id), record


def _position(raw: bytes) -> JournalId | None:
    """Return the position of a link, "" before its first; None if somebody else wrote something there."""
    try:
        position = raw.decode()
        milliseconds, sequence = journal_order(position or "0-0")
    except ValueError:
        return None
    return position if 0 <= milliseconds <= _MAX_PLACE and 0 <= sequence <= _MAX_PLACE else None


class JournalSteps(StructureSteps):
    """The steps of `Steps`, and those that read the journal."""

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> Step[tuple[JournalPage, Observed]]:
        """The journal first: what it does not name yet was not acknowledged when the entry was read."""
        follow = commands([range_after(self.keys.journal, cursor, limit)])
        reply, (entry, *versions) = yield Exchange(follow.packed + self.look(key, tags), 2)
        return page(reply, cursor, limit), Observed(entry, versions)

    def journal(self, cursor: JournalId, limit: int) -> Step[JournalPage]:
        """See `Provider.journal`."""
        (reply,) = yield self._send([(range_after(self.keys.journal, cursor, limit),)])
        return page(reply, cursor, limit)

    def journal_end(self) -> Step[JournalId]:
        """See `Provider.journal_end`."""
        (newest,) = yield self._send([(("XREVRANGE", self.keys.journal, "+", "-", "COUNT", 1),)])
        if newest:
            return _record(*newest[0])[0]
        opening = records.genesis(self.keys.namespace)
        (place,) = yield self._send([(("XADD", self.keys.journal, "*", "d", records.encode(opening)),)])
        return journal_id(place.decode(), opening.id)

    @staticmethod
    def placed(parts: Sequence[Invalidation], replies: Sequence[Any]) -> list[JournalId]:
        """Return where *parts* lie, from the replies to `invalidate`, the last of which are the journal's."""
        first = len(replies) - len(parts)
        try:
            return [journal_id(replies[first + at].decode(), part.id) for at, part in enumerate(parts)]
        except UNREADABLE as error:
            raise unreadable(error, "the server of the journal") from error

    def drop_guard(self) -> Any:
        """Remove what lies in the guard's place and is none: a bump makes one without epoch, which is safe."""
        return self._send([(("UNLINK", self.keys.guard),)])

    # --- links ---------------------------------------------------------------------------------------

    def undelivered(self, name: str, limit: int) -> Step[JournalPage]:
        """See `Follower.undelivered`; the first call registers the link, which holds back trimming."""
        known = ("HSETNX", self.keys.followers, name, ""), ("HGET", self.keys.followers, name)
        _, position = yield self._send([known])
        start = _position(position or b"")
        found = yield from self.journal(start or "", limit)
        if start is None:  # from the beginning, which may not be where the link stood
            found = found._replace(contiguous=False)
        if not found.records:
            return found
        first, last = (journal_order(found.records[at][0])[0] for at in (0, -1))
        (pushed,) = yield self._send([(("ZRANGEBYSCORE", self.keys.pushed(name), first, last),)])
        skip = {place.decode(errors="replace") for place in pushed}
        return found._replace(records=[item for item in found.records if item[0] not in skip])

    def pushed(self, name: str, places: Sequence[JournalId]) -> Step[None]:
        """See `Follower.pushed`: a sorted set, scored by milliseconds, of places ahead of the position."""
        scored = [(journal_order(place)[0], place) for place in places]
        if scored:
            key, some = self.keys.pushed(name), chunks(scored, CHUNK)
            yield self._send([(("ZADD", key, *(word for pair in pairs for word in pair)),) for pairs in some])

    def advance(self, name: str, place: JournalId) -> Step[None]:
        """See `Follower.advance`."""
        behind = journal_order(place)[0] - MARGIN_MS
        forget = ("ZREMRANGEBYSCORE", self.keys.pushed(name), "-inf", behind)
        yield self._send([(("HSET", self.keys.followers, name, place),), (forget,)])

    def followers(self) -> Step[list[str]]:
        """See `Follower.followers`."""
        (names,) = yield self._send([(("HKEYS", self.keys.followers),)])
        return [name.decode(errors="replace") for name in names]

    def forget(self, name: str) -> Step[None]:
        """See `Follower.forget`."""
        yield self._send([(("HDEL", self.keys.followers, name),), (("UNLINK", self.keys.pushed(name)),)])

    def trim(self, horizon_ms: int) -> Step[int]:
        """See `Follower.trim`; by the server's clock, which also makes the places."""
        (seconds, _), positions = yield self._send([(("TIME",),), (("HVALS", self.keys.followers),)])
        cutoff = (int(seconds) * 1_000 - horizon_ms, 0)
        for position in map(_position, positions):
            if position is not None:  # what is no position holds nothing back
                cutoff = min(cutoff, journal_order(position) if position else (0, 0))
        least = f"{max(cutoff[0], 0)}-{cutoff[1]}"
        (dropped,) = yield self._send([(("XTRIM", self.keys.journal, "MINID", least),)])
        return int(dropped)
