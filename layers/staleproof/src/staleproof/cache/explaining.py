"""The plan that explains a key: what near cache and server have of it, how that is judged, and why.

It changes nothing: nothing is counted, kept, touched, loaded or waited for here, and a driver of its own (`bystander`)
neither tells the breaker nor applies what was deferred. A server sees a read like any other. What it asks is bounded:
`MAX_REREADS` and two looks at the entry, `MAX_PAGES` pages of the journal for what the near cache has not heard of,
`searching.MAX_PAGES` pages for causes; mostly one look for a hit, and two or three pages more for anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staleproof.cache import describing
from staleproof.cache.commands import Follow, Read
from staleproof.cache.core import Core
from staleproof.cache.explanation import Explanation, Outage
from staleproof.cache.reading import MAX_PAGES, MAX_REREADS, PAGE, outage
from staleproof.cache.searching import Wanted, search
from staleproof.entry import OVER, decode
from staleproof.errors import CircuitOpenError, ProviderError, ProviderUnavailableError
from staleproof.policies.breaker import NEVER_OPENS, Breaker
from staleproof.policies.judgement import ABSENT, EXPIRED, TAG
from staleproof.tags import tag_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.describing import Seen
    from staleproof.cache.explanation import Cause, NearState, Search, TagState
    from staleproof.ports import JournalPage, Observed
    from staleproof.tags import TagId

REJECTED = "rejected"
"""The reason of a read that the server refuses; it is no miss, but an error to whoever reads."""


def bystander(core: Core) -> Core:
    """Return what a driver needs that runs this plan for *core* without leaving a trace."""
    return Core(namespace=core.namespace, clock=core.clock, breaker=Breaker(NEVER_OPENS, clock=core.clock))


def explain(core: Core, call: Call, texts: Sequence[str] = (), *, loading: bool = False) -> Plan[Explanation]:
    """Explain *call*.

    Args:
        core: the cache's; it is only looked at.
        call: the read.
        texts: its tags, of which it knows no more than the ids itself.
        loading: whether this process is loading it.
    """
    findings = Findings(core, call, texts)
    try:
        if core.breaker.probe_in > 0:
            raise CircuitOpenError(f"the breaker is open for another {core.breaker.probe_in:.3f} s")
        yield from findings.check_near()
        findings.seen = yield from look(core, call)
        yield from findings.search_causes()
    except ProviderError as error:
        findings.error = error
    return findings.explanation(loading=loading)


def look(core: Core, call: Call) -> Plan[Seen]:
    """Look at the entry and at the versions of all its tags."""
    asked = core.wanted(call)
    observed: Observed = yield Read(call.key, asked)
    for _ in range(MAX_REREADS):
        entry = None if observed.entry is None else decode(observed.entry)
        if entry is None or entry.ids == b"".join(asked):
            break
        asked = entry.tag_ids
        observed = yield Read(call.key, asked)
    return describing.seen(core, call, asked, observed)


class Findings:
    """What was found out about a call so far."""

    def __init__(self, core: Core, call: Call, texts: Sequence[str]) -> None:
        self._core = core
        self._call = call
        self._texts = {tag_id(text): text for text in texts}
        self._near, self._copied = describing.near_state(core, call)
        self._causes: dict[str, Cause] = {}
        self._search: Search | None = None
        self.seen: Seen | None = None
        self.error: ProviderError | None = None

    def check_near(self) -> Plan[None]:
        """Find out whether the copy would pass the next check of the journal; the near cache's place stays."""
        near = self._core.near
        if near is None or not self._near.checked:
            return
        wanted = Wanted(self._call.key, self._copied, superseded=True)
        cursor = near.position().cursor
        passed = False
        for _ in range(MAX_PAGES if cursor else 0):
            page: JournalPage = yield Follow(cursor, PAGE)
            for place, record in page.records:
                if record is not None:
                    wanted.look_at(place, record)
            if wanted.causes or not page.contiguous or any(record is None for _, record in page.records):
                break
            if page.complete:
                passed = True
                break
            cursor = page.last
        self._note(wanted, newest_last=True)
        if passed:
            self._near = msgspec.structs.replace(self._near, served=True)
        else:
            cause = next(iter(wanted.causes), None)
            self._near = msgspec.structs.replace(self._near, state="dropped", last_resort=False, cause=cause)

    def search_causes(self) -> Plan[None]:
        """Search the journal for why there is no hit, where it can tell."""
        seen = self.seen
        if seen is None or seen.miss is None or seen.miss.reason not in {TAG, EXPIRED, ABSENT}:
            return
        entry = seen.entry
        states = describing.tag_states(self._call, seen, {}) if seen.miss.reason == TAG else []
        moved = [tag for tag, state in states if state.verdict != "current"]
        key = self._call.key if entry is None or entry.flags & OVER else None
        if key is None and not moved:
            return
        wanted = Wanted(key, moved, () if entry is None else entry.tag_ids)
        self._search = yield from search(wanted, None if entry is None else entry.born_ms)
        self._note(wanted)

    def _note(self, wanted: Wanted, *, newest_last: bool = False) -> None:
        self._texts = {**wanted.texts, **self._texts}
        causes = list(wanted.causes.values())
        for each in reversed(causes) if newest_last else causes:
            self._causes.setdefault(each.event, each)

    # --- the result --------------------------------------------------------------------------------

    def explanation(self, *, loading: bool) -> Explanation:
        """Put it together."""
        core, call, seen = self._core, self._call, self.seen
        now_ms, now, state = core.now_ms(), core.clock.monotonic(), self._near_state()
        resting = max(0.0, (core.resting.get(call.key) or 0.0) - now)
        away = self._outage()
        return Explanation(
            key=call.key,
            namespace=core.namespace,
            region=core.region,
            at_ms=now_ms,
            outcome=describing.outcome(core, call, state, seen, self.error, away, resting),
            reason=self._reason(),
            near=state,
            stored=None if seen is None else describing.stored(now_ms, seen),
            stale=None if seen is None else describing.staleness(call, now_ms, seen.miss),
            tags=self._tags(),
            causes=tuple(self._causes.values()),
            search=self._search,
            outage=away,
            off=core.off,
            resting=resting,
            loading=loading,
        )

    def _near_state(self) -> NearState:
        state = self._near
        if state.state == "hit" and not state.served:
            return msgspec.structs.replace(state, state="unchecked")
        return state

    def _reason(self) -> str | None:
        if self.seen is not None:
            return None if self.seen.miss is None else self.seen.miss.reason
        return outage(self.error) if isinstance(self.error, ProviderUnavailableError) else REJECTED

    def _tags(self) -> tuple[TagState, ...]:
        if self.seen is None:
            return ()
        states = describing.tag_states(self._call, self.seen, self._texts)
        return tuple(
            msgspec.structs.replace(state, cause=self._cause_of(tag, state)) for tag, state in states
        )

    def _cause_of(self, tag: TagId, state: TagState) -> str | None:
        """Return the newest event that named *tag*, or the one that ended its version, if that is known."""
        if state.verdict in {"current", "present"}:
            return None
        named = [
            each
            for each in self._causes.values()
            if (state.text in each.tags) or (each.clear and not any(tag))
        ]
        ended = [each for each in named if each.soft and each.at_ms == state.ended_ms]
        return next((each.event for each in ended or named), None)

    def _outage(self) -> Outage:
        core, seen = self._core, self.seen
        waiting = core.deferred.waiting() if core.deferred is not None else []
        entry = None if seen is None else seen.entry
        wanted = Wanted(self._call.key, self._call.tags if entry is None else entry.tag_ids)
        for record in reversed(waiting):
            wanted.look_at("", record)
        return Outage(
            error=None if self.error is None else f"{type(self.error).__name__}: {self.error}",
            in_a_row=core.breaker.in_a_row,
            breaker_open=core.breaker.is_open,
            probe_in=core.breaker.probe_in,
            deferred=len(waiting),
            deferred_causes=tuple(wanted.causes.values()),
        )
