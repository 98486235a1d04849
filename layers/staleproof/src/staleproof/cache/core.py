"""`Core`: the state that both faces of a cache share, and that plans read and write. No I/O, no colour."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from staleproof.cache import nesting
from staleproof.cache.statistics import Statistics
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.entry import Entry, decode, prefix
from staleproof.errors import CodecError
from staleproof.policies.judgement import CODEC, Miss, Partial, judge, payload_of
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.near import NearCache
    from staleproof.ports import Observed
    from staleproof.tags import TagId

MAX_PREDICTIONS = 16_384


class Hit:
    """A value that may be served, and the entry it came from."""

    __slots__ = ("_raw", "value")

    def __init__(self, value: Any, raw: bytes) -> None:
        self.value = value
        self._raw = raw

    @property
    def entry(self) -> Entry:
        """The whole envelope, decoded only when somebody asks."""
        entry = decode(self._raw)
        if entry is None:
            raise AssertionError("a hit was judged to be a whole entry")
        return entry


class Core:
    """Policy, near cache, clock, statistics, and what earlier reads revealed.

    Args:
        region: the region that this cache's own invalidations originate in.
        policy: used where a call gives none.
        near: the near cache, or None.
        clock: the source of time.
    """

    def __init__(
        self,
        *,
        namespace: str,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        near: NearCache | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.namespace = namespace
        self.region = region
        self.policy = policy
        self.near = near
        self.clock = clock
        self.statistics = Statistics()
        if near is not None:
            nesting.register(near)
        self._predictions: OrderedDict[str, Sequence[TagId]] = OrderedDict()

    def wanted(self, call: Call) -> Sequence[TagId]:
        """Return the tags to ask for: the call's own, then those that its last value revealed."""
        if call.tags_from is None:
            return call.tags
        return (*call.tags, *self._predictions.get(call.key, ()))

    def learn(self, key: str, revealed: Sequence[TagId]) -> None:
        """Remember which tags a value revealed, for the next read of its key."""
        self._predictions[key] = revealed
        if len(self._predictions) > MAX_PREDICTIONS:
            self._predictions.popitem(last=False)

    def judge(self, call: Call, asked: Sequence[TagId], observed: Observed) -> Hit | Miss | Partial:
        """Decide whether *observed* answers *call*, and decode it if so."""
        raw, versions = observed
        expected = call.expected if asked is call.tags else _expected(call, asked)
        payload = payload_of(raw, versions, expected)
        if payload is None or raw is None:
            verdict = judge(raw, versions, b"".join(asked), len(call.tags))
            # An entry that is whole and fresh and yet no hit was written by another codec.
            return Miss(CODEC, verdict) if isinstance(verdict, Entry) else verdict
        try:
            return Hit(call.codec.decode(payload), raw)
        except CodecError:
            return Miss(CODEC, decode(raw))

    def near_for(self, call: Call) -> NearCache | None:
        """Return the near cache if *call* may use it: not inside a load, whose result may outlive any bound."""
        return None if call.policy.staleness is None or nesting.inside() else self.near


def _expected(call: Call, asked: Sequence[TagId]) -> bytes:
    """Return what an entry begins with that carries predicted tags besides the call's own."""
    return prefix(call.codec.codec_id, b"".join(asked), len(call.tags))
