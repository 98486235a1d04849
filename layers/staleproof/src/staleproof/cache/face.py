"""`Face`: what the blocking and the asyncio cache have in common, which is all but the waiting."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from weakref import WeakMethod, WeakSet

from staleproof.cache import nesting
from staleproof.cache.asking import checked_key, checked_name, checked_tags
from staleproof.cache.call import MAX_TEXT, Call, check_text, checked_row_version
from staleproof.cache.core import Core
from staleproof.cache.deferred import Deferred
from staleproof.cache.near import NearCache
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.codecs import MsgpackCodec
from staleproof.errors import ConfigurationError
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.policies.duration import seconds
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from staleproof.cache.statistics import Statistics
    from staleproof.codecs.codec import Codec, CodecFactory
    from staleproof.codecs.compression import Algorithm
    from staleproof.codecs.dictionary import ZstdDictionary
    from staleproof.policies.breaker import Breaker
    from staleproof.policies.duration import Duration

Unreachable: TypeAlias = Literal["raise", "defer"]

MAX_LAG = 3_600.0
MAX_REGION = 64
MAX_CODECS = 1_024
DEFAULT_CODEC: CodecFactory = MsgpackCodec()


FACES: WeakSet[Face] = WeakSet()
"""Every cache of this process, for those who switch all of them off, or look at all of them."""


class Face:
    """State and pure steps of a cache over one namespace.

    Args:
        namespace: the provider's namespace.
        region: the region in which this cache's own invalidations originate; links ship them to the others.
        policy: how values are kept where a call gives no policy of its own.
        policies: policies by name, for calls and decorators that name one.
        near: True for a near cache of default size, one of your own, what makes one (each sibling has its own), or
            False for none at all. It is used by policies with a `staleness`.
        clock: the source of time.
        breaker: when to stop asking a server that does not answer; one of your own, or the default.
        codec: how values are written.
        compression: `"lz4"` or `"zstd"`, for payloads above the policy's `compress_above`.
        dictionaries: trained on typical values, for zstd; the first one writes, all of them read.
        unreachable: what an invalidation does that no server acknowledges: `"raise"`, or `"defer"` it until the server
            is back (see `staleproof.cache.deferred` for what that gives up).

    Attributes:
        made_off: in how many `off` blocks for all caches of the process a new one begins.
    """

    made_off: ClassVar[int] = 0
    _switched_off = False

    def __init__(
        self,
        namespace: str,
        *,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        policies: Mapping[str, Policy] | None = None,
        near: NearCache | Callable[[], NearCache] | bool = True,
        clock: Clock = SYSTEM_CLOCK,
        breaker: Breaker | None = None,
        codec: CodecFactory = DEFAULT_CODEC,
        compression: Algorithm = "lz4",
        dictionaries: Sequence[ZstdDictionary] = (),
        unreachable: Unreachable = "raise",
    ) -> None:
        if not 0 < len(region) <= MAX_REGION:
            raise ConfigurationError(
                f"region={region!r} must have 1 to {MAX_REGION} characters, such as 'eu-west-1'"
            )
        if unreachable not in {"raise", "defer"}:
            raise ConfigurationError(f"unreachable={unreachable!r} is neither 'raise' nor 'defer'")
        self.core = Core(
            namespace=namespace,
            region=region,
            policy=policy,
            near=_near_cache(clock, near=near),
            clock=clock,
            breaker=breaker,
            compression=compression,
            dictionaries=dictionaries,
            deferred=Deferred() if unreachable == "defer" else None,
        )
        self.codec = codec
        self._codecs: dict[Any, Codec[Any]] = {}
        self._policies = dict(policies or {})
        self._listeners: list[Callable[[], Callable[[], None] | None]] = []
        self._switching = threading.Lock()
        self._off_blocks = Face.made_off
        self.settle_switch()
        FACES.add(self)

    @property
    def namespace(self) -> str:
        """The namespace that this cache works in."""
        return self.core.namespace

    @property
    def statistics(self) -> Statistics:
        """What this cache did so far."""
        return self.core.statistics

    # --- policies ----------------------------------------------------------------------------------

    def policy_of(self, policy: Policy | str | None) -> Policy:
        """Return the policy that a call asks for: its own, one by name, or the cache's.

        Raises:
            ConfigurationError: there is none of that name.
        """
        if policy is None:
            return self.core.policy
        if isinstance(policy, Policy):
            return policy
        named = self._policies.get(checked_name(policy))
        if named is None:
            known = ", ".join(sorted(self._policies)) or "none"
            raise ConfigurationError(f"no policy is called {policy!r}; the named policies are: {known}")
        return named

    def on_policies(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever a policy was replaced; a method, as long as its object lives."""
        bound = isinstance(listener, MethodType)
        self._listeners = [one for one in self._listeners if one() is not None]
        self._listeners.append(WeakMethod(listener) if bound else lambda: listener)

    def adopt(self, policy: Policy | None = None, policies: Mapping[str, Policy] | None = None) -> None:
        """Replace the default policy, the named ones, or both, while running; names that are not given stay."""
        if policy is not None:
            self.core.policy = policy
        self._policies.update(policies or {})
        for find in self._listeners:
            listener = find()
            if listener is not None:
                listener()

    # --- switching off -----------------------------------------------------------------------------

    def switch(self, *, off: bool) -> None:
        """Switch caching off: every read loads, nothing is stored. Invalidations still reach the server."""
        with self._switching:
            self._switched_off = off
            self.settle_switch()

    @contextmanager
    def off(self) -> Iterator[None]:
        """Switch caching off within, for every thread and task: every read loads, and nothing is stored.

        Invalidations still reach the server. Blocks may overlap; `switch` is apart from them.
        """
        self.count_off(+1)
        try:
            yield
        finally:
            self.count_off(-1)

    def count_off(self, step: int) -> None:
        """Enter or leave so many `off` blocks."""
        with self._switching:
            self._off_blocks += step
            self.settle_switch()

    def settle_switch(self) -> None:
        """Let the core and its near cache be off or on as the switch and the blocks say."""
        self.core.off = off = self._switched_off or self._off_blocks > 0
        if self.core.near is not None:
            nesting.switch(self.core.near, off=off)

    # --- calls -------------------------------------------------------------------------------------
    def call(
        self,
        key: str,
        tags: Iterable[str] = (),
        policy: Policy | str | None = None,
        kind: Any = Any,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
    ) -> Call:
        """Return everything about one read that is known before it starts."""
        texts = checked_tags(tags) if tags != () else ()
        codec = self.codec_for(kind)
        return Call(checked_key(key), texts, self.policy_of(policy), codec, tags_from, row_version)

    def codec_for(self, kind: Any) -> Codec[Any]:
        """Return the codec for values of type *kind*; made once for each."""
        try:
            known = self._codecs.get(kind)
        except TypeError:  # a type that cannot be hashed
            return self.codec.codec_for(kind)
        if known is None:
            known = self.codec.codec_for(kind)
            if len(self._codecs) < MAX_CODECS:
                self._codecs[kind] = known
        return known

    def invalidation(
        self,
        tags: Sequence[str] = (),
        keys: Sequence[str] = (),
        *,
        clear: bool = False,
        soft: bool = False,
        superseded: bool = False,
        row_version: int | None = None,
        lag: Duration = 0,
    ) -> Invalidation:
        """Return the record of an invalidation that begins here and now.

        Raises:
            ConfigurationError: a tag or key is no text or too long, none is named, or a figure is out of range.
        """
        if not tags:
            _check_named(keys, clear=clear)
        return Invalidation(
            id=new_id(),
            origin=self.core.region,
            namespace=self.core.namespace,
            tags=_distinct("tags", tags),
            keys=() if keys == () else _distinct("keys", keys),
            clear=clear,
            soft=soft,
            superseded=superseded,
            row_version=None if row_version is None else checked_row_version(row_version),
            lag_ms=_milliseconds(lag) if lag else 0,
            at_ms=self.core.now_ms(),
        )


