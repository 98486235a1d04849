"""`Policy`: how one kind of value is kept. Immutable; variants are made with `but`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

from staleproof.codecs.compression import COMPRESS_ABOVE
from staleproof.entry import TIMED
from staleproof.errors import ConfigurationError
from staleproof.policies.fields import (
    choice,
    function,
    life,
    optional,
    positive,
    share,
    switch,
    wait,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from staleproof.policies.duration import Duration

Fallback: TypeAlias = Literal["load", "stale", "error"]

TAG_MARGIN_MS = 60_000
"""How much longer than an entry its tags' versions live; a version that goes first costs a miss, no more."""

IDLE_SLACK = 1.25
"""An idle entry goes after `idle` to 1.25 times `idle`, so that not every read has to prolong it."""

IDLE_STEP = 0.125
"""The share of `idle` within which a read prolongs an entry once, and for which a near copy may stand in for it. Both
delays together fit the slack: an entry that is read before `idle` is over was prolonged in time."""


class Consistency(NamedTuple):
    """How old an answer may be. Write `STRICT` or `bounded("2s")`.

    Attributes:
        staleness: the most that an answer may lag behind an acknowledged invalidation, seconds; None asks the
            primary at every read, and keeps no in-process copies.
        reader: whether the reader endpoint may answer, if its replica has everything up to that bound.
    """

    staleness: Duration | None
    reader: bool = False


STRICT = Consistency(None)


def bounded(staleness: Duration, *, reader: bool = False) -> Consistency:
    """Return the consistency of answers that lag at most *staleness*; see `Consistency`."""
    return Consistency(staleness, reader)


FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "ttl": optional(life),
    "idle": optional(life),
    "jitter": share,
    "negative_ttl": optional(life),
    "ttl_from": optional(function),
    "staleness": optional(wait),
    "lease": life,
    "patience": wait,
    "stale_while_revalidate": wait,
    "stale_if_error": wait,
    "retry_after": wait,
    "refresh_ahead": optional(share),
    "xfetch": optional(positive),
    "soft_timeout": optional(life),
    "hard_timeout": optional(life),
    "fallback": choice("load", "stale", "error"),
    "max_bytes": optional(whole),
    "min_cost": wait,
    "min_uses": whole,
    "admit": optional(function),
    "compress_above": optional(whole),
    "reader": switch,
    "inherit_tags": switch,
}
"""Every field, and what checks it; settings and `but` read this table too."""


