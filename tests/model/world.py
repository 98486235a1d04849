"""A world of processes whose every server command is a step that a schedule puts in order.

An actor is a generator that yields wherever another may come between: before each single command on the server,
before a loader reads the source, and between that and the loader's return. The plans, the steps and the
near cache are the shipped ones; only the server and the waiting are simulated.

In a cluster the parcels of a wave are executed in any order, each command by itself, so that any number of nodes is
covered. Now and then a reply is lost: what was sent is executed once more, or the step begun anew if it must not be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.cache import plans, updating
from staleproof.cache.call import Call
from staleproof.cache.changes import Addition
from staleproof.cache.commands import Fly, Invalidate, Landed, Load, Pause, Read
from staleproof.cache.core import Core
from staleproof.cache.flights import Flight, Flights
from staleproof.cache.near import NearCache
from staleproof.codecs import MsgpackCodec
from staleproof.events.invalidation import Invalidation
from staleproof.keys import Keyspace
from staleproof.policies.policy import Policy
from staleproof.providers.redis.cluster_steps import ClusterSteps
from staleproof.providers.redis.exchange import Exchange
from staleproof.providers.redis.failures import UnsureError
from staleproof.providers.redis.journal import JournalSteps
from staleproof.providers.redis.parcels import Parcel
from staleproof.testing import ManualClock
from tests.model.simulated_redis import SimulatedRedis, parsed

if TYPE_CHECKING:
    from staleproof.providers.redis.parcels import Waves

Actor = Generator[None, None, Any]
KEY = "row"
LOST = 0.03
"""How often a reply is lost."""
CODEC: MsgpackCodec[int] = MsgpackCodec(int)


class Mode(NamedTuple):
    """How the cached value is tagged, and what a writer invalidates after a change."""

    name: str
    tags: tuple[str, ...] = ()
    tags_from: Callable[[int], list[str]] | None = None
    invalidates: dict[str, Any] = {}  # noqa: RUF012 - never written
    lagging: bool = False
    clustered: bool = False


STATIC = Mode("static", tags=("row", "all"), invalidates={"tags": ("row",)})
REVEALED = Mode("revealed", tags=("all",), tags_from=lambda _: ["brand"], invalidates={"tags": ("brand",)})
MOVING = Mode(
    "moving", tags_from=lambda value: [f"brand:{value % 2}"], invalidates={"tags": ("brand:0", "brand:1")}
)
EVICTING = Mode("evicting", tags=("all",), invalidates={"keys": (KEY,)})
SOFT = Mode("soft", tags=("row", "all"), invalidates={"tags": ("row",), "soft": True})
SOFTLY_EVICTING = Mode("softly evicting", tags=("all",), invalidates={"keys": (KEY,), "soft": True})
CLEARING = Mode("clearing", tags=("all",), invalidates={"clear": True})
LAGGING = Mode(
    "lagging", tags=("row", "all"), invalidates={"tags": ("row",), "lag_ms": 600_000}, lagging=True
)
MODES = [STATIC, REVEALED, MOVING, EVICTING, CLEARING, LAGGING, SOFT, SOFTLY_EVICTING]


def clustered(mode: Mode) -> Mode:
    """Return *mode* on a cluster."""
    return mode._replace(name=f"clustered {mode.name}", clustered=True)


class StaleReadError(AssertionError):
    """P1 or P2 is broken."""


class World:
    """The source, the server, the clock, and what has been acknowledged when."""

    def __init__(self, mode: Mode, order: int = 0, *, lossy: bool = True) -> None:
        self.mode = mode
        self.lossy = lossy
        self.random = random.Random(order)
        self.clock = ManualClock()
        self.server = SimulatedRedis(self.clock)
        self.keys = Keyspace("world")
        self.steps = (ClusterSteps if mode.clustered else JournalSteps)(self.keys)
        self.row = 0
        self.replica = 0
        self.acknowledged: list[tuple[float, int]] = [(float("-inf"), 0)]
        self._flights: dict[Core, Flights] = {}

    def process(self, staleness: float | None = None) -> Core:
        """Return the state of one application process."""
        near = None if staleness is None else NearCache(8, clock=self.clock)
        policy = Policy(ttl="1m", lease="5s", patience="20s", staleness=staleness)
        return Core(namespace="world", policy=policy, near=near, clock=self.clock)

    # --- actors --------------------------------------------------------------------------------------

    def read(self, core: Core) -> Actor:
        """Read once, and judge what comes back."""
        began = self.clock.now().monotonic
        due = self.due(began, core.policy.staleness or 0.0)
        row_version = int if self.mode.lagging else None
        call = Call(KEY, self.mode.tags, core.policy, CODEC, self.mode.tags_from, row_version)
        loads = core.statistics.loads
        value = yield from self.perform(plans.serve(core, call), core)
        if self.mode.lagging and core.statistics.loads > loads:
            return  # a lagging source's row is served to whoever asked for it; it must only never be kept
        if value < due:
            raise StaleReadError(f"read {value}, but {due} was acknowledged before the read began")

    def due(self, began: float, bound: float) -> int:
        """Return the newest row that a read beginning now must not be older than."""
        if not bound:  # whatever was acknowledged so far, also at this very instant of the simulated clock
            return max(row for _, row in self.acknowledged)
        return max(row for at, row in self.acknowledged if at + bound < began)

    def reads(self, core: Core, times: int) -> Actor:
        """Read several times in one thread."""
        for _ in range(times):
            yield from self.read(core)

    def write(self, number: int) -> Actor:
        """Change the source, then invalidate, then count as acknowledged."""
        yield
        self.row += 1
        row = self.row
        version = row if self.mode.lagging else None
        record = Invalidation(
            id=f"write-{number}",
            origin="here",
            namespace="world",
            row_version=version,
            **self.mode.invalidates,
        )
        yield from self.invalidate([record])
        self.acknowledged.append((self.clock.now().monotonic, row))

    def writes(self, number: int, times: int) -> Actor:
        """Write several times."""
        for time in range(times):
            yield from self.write(10 * number + time)

    def replicate(self, times: int) -> Actor:
        """Bring the replica that loads are read from up to the source, now and then."""
        for _ in range(times):
            yield
            self.replica = self.row

    def evict(self, choices: Iterator[int]) -> Actor:
        """Remove some key of the server behind everybody's back."""
        for choice in choices:
            yield
            names = sorted([*self.server.strings, *self.server.streams])
            if names:
                self.server.do_unlink(names[choice % len(names)])

    def tick(self, seconds: Iterator[float]) -> Actor:
        """Let time pass; a frozen process does not notice until its next step."""
        for each in seconds:
            yield
            self.clock.advance(each)

    def increments(self, core: Core, number: int, times: int) -> Actor:
        """Count up the value under the key, several times; each is acknowledged when its plan returns."""
        call = Call(KEY, self.mode.tags, core.policy, CODEC)
        for time in range(times):
            record = Invalidation(
                id=f"count-{number}-{time}", origin="here", namespace="world", keys=(KEY,), superseded=True
            )
            value = yield from self.perform(updating.update(core, call, Addition(1, 0), record), core)
            self.acknowledged.append((self.clock.now().monotonic, value))
            self.row += 1

    # --- performing ----------------------------------------------------------------------------------

    def perform(self, plan: Any, core: Core, flight: Flight | None = None) -> Actor:
        """Run a plan as a driver would, yielding wherever another actor may come between."""
        reply: Any = None
        while True:
            try:
                command = plan.send(reply)
            except StopIteration as end:
                return end.value
            if flight is not None and isinstance(command, Load | Read):
                flight.ask()
            if isinstance(command, Fly):
                reply = yield from self.fly(command, core)
            elif isinstance(command, Load):
                yield
                reply = self.replica if self.mode.lagging else self.row
                yield
            elif isinstance(command, Pause):
                yield
                self.clock.advance(command.seconds)
                reply = None
            elif isinstance(command, Invalidate):
                reply = yield from self.invalidate(command.invalidations)
            else:
                reply = yield from self.step(command)

    def fly(self, fly: Fly, core: Core) -> Actor:
        """Lead a load, or wait for the one under way in the same process; each turn of the wait is a step."""
        flights = self._flights.setdefault(core, Flights())
        aboard = flights.board(fly.key)
        if aboard.leads:
            value = yield from self.perform(fly.plan(), core, aboard.flight)
            flights.land(fly.key, aboard.flight, value)
            return Landed(value)
        while not aboard.flight.landed.is_set():
            yield
        return aboard.flight.outcome(aboard.number)

    def invalidate(self, records: Sequence[Invalidation]) -> Actor:
        """Apply *records* command by command; return their places."""
        replies = yield from self.exchange(self.steps.invalidate(records, records))
        return self.steps.placed(records, replies)

    def step(self, command: Any) -> Actor:
        """Run the step of *command*; another time if what it made up may not be sent again."""
        while True:
            try:
                return (yield from self.on_server(command.on(self.steps)))
            except UnsureError:
                continue

    def on_server(self, step: Any) -> Actor:
        """Run a step command by command; others' commands may come between any two."""
        replies: Any = None
        while True:
            try:
                exchange = step.send(replies)
            except StopIteration as end:
                return end.value
            replies = yield from self.exchange(exchange)

    def exchange(self, request: Exchange | Waves) -> Actor:
        """Execute *request* command by command; return the replies."""
        if isinstance(request, Exchange):
            return (yield from self.wave([Parcel(0, b"", (request.packed,))], request))
        replies = []
        for wave in request.waves:
            replies += yield from self.wave(wave, request)
        return replies

    def wave(self, parcels: Sequence[Parcel], request: Exchange | Waves) -> Actor:
        """Execute *parcels*, each in its own order."""
        left = [parsed(b"".join(parcel.packed)) for parcel in parcels]
        answers: list[list[Any]] = [[] for _ in parcels]
        while under_way := [at for at, commands in enumerate(left) if len(answers[at]) < len(commands)]:
            at = self.random.choice(under_way)
            answers[at].append((yield from self.execute(left[at][len(answers[at])])))
            if self.lost(request):
                answers[at].clear()
        return [reply for replies in answers for reply in replies]

    def execute(self, command: list[bytes]) -> Actor:
        """Let others come first, and then execute *command*."""
        yield
        return self.server.execute(command)

    def lost(self, request: Exchange | Waves) -> bool:
        """Say whether a reply to *request* is lost, so that it is sent again."""
        if not self.lossy or self.random.random() >= LOST:
            return False
        if request.once:
            raise UnsureError("a reply was lost")
        return True


def run(actors: list[Actor], schedule: Iterator[tuple[int, int]]) -> None:
    """Step the actors in the order of *schedule*, pairs of who and how often; then let all finish by turns."""
    alive = list(actors)
    for who, times in schedule:
        for _ in range(times):
            if not alive:
                return
            _step(alive, who % len(alive))
    turn = 0
    while alive:
        _step(alive, turn % len(alive))
        turn += 1


def _step(alive: list[Actor], at: int) -> None:
    try:
        next(alive[at])
    except StopIteration:
        del alive[at]
