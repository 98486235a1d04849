"""`LoadContext`: what a loader may say about the value that it is loading, from inside.

    @cache.cacheable("page:{page_id}")
    def page(page_id: int) -> str:
        depends("team:7")                    # invalidating team:7 now also forgets this page
        loading().ttl = "1m"
        ...

Tags that are added here are known only after the load has begun, so they are fenced like those of `tags_from=`.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeAlias, TypeVar

from staleproof.cache import nesting
from staleproof.cache.missing import MISSING
from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds
from staleproof.tags import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from staleproof.policies.duration import Duration
    from staleproof.tags import TagId


P = ParamSpec("P")
T = TypeVar("T")
Source: TypeAlias = tuple[str, Any]
"""A namespace, and the provider that it lies on: whose tags are meant."""

MAX_INHERITED = 1_000
"""Tags that may pass to one load; a value built on more is served and not stored, for every read would ask for all."""


class NotModified(BaseException):
    """Thrown by `LoadContext.not_modified`."""


class LoadContext:
    """One load, as its loader sees it.

    Attributes:
        key: the key that is loaded; "" outside of any load, and for many keys.
        loads: namespace and key of whatever is loaded: who asks for it from inside would wait for himself.
        tags: tags added so far.
        skipped: whether the value is served only.
        refused: why the policy did not let the value in, or "".
        outer: the load in which this one is nested, or None.
        source: namespace and provider whose tags pass to this load from cached values that it reads; None if none do.
        inherited: tags of hits inside, each with the version that the hit was judged by.
        adopted: tags of what was loaded inside.
        unsure: whether it was built on something whose tags cannot be told, or on too many.
        over: whether it has ended; a task that was born in it may go on.
    """

    __slots__ = (
        "_stale",
        "_ttl",
        "adopted",
        "inherited",
        "key",
        "loads",
        "outer",
        "over",
        "refused",
        "skipped",
        "source",
        "tags",
        "unsure",
    )

    def __init__(
        self,
        key: str = "",
        loads: Collection[tuple[str, str]] = (),
        stale: Callable[[], Any] = lambda: MISSING,
        source: Source | None = None,
    ) -> None:
        self.key = key
        self.loads = loads
        self.outer: LoadContext | None = None
        self.over = False
        self.tags: list[str] = []
        self.source = source
        self.inherited: dict[TagId, bytes] = {}
        self.adopted: dict[TagId, None] = {}
        self.unsure = False
        self.skipped = False
        self.refused = ""
        self._ttl: Duration | None = None
        self._stale = stale

    def add_tags(self, *tags: str) -> None:
        """Let the value depend on *tags* too."""
        for tag in tags:
            if not isinstance(tag, str):
                raise ConfigurationError(f"the tag {tag!r} is no text; build tags with `staleproof.key`")
        self.tags.extend(tags)

    @property
    def reveals(self) -> bool:
        """Whether it has tags that were not known beforehand."""
        return bool(self.tags or self.adopted or self.inherited)

    def inherit(self, source: Source, pairs: Iterable[tuple[TagId, bytes]]) -> None:
        """Depend on the tags of a hit of *source*, at the versions that it was judged by."""
        if source != self.source:
            return
        for tag, version in pairs:
            if tag != ROOT and self.inherited.setdefault(tag, version) != version:
                self.unsure = True  # invalidated between two hits: one of them is outdated
        self.unsure = self.unsure or len(self.inherited) > MAX_INHERITED

    def adopt(self, source: Source, tags: Iterable[TagId]) -> None:
        """Depend on the tags of what was loaded inside from *source*."""
        if source != self.source:
            return
        self.adopted.update(dict.fromkeys(tag for tag in tags if tag != ROOT))
        self.unsure = self.unsure or len(self.adopted) > MAX_INHERITED

    @property
    def ttl(self) -> Duration | None:
        """How long this value is fresh, seconds or `"10m"`; None leaves that to the policy."""
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: Duration | None) -> None:
        if ttl is not None:
            seconds(ttl, "ttl")
        self._ttl = ttl

    def skip(self) -> None:
        """Serve the value, and do not store it."""
        self.skipped = True

    @property
    def stale(self) -> Any:
        """What was stored under the key before, however outdated, or `MISSING`: for a conditional request."""
        return self._stale()

    def not_modified(self) -> NoReturn:
        """End the load: the source says that `stale` is still right, so it counts as loaded now.

        Raises:
            ConfigurationError: there is no stale value.
        """
        if self._stale() is MISSING:
            raise ConfigurationError("not_modified() without a stale value; ask `loading().stale` first")
        raise NotModified


def loading() -> LoadContext:
    """Return the load that this code runs in; outside of one, a context that nobody reads."""
    return nesting.current() or LoadContext()


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """Return *function*, to be called in a thread of the load that this code runs in: `pool.map(carry(row), ids)`.

    Tasks know the load that they were made in; threads do not. A cached function in a bare thread may be answered by
    a near copy that lags behind, as its own policy allows, and a load that builds on it keeps that for its own life.
    What is carried asks the server, and may call `depends`. Ambient values come along.
    """
    context = copy_context()

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(
            function, *args, **kwargs
        )  # one context may be entered by one thread at a time

    return carried


def depends(*tags: str) -> None:
    """Let every load under way here, the innermost and those around it, depend on *tags* too."""
    context = nesting.current()
    if context is None:
        LoadContext().add_tags(*tags)
    while context is not None:
        context.add_tags(*tags)
        context = context.outer
