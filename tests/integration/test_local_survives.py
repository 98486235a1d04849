"""The deployed functions in two regions while whatever can die does: every change arrives in both."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local.conditions import wait_until
from local.regions import REGIONS, TwoRegions
from local.supervisor import ROOT
from tests.stack.processes import descendants

HOME, PEER = REGIONS
EXAMPLE = ROOT / "examples" / "departures"
NAMESPACE = "survival"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


class Storm:
    """Changes of the flights' table, and what the journals of both regions know of them."""

    def __init__(self, stack: TwoRegions, clients: ExitStack) -> None:
        self.stack = stack
        self.changes: set[str] = set()
        self._dynamodb = stack.home.client("dynamodb")
        self._servers: dict[str, Any] = {
            name: clients.enter_context(Redis.from_url(region.valkey.url))
            for name, region in stack.regions.items()
        }

    def change(self, count: int = 10) -> None:
        """Write *count* flights that were not there."""
        for _ in range(count):
            flight = f"flight-{len(self.changes)}"
            item = {"board": {"S": "EWR"}, "flight_id": {"S": flight}, "version": {"N": "1"}}
            self._dynamodb.put_item(TableName="Flights", Item=item)
            self.changes.add(f"flight:{flight}")

    def arrived(self, region: str) -> set[str]:
        """Return the flights whose tags the region's journal names."""
        records = self._servers[region].xrange(f"sp:{NAMESPACE}:journal")
        documents = [json.loads(fields[b"d"]) for _, fields in records if fields.get(b"d")]
        return {tag for each in documents for tag in each.get("tags", ()) if tag.startswith("flight:")}

    def await_arrival(self, *regions: str) -> None:
        """Wait until the journals of *regions* name every change."""
        for region in regions:
            wait_until(partial(self._complete, region), f"every change in {region}")

    def _complete(self, region: str) -> bool:
        return self.changes <= self.arrived(region)


def tells(log: Path, before: int) -> bool:
    """Say whether the log has a warning more than *before*."""
    return log.read_text().count("WARNING") > before


@pytest.fixture(scope="module")
def storm() -> Iterator[Storm]:
    tables = json.loads((EXAMPLE / "tables.json").read_text())
    with (
        TwoRegions(tables=tables, namespace=NAMESPACE, rules=EXAMPLE / "rules.yaml") as stack,
        ExitStack() as clients,
    ):
        yield Storm(stack, clients)


def kill_functions(stack: TwoRegions, name: str) -> int:
    """`kill -9` every process of a function of *stack*; return how many there were."""
    below = [each.pid for each in descendants(stack.supervisor.pid)]
    killed = 0
    for pid in below:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended by itself meanwhile
            if f":function:{name}\0" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def test_killed_functions_lose_nothing(storm: Storm) -> None:
    """Functions that are killed while changes come in get them again."""
    killed = 0
    for _ in range(3):
        storm.change()
        killed += kill_functions(storm.stack, "invalidate_from_table")
        storm.change()
        killed += kill_functions(storm.stack, "invalidate_from_bus")
        killed += kill_functions(storm.stack, "replicate")

    assert killed >= 6  # each at least once: one a table, and two in each region
    storm.await_arrival(HOME, PEER)


def test_killed_drivers_lose_nothing(storm: Storm) -> None:
    """Drivers that are killed while changes come in, each with its functions, go on when they are started again."""
    storm.change()
    storm.stack.kill_driver(HOME)
    storm.change()
    storm.stack.start_driver(HOME)
    storm.stack.kill_driver(PEER)
    storm.change()
    storm.await_arrival(HOME)
    storm.stack.start_driver(PEER)

    storm.await_arrival(PEER)


def test_frozen_cache_server_loses_nothing(storm: Storm) -> None:
    """While a region's cache server does not answer, its changes wait; then they are applied."""
    for name in (HOME, PEER):
        region = storm.stack[name]
        log = storm.stack.supervisor.log(region.driver)
        told = log.read_text().count("WARNING")
        region.valkey.signal(signal.SIGSTOP)
        storm.change()
        wait_until(partial(tells, log, told), f"a failed invocation in {name}")
        region.valkey.signal(signal.SIGCONT)

    storm.await_arrival(HOME, PEER)


def test_partition_heals(storm: Storm) -> None:
    """During a partition a change is applied at home and not in the peer; when it heals, in both."""
    storm.stack.cut()
    storm.change()
    storm.await_arrival(HOME)
    behind = storm.changes - storm.arrived(PEER)
    storm.stack.heal()

    assert len(behind) == 10
    storm.await_arrival(PEER)
