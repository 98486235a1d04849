"""`Policy`: how one kind of value is kept. Immutable; variants are made with `but`."""

from __future__ import annotations

from typing import Any

from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds

TAG_MARGIN_MS = 60_000
"""How much longer than an entry its tags' versions live; a version that goes first costs a miss, no more."""


class Policy:
    """How long a value is kept, and how fresh a read must be.

    Args:
        ttl: how long an entry lives in the cache server, seconds or `"10m"`; None keeps it until invalidated.
        staleness: the most that an in-process copy may lag behind an acknowledged invalidation. `0` checks the
            journal at every read; None keeps no in-process copies.
        lease: how long one loader may keep others waiting. A load that takes longer is served, not stored.
        patience: how long a reader waits for somebody else's load before it loads for itself, unstored.

    Raises:
        ConfigurationError: a duration cannot be read, or a field has no meaning with its value.
    """

    __slots__ = ("lease", "patience", "staleness", "ttl")

    ttl: float | None
    staleness: float | None
    lease: float
    patience: float

    def __init__(
        self,
        *,
        ttl: float | str | None = "10m",
        staleness: float | str | None = None,
        lease: float | str = "10s",
        patience: float | str = "5s",
    ) -> None:
        put = object.__setattr__
        put(self, "ttl", None if ttl is None else seconds(ttl, "ttl"))
        put(self, "staleness", None if staleness is None else seconds(staleness, "staleness"))
        put(self, "lease", seconds(lease, "lease"))
        put(self, "patience", seconds(patience, "patience"))
        if self.ttl is not None and self.ttl < 0.001:  # noqa: PLR2004 - a millisecond is the server's finest
            raise ConfigurationError(f"ttl={ttl!r} is under a millisecond; use None to keep entries for ever")
        if self.lease < 0.001:  # noqa: PLR2004
            raise ConfigurationError(f"lease={lease!r} is under a millisecond; no load could be stored")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Policy does not change; write policy.but({name}={value!r})")

    def but(self, **changes: Any) -> Policy:
        """Return this policy with some fields changed: `HOT.but(ttl="1h")`."""
        unknown = set(changes) - set(self.__slots__)
        if unknown:
            raise ConfigurationError(
                f"a policy has no {', '.join(sorted(unknown))}; it has {', '.join(self.__slots__)}"
            )
        return Policy(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, ({name: getattr(self, name) for name in self.__slots__},)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"Policy({fields})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    @property
    def ttl_ms(self) -> int:
        """The entry's life in milliseconds, 0 for ever."""
        return 0 if self.ttl is None else max(1, round(self.ttl * 1_000))

    @property
    def lease_ms(self) -> int:
        """The lease in milliseconds."""
        return max(1, round(self.lease * 1_000))

    @property
    def tag_ttl_ms(self) -> int:
        """The life of a tag version that must outlive the entries that name it, 0 for ever."""
        return 0 if self.ttl is None else self.ttl_ms + self.lease_ms + TAG_MARGIN_MS


def _made(fields: dict[str, Any]) -> Policy:
    return Policy(**fields)


DEFAULT_POLICY = Policy()