class Policy:
    """How long a value is kept, how fresh a read must be, and what happens when something fails.

    Durations are seconds, texts such as `"10m"`, or a `timedelta`.

    Args:
        ttl: how long an entry is fresh; None keeps it until invalidated.
        idle: forget an entry that nobody has read for so long, whatever is left of its *ttl*.
        jitter: shorten each entry's life by a random share of it, up to this, so that a crowd does not end at once.
        negative_ttl: the life of a stored `None`, if shorter than *ttl*.
        ttl_from: called with a loaded value, returns its own life, shorter or longer, or None for *ttl*.
        staleness: the most that an in-process copy may lag behind an acknowledged invalidation. `0` checks the
            journal at every read; None keeps no in-process copies.
        lease: how long one loader may keep others waiting. A load that takes longer is served, not stored.
        patience: how long a reader waits for somebody else's load before it loads for itself, unstored. Longer than
            *lease*, so that one reader takes over from a holder that died, and the others wait for that one. Who waits
            for a load of the same process is twice as patient: that one may be waiting for another process first.
        stale_while_revalidate: for how long after its end, or after a soft invalidation, a value is served at once
            while one reader loads it anew. Never after a hard invalidation.
        stale_if_error: for how long after its end a value is served if the loader fails or is slow.
        retry_after: how long a loader that failed is left alone while a stale value is served.
        refresh_ahead: load anew, in the background, once this share of the life has passed and somebody reads.
        xfetch: load anew ahead of the end at random, the sooner the more a load costs: the beta of "Optimal
            Probabilistic Cache Stampede Prevention" (Vattani and others, VLDB 2015); 1 is their optimum.
        soft_timeout: how long a load may take before a stale value is served instead, if there is one.
        hard_timeout: how long a load may take at all before `LoadTimeoutError` is raised.
        fallback: when the cache server cannot be reached, `"load"` calls the loader, `"stale"` first looks for an
            in-process copy up to *stale_if_error* old, and `"error"` raises. `"stale"` keeps in-process copies, checked
            at every read, even without *staleness*.
        max_bytes: entries above this are served and not stored.
        min_cost: values whose load took less are not stored.
        min_uses: store a value only at its so-maniest load in this process, to keep what is asked for once out.
        admit: called with key, bytes and the load's seconds, says whether to store.
        compress_above: compress payloads of more bytes than this; None never does.
        inherit_tags: let what is loaded depend on the tags of cached values that its loader reads, so that it is
            forgotten with them.
        reader: let the reader endpoint answer, as far as its replica has what *staleness* demands.
        consistency: `STRICT`, or `bounded("2s", reader=True)`: another way to write *staleness* and *reader*.

    Raises:
        ConfigurationError: a field cannot be read, or has no meaning with its value.
    """

    __slots__ = (*FIELDS, "flags", "looks_twice", "tends", "window_ms")

    ttl: float | None
    idle: float | None
    jitter: float
    negative_ttl: float | None
    ttl_from: Callable[[Any], Duration | None] | None
    staleness: float | None
    lease: float
    patience: float
    stale_while_revalidate: float
    stale_if_error: float
    retry_after: float
    refresh_ahead: float | None
    xfetch: float | None
    soft_timeout: float | None
    hard_timeout: float | None
    fallback: Fallback
    max_bytes: int | None
    min_cost: float
    min_uses: int
    admit: Callable[[str, int, float], bool] | None
    compress_above: int | None
    reader: bool
    inherit_tags: bool
    window_ms: int
    """How long after its end an entry is kept to be served stale, milliseconds."""
    flags: int
    """The flags of entries written under this policy."""
    looks_twice: bool
    """Whether a hit may be over all the same, or tends."""
    tends: bool
    """Whether a hit needs a second look: it may prolong the entry's life, or begin a refresh."""

    FIELDS: ClassVar[Mapping[str, Callable[[Any, str], Any]]] = FIELDS

    def __init__(
        self,
        *,
        ttl: Duration | None = "10m",
        idle: Duration | None = None,
        jitter: float = 0.0,
        negative_ttl: Duration | None = None,
        ttl_from: Callable[[Any], Duration | None] | None = None,
        staleness: Duration | None = None,
        lease: Duration = "10s",
        patience: Duration = "15s",
        stale_while_revalidate: Duration = 0,
        stale_if_error: Duration = 0,
        retry_after: Duration = "1s",
        refresh_ahead: float | None = None,
        xfetch: float | None = None,
        soft_timeout: Duration | None = None,
        hard_timeout: Duration | None = None,
        fallback: Fallback = "load",
        max_bytes: int | None = None,
        min_cost: Duration = 0,
        min_uses: int = 1,
        admit: Callable[[str, int, float], bool] | None = None,
        compress_above: int | None = COMPRESS_ABOVE,
        reader: bool = False,
        inherit_tags: bool = True,
        consistency: Consistency | None = None,
    ) -> None:
        given = locals()
        for name, check in FIELDS.items():
            object.__setattr__(self, name, check(given[name], name))
        if consistency is not None:
            object.__setattr__(self, "staleness", FIELDS["staleness"](consistency.staleness, "consistency"))
            object.__setattr__(self, "reader", consistency.reader)
        self._settle()

    def _settle(self) -> None:
        """Check what fields mean together, and derive what the hot paths ask for."""
        put = object.__setattr__
        if self.fallback == "stale" and self.staleness is None:
            put(self, "staleness", 0.0)  # without in-process copies there would be nothing to fall back on
        if self.reader and not self.staleness:
            raise ConfigurationError(
                "reader=True needs a staleness above 0: a replica lags, so write consistency=bounded('1s', reader=True)"
            )
        if self.ttl is None and (self.refresh_ahead is not None or self.xfetch is not None):
            raise ConfigurationError(
                "refresh_ahead and xfetch need a ttl: what never ends has no time before its end"
            )
        window = max(self.stale_while_revalidate, self.stale_if_error)
        put(self, "window_ms", round(window * 1_000))
        put(self, "flags", TIMED if window else 0)
        put(self, "tends", any(each is not None for each in (self.idle, self.refresh_ahead, self.xfetch)))
        put(self, "looks_twice", bool(self.flags or self.tends))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Policy does not change; write policy.but({name}={value!r})")

    def but(self, **changes: Any) -> Policy:
        """Return this policy with some fields changed: `HOT.but(ttl="1h")`."""
        unknown = set(changes) - set(FIELDS) - {"consistency"}
        if unknown:
            raise ConfigurationError(
                f"a policy has no {', '.join(sorted(unknown))}; it has {', '.join(FIELDS)}"
            )
        return Policy(**{**self.fields(), **changes})

    def fields(self) -> dict[str, Any]:
        """Return every field by name, durations in seconds."""
        return {name: getattr(self, name) for name in FIELDS}

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.fields(),)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.fields().items())
        return f"Policy({fields})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash(tuple(self.fields().values()))

    @property
    def ttl_ms(self) -> int:
        """The entry's longest life in milliseconds, 0 for ever."""
        return 0 if self.ttl is None else max(1, round(self.ttl * 1_000))

    @property
    def lease_ms(self) -> int:
        """The lease in milliseconds."""
        return max(1, round(self.lease * 1_000))

    @property
    def tag_ttl_ms(self) -> int:
        """The life of a tag version that must outlive the entries that name it, 0 for ever."""
        return self.tag_ttl_for(self.ttl_ms)

    def tag_ttl_for(self, ttl_ms: int) -> int:
        """Return the life of a tag version that must outlive an entry of *ttl_ms*; 0 is for ever, for both."""
        return ttl_ms + self.window_ms + self.lease_ms + TAG_MARGIN_MS if ttl_ms else 0


def _made(fields: dict[str, Any]) -> Policy:
    return Policy(**fields)


DEFAULT_POLICY = Policy()
