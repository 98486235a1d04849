"""An explanation in words: one line for a person at a console or a log, or a report of several."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from staleproof.policies.judgement import CODEC, EXPIRED, RETAGGED, TAG, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cache.explanation import Cause, Explanation, Search, TagState

_ARROW = " -> "
_MISSES = {
    UNREADABLE: "what is stored cannot be read by this release, or is a data structure",
    RETAGGED: "it is stored under other tags than this call names",
    CODEC: "its value cannot be read as this call's type",
}
_OUTCOMES = {
    "near hit": "is served the copy in this process",
    "hit": "is served what the server has",
    "stale": "is served the outdated value",
    "load": "calls the loader",
    "error": "raises",
    "off": "calls the loader: the cache is switched off",
}


def headline(told: Explanation) -> str:
    """Return it in a line: where a read looks, what it finds, and why that is stale."""
    server = _server(told)
    return _ARROW.join([*_switched(told), _near(told, _ARROW.join(server)), *server])


def report(told: Explanation) -> str:
    """Return everything, in lines."""
    head = f"key {told.key!r} of {told.namespace!r} in {told.region}, at {moment(told.at_ms)}"
    lines = [headline(told), head, f"a read now {_OUTCOMES[told.outcome]}", *_stored(told), *notes(told)]
    lines += [
        f"{tag_name(tag)}: {_verdict(tag)}{'' if tag.named else ', from the value'}" for tag in told.tags
    ]
    lines += [f"{_subject(each)} named by {_cause(each)}{_details(each)}" for each in told.causes]
    return "\n".join([*lines[:1], *(f"  {line}" for line in [*lines[1:], *_searched(told.search)])])


def notes(told: Explanation) -> Iterator[str]:
    """Yield what else is unusual just now."""
    outage = told.outage
    if outage.error is not None:
        yield f"the server did not answer: {outage.error}"
    if outage.in_a_row:
        state = f"open, the next probe in {span(outage.probe_in)}" if outage.breaker_open else "closed"
        yield f"questions without an answer in a row: {outage.in_a_row}; the breaker is {state}"
    if outage.deferred:
        yield f"invalidations of this process that wait for the server: {outage.deferred}"
    if told.resting:
        yield f"the loader failed, and is left alone for another {span(told.resting)} while there is a stale value"
    if told.loading:
        yield "this process is loading the key"


# --- where a read looks -----------------------------------------------------------------------------


def _switched(told: Explanation) -> list[str]:
    return ["OFF: every read loads"] if told.off else []


def _near(told: Explanation, server: str) -> str:
    """Return what the near cache comes to; why a copy is dropped only if *server* does not tell the same."""
    near = told.near
    if near.state == "hit":
        if near.checked:
            return "L1 HIT, after a check of the journal"
        return f"L1 HIT, in step {span(near.behind or 0.0)} ago"
    if near.state == "dropped":
        cause = next((each for each in told.causes if each.event == near.cause), None)
        if cause is None:
            return "L1 DROPPED: the journal cannot show that nothing was missed"
        return (
            "L1 DROPPED"
            if cause.event in server
            else f"L1 DROPPED: {_subject(cause)} named by {_cause(cause)}"
        )
    words = {"over": "L1 MISS: its life is over", "other": "L1 MISS: a copy for another call"}
    return words.get(near.state, f"L1 {near.state.upper()}")


def _server(told: Explanation) -> list[str]:
    stored = told.stored
    if stored is None and told.outage.error is not None:
        return [f"L2 AWAY: {told.outage.error}", *_served(told)]
    if stored is None:
        return [f"L2 MISS: {_miss(told)}"]
    if told.reason in _MISSES:
        return [f"L2 MISS: {_MISSES[told.reason]}"]
    steps = [f"L2 HIT, {span(stored.age)} old"]
    waiting = told.outage.deferred_causes
    if told.reason is not None:
        steps.append(f"STALE: {_stale(told)}")
    elif waiting:
        steps.append(
            f"STALE: {_subject(waiting[0])} named by {_cause(waiting[0])}, which waits for the server"
        )
    return [*steps, *_served(told)]


def _miss(told: Explanation) -> str:
    if told.reason in _MISSES:
        return _MISSES[told.reason]
    evicted = [each for each in told.causes if each.key]
    return f"nothing is stored{f'; last evicted by {_cause(evicted[0])}' if evicted else ''}"


def _served(told: Explanation) -> list[str]:
    if told.outcome != "stale":
        return []
    stale = told.stale
    if stale is None:
        return ["SERVED from the copy in this process"]
    return [f"SERVED for another {span(stale.revalidate_left or stale.error_left)}"]


# --- why it is stale --------------------------------------------------------------------------------


def _stale(told: Explanation) -> str:
    moved = [tag for tag in told.tags if tag.verdict != "current"]
    if told.reason == TAG and moved:
        by_event = {each.event: each for each in told.causes}
        first = min(moved, key=lambda tag: (tag.cause is None, not tag.named))
        more = f", and {len(moved) - 1} more" if len(moved) > 1 else ""
        return f"{_moved(first, by_event.get(first.cause or ''), told.search)}{more}"
    if told.reason == EXPIRED and told.stored is not None and told.stored.over:
        by = [each for each in told.causes if each.key]
        return f"the key was softly invalidated{f' by {_cause(by[0])}' if by else ''}"
    if told.stored is not None and told.stored.expires_in is not None and told.reason == EXPIRED:
        return f"expired {span(-told.stored.expires_in)} ago"
    return str(told.reason)


def _moved(tag: TagState, cause: Cause | None, search: Search | None) -> str:
    how = "softly invalidated" if tag.verdict == "soft" else "cleared" if tag.text == "" else "rotated"
    if cause is not None:
        return f"{tag_name(tag)} {how} by {_cause(cause)}"
    if tag.verdict == "missing" and search is not None and search.whole and not search.trimmed:
        return f"{tag_name(tag)} has no version any more, and no record names it: the server evicted it"
    return f"{tag_name(tag)} {how}, by what the journal does not tell"


def tag_name(tag: TagState) -> str:
    """Return what to call *tag*."""
    if tag.text == "":
        return "the namespace"
    return f"tag {tag.text!r}" if tag.text is not None else f"tag #{tag.id}"


def _verdict(tag: TagState) -> str:
    words = {
        "current": "as it was",
        "present": "has a version",
        "soft": f"softly invalidated{f' at {moment(tag.ended_ms)}' if tag.ended_ms else ''}",
        "gone": "rotated since",
        "missing": "has no version",
    }
    return words[tag.verdict]


def _subject(cause: Cause) -> str:
    if cause.clear:
        return "the namespace"
    if cause.tags:
        return f"tag {cause.tags[0]!r}"
    return "the key"


def _cause(cause: Cause) -> str:
    rules = ", ".join(map(repr, cause.rules))
    why = f"rule{'s' if len(cause.rules) > 1 else ''} {rules}" if rules else cause.source
    return f"evt {cause.event} ({why}, {cause.origin})"


def _details(cause: Cause) -> str:
    changed = f"{cause.source}: {cause.operation} {cause.entity}".rstrip(": ")
    trace = f", trace {cause.trace}" if cause.trace else ""
    return f" at {moment(cause.at_ms)}{' softly' if cause.soft else ''}, {changed}{trace}"


def _searched(search: Search | None) -> Iterator[str]:
    if search is None:
        return
    if not search.back_to_ms:
        yield "there is no journal"
        return
    how = "to its beginning, which came later" if search.trimmed else f"to {moment(search.back_to_ms)}"
    yield f"the journal was read back {how}: {search.records} records looked at, {search.unreadable} unreadable"


# --- figures ----------------------------------------------------------------------------------------


def _stored(told: Explanation) -> Iterator[str]:
    stored = told.stored
    if stored is None:
        return
    packed = f", {stored.compression}" if stored.compression else ""
    yield f"{stored.bytes:,} bytes ({stored.codec}{packed}), load took {stored.cost:.3f} s"
    row = f", row version {stored.row_version}" if stored.row_version is not None else ""
    ends = f"ends {moment(stored.expires_ms)}" if stored.expires_ms else "never ends"
    yield f"born {moment(stored.born_ms)}, {ends}{row}"


def moment(milliseconds: int) -> str:
    """Return UTC *milliseconds* as ISO 8601."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds")


def span(seconds: float) -> str:
    """Return *seconds* as a person says them."""
    for least, unit, name in ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - two digits either way
