"""One region's event-source driver: a process that polls sources and invokes functions, as AWS does.

    python -m local.driver CONFIGURATION.json

Each source has a thread of its own. Streams and schedules have an execution environment each; the buses share one,
since what arrives over them has no order that waiting could hurt.
A region has a process of its own: killing it stops that region's pipeline and nothing else, and starting it
again goes on from the checkpoints.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from local.configuration import DriverConfiguration
from local.emulator import client
from local.event_sources.bus_bridge import BusBridge
from local.event_sources.checkpoint import Checkpoints
from local.event_sources.stream_mapping import StreamDriver
from local.function_host import FunctionHost
from local.partition import Partition
from local.schedule import ScheduleDriver

if TYPE_CHECKING:
    from types import FrameType

logger = logging.getLogger("local.driver")


class Source(Protocol):
    """Something that runs in a thread until told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Run until *stop* is set."""
        ...


class Driver:
    """The sources of one region and the environments that they invoke."""

    def __init__(self, configuration: DriverConfiguration) -> None:
        self._configuration = configuration
        self._stop = threading.Event()
        self._woken, self._wake = socket.socketpair()
        self._hosts: dict[str, FunctionHost] = {}
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Start everything, say so, and return after `stop` when everything has ended.

        Raises:
            RuntimeError: a function did not initialise, or a source's thread failed.
        """
        with ExitStack() as stack:
            sources = self._sources()
            for host in self._hosts.values():
                stack.callback(host.close)
                host.start()
            self._initialise()
            threads = [threading.Thread(target=self._guard, args=[source]) for source in sources]
            for thread in threads:
                thread.start()
            self._configuration.ready.write_text(str(os.getpid()))
            self._woken.recv(1)
            self._stop.set()
            self._interrupt_schedules()
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise RuntimeError("a source's thread failed") from self._failure

    def stop(self) -> None:
        """Let every source finish what it is doing and end.

        A signal handler may call this: it takes no lock, which the interrupted thread might hold.
        """
        self._wake.send(b"!")

    def _guard(self, source: Source) -> None:
        # A source that dies alone would be a pipeline that stands still in silence: its process ends instead.
        try:
            source.run(self._stop)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self.stop()

    def _interrupt_schedules(self) -> None:
        # A scheduled function may run for as long as its timeout lets it. Where a killed run would do
        # harm, so would the end of its timeout.
        for schedule in self._configuration.schedules:
            self._host(schedule.function, "schedule").kill()

    def _initialise(self) -> None:
        for host in self._hosts.values():
            error = host.initialise()
            if error is not None:
                raise RuntimeError(f"function {host.function.name!r}: {error.type}: {error.message}")

    def _sources(self) -> list[Source]:
        settings, client_in = self._configuration, self._client
        partition = Partition(settings.directory)
        return [
            *(
                StreamDriver(
                    mapping,
                    self._host(mapping.function, f"stream{place}"),
                    Checkpoints(settings.directory / f"{settings.region}-stream{place}.json"),
                    lambda service: client_in(service, settings.region),
                )
                for place, mapping in enumerate(settings.streams)
            ),
            *(
                BusBridge(bus, self._host(bus.function, "buses"), partition, client_in)
                for bus in settings.buses
            ),
            *(ScheduleDriver(each, self._host(each.function, "schedule")) for each in settings.schedules),
        ]

    def _host(self, name: str, source: str) -> FunctionHost:
        function = self._configuration.function(name)
        label = f"{function.region}-{function.name}-{source}"
        if label in self._hosts:
            return self._hosts[label]
        logs = self._configuration.directory / "logs"
        logs.mkdir(exist_ok=True)
        self._hosts[label] = FunctionHost(function, logs / f"{label}.log")
        return self._hosts[label]

    def _client(self, service: str, region: str) -> Any:
        # Whoever polls asks again anyway; the client's own retries would only delay the end.
        return client(service, region, self._configuration.endpoint, attempts=1)


def main(arguments: list[str] | None = None) -> int:
    """Run a driver until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.driver", description=__doc__)
    parser.add_argument("configuration", type=Path, help="a DriverConfiguration as JSON")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("STALEPROOF_DRIVER_LOG", "INFO"), format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    driver = Driver(DriverConfiguration.model_validate_json(chosen.configuration.read_bytes()))

    def stop(_number: int, _frame: FrameType | None) -> None:
        driver.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        driver.run()
    except Exception:
        logger.exception("the driver ends")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
