"""Regions on this machine: in each a cache server, a bus, queues, functions and the driver that feeds them.

    with TwoRegions(tables=[{...}], namespace="flights", rules=Path("rules.yaml")) as stack:
        stack["us-east-1"].valkey.url

The tables and their streams are in the first region, the home. A change there is applied by the home's functions, and
what the home applied crosses to the others by their buses. Everything listens on the loopback interface, on free
ports, and is gone when the block ends or the process does.
"""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from local.conditions import wait_until
from local.configuration import BusSubscription, DriverConfiguration, Schedule, StreamMapping
from local.emulator import CREDENTIALS, Emulator
from local.function_host import Function
from local.partition import Partition
from local.resources import BUS, DEAD_LETTER_QUEUE, UNDELIVERED_QUEUE, Resources
from local.supervisor import Supervisor, SupervisorError
from local.valkey import Valkey
from staleproof_pipeline.sources.eventbridge import DETAIL_TYPE, SOURCE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

REGIONS = ("eu-west-1", "us-east-1")
REPLICATED: Mapping[str, Any] = {"source": [SOURCE_NAME], "detail-type": [DETAIL_TYPE]}
"""Events that cross to the peers: what a region's own pipeline announces."""
APPLICATION: Mapping[str, Any] = {"source": [{"anything-but": [SOURCE_NAME]}]}
"""Events that stay in their region: what applications announce."""
MAPPING: Mapping[str, Any] = {"batch_size": 500, "bisect": True, "maximum_retry_attempts": 50}
"""Settings of a stream mapping, as deployed."""
DRIVER_TIMEOUT = 60.0


class Handlers(NamedTuple):
    """The functions of a region, each as `package.module:name`; "" leaves one out.

    Attributes:
        table: takes batches of the tables' streams.
        bus: takes one event of a bus.
        replicate: follows the journal, on a schedule.
    """

    table: str = "functions.invalidate_from_table.app:handler"
    bus: str = "functions.invalidate_from_bus.app:handler"
    replicate: str = "functions.replicate.app:handler"


NAMES = Handlers("invalidate_from_table", "invalidate_from_bus", "replicate")


class Region:
    """One region, as an application in it sees it.

    Attributes:
        name: such as `eu-west-1`.
        valkey: its cache server.
        bus: its event bus, by name.
        dead_letter_queue_url: where its functions put what can never be applied.
        undelivered_queue_url: where its event sources put what no function took.
        driver: the name of its driver among the supervisor's processes.
    """

    def __init__(self, name: str, valkey: Valkey, emulator: Emulator) -> None:
        self.name = name
        self.valkey = valkey
        self.bus = BUS
        self.dead_letter_queue_url = ""
        self.undelivered_queue_url = ""
        self.driver = f"driver-{name}"
        self._emulator = emulator

    def client(self, service: str) -> Any:
        """Return a new boto3 client in this region."""
        return self._emulator.client(service, self.name)

    def environ(self) -> dict[str, str]:
        """Return the environment variables with which a process reaches this region's AWS APIs."""
        return {
            "AWS_ENDPOINT_URL": self._emulator.endpoint,
            "AWS_REGION": self.name,
            "AWS_DEFAULT_REGION": self.name,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name.upper(): value for name, value in CREDENTIALS.items()},
        }


