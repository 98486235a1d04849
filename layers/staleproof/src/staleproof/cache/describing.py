"""Parts of an explanation, each from what was seen. Pure: nothing here asks, counts or changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.cache.explanation import NearState, Staleness, Stored, TagState
from staleproof.entry import OVER, Entry, decode
from staleproof.errors import CodecError, ProviderRejectedError
from staleproof.policies.judgement import ABSENT, CODEC, RETAGGED, UNREADABLE, Miss, judge
from staleproof.tags import ROOT, VERSION_BYTES, current, ended_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.core import Core
    from staleproof.cache.explanation import Outage, Outcome, Verdict
    from staleproof.errors import ProviderError
    from staleproof.ports import Observed
    from staleproof.tags import TagId

_CODEC_BITS = 0x0F
_CODECS = {0: "msgpack", 1: "json", 2: "signed pickle"}
_COMPRESSIONS = {0x00: None, 0x10: "lz4", 0x20: "zstd"}
_SECOND = 1_000


class Seen(NamedTuple):
    """What the server showed of a key.

    Attributes:
        entry: what is stored, if it can be read.
        format: the first byte of it, 0 if nothing is stored.
        size: its bytes.
        held: what the version keys hold, by tag.
        miss: why it is no hit; None if it is one.
    """

    entry: Entry | None
    format: int
    size: int
    held: Mapping[TagId, bytes | None]
    miss: Miss | None


def seen(core: Core, call: Call, asked: Sequence[TagId], observed: Observed) -> Seen:
    """Judge *observed*, which has the versions of the tags *asked* for, as a read would."""
    raw = observed.entry
    entry = None if raw is None else decode(raw)
    held = dict(zip(asked, observed.versions, strict=True))
    miss = _miss(core, call, asked, observed, entry)
    return Seen(entry, raw[0] if raw else 0, len(raw or b""), held, miss)


def _miss(
    core: Core, call: Call, asked: Sequence[TagId], observed: Observed, entry: Entry | None
) -> Miss | None:
    if entry is None:
        return Miss(ABSENT if observed.entry is None else UNREADABLE, None)
    if entry.named != len(call.tags) or not entry.ids.startswith(b"".join(call.tags)):
        return Miss(RETAGGED, entry)
    verdict = judge(observed.entry, observed.versions, b"".join(asked), len(call.tags), core.now_ms())
    if isinstance(verdict, Miss):
        return verdict
    if not isinstance(verdict, Entry):
        return Miss(RETAGGED, entry)
    try:
        core.value_of(call, verdict)
    except CodecError:
        return Miss(CODEC, entry)
    return None


def near_state(core: Core, call: Call) -> tuple[NearState, Sequence[TagId]]:
    """Return what the near cache has for *call*, and the tags of the copy that the journal may name."""
    near, bound = core.near, call.policy.staleness
    if near is None or bound is None:
        return NearState(state="off"), ()
    now = core.clock.now()
    elapsed = now.elapsed(near.synced)
    behind = max(0.0, elapsed) if elapsed != float("inf") else None
    copy = near.copies.get(call.key)
    held = None if copy is None else copy.held()
    if held is None:
        return NearState(state="miss", bound=bound, behind=behind), ()
    if held.tags != call.tags or held.kind is not call.codec.kind:
        return NearState(state="other", bound=bound, behind=behind), ()
    if held.is_over(now):
        return NearState(state="over", bound=bound, behind=behind), ()
    served = bool(bound) and behind is not None and behind <= bound
    policy = call.policy
    spare = policy.fallback == "stale" and behind is not None and behind <= policy.stale_if_error
    state = NearState(
        state="hit", bound=bound, behind=behind, checked=not served, served=served, last_resort=spare
    )
    return state, held.ids


def stored(now_ms: int, found: Seen) -> Stored | None:
    """Return what is stored."""
    entry = found.entry
    if entry is None:
        return None
    codec, compression = entry.codec & _CODEC_BITS, entry.codec & ~_CODEC_BITS
    return Stored(
        born_ms=entry.born_ms,
        age=(now_ms - entry.born_ms) / _SECOND,
        expires_ms=entry.expires_ms or None,
        expires_in=(entry.expires_ms - now_ms) / _SECOND if entry.expires_ms else None,
        over=bool(entry.flags & OVER),
        cost=entry.cost_us / 1_000_000,
        bytes=found.size,
        payload=len(entry.payload),
        codec=_CODECS.get(codec, f"unknown ({codec})"),
        compression=_COMPRESSIONS.get(compression, f"unknown ({compression:#x})"),
        format=found.format,
        row_version=entry.row_version or None,
    )


def staleness(call: Call, now_ms: int, miss: Miss | None) -> Staleness | None:
    """Return how what was missed may be served all the same; None if not at all."""
    if miss is None or miss.since_ms is None or not call.policy.window_ms:
        return None
    age = max(0, now_ms - miss.since_ms) / _SECOND
    return Staleness(
        since_ms=miss.since_ms,
        age=age,
        revalidate_left=max(0.0, call.policy.stale_while_revalidate - age),
        error_left=max(0.0, call.policy.stale_if_error - age),
    )


def tag_states(call: Call, found: Seen, texts: Mapping[TagId, str]) -> list[tuple[TagId, TagState]]:
    """Return the state of each tag of the entry, or of the call if nothing is stored."""
    entry = found.entry
    ids = list(call.tags) if entry is None else entry.tag_ids
    named = len(call.tags) if entry is None else entry.named
    states = []
    for at, tag in enumerate(ids):
        held = found.held.get(tag)
        own = None if entry is None else entry.versions[at * VERSION_BYTES : (at + 1) * VERSION_BYTES]
        verdict, ended = _verdict(own, held)
        text = "" if tag == ROOT else texts.get(tag)
        state = TagState(id=tag.hex(), text=text, named=at < named, verdict=verdict, ended_ms=ended)
        states.append((tag, state))
    return states


def _verdict(own: bytes | None, held: bytes | None) -> tuple[Verdict, int | None]:
    if held is None:
        return "missing", None
    if own is None:
        return "present", None
    if current(held) == own:
        return "current", None
    ended = ended_ms(held, own)
    return ("gone" if ended is None else "soft"), ended


def outcome(
    core: Core,
    call: Call,
    near: NearState,
    found: Seen | None,
    error: ProviderError | None,
    outage: Outage,
    resting: float,
) -> Outcome:
    """Return what a read that begins now comes to."""
    if core.off:
        return "off"
    if near.served:
        return "near hit"
    if found is None:
        return _without_server(call, near, error)
    if outage.deferred_causes:
        return "load"
    return "hit" if found.miss is None else _made_up(staleness(call, core.now_ms(), found.miss), resting)


def _made_up(stale: Staleness | None, resting: float) -> Outcome:
    served = stale is not None and (stale.revalidate_left > 0 or (stale.error_left > 0 and resting > 0))
    return "stale" if served else "load"


def _without_server(call: Call, near: NearState, error: ProviderError | None) -> Outcome:
    if call.policy.fallback == "error" or isinstance(error, ProviderRejectedError):
        return "error"
    return "stale" if near.last_resort else "load"
