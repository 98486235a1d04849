"""Units of work: invalidations that wait for a commit, and then go out as one.

An invalidation that goes out before its change is committed is no good: whoever reads in between stores the old row
again, under a version that nothing will remove. So `evicts(timing="commit")` leaves its targets with the unit of work
of its context, if there is one, and the unit applies them when it ends well; if it fails, nothing has changed and
nothing is invalidated.

A unit is a context variable: tasks that begin within it belong to it, bare threads do not. Blocks nest into the
outermost one, which alone commits: what an inner block collected stays collected if that block fails and the outer one
goes on, for an invalidation too many costs a load, and one too few a wrong answer.

What a context loads once it has changed something in its unit is served to it and not stored, until the unit ends
(`staleproof.cache.uncommitted`): others must not see what is not committed, and a rollback invalidates nothing.

Who knows of commits otherwise (a web framework, a session) is asked to call back: `commit_with` for everything outside
of a block, or as an argument of one block.
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from staleproof.cache import uncommitted
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextvars import ContextVar, Token
    from types import TracebackType
    from typing import Self

    from staleproof.cache.face import Face
    from staleproof.policies.duration import Duration

Callback: TypeAlias = "Callable[[], Any]"
Registrar: TypeAlias = "Callable[[Callback], Any]"

_current = cast("ContextVar[Unit | None]", uncommitted.current)  # nobody else sets it
_registrar: Registrar | None = None


class Manner(NamedTuple):
    """How targets are invalidated; those of one manner go out together."""

    soft: bool = False
    row_version: int | None = None
    lag: Duration = 0


class Targets(NamedTuple):
    """What an eviction names.

    Attributes:
        tags: tag texts.
        keys: key texts.
        everything: the whole namespace.
        manner: how.
    """

    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    everything: bool = False
    manner: Manner = Manner()

    def __add__(self, other: Targets) -> Targets:  # type: ignore[override]
        return Targets(
            tuple(dict.fromkeys(self.tags + other.tags)),
            tuple(dict.fromkeys(self.keys + other.keys)),
            self.everything or other.everything,
            self.manner,
        )


class Unit:
    """What waits for one commit.

    A task, or a thread with a copied context, may outlive the block. The unit is closed then, takes nothing any more,
    and says so; whoever comes late does at once what can wait for nothing.

    Args:
        awaited: whether it ends in code that can await.
    """

    def __init__(self, *, awaited: bool) -> None:
        self.awaited = awaited
        self._lock = threading.Lock()
        self._open = True
        self._collected: list[tuple[Any, Targets]] = []
        self._callbacks: list[Callback] = []
        self._changed = False

    @property
    def pending(self) -> bool:
        """Whether it is open and something in it has changed: then no load in it is stored."""
        return self._open and (self._changed or bool(self._collected or self._callbacks))

    def changing(self) -> None:
        """Take note that something is changed, though its invalidation may not wait for the commit."""
        self._changed = True

    def collect(self, face: Face, targets: Targets, *, awaited: bool) -> bool:
        """Keep *targets* of the cache *face* until the commit; say whether it still comes."""
        return self._keep(self._collected, (face, targets), awaited=awaited)

    def after(self, callback: Callback) -> bool:
        """Call *callback* after the commit, once everything collected is invalidated; say whether it still comes."""
        return self._keep(self._callbacks, callback, awaited=inspect.iscoroutinefunction(callback))

    def _keep(self, kept: list[Any], what: Any, *, awaited: bool) -> bool:
        if awaited and not self.awaited:
            raise ConfigurationError(
                "this transaction ends in blocking code and cannot await; use `async with` of an AsyncCache"
            )
        with self._lock:
            if self._open:
                kept.append(what)
            return self._open

    def close(self) -> None:
        """Take nothing any more."""
        with self._lock:
            self._open = False

    def due(self) -> Iterable[Callback]:
        """Yield what is to be done at the commit, in order: one invalidation a cache and manner, then the callbacks."""
        places: dict[tuple[Any, Manner], Targets] = {}
        for face, targets in self._collected:
            known = places.get((face, targets.manner))
            places[face, targets.manner] = targets if known is None else known + targets
        for (face, _), targets in places.items():
            yield applying(face, targets)
        yield from self._callbacks

    def commit(self) -> None:
        """Do everything; if something fails the rest is done all the same, then the first error raised."""
        failed: list[Exception] = []
        for callback in self.due():
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - raised below
                failed.append(error)
        if failed:
            raise failed[0]

    async def commit_awaited(self) -> None:
        """See `commit`."""
        failed: list[Exception] = []
        for callback in self.due():
            try:
                await _done(callback())
            except Exception as error:  # noqa: BLE001 - raised below
                failed.append(error)
        if failed:
            raise failed[0]


async def _done(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def applying(face: Any, targets: Targets) -> Callback:
    """Return what invalidates *targets*; on an asyncio cache, what returns the awaitable."""
    soft, row_version, lag = targets.manner

    def apply() -> Any:
        if targets.everything:
            return face.clear(soft=soft)
        return face.invalidate(
            *targets.tags, keys=list(targets.keys), soft=soft, row_version=row_version, lag=lag
        )

    return apply


class Transaction:
    """A block that collects invalidations and applies them as one when it ends well. Made by `Cache.transaction`."""

    def __init__(self, face: Face, commit_with: Registrar | None, *, awaited: bool) -> None:
        self._face = face
        self._awaited = awaited
        self._commit_with = commit_with
        self._unit: Unit | None = None
        self._token: Token[Unit | None] | None = None

    def invalidate(
        self,
        *tags: str,
        keys: Sequence[str] = (),
        soft: bool = False,
        row_version: int | None = None,
        lag: Duration = 0,
    ) -> None:
        """Invalidate *tags* and *keys* at the commit; for the arguments see `Cache.invalidate`."""
        if self._unit is None:
            raise ConfigurationError("the transaction is not open; write `with cache.transaction() as it:`")
        self._face.invalidation(tags, keys, row_version=row_version, lag=lag)  # refused now, if at all
        targets = Targets(tags, tuple(keys), manner=Manner(soft, row_version, lag))
        self._unit.collect(self._face, targets, awaited=self._awaited)

    def _begin(self) -> None:
        outer = _current.get()
        self._unit = outer or Unit(awaited=self._awaited)
        self._token = None if outer else _current.set(self._unit)

    def _end(self) -> Unit | None:
        """Return the unit if this block is the one that ends it."""
        unit, token, self._unit, self._token = self._unit, self._token, None, None
        if unit is None or token is None:
            return None
        _current.reset(token)
        unit.close()
        return unit


class BlockingTransaction(Transaction):
    """Ends in blocking code: `with cache.transaction():`."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unit = self._end()
        if unit is not None and kind is None:
            unit.commit() if self._commit_with is None else self._commit_with(unit.commit)