class TwoRegions:
    """A running stack; use it as a context manager. More than two regions work as well.

    Args:
        tables: arguments of `CreateTable`, one a table; streams are added.
        namespace: of the caches.
        rules: the rules file of the functions that read tables and buses.
        regions: their names; the first is the tables' home.
        handlers: the functions.
        mapping: settings of the stream mappings, by the field names of `StreamMapping`.
        replicate_every: seconds between two runs of the replicating function.
        replicated: the pattern of events that cross to the peers.
        application: the pattern of events that invoke the bus function of their own region.
        environ: further environment variables of every function.
        timeout: seconds that an invocation may take.
    """

    def __init__(
        self,
        *,
        tables: Sequence[Mapping[str, Any]] = (),
        namespace: str = "local",
        rules: Path | None = None,
        regions: Sequence[str] = REGIONS,
        handlers: Handlers = Handlers(),  # noqa: B008  # immutable
        mapping: Mapping[str, Any] | None = None,
        replicate_every: float = 1.0,
        replicated: Mapping[str, Any] = REPLICATED,
        application: Mapping[str, Any] = APPLICATION,
        environ: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._tables = tables
        self._namespace = namespace
        self._rules = rules
        self._names = tuple(regions)
        self._handlers = handlers
        self._mapping = {**MAPPING, **(mapping or {})}
        self._replicate_every = replicate_every
        self._replicated, self._application = replicated, application
        self._environ = dict(environ or {})
        self._timeout = timeout
        self.stream_arns: dict[str, str] = {}
        self._queues: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        self.supervisor = Supervisor()
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop_drivers()
        self.supervisor.close()

    def __getitem__(self, name: str) -> Region:
        return self.regions[name]

    @property
    def home(self) -> Region:
        """The region with the tables."""
        return self.regions[self._names[0]]

    def cut(self) -> None:
        """Separate every region from every other: what is announced waits at its origin."""
        self._each_way(self.partition.cut)

    def heal(self) -> None:
        """Undo `cut`."""
        self._each_way(self.partition.heal)

    def start_driver(self, name: str) -> None:
        """Start a region's driver and wait until its functions have initialised.

        Raises:
            SupervisorError: it ended instead; the text carries the end of its log.
        """
        region, settings = self.regions[name], self._driver(name)
        settings.ready.unlink(missing_ok=True)
        path = self.supervisor.directory / f"{region.driver}.json"
        path.write_text(settings.model_dump_json())
        self.supervisor.spawn_module(region.driver, "local.driver", str(path))

        def ready() -> bool:
            if not self.supervisor.running(region.driver):
                raise SupervisorError(f"{region.driver} ended: {self.supervisor.tail(region.driver)}")
            return settings.ready.exists()

        wait_until(ready, f"{region.driver} is ready", timeout=DRIVER_TIMEOUT)

    def kill_driver(self, name: str) -> None:
        """End a region's driver and its functions without warning, as a crash does."""
        self.supervisor.kill(self.regions[name].driver)

    def _start(self) -> None:
        self.partition = Partition(self.supervisor.directory)
        valkeys = {name: Valkey(self.supervisor, f"valkey-{name}") for name in self._names}
        pool = ThreadPoolExecutor(len(self._names) + 1)
        try:
            self._start_in(pool, valkeys)
        except BaseException:
            self.supervisor.close()  # before waiting for the pool: whatever it waits for ends now
            pool.shutdown(cancel_futures=True)
            self.supervisor.remove_directory()
            raise
        pool.shutdown()

    def _start_in(self, pool: ThreadPoolExecutor, valkeys: Mapping[str, Valkey]) -> None:
        self.emulator = Emulator(self.supervisor)
        started = [pool.submit(self.emulator.start), *(pool.submit(each.start) for each in valkeys.values())]
        for future in started:
            future.result()
        self.regions = {name: Region(name, valkey, self.emulator) for name, valkey in valkeys.items()}
        list(pool.map(self._provision, self._names))
        list(pool.map(self.start_driver, self._names))

    def _stop_drivers(self) -> None:
        # Before what they poll, so that they end in peace; together, since each waits for its threads.
        with contextlib.suppress(SupervisorError):
            for region in self.regions.values():
                self.supervisor.signal(region.driver, signal.SIGTERM)
            for region in self.regions.values():
                self.supervisor.stop(region.driver)

    def _provision(self, name: str) -> None:
        region, resources = self.regions[name], Resources(self.emulator, name)
        resources.bus()
        region.dead_letter_queue_url = resources.queue(DEAD_LETTER_QUEUE)
        region.undelivered_queue_url = resources.queue(UNDELIVERED_QUEUE)
        for other in self._names:
            pattern = self._application if other == name else self._replicated
            self._queues[name, other] = resources.subscription(f"staleproof-to-{other}", pattern)
        for table in self._tables if region is self.home else ():
            self.stream_arns[table["TableName"]] = resources.table(table)

    def _driver(self, name: str) -> DriverConfiguration:
        region, handlers = self.regions[name], self._handlers
        named = zip(NAMES, handlers, strict=True)
        return DriverConfiguration(
            region=name,
            endpoint=self.emulator.endpoint,
            directory=self.supervisor.directory,
            functions=tuple(self.function(region, each, handler) for each, handler in named if handler),
            streams=self._streams(region) if handlers.table and region is self.home else (),
            buses=self._buses(region) if handlers.bus else (),
            schedules=(Schedule(function=NAMES.replicate, every=self._replicate_every),)
            if handlers.replicate
            else (),
        )

    def _streams(self, region: Region) -> tuple[StreamMapping, ...]:
        common = {
            "function": NAMES.table,
            "on_failure_queue_url": region.undelivered_queue_url,
            **self._mapping,
        }
        return tuple(StreamMapping(**{**common, "stream_arn": arn}) for arn in self.stream_arns.values())

    def _buses(self, region: Region) -> tuple[BusSubscription, ...]:
        return tuple(
            BusSubscription(
                function=NAMES.bus,
                origin=origin,
                queue_url=self._queues[origin, region.name],
                dead_letter_queue_url=region.undelivered_queue_url,
            )
            for origin in self._names
        )

    def function(self, region: Region, name: str, handler: str) -> Function:
        """Return a function of *region* as this stack deploys it."""
        peers = ",".join(other for other in self._names if other != region.name)
        environ = {
            **region.environ(),
            "STALEPROOF_REGION": region.name,
            "STALEPROOF_CACHE_URL": region.valkey.url,
            "STALEPROOF_NAMESPACE": self._namespace,
            "STALEPROOF_RULES": str(self._rules or ""),
            "STALEPROOF_BUS": region.bus,
            "STALEPROOF_PEERS": peers,
            "STALEPROOF_DEAD_LETTER_QUEUE_URL": region.dead_letter_queue_url,
            "POWERTOOLS_SERVICE_NAME": name,
            "POWERTOOLS_TRACE_DISABLED": "true",
            "POWERTOOLS_METRICS_NAMESPACE": "Staleproof",
            **self._environ,
        }
        return Function(
            name=name, handler=handler, region=region.name, environ=environ, timeout=self._timeout
        )

    def _each_way(self, action: Callable[[str, str], None]) -> None:
        for origin in self._names:
            for destination in self._names:
                if origin != destination:
                    action(origin, destination)
