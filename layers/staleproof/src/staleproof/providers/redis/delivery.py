"""How one wave of parcels reaches its slots, without I/O: redirections, moving slots, lost nodes, replicas to wait for.

Theory of operation
-------------------
A delivery is a generator. It yields groups, one a node, to be sent to all of them before any is read; and is sent one
outcome a group: the replies, or the error of a node that cannot be reached. What was answered is done; the rest is
tried again in another round, each parcel from the command on that was not executed, so that its order holds:

* `MOVED`: the slot has another owner. The chart is corrected, and refreshed in passing.
* `ASK`: the slot is being moved, and this key is no longer, or not yet, at its owner. This one command goes to the
  other node, behind `ASKING`; the parcel's next one begins at the owner again, where its own key may still be.
* `TRYAGAIN`, `CLUSTERDOWN`, `LOADING` and the like: after a pause.
* a node that cannot be reached: the chart is refreshed. If it names the same node, that is the error; a failover takes
  the cluster seconds, and whoever waits that long is not for us to say.

Pauses end after *patience* seconds. Commands may be executed twice; every step is made for that, or says `once`: then
whoever runs the step begins it anew.

Where replicas are to be waited for (`durability`), each group carries its own mark. That they do not have it is noted
and keeps nothing from being done: what is not acknowledged had better be applied.

Source: https://valkey.io/topics/cluster-spec/#redirection-and-resharding
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import redis.exceptions as theirs
from hiredis import pack_command

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.durability import mark
from staleproof.providers.redis.exchange import Exchange
from staleproof.providers.redis.failures import UnsureError
from staleproof.providers.redis.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import TypeAlias

    from staleproof.providers.redis.chart import Chart
    from staleproof.providers.redis.durability import Waiting
    from staleproof.providers.redis.groups import Outcome
    from staleproof.providers.redis.parcels import Parcel
    from staleproof.providers.redis.topology import Address

    Marks: TypeAlias = Callable[[bytes], bytes]

ASKING = pack_command(("ASKING",))
PASSING = (
    theirs.TryAgainError,
    theirs.ClusterDownError,
    theirs.BusyLoadingError,
    theirs.MasterDownError,
    theirs.ReadOnlyError,
)
"""What a node answers that cannot serve a command now."""

DETOURS = (theirs.AskError, *PASSING)  # a MovedError is an AskError
FREE_ROUNDS = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05


class Pause(NamedTuple):
    """Wait for *seconds*."""

    seconds: float


class Refresh(NamedTuple):
    """Ask the cluster who serves what; *lost* nodes did not answer."""

    lost: frozenset[Address]


class _Item(NamedTuple):
    """Part of a parcel in a group: its commands from *start* up to *end*."""

    at: int
    start: int
    end: int
    asking: bool


class _Load(NamedTuple):
    """A group, whose parts it consists of, and what it waits for."""

    group: Group
    items: list[_Item]
    waiting: Waiting | None


class Delivery:
    """One wave on its way.

    Args:
        parcels: the wave.
        chart: who serves what.
        patience: for how many seconds to pause altogether.
        marks: for a key, the name of a mark in its slot, if replicas are to be waited for.
        once: whether no command must be executed twice.

    Attributes:
        unsettled: why what was written may be lost in a failover, None if it is not to be.
    """

    def __init__(
        self,
        parcels: Sequence[Parcel],
        chart: Chart,
        patience: float,
        marks: Marks | None = None,
        *,
        once: bool = False,
    ) -> None:
        self._parcels = parcels
        self._chart = chart
        self._patience = patience
        self._marks = marks
        self._once = once
        self.unsettled: ProviderUnavailableError | None = None
        self._replies: list[list[Any]] = [[None] * len(parcel.packed) for parcel in parcels]
        self._pending = dict.fromkeys(range(len(parcels)), 0)
        self._asked: dict[int, Address] = {}
        self._moved: dict[int, Address] = {}
        self._lost: list[tuple[ProviderUnavailableError, _Load]] = []
        self._stale = False
        self._reason = ""
        self._round = 0
        self._deadline = 0.0

    def run(self) -> Generator[list[Group] | Pause | Refresh, Any, list[Any]]:
        """Yield what to do, and return the replies in the order of the parcels' commands.

        Raises:
            ProviderUnavailableError: a node cannot be reached, or a slot is not served; retry.
            UnsureError: a node is lost that may have executed what must not be executed twice.
        """
        while True:
            loads = self._loads()
            outcomes: Sequence[Outcome] = (yield [load.group for load in loads]) if loads else ()
            for load, outcome in zip(loads, outcomes, strict=True):
                self._take(load, outcome)
            if not self._pending:
                return [reply for replies in self._replies for reply in replies]
            yield from self._mend()

    # --- sending -----------------------------------------------------------------------------------

    def _loads(self) -> list[_Load]:
        owners = self._chart.topology.owners
        items: dict[Address, list[_Item]] = {}
        for at in sorted(self._pending):
            start, end = self._pending[at], len(self._parcels[at].packed)
            asked = self._asked.pop(at, None)
            address = asked or owners[self._parcels[at].slot]
            if address is None:
                self._stale, self._reason = True, f"hash slot {self._parcels[at].slot} is not served"
                continue
            item = _Item(at, start, start + 1 if asked else end, asked is not None)
            items.setdefault(address, []).append(item)
        return [self._load(address, parts) for address, parts in items.items()]

    def _load(self, address: Address, items: list[_Item]) -> _Load:
        packed: list[bytes] = []
        for item in items:
            if item.asking:
                packed.append(ASKING)
            packed += self._parcels[item.at].packed[item.start : item.end]
        if self._marks is None:
            return _Load(self._group(address, packed, len(packed)), items, None)
        waiting = self._chart.replicas_of(address).waiting()
        packed += [mark(self._marks(self._parcels[items[0].at].name)), waiting.packed]
        return _Load(self._group(address, packed, len(packed) + 1), items, waiting)

    def _group(self, address: Address, packed: Sequence[bytes], replies: int) -> Group:
        return Group(address, Exchange(b"".join(packed), replies, once=self._once))

    # --- what came back ------------------------------------------------------------------------------

    def _take(self, load: _Load, outcome: Outcome) -> None:
        if isinstance(outcome, ProviderUnavailableError):
            self._lost.append((outcome, load))
            return
        replies = iter(outcome)
        for item in load.items:
            self._take_item(item, replies, load.group.address)
        if load.waiting is not None and not self._settled(load, load.waiting, outcome):
            self._pending.update({item.at: item.start for item in load.items})

    def _take_item(self, item: _Item, replies: Iterator[Any], address: Address) -> None:
        if item.asking:
            next(replies)
        detour = False
        for command in range(item.start, item.end):
            reply = next(replies)
            if detour:
                continue
            if isinstance(reply, DETOURS):
                detour = True
                self._pending[item.at] = command
                self._note(item.at, reply, address)
            else:
                self._replies[item.at][command] = reply
        if not detour and item.end == len(self._parcels[item.at].packed):
            del self._pending[item.at]
        elif not detour:
            self._pending[item.at] = item.end

    def _note(self, at: int, reply: Exception, address: Address) -> None:
        if isinstance(reply, theirs.AskError):
            target = reply.host or address[0], reply.port
            if isinstance(reply, theirs.MovedError):
                self._moved[self._parcels[at].slot] = target
                self._stale = True
            else:
                self._asked[at] = target
            return
        self._reason = str(reply)
        self._stale = self._stale or not isinstance(reply, theirs.TryAgainError)

    def _settled(self, load: _Load, waiting: Waiting, outcome: Sequence[Any]) -> bool:
        *replies, marked, acknowledged, info = outcome
        if isinstance(marked, Exception) and not _has_written(replies[-1]):
            self._reason = f"what was written at {load.group.address} cannot be waited for: {marked}"
            return False
        try:
            return self._chart.replicas_of(load.group.address).have(waiting.replicas, acknowledged, info)
        except ProviderUnavailableError as error:
            self.unsettled = error
            return True

    # --- before the next round -----------------------------------------------------------------------

    def _mend(self) -> Generator[Pause | Refresh, Any, None]:
        self._round += 1
        lost, self._lost = self._lost, []
        if lost or self._stale:
            yield Refresh(frozenset(load.group.address for _, load in lost))
            self._stale = False
        if self._moved:
            self._chart.correct(self._moved)
            self._moved = {}
        for error, load in lost:
            self._forgive(error, load)
        reason, self._reason = self._reason, ""
        if reason or self._round > FREE_ROUNDS:
            yield self._pause(reason)

    def _forgive(self, error: ProviderUnavailableError, load: _Load) -> None:
        """Raise *error* if the cluster still says that the lost node is the one to ask; ask the new one otherwise."""
        owners = self._chart.topology.owners
        if any(owners[self._parcels[item.at].slot] == load.group.address for item in load.items):
            raise error
        if self._once:
            raise UnsureError(str(error)) from error

    def _pause(self, reason: str) -> Pause:
        now = time.monotonic()
        self._deadline = self._deadline or now + self._patience
        if now >= self._deadline:
            raise ProviderUnavailableError(
                f"the cluster is not ready: {reason or 'it redirects in circles'}; retry"
            )
        return Pause(min(FIRST_PAUSE * 2 ** min(self._round, 8), LONGEST_PAUSE))


def _has_written(reply: Any) -> bool:
    """Say whether a command of an invalidation has changed something; what removes or softens tells by its number."""
    return not isinstance(reply, Exception) and reply is not None and reply != 0
