"""A world of processes over one server that fails: the source of truth, who was told what when, and the judgement.

Everything happens in one thread and by one seed. What other processes do in the middle of a step is done by `meddle`,
which the chaos providers call between any two steps, and loaders in the middle of a load.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof import AsyncCache, Cache, Policy, ProviderError, ProviderUnavailableError
from staleproof.cache import nesting
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import (
    AsyncChaosProvider,
    BlockingCache,
    Chaos,
    ChaosProvider,
    Faults,
    ManualClock,
)
from staleproof.testing.blocking import awaited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.testing.blocking import Portal

ROWS = ("a", "b")
PAGE = "page"
"""A cached value whose loader reads the cached row `a`."""

LEASE = 10.0


class SourceError(Exception):
    """The source of truth failed."""


class Scenario(NamedTuple):
    """What Hypothesis chooses.

    Attributes:
        seed: of everything random.
        steps: how many operations.
        policy: the policy's fields.
        faults: shares of faults.
        partitions, evictions: shares of calls.
        meddling: the share of steps between which another process does something.
        failing: the share of loads that fail.
        revealing: whether rows have a tag that only the value names.
        unreachable: what an unacknowledged invalidation does.
        tier: the staleness of a tiered provider in each process; None for none.
    """

    seed: int
    steps: int
    policy: dict[str, Any]
    faults: Faults = Faults()
    partitions: float = 0.0
    evictions: float = 0.0
    meddling: float = 0.0
    failing: float = 0.0
    revealing: bool = False
    unreachable: Any = "raise"
    tier: float | None = None

    @property
    def is_calm(self) -> bool:
        """Whether the server never fails."""
        return not (any(self.faults) or self.partitions or self.evictions)


class Process:
    """One application process: a cache object of its own, and its own way to the server."""

    def __init__(self, world: World, number: int, portal: Portal | None) -> None:
        scenario, clock = world.scenario, world.clock
        self.number = number
        self.portal = portal
        self.reads = 0
        self.chaos = Chaos(
            scenario.seed + number,
            scenario.faults,
            partitions=scenario.partitions,
            evictions=scenario.evictions,
            longest_delay=2.0,
        )
        options: dict[str, Any] = {
            "policy": Policy(**{"lease": LEASE, "patience": 0, **scenario.policy}),
            "clock": clock,
            "unreachable": scenario.unreachable,
            "background": False,  # refreshes happen here and now, as in a Lambda function
        }
        wiring: dict[str, Any] = {"sleep": clock.advance, "between": lambda _: world.meddle(self)}
        self.face: Any
        if portal is None:
            provider: Any = ChaosProvider(world.server, self.chaos, **wiring)
            if scenario.tier is not None:
                provider = TieredProvider(provider, staleness=scenario.tier, clock=clock)
            self.face = Cache(provider, **options)
            self.cache: Any = self.face
        else:
            provider = AsyncChaosProvider(AsyncMemoryProvider(inner=world.server), self.chaos, **wiring)
            if scenario.tier is not None:
                provider = AsyncTieredProvider(provider, staleness=scenario.tier, clock=clock)
            self.face = AsyncCache(provider, **options)
            self.cache = BlockingCache(self.face, portal)
        self.face.core.draw = world.random.random

    @property
    def counters(self) -> dict[str, Any]:
        """The cache's statistics."""
        counters: dict[str, Any] = self.face.statistics.as_dict()
        return counters


