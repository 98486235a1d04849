"""`Core`: the state that both faces of a cache share, and that plans read and write. No I/O, no colour."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache import nesting
from staleproof.cache.announcing import announce
from staleproof.cache.commands import ReadFollowing
from staleproof.cache.deferred import Acknowledging
from staleproof.cache.missing import MISSING
from staleproof.cache.statistics import Statistics
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.codecs.codec import CODEC_MASK
from staleproof.codecs.compression import decompress
from staleproof.entry import COST_AFTER_BORN, TIMES_BYTES, Entry, cost_from, cost_us, decode, prefix, times
from staleproof.errors import CodecError
from staleproof.policies.breaker import Breaker
from staleproof.policies.judgement import CODEC, EXPIRED, SMALL, Miss, Partial, judge, payload_of
from staleproof.policies.policy import DEFAULT_POLICY, Policy
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.deferred import Deferred
    from staleproof.cache.loading import Source
    from staleproof.cache.near import NearCache
    from staleproof.codecs.compression import Algorithm
    from staleproof.codecs.dictionary import ZstdDictionary
    from staleproof.ports import Observed
    from staleproof.tags import TagId

R = TypeVar("R")

MAX_REMEMBERED = 16_384
"""Keys of which something is remembered: predicted tags, resting loaders, touches, counted uses; each of these."""


class Hit(Record, frozen=True):
    """A value that may be served, and the entry it came from; a struct, for it is the quickest to make.

    Attributes:
        value: the value.
        raw: the entry as the server has it.
        cost_us: what its load took, in microseconds.
    """

    value: Any
    raw: bytes
    cost_us: int

    @property
    def size(self) -> int:
        """The bytes of the entry on the server."""
        return len(self.raw)

    @property
    def entry(self) -> Entry:
        """The whole envelope, decoded only when somebody asks."""
        entry = decode(self.raw)
        if entry is None:
            raise AssertionError("a hit was judged to be a whole entry")
        return entry


MAX_PREDICTED = 64
"""Revealed tags that are remembered of a key; a read of one with more asks a second time for their versions."""


class Stale(Record, frozen=True):
    """A value that is outdated, and for how many seconds."""

    value: Any
    age: float


def _drawn() -> float:
    from random import random  # noqa: PLC0415 - a cold start without jitter does without

    return random()


class Core(Acknowledging):
    """Policy, near cache, clock, statistics, and what earlier reads revealed.

    Args:
        region: the region that this cache's own invalidations originate in.
        policy: used where a call gives none.
        near: the near cache, or None.
        clock: the source of time.
        breaker: when to stop asking a server that does not answer.
        compression: how large payloads are compressed, `"lz4"` or `"zstd"`.
        dictionaries: for zstd; the first one writes, all of them read.
        draw: random numbers from 0 to 1, for jitter and refreshes ahead.
        deferred: where invalidations wait that no server answered to; None raises instead.

    Attributes:
        reader_breaker: of the reader endpoint: while it is open, the primary answers.
        predictions: the tags that a key's last value revealed.
        resting: until when, on the monotonic clock, a loader that failed is left alone, by key.
        touched: when an idle entry was last prolonged, on the monotonic clock, by key.
        uses: how often a key was loaded, for admission.
        orphans: leases that we had or asked for when the server went away, by key; one that hung may yet grant them.
    """

    def __init__(
        self,
        *,
        namespace: str,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        near: NearCache | None = None,
        clock: Clock = SYSTEM_CLOCK,
        breaker: Breaker | None = None,
        compression: Algorithm = "lz4",
        dictionaries: Sequence[ZstdDictionary] = (),
        draw: Callable[[], float] = _drawn,
        deferred: Deferred | None = None,
    ) -> None:
        self.namespace = namespace
        self.region = region
        self.policy = policy
        self.near = near
        self.clock = clock
        self.breaker = breaker or Breaker(clock=clock)
        self.reader_breaker = Breaker(clock=clock)
        announce(self.breaker, f"the server of cache {namespace!r}")
        announce(self.reader_breaker, f"the reader endpoint of cache {namespace!r}")
        self.statistics = Statistics(namespace, near, self.breaker, self.reader_breaker)
        self.compression: Algorithm = compression
        self.dictionaries = tuple(dictionaries)
        self.draw = draw
        self.deferred = deferred
        self.off = False
        if near is not None:
            nesting.register(near)
        self.predictions: Remembered[Sequence[TagId]] = Remembered()
        self.resting: Remembered[float] = Remembered()
        self.touched: Remembered[float] = Remembered()
        self.uses: Remembered[int] = Remembered()
        self.orphans: Remembered[bytes] = Remembered()

    def breaker_for(self, command: object) -> Breaker:
        """Return the breaker of whom *command* asks."""
        return self.reader_breaker if isinstance(command, ReadFollowing) and command.reader else self.breaker

    @property
    def source(self) -> Source:
        """Whose tags are meant by ids here."""
        return self.namespace, self.statistics.provider

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return int(self.clock.wall() * 1_000)

    def wanted(self, call: Call) -> Sequence[TagId]:
        """Return the tags to ask for: the call's own, then those that its last value revealed."""
        predicted = self.predictions.get(call.key) if self.predictions else None
        return (*call.tags, *predicted) if predicted else call.tags

    def learn(self, key: str, revealed: Sequence[TagId]) -> None:
        """Remember which tags a value revealed, for the next read of its key."""
        if 0 < len(revealed) <= MAX_PREDICTED:
            self.predictions.put(key, revealed)
        elif self.predictions:
            self.predictions.pop(key, None)

    def plain_hit(self, call: Call, asked: Sequence[TagId], observed: Observed) -> Any:
        """Return the value of a hit that needs no second look, and count it; `MISSING` for `judge` to say what it is.

        The hot path: so it makes nothing that it need not, and every step that decides is `judge`'s.
        """
        raw, versions = observed
        if raw is None or asked is not call.tags or call.policy.looks_twice:
            return MISSING
        try:
            head = call.expected + b"".join(versions)  # type: ignore[arg-type] # `payload_of`, without the call
            start, size = len(head), len(raw)
            if size < start + TIMES_BYTES or not raw.startswith(head):
                return MISSING
            body = raw if size <= SMALL else memoryview(raw)
            value = call.read(body[start + TIMES_BYTES :])
        except Exception:  # noqa: BLE001 - a version is missing, or `judge` reads it again, at length
            return MISSING
        if nesting._under_way:  # noqa: SLF001 - `under_way()`, without the call
            nesting.inherit(self.source, raw)
        (cost,) = cost_from(raw, start + COST_AFTER_BORN)
        statistics = self.statistics
        statistics.hits += 1
        statistics.saved_us += cost
        statistics.bytes_read += size
        return value

    def judge(self, call: Call, asked: Sequence[TagId], observed: Observed) -> Hit | Miss | Partial:
        """Decide whether *observed* answers *call*, and decode it if so."""
        raw, versions = observed
        expected = call.expected if asked is call.tags else _expected(call, asked)
        payload = payload_of(raw, versions, expected)
        if payload is None or raw is None:
            return self._judge_at_length(call, asked, raw, versions)
        start = len(raw) - len(payload) - TIMES_BYTES
        if call.policy.flags:
            expires_ms = times(raw, start)[1]
            if expires_ms and self.now_ms() >= expires_ms:
                return Miss(EXPIRED, decode(raw), expires_ms)
        try:
            return self._found(Hit(call.codec.decode(payload), raw, cost_us(raw, start)))
        except CodecError:
            return Miss(CODEC, decode(raw))

    def _judge_at_length(
        self, call: Call, asked: Sequence[TagId], raw: bytes | None, versions: Sequence[bytes | None]
    ) -> Hit | Miss | Partial:
        """Judge what is no plain hit: compressed, softly invalidated, expired, of an older format, or a miss."""
        verdict = judge(raw, versions, b"".join(asked), len(call.tags), self.now_ms())
        if not isinstance(verdict, Entry):
            return verdict
        try:
            return self._found(Hit(self.value_of(call, verdict), raw or b"", verdict.cost_us))
        except CodecError:
            return Miss(CODEC, verdict)

    def _found(self, hit: Hit) -> Hit:
        if nesting.under_way():
            nesting.inherit(self.source, hit.raw)
        return hit

    def value_of(self, call: Call, entry: Entry) -> Any:
        """Return the value of *entry*, fresh or not.

        Raises:
            CodecError: it was written by another codec, or cannot be read.
        """
        if entry.codec & CODEC_MASK != call.codec.codec_id:
            raise CodecError(
                f"a stored value was written by codec {entry.codec & CODEC_MASK}; this reader is {call.codec!r}"
            )
        return call.codec.decode(decompress(entry.codec, entry.payload, dictionaries=self.dictionaries))

    def outdated(self, call: Call, miss: Miss) -> Any:
        """Return the value that was missed, however outdated, or `MISSING` if it cannot be read."""
        if miss.entry is None:
            return MISSING
        try:
            return self.value_of(call, miss.entry)
        except CodecError:
            return MISSING

    def stale(self, call: Call, miss: Miss) -> Stale | None:
        """Return the stale value that *call* may be served, if need be; never inside a load, which would keep it."""
        if miss.since_ms is None or not call.policy.window_ms or nesting.inside():
            return None
        age = max(0, self.now_ms() - miss.since_ms) / 1_000
        if age * 1_000 > call.policy.window_ms:
            return None
        value = self.outdated(call, miss)
        return None if value is MISSING else Stale(value, age)

    def near_for(self, call: Call) -> NearCache | None:
        """Return the near cache if *call* may use it: not inside a load, whose result may outlive any bound."""
        return None if call.policy.staleness is None or nesting.inside() else self.near


class Remembered(OrderedDict[str, R]):
    """What is remembered of some keys; the oldest go first. Threads may race here: each step is the dictionary's."""

    def put(self, key: str, value: R) -> None:
        """Remember *value*."""
        self[key] = value
        if len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


def _expected(call: Call, asked: Sequence[TagId]) -> bytes:
    """Return what an entry begins with that carries predicted tags besides the call's own."""
    return prefix(call.codec.codec_id, b"".join(asked), len(call.tags), call.policy.flags)