class AwaitingTransaction(Transaction):
    """Ends in code that can await: `async with cache.transaction():`."""

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unit = self._end()
        if unit is not None and kind is None:
            commit = unit.commit_awaited
            await _done(commit() if self._commit_with is None else self._commit_with(commit))


def after_commit(callback: Callback) -> Any:
    """Call *callback* when this context's unit of work has committed; without one, see `commit_with`, or at once.

    Returns:
        What the callback returned, if it was called at once: an awaitable, if it is a coroutine function.
    """
    unit = _current.get()
    if unit is not None and unit.after(callback):
        return None
    return _outside(callback, awaited=inspect.iscoroutinefunction(callback))


def commit_with(registrar: Registrar | None) -> None:
    """Name who tells of commits outside of transaction blocks, in blocking code: `commit_with(transaction.on_commit)`.

    *registrar* is given a function without arguments, and calls it once what it stands for has committed; at once, if
    nothing is open. None forgets it. Of SQLAlchemy, where `session` is the context's own:
    `commit_with(lambda done: event.listen(session, "after_commit", lambda _: done(), once=True))`.
    """
    global _registrar  # noqa: PLW0603 - one for the process, as the frameworks' own hooks are
    _registrar = registrar


def changing() -> None:
    """Tell the unit of work of this context, if there is one, that something is changed in it."""
    unit = _current.get()
    if unit is not None:
        unit.changing()


def leave(face: Face, targets: Targets, *, awaited: bool) -> Any:
    """Invalidate *targets* at the commit; if there is nothing to wait for, return what doing it at once returns."""
    unit = _current.get()
    if unit is not None and unit.collect(face, targets, awaited=awaited):
        return None
    return _outside(applying(face, targets), awaited=awaited)


def _outside(callback: Callback, *, awaited: bool) -> Any:
    if _registrar is None:
        return callback()
    if awaited:  # a hook of blocking code would call it, and drop what it returns
        raise ConfigurationError(
            "commit_with speaks for blocking code and cannot await; in asyncio code write `async with "
            "cache.transaction(commit_with=...)` around the work"
        )
    return _registrar(callback)