def _near_cache(clock: Clock, *, near: NearCache | Callable[[], NearCache] | bool) -> NearCache | None:
    if near is True:
        return NearCache(clock=clock)
    return near() if callable(near) else near or None


def _milliseconds(lag: Duration) -> int:
    given = seconds(lag, "lag")
    if given > MAX_LAG:
        raise ConfigurationError(f"lag={lag!r} is more than an hour; peers refuse such a fence")
    return round(given * 1_000)


def _check_named(keys: Sequence[str], *, clear: bool) -> None:
    if keys == () and not clear:  # an empty list was made by a program, and is no slip
        raise ConfigurationError(
            "nothing is named; give tags or keys=, or clear the whole namespace: clear()"
        )


def _distinct(field: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise ConfigurationError(f"{field}={texts!r} is one text; pass a list: {field}=[{texts!r}]")
    for text in texts:
        if not isinstance(text, str):
            raise ConfigurationError(_no_text(field, text))
        if len(text) > MAX_TEXT:
            check_text(field, text)
    return tuple(texts) if len(texts) <= 1 else tuple(dict.fromkeys(texts))


def _no_text(field: str, given: object) -> str:
    if isinstance(given, list | tuple | set | frozenset):
        return f"{field}: {given!r:.80} is a list; pass its texts one by one: invalidate(*{field})"
    return f"{field}: {given!r} is no text; build keys and tags with `staleproof.key`"