class World:
    """All processes, the source and the clock."""

    def __init__(self, scenario: Scenario, portal: Portal | None = None, processes: int = 3) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed)
        self.clock = ManualClock()
        self.server = MemoryProvider("world", clock=self.clock)
        self.source: dict[str, int] = dict.fromkeys(ROWS, 0)
        self.told: list[tuple[float, int, str, int]] = []
        """Acknowledged: when, by which process, and which version of which key is the least from then on."""
        self._deep = False
        self._quiet = 0
        self.processes = [Process(self, number, portal) for number in range(processes)]

    # --- the cached functions ------------------------------------------------------------------------

    def row(self, process: Process, name: str) -> int:
        """Read a row through the cache."""
        options: dict[str, Any] = {"tags": self.tags(name)}
        if self.scenario.revealing:
            options["tags_from"] = lambda _: [f"brand:{name}"]
        process.reads += 1
        value: int = process.cache.get_or_load(name, lambda: self.load(process, name), **options)
        return value

    def page(self, process: Process) -> int:
        """Read the page through the cache; its loader reads the row."""
        process.reads += 1
        value: int = process.cache.get_or_load(PAGE, lambda: self.row(process, "a"), tags=self.tags("a"))
        return value

    def rows(self, process: Process) -> dict[str, int]:
        """Read all rows in one call, each as `row` does."""
        names = [f"many:{name}" for name in ROWS]

        def load(missing: list[str]) -> dict[str, int]:
            return {name: self.load(process, name.removeprefix("many:")) for name in missing}

        process.reads += len(names)
        values: dict[str, int] = process.cache.get_or_load_many(names, load, tags=["row:a", "row:b", "all"])
        return values

    def load(self, process: Process, name: str) -> int:
        """Load a row from the source: what it is now, whatever happens before it is returned."""
        version = self.source[name]
        self.meddle(process)
        if self.random.random() < self.scenario.failing and not self._quiet:
            raise SourceError
        return version

    @staticmethod
    def tags(name: str) -> list[str]:
        """Return the tags that a row is stored with."""
        return [f"row:{name}", "all"]

    # --- what processes do ---------------------------------------------------------------------------

    def run(self) -> None:
        """Do all steps of the scenario."""
        for _ in range(self.scenario.steps):
            self.step(self.random.choice(self.processes))

    def step(self, process: Process) -> None:
        """Let *process* do one thing."""
        (act,) = self.random.choices(
            [self.read, self.change, self.soften, self.refresh, self.put, self.touch, self.wait],
            [50, 20, 6, 4, 5, 4, 11],
        )
        act(process)

    def meddle(self, process: Process) -> None:
        """Perhaps let another process do something now; it is in no load of this one's."""
        if self._deep or self._quiet or self.random.random() >= self.scenario.meddling:
            return
        self._deep = True
        try:
            Context().run(self._meddle, process)
        finally:
            self._deep = False

    def _meddle(self, process: Process) -> None:
        if self.random.random() < 0.5:
            self.change(self.random.choice(self.processes))
        else:
            self.read(self.random.choice([each for each in self.processes if each is not process]))

    def change(self, process: Process) -> None:
        """Change a row at its source, and invalidate what depends on it."""
        name = self.random.choice(ROWS)
        self.source[name] += 1
        hows = ["row", "all", "key", "clear", *(["brand"] if self.scenario.revealing else [])]
        how = self.random.choice(hows)
        least = dict(self.source)
        asked = process.counters["fallbacks"].get("deferred", 0)
        try:
            if how == "clear":
                process.cache.clear()
            elif how == "key":
                process.cache.evict(name)
            else:
                process.cache.invalidate(how if how == "all" else f"{how}:{name}")
        except ProviderError:
            return
        deferred = process.counters["fallbacks"].get("deferred", 0) > asked
        self._tell(process, how, name, least, everybody=not deferred)

    def _tell(self, process: Process, how: str, name: str, least: dict[str, int], *, everybody: bool) -> None:
        rows = ROWS if how in {"all", "clear"} else (name,)
        moment = self.clock.monotonic() if everybody else float("inf")
        for row in rows:
            keys = [row] if how in {"key", "brand"} else [row, f"many:{row}"]
            keys += [PAGE] if row == "a" and how in {"row", "all", "clear"} else []
            self.told += [(moment, process.number, key, least[row]) for key in keys]

    def soften(self, process: Process) -> None:
        """Invalidate softly, which promises nothing to those who may be served stale values."""
        try:
            process.cache.invalidate(f"row:{self.random.choice(ROWS)}", soft=True)
        except ProviderError:
            return

    def put(self, process: Process) -> None:
        """Change a row and put it; nobody else writes meanwhile, as the caller of a put sees to."""
        name = self.random.choice(ROWS)
        if self.scenario.revealing:
            return
        self._quiet += 1
        try:
            self.source[name] += 1
            least = dict(self.source)
            asked = process.counters["fallbacks"].get("deferred", 0)
            process.cache.put(name, least[name], tags=self.tags(name))
            deferred = process.counters["fallbacks"].get("deferred", 0) > asked
            self._tell(process, "key", name, least, everybody=not deferred)
        except ProviderError:
            return
        finally:
            self._quiet -= 1

    def touch(self, process: Process) -> None:
        """Prolong a row."""
        name = self.random.choice(ROWS)
        try:
            process.cache.touch(name, tags=self.tags(name))
        except ProviderError:
            return

    def refresh(self, process: Process) -> None:
        """Load a row anew."""
        name = self.random.choice(ROWS)
        face = process.face
        call = face.call(name, self.tags(name), tags_from=self._revealed(name))
        least = self.least(process, name)
        try:
            loader = lambda: self.load(process, name)  # noqa: E731
            if process.portal is None:
                value = face.reload(call, loader)
            else:
                value = process.portal.call(face.reload, call, awaited(loader))
        except (SourceError, ProviderUnavailableError) as error:
            self.excuse(error)
            return
        assert value >= least, f"a refresh returned {value}, and {least} was the least"

    def _revealed(self, name: str) -> Any:
        return (lambda _: [f"brand:{name}"]) if self.scenario.revealing else None

    def wait(self, _: Process) -> None:
        """Let time pass."""
        self.clock.advance(self.random.choice([0.1, 1.0, 4.0, 9.0, 30.0]))

    # --- reads, judged -------------------------------------------------------------------------------

    def read(self, process: Process) -> None:
        """Read something, and judge what comes back."""
        what = self.random.choice([*ROWS, PAGE, "many"])
        keys = [f"many:{name}" for name in ROWS] if what == "many" else [what]
        # Two floors: what everybody who asks the server must see, and what a fallback may lag behind.
        least = {key: self.least(process, key) for key in keys}
        lagging = {key: self.least(process, key, fallback=True) for key in keys}
        before = process.counters["fallbacks"].get("stale", 0)
        try:
            if what == "many":
                values = self.rows(process)
            else:
                values = {what: self.page(process) if what == PAGE else self.row(process, what)}
        except (SourceError, ProviderUnavailableError) as error:
            self.excuse(error)
            return
        fell_back = process.counters["fallbacks"].get("stale", 0) > before
        for key, value in values.items():
            floor = lagging[key] if fell_back else least[key]
            assert value >= floor, f"process {process.number} read {key} = {value}, and {floor} was the least"
            assert value <= max(self.source.values())

    def least(self, process: Process, key: str, *, fallback: bool = False) -> int:
        """Return the least version of *key* that a read of *process* may return now."""
        policy = process.face.core.policy
        lag = (policy.stale_if_error if fallback else policy.staleness or 0.0) + (self.scenario.tier or 0.0)
        since = self.clock.monotonic() - lag
        asks = (
            not lag and not fallback
        )  # whoever asks the server sees what it was told within the same instant, too
        known = [
            version
            for moment, teller, of, version in self.told
            if of == key and (teller == process.number or moment < since or (asks and moment == since))
        ]
        return max(known, default=0)

    def excuse(self, error: Exception) -> None:
        """Let *error* pass if the policy says that readers see it."""
        spared = self.scenario.policy.get("fallback", "load") != "error"
        if spared and isinstance(error, ProviderUnavailableError):
            raise AssertionError(f"a reader got {error!r}") from error

    # --- the end -------------------------------------------------------------------------------------

    @contextmanager
    def healed(self) -> Iterator[None]:
        """Within, nothing fails and nobody meddles, and every breaker has had its rest."""
        self._quiet += 1
        self.clock.advance(60)
        with ExitStack() as calm:
            for process in self.processes:
                calm.enter_context(process.chaos.calm())
            yield
        self._quiet -= 1

    def leases(self) -> int:
        """Return how many leases are held on the server."""
        leases = self.server._cells.leases
        return sum(name in leases for name in list(leases))

    def under_way(self) -> int:
        """Return how many loads go on in this program."""
        return nesting._under_way + sum(len(process.face.driver.flights) for process in self.processes)
