"""`Face`: what the blocking and the asyncio cache have in common, which is all but the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache.call import Call, check_text, checked_row_version
from staleproof.cache.core import Core
from staleproof.cache.near import NearCache
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.codecs import MsgpackCodec
from staleproof.errors import ConfigurationError
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.policies.duration import seconds
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from staleproof.cache.statistics import Statistics
    from staleproof.ports import JournalId

_ANY: MsgpackCodec[Any] = MsgpackCodec(Any)

MAX_LAG = 3_600.0
MAX_REGION = 64


class Face:
    """State and pure steps of a cache over one namespace.

    Args:
        namespace: the provider's namespace.
        region: the region in which this cache's own invalidations originate; links ship them to the others.
        policy: how values are kept where a call gives no policy of its own.
        near: True for a near cache of default size, one of your own, or False for none at all. It is
            used by policies with a `staleness`.
        clock: the source of time.
    """

    def __init__(
        self,
        namespace: str,
        *,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        near: NearCache | bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 < len(region) <= MAX_REGION:
            raise ConfigurationError(
                f"region={region!r} must have 1 to {MAX_REGION} characters, such as 'eu-west-1'"
            )
        if near is True:
            near = NearCache(clock=clock)
        self.core = Core(namespace=namespace, region=region, policy=policy, near=near or None, clock=clock)

    @property
    def namespace(self) -> str:
        """The namespace that this cache works in."""
        return self.core.namespace

    @property
    def statistics(self) -> Statistics:
        """What this cache did so far."""
        return self.core.statistics

    def call(
        self,
        key: str,
        tags: Iterable[str] = (),
        policy: Policy | None = None,
        codec: MsgpackCodec[Any] = _ANY,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
    ) -> Call:
        """Return everything about one read that is known before it starts."""
        if isinstance(tags, str):
            raise ConfigurationError(f"tags={tags!r} is one text; pass a list of tags: [{tags!r}]")
        return Call(key, tuple(tags), policy or self.core.policy, codec, tags_from, row_version)

    def invalidation(
        self,
        tags: Sequence[str] = (),
        keys: Sequence[str] = (),
        *,
        clear: bool = False,
        row_version: int | None = None,
        lag: float | str = 0,
    ) -> Invalidation:
        """Return the record of an invalidation that begins here and now.

        Raises:
            ConfigurationError: a tag or key is no text or too long, or the row version or lag is out of range.
        """
        return Invalidation(
            id=new_id(),
            origin=self.core.region,
            namespace=self.core.namespace,
            tags=_distinct("tags", tags),
            keys=_distinct("keys", keys),
            clear=clear,
            row_version=checked_row_version(row_version),
            lag_ms=_milliseconds(lag) if lag else 0,
            at_ms=int(self.core.clock.wall() * 1_000),
        )

    def acknowledged(self, invalidation: Invalidation, places: Sequence[JournalId]) -> None:
        """Note that the provider has applied *invalidation*: our own copies go at once."""
        self.core.statistics.invalidations += 1
        if self.core.near is not None and places:
            self.core.near.forget(invalidation, places[-1])


def _milliseconds(lag: float | str) -> int:
    given = seconds(lag, "lag")
    if given > MAX_LAG:
        raise ConfigurationError(f"lag={lag!r} is more than an hour; peers refuse such a fence")
    return round(given * 1_000)


def _distinct(field: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise ConfigurationError(f"{field}={texts!r} is one text; pass a list: {field}=[{texts!r}]")
    for text in texts:
        if not isinstance(text, str):
            raise ConfigurationError(
                f"{field}: {text!r} is no text; build keys and tags with `staleproof.key`"
            )
        check_text(field, text)
    return tuple(texts) if len(texts) <= 1 else tuple(dict.fromkeys(texts))
