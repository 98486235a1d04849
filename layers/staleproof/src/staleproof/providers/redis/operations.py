"""Operations as steps: which script or command each is, on which keys, and how its reply reads; without I/O.

An operation is one command, so one unit on one slot: it is sent alike to a server and to a cluster. A server that has
lost its scripts is sent the text, as with every other step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import ProviderUnavailableError
from staleproof.ports import operations as ops
from staleproof.providers.redis import filter_scripts as filters
from staleproof.providers.redis import operation_scripts as scripts
from staleproof.providers.redis.cluster_rotation import parcel
from staleproof.providers.redis.cluster_steps import ClusterSteps
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.parcels import Waves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.providers.redis.exchange import Command
    from staleproof.providers.redis.scripts import Script
    from staleproof.providers.redis.steps import Step, Steps

HEAD_BITS = 128
"""Bits of a bitmap's head; see `filter_scripts`."""


class Performance:
    """One call of `perform`: makes the operation's step anew for each run.

    Args:
        operation: what to do.
    """

    def __init__(self, operation: ops.Operation) -> None:
        self._operation = operation
        self._tried: list[Steps] = []

    def __call__(self, steps: Steps) -> Step[Any]:
        """Return the step.

        Raises:
            ProviderUnavailableError: it was sent before, its reply was lost, and it must not be done twice.
        """
        # The same steps come again only after a broken connection; an unknown script comes with other steps.
        if isinstance(self._operation, ops.Push) and steps in self._tried:
            raise ProviderUnavailableError(
                f"whether something was pushed to {self._operation.name[:80]!r} is not known: the connection broke; "
                "look at the newest values before you push again"
            )
        self._tried.append(steps)
        return _step(steps, self._operation)


def _step(steps: Steps, operation: ops.Operation) -> Step[Any]:
    if isinstance(operation, ops.Ask):
        (reply,) = yield _about_server(steps, operation.words)
        return reply
    if isinstance(operation, ops.FilterAdd):
        return (yield from _add(steps, operation))
    request, read = _MADE[type(operation)](steps, operation)
    (reply,) = yield _sent(steps, request, once=isinstance(operation, ops.Push))
    return read(reply)


def _sent(steps: Steps, *unit: Command, once: bool = False) -> Any:
    return steps._send([unit], once=once)  # noqa: SLF001 - the steps' own are of this family


def _call(steps: Steps, script: Script, keys: Sequence[bytes], *arguments: bytes | int | str) -> Command:
    return steps._call(script, keys, *arguments)  # noqa: SLF001 - the steps' own are of this family


def _about_server(steps: Steps, words: Command) -> Any:
    """Return what asks a server that: of a cluster's, the one that has the journal."""
    if isinstance(steps, ClusterSteps):
        return Waves([[parcel(words, name=steps.keys.journal)]])
    return commands([words])


# --- each operation ----------------------------------------------------------------------------------


def _take(steps: Steps, each: ops.Take) -> Any:
    name = steps.keys.operated(each.name, "limit")
    return _call(steps, scripts.TAKE, (name,), each.interval_us, each.capacity, each.cost), _taken


def _taken(reply: Any) -> ops.Taken:
    allowed, used_us, wait_us = _listed(reply)
    return ops.Taken(bool(allowed), used_us, wait_us)


def _take_lock(steps: Steps, each: ops.TakeLock) -> Any:
    lock = steps.keys.operated(each.name, "lock")
    return _call(
        steps, scripts.TAKE_LOCK, (lock,), each.owner, each.ttl_ms, ops.remembered_ms(each.ttl_ms)
    ), _held


def _held(reply: Any) -> ops.Held:
    token, left_ms = _listed(reply)
    return ops.Held(int(token or 0), left_ms)


def _keep_lock(steps: Steps, each: ops.KeepLock) -> Any:
    arguments = each.owner, each.token, each.ttl_ms, ops.remembered_ms(each.ttl_ms)
    return _call(steps, scripts.KEEP_LOCK, (steps.keys.operated(each.name, "lock"),), *arguments), bool


def _free_lock(steps: Steps, each: ops.FreeLock) -> Any:
    arguments = each.owner, each.token, ops.remembered_ms(0)
    return _call(steps, scripts.FREE_LOCK, (steps.keys.operated(each.name, "lock"),), *arguments), bool


def _push(steps: Steps, each: ops.Push) -> Any:
    script, kind = (scripts.APPEND, "stream") if each.stream else (scripts.PUSH, "list")
    name = steps.keys.operated(each.name, kind)
    return _call(steps, script, (name,), each.keep, each.ttl_ms, *each.values), lambda reply: ops.Pushed(
        *_listed(reply)
    )


