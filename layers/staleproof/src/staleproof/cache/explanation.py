"""`Explanation`: why a key is a hit, a miss or stale, as data and in words.

Moments are UTC milliseconds (`..._ms`); durations are seconds. There is no value in it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["near hit", "hit", "stale", "load", "error", "off"]
Verdict: TypeAlias = Literal["current", "soft", "gone", "missing", "present"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A journal record that named the key or one of its tags.

    Attributes:
        event: the event's id, the same in every region.
        place: where the record lies in this region's journal; "" if it is deferred, and in no journal yet.
        at_ms: when its origin applied it.
        origin: the region it comes from.
        source, rules, entity, operation, changed_ms: see `staleproof.events.invalidation.Cause`.
        trace: trace id, or "".
        soft: whether what it named may be served stale.
        tags: those of the entry's tags that it named.
        key: whether it named the key.
        clear: whether it named the whole namespace.
    """

    event: str
    place: str
    at_ms: int
    origin: str
    source: str
    rules: tuple[str, ...]
    entity: str
    operation: str
    changed_ms: int
    trace: str
    soft: bool
    tags: tuple[str, ...]
    key: bool
    clear: bool


class TagState(msgspec.Struct, frozen=True, kw_only=True):
    """One tag of the entry, or of the call if nothing is stored.

    Attributes:
        id: its digest, hex: all that an entry knows of it.
        text: the tag, "" for the whole namespace; None if neither the call nor a journal record told it.
        named: whether the call names it; else the value revealed it.
        verdict: `current`; `soft`, moved on at *ended_ms* by a soft invalidation; `gone`, another version stands now;
            `missing`, no version stands. Without an entry: `present` or `missing`.
        ended_ms: when the entry's version ended, if that is known.
        cause: the event that named it last, or None.
    """

    id: str
    text: str | None
    named: bool
    verdict: Verdict
    ended_ms: int | None = None
    cause: str | None = None


class NearState(msgspec.Struct, frozen=True, kw_only=True):
    """What the near cache has for the call.

    Attributes:
        state: `off`, the policy or the cache keeps no copies; `miss`; `hit`; `over`, its life is over; `other`, a copy
            for other tags or another type; `dropped`, the next check of the journal drops it; `unchecked`, the server
            does not answer.
        bound: the policy's `staleness`.
        behind: for how long it has not been in step with the journal; None if it never was.
        checked: whether a read would have to ask the journal first.
        served: whether a read would be served the copy.
        last_resort: whether the policy serves it while the server is away.
        cause: the event for which it is dropped; None if that is because the journal cannot show what was missed.
    """

    state: Literal["off", "miss", "hit", "over", "other", "dropped", "unchecked"]
    bound: float | None = None
    behind: float | None = None
    checked: bool = False
    served: bool = False
    last_resort: bool = False
    cause: str | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The entry on the server.

    Attributes:
        born_ms, age: when its load began.
        expires_ms, expires_in: when it ends; None if never, negative if it did.
        over: whether it was invalidated softly by its key.
        cost: what the load took.
        bytes, payload: of the whole entry, and of its value as it is stored.
        codec, compression, format: how it is written.
        row_version: of the source row, or None.
    """

    born_ms: int
    age: float
    expires_ms: int | None
    expires_in: float | None
    over: bool
    cost: float
    bytes: int
    payload: int
    codec: str
    compression: str | None
    format: int
    row_version: int | None


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """How a value that is outdated may still be served.

    Attributes:
        since_ms, age: since when it is stale.
        revalidate_left: for how long it is served at once, while one reader loads.
        error_left: for how long it is served if the load fails or is slow.
    """

    since_ms: int
    age: float
    revalidate_left: float
    error_left: float


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """How far the journal was read for causes, backwards from its end.

    Attributes:
        records: how many were looked at; *unreadable* ones among them.
        back_to_ms: the moment down to which none was left out, by the server's clock.
        whole: whether that is back to the entry's birth, or, without one, to the journal's beginning.
        trimmed: whether the journal begins later than the entry was born: what came before cannot be told.
    """

    records: int
    unreadable: int
    back_to_ms: int
    whole: bool
    trimmed: bool


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between this process and the server.

    Attributes:
        error: why the server was not asked or did not answer; None if it did.
        in_a_row: questions in a row that got no answer.
        breaker_open: whether the breaker is open; *probe_in* seconds until the next question goes through.
        deferred: invalidations of this process that wait for the server.
        deferred_causes: those of them that name the key or one of its tags: applied before the next read.
    """

    error: str | None
    in_a_row: int
    breaker_open: bool
    probe_in: float
    deferred: int
    deferred_causes: tuple[Cause, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a key is a hit, a miss or stale; `str` tells it in a line, `report` in full.

    Attributes:
        key, namespace, region: what was asked, and where.
        at_ms: when.
        outcome: what a read beginning now would come to: `near hit`; `hit`; `stale`, served while one reader loads;
            `load`; `error`; `off`, the cache is switched off and every read loads.
        reason: why the server has no hit, one of `staleproof.policies.judgement.REASONS` or `rejected`; None for a hit.
        near: the near cache.
        stored: the entry on the server, or None.
        stale: how it may be served all the same, or None.
        tags: its tags.
        causes: the journal records that explain it, newest first.
        search: how far the journal was searched; None if it was not.
        outage: breaker, errors and deferred invalidations.
        off: whether the cache is switched off.
        resting: seconds for which a loader that failed is left alone, while a stale value is served; 0 if it is not.
        loading: whether this process is loading the key. Who else does cannot be seen without taking the lease.
    """

    key: str
    namespace: str
    region: str
    at_ms: int
    outcome: Outcome
    reason: str | None
    near: NearState
    stored: Stored | None
    stale: Staleness | None
    tags: tuple[TagState, ...]
    causes: tuple[Cause, ...]
    search: Search | None
    outage: Outage
    off: bool
    resting: float
    loading: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, fit for JSON."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    def report(self) -> str:
        """Return everything in words, in several lines."""
        from staleproof.cache.wording import report  # noqa: PLC0415 - they need one another

        return report(self)

    def __str__(self) -> str:
        from staleproof.cache.wording import headline  # noqa: PLC0415 - they need one another

        return headline(self)
