"""Cached functions inside loaders: what a load reads must not be older than the snapshot that it is stored under.

A loader may call another cached function. A near copy of the inner value may lag behind an acknowledged invalidation,
by its bound. Built into the outer value it would be stored under *current* tag versions, and lag for as long as the
outer entry lives. So while a load is under way, reads inside it skip near copies and ask the server, whose judgement by
versions is exact; and no stale value is served to a load either.

And what is built from a cached value is forgotten with it: the tags of what is read inside pass to the loads around.
Of a *hit* with the versions that its entry carries, not with current ones: an invalidation that bumped the guard before
the outer load began, and rotated the tag after the hit, would leave no trace but a new version. Of what was *loaded*
inside the tags alone: its load began within the outer one, so they are fenced like all that a load reveals. Tags are
those of one namespace on one provider; of another they would be versions of something else.

Theory of operation: a context variable holds the load under way (`staleproof.cache.loading`); tasks inherit it, threads
started by a loader do not. The near caches' hit path, which cannot afford to read it, is closed for everybody while any
load of the process is under way (`NearStore.shown` is `NEVER`), and hits then take the next path, which asks the
variable. A cache that is switched off closes its near cache the same way.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

from staleproof.entry import decode
from staleproof.near.store import NearStore
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from staleproof.cache.loading import LoadContext, Source
    from staleproof.tags import TagId

_current: ContextVar[LoadContext | None] = ContextVar("staleproof_load", default=None)
_lock = threading.Lock()
_near_caches: WeakSet[NearStore] = WeakSet()
_closed: WeakSet[NearStore] = WeakSet()
_under_way = 0


def current() -> LoadContext | None:
    """Return the innermost load that this code runs in, or None. A task may outlive the load that it was born in."""
    context = _current.get()
    while context is not None and context.over:
        context = context.outer
    return context


def inside() -> bool:
    """Say whether this code runs inside a load."""
    return _current.get() is not None and current() is not None


def in_progress(namespace: str, key: str) -> bool:
    """Say whether this code runs inside a load of *key*, whatever its tags and type, which would then wait for itself.

    A key's lease is one, whatever is asked of the key; other namespaces have keys of their own.
    """
    context = _current.get()
    while context is not None:
        if not context.over and (namespace, key) in context.loads:
            return True
        context = context.outer
    return False


def under_way() -> bool:
    """Say whether any load of this process is under way; much quicker to ask than `inside`."""
    return _under_way > 0


def inherit(source: Source, raw: bytes) -> None:
    """Let the loads under way here depend on what a hit, the entry *raw* of *source*, was judged by."""
    context = current()
    entry = None if context is None else decode(raw)
    if entry is None:
        return
    versions = entry.versions
    starts = range(0, len(versions), VERSION_BYTES)
    pairs = list(zip(entry.tag_ids, (versions[at : at + VERSION_BYTES] for at in starts), strict=True))
    while context is not None:
        context.inherit(source, pairs)
        context = context.outer


def adopt(source: Source, tags: Iterable[TagId]) -> None:
    """Let the loads under way here depend on *tags*, under which a value of *source* was loaded inside."""
    context = current()
    while context is not None:
        context.adopt(source, tags)
        context = context.outer


def doubt() -> None:
    """Have the loads under way here not stored: what they built on may have tags that nobody here knows."""
    context = current()
    while context is not None:
        context.unsure = context.unsure or context.source is not None
        context = context.outer


def register(near: NearStore) -> None:
    """Close *near*'s hit path whenever a load is under way."""
    with _lock:
        _near_caches.add(near)
        _show(near)


def register_tier(provider: object, near: NearStore | None) -> None:
    """Register the near store that *provider* has of its own, if any; *near* then holds what was read through it."""
    local = getattr(provider, "local", None)
    if isinstance(local, NearStore):
        register(local)
        if near is not None:
            near.behind_tier = True


def switch(near: NearStore, *, off: bool) -> None:
    """Close *near*'s hit path for good, or open it again."""
    with _lock:
        (_closed.add if off else _closed.discard)(near)
        _show(near)


@contextmanager
def load(context: LoadContext) -> Iterator[None]:
    """Mark what runs within as the load of *context*."""
    context.outer = _current.get()
    token = _current.set(context)
    _count(+1)
    try:
        yield
    finally:
        context.over = True
        _count(-1)
        _current.reset(token)


def _begin_anew() -> None:
    """In a child process: no load of the parent's other threads goes on here, and no lock of theirs is released."""
    global _lock, _under_way  # noqa: PLW0603
    _lock = threading.Lock()
    _under_way = 0
    for near in list(_near_caches):
        near.after_fork()
        _show(near)


os.register_at_fork(after_in_child=_begin_anew)


def _show(near: NearStore) -> None:
    near.hide(hidden=_under_way > 0 or near in _closed)


def _count(step: int) -> None:
    global _under_way
    with _lock:
        before, _under_way = _under_way, max(0, _under_way + step)
        if not before or not _under_way:  # the first begins, or the last ends
            for near in list(_near_caches):
                _show(near)