def _latest(steps: Steps, each: ops.Latest) -> Any:
    if each.stream:
        name = steps.keys.operated(each.name, "stream")
        return ("XREVRANGE", name, "+", "-", "COUNT", each.limit), lambda reply: [row[1][1] for row in reply]
    return ("LRANGE", steps.keys.operated(each.name, "list"), 0, each.limit - 1), list


def _forget(steps: Steps, each: ops.Forget) -> Any:
    names = [steps.keys.operated(each.name, kind) for kind in _PARTS.get(each.kind, (each.kind,))]
    return _call(steps, scripts.FORGET, names), bool


def _native(steps: Steps, each: ops.Native) -> Any:
    return (each.command, steps.keys.operated(each.name, each.kind), *each.after), lambda reply: reply


def _json_put(steps: Steps, each: ops.JsonPut) -> Any:
    name = steps.keys.operated(each.name, "json")
    return _call(steps, scripts.JSON_PUT, (name,), each.text, each.ttl_ms), bool


# --- filters -----------------------------------------------------------------------------------------

OURS, OURS_BUILDING, MODULES, MODULES_BUILDING, MODULES_MARK = "bits", "bits-new", "bf", "bf-new", "bf-mark"

_PARTS = {"filter": (OURS, OURS_BUILDING, MODULES, MODULES_BUILDING, MODULES_MARK)}
"""Kinds that are made of several things."""


def _named(steps: Steps, name: str, *kinds: str) -> list[bytes]:
    return [steps.keys.operated(name, kind) for kind in kinds]


def _begin(steps: Steps, each: ops.FilterBegin) -> Any:
    if each.module is not None:
        capacity, rate = each.module
        names = _named(steps, each.name, MODULES_BUILDING, MODULES_MARK)
        arguments: tuple[Any, ...] = (each.build, f"{rate:.12f}", capacity, ops.BUILDING_TTL_MS)
        return _call(steps, filters.M_BEGIN, names, *arguments), bool
    head = each.build + each.bits.to_bytes(4, "little") + each.hashes.to_bytes(2, "little") + b"SB"
    last = HEAD_BITS + 8 * ((each.bits + 7) // 8) - 1
    return _call(
        steps, filters.BEGIN, _named(steps, each.name, OURS_BUILDING), head, last, ops.BUILDING_TTL_MS
    ), bool


def _fill(steps: Steps, each: ops.FilterFill) -> Any:
    if each.module:
        names = _named(steps, each.name, MODULES_BUILDING, MODULES_MARK)
        return _call(steps, filters.M_FILL, names, each.build, *each.digests), bool
    return _call(
        steps, filters.FILL, _named(steps, each.name, OURS_BUILDING), each.build, *each.digests
    ), bool


def _swap(steps: Steps, each: ops.FilterSwap) -> Any:
    if each.module:
        names = _named(steps, each.name, MODULES_BUILDING, MODULES, OURS, MODULES_MARK)
        return _call(steps, filters.M_SWAP, names, each.build, each.ttl_ms), bool
    names = _named(steps, each.name, OURS_BUILDING, OURS, MODULES)
    return _call(steps, filters.SWAP, names, each.build, each.ttl_ms), bool


def _add(steps: Steps, each: ops.FilterAdd) -> Step[int]:
    """Add to the one that is being built, and then to the one in use: what is swapped between the two has it.

    One key a script: while a slot is being moved, one about both would have to wait.
    """
    script, kinds = (
        (filters.M_ADD, (MODULES_BUILDING, MODULES)) if each.module else (filters.ADD, (OURS_BUILDING, OURS))
    )
    calls = [_call(steps, script, _named(steps, each.name, kind), *each.digests) for kind in kinds]
    _, new = yield _sent(steps, *calls)
    return int(new)


def _look(steps: Steps, each: ops.FilterLook) -> Any:
    script, kind = (filters.M_LOOK, MODULES) if each.module else (filters.LOOK, OURS)
    return _call(steps, script, _named(steps, each.name, kind), *each.digests), _found


def _found(reply: Any) -> list[bool] | None:
    return [bool(each) for each in _listed(reply)] or None


def _listed(reply: Any) -> list[Any]:
    if not isinstance(reply, list):  # the two bytes of somebody else's value would be numbers as well
        raise TypeError("a list was asked for")
    return reply


_MADE: dict[type, Callable[[Steps, Any], tuple[Command, Callable[[Any], Any]]]] = {
    ops.Take: _take,
    ops.TakeLock: _take_lock,
    ops.KeepLock: _keep_lock,
    ops.FreeLock: _free_lock,
    ops.Push: _push,
    ops.Latest: _latest,
    ops.Forget: _forget,
    ops.Native: _native,
    ops.JsonPut: _json_put,
    ops.FilterBegin: _begin,
    ops.FilterFill: _fill,
    ops.FilterSwap: _swap,
    ops.FilterLook: _look,
}
