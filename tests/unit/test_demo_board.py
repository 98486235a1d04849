"""The departures board, and the demo's reader in it, over tables that are plain dictionaries."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.demo.blackboard import Blackboard
from local.demo.judge import RegionJudge, Write, diverged
from local.demo.reader import Reader
from local.demo.recording import FINAL, LOADED, NEAR, NOT_SHOWN, TRAFFIC, WATCH, Recorder, read_records
from local.demo.stage import BOUND_MS
from local.demo.timetable import AIRLINES, FLIGHTS, Timetable
from local.supervisor import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from local.demo.recording import Read

PAGE = "EWR-2013-02-08-14"


class Tables:
    """What the board asks of boto3, answered from dictionaries; numbers as they are written."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, dict[str, Any]]] = {FLIGHTS: {}, AIRLINES: {}}
        self.loads = 0

    def __call__(self, name: str) -> Any:
        """Return a table."""
        client = SimpleNamespace(batch_get_item=self._batch)
        items = self.items[name]
        return SimpleNamespace(
            get_item=lambda Key, ConsistentRead: self._one(items, Key),  # noqa: N803
            query=lambda KeyConditionExpression, ConsistentRead: self._page(KeyConditionExpression),  # noqa: N803
            meta=SimpleNamespace(client=client),
        )

    def put(self, item: dict[str, Any]) -> None:
        """Write an item."""
        table = FLIGHTS if "flight_id" in item else AIRLINES
        self.items[table][item.get("flight_id") or item["carrier"]] = item

    def _one(self, items: dict[str, dict[str, Any]], key: dict[str, str]) -> dict[str, Any]:
        self.loads += 1
        found = items.get(key.get("flight_id") or key["carrier"])
        return {"Item": found} if found else {}

    def _page(self, condition: Any) -> dict[str, Any]:
        self.loads += 1
        wanted = condition.get_expression()["values"][1]
        return {"Items": [item for item in self.items[FLIGHTS].values() if item["board"] == wanted]}

    def _batch(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        first, *rest = RequestItems["Airlines"]["Keys"]
        found = self.items[AIRLINES].get(first["carrier"])
        answer: dict[str, Any] = {"Responses": {"Airlines": [found] if found else []}}
        if rest:  # a busy table leaves some for the next request
            answer["UnprocessedKeys"] = {"Airlines": {"Keys": rest, "ConsistentRead": True}}
        return answer


@pytest.fixture(scope="module")
def timetable() -> Timetable:
    return Timetable(10)


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return a board with a cache of its own; its module makes one at import, as an application does."""
    monkeypatch.setenv("STALEPROOF_CACHE_URL", "memory://")
    monkeypatch.setenv("STALEPROOF_NAMESPACE", "departures")
    module = importlib.import_module("examples.departures.board")
    module = importlib.reload(module)
    yield module
    module.cache.close()


@pytest.fixture
def tables(application: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Tables:
    made = Tables()
    monkeypatch.setattr(application, "table", made)
    return made


def fill(tables: Tables, timetable: Timetable) -> None:
    """Write the whole storm."""
    for change in timetable.changes:
        tables.put(change.item)


def test_a_page_is_stale_when_an_airline_on_it_changes(
    application: ModuleType, tables: Tables, timetable: Timetable
) -> None:
    """The tags that only the loaded page names are the ones by which an airline's change reaches it."""
    fill(tables, timetable)
    page = application.board(PAGE)
    united = next(each for each in page.airlines if each.carrier == "UA")
    tables.put({**tables.items[AIRLINES]["UA"], "cancelled": 999, "version": united.version + 1})
    application.cache.invalidate("airline:HA")

    assert "HA" not in {each.carrier for each in page.airlines}
    assert application.board(PAGE) == page

    application.cache.invalidate("airline:UA")
    changed = application.board(PAGE)

    assert [each.cancelled for each in changed.airlines if each.carrier == "UA"] == [999]
    assert changed.flights == page.flights


def recorded(application: ModuleType, timetable: Timetable, folder: Path, page: str) -> Read:
    """A page as a reader records it."""
    blackboard = Blackboard.create(folder / "blackboard", len(timetable.changes), 1)
    recorder = Recorder(folder / "reads")
    Reader(0, timetable, blackboard, recorder, application, 1.0, (0, 1))._read(
        timetable.number["board", page], TRAFFIC
    )
    recorder.close()
    *_, last = read_records(folder / "reads")
    return last


def test_an_airline_that_is_missing_from_its_page_is_stale(
    application: ModuleType, tables: Tables, timetable: Timetable, tmp_path: Path
) -> None:
    """A page that shows a flight without its airline has the airline's version 0, and the judge blames it."""
    fill(tables, timetable)
    united = tables.items[AIRLINES].pop("UA")
    read = recorded(application, timetable, tmp_path, PAGE)
    rows = timetable.keys[read.key].rows
    row = timetable.row("UA")
    judge = RegionJudge("here", [Write(row, 1, 1, 1)], {(row, 1): 1}, 0, [key.rows for key in timetable.keys])
    judge.see(read)

    assert read.versions[rows.index(row)] == 0
    assert judge.stale_reads == 1

    tables.put(united)
    application.cache.invalidate("airline:UA")
    again = recorded(application, timetable, tmp_path, PAGE)

    assert again.versions[rows.index(row)] == united["version"]


def test_an_airline_without_a_flight_on_the_page_is_not_owed(
    application: ModuleType, tables: Tables, timetable: Timetable, tmp_path: Path
) -> None:
    """Before its first flight is on the board, a page has no reason to show an airline."""
    read = recorded(application, timetable, tmp_path, PAGE)
    rows = timetable.keys[read.key].rows

    assert {
        version for row, version in zip(rows, read.versions, strict=True) if timetable.is_airline(row)
    } == {NOT_SHOWN}
    assert {
        version for row, version in zip(rows, read.versions, strict=True) if not timetable.is_airline(row)
    } == {0}


@pytest.mark.parametrize("module", ["local.demo.reader", "local.demo.writer"])
def test_help_needs_no_settings(module: str) -> None:
    """A process of the demo explains itself without an environment to run in."""
    found = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True, cwd=ROOT, env={}
    )

    assert module in found.stdout


def test_what_is_not_there_is_cached_too(application: ModuleType, tables: Tables) -> None:
    """A flight that is not on the board yet is None, until its tag says otherwise."""
    assert [application.flight("EWR-2013-02-08-14-UA1") for _ in range(3)] == [None] * 3
    assert tables.loads == 1
    assert application.board(PAGE) == application.Board([], [])


def test_a_reader_records_what_it_saw(
    application: ModuleType,
    tables: Tables,
    timetable: Timetable,
    tmp_path: Path,
) -> None:
    """A reader reads as passengers do, watches each change until it has arrived, and compares every key at the end."""
    blackboard = Blackboard.create(tmp_path / "blackboard", len(timetable.changes), 1)
    recorder = Recorder(tmp_path / "reads")
    thread = threading.Thread(
        target=Reader(0, timetable, blackboard, recorder, application, 200.0, (0, 1)).run, daemon=True
    )
    thread.start()
    wait_until(lambda: blackboard.count("ready", 0), "the reader is ready")
    blackboard.begin(time.monotonic_ns())
    wait_until(lambda: blackboard.total("traffic") > 50, "passengers read")
    first = timetable.changes[0]
    tables.put(first.item)
    application.cache.invalidate(f"airline:{first.item['carrier']}")
    blackboard.started[0] = time.monotonic_ns()
    wait_until(lambda: blackboard.total("watch"), "the change is watched")
    fill(tables, timetable)
    application.cache.clear()
    blackboard.compare()
    thread.join(30)
    reads = list(read_records(tmp_path / "reads"))
    truth = {change.row: change.version for change in timetable.changes}

    assert blackboard.count("ended", 0) == 1
    assert blackboard.total("errors") == 0
    assert {read.purpose for read in reads} == {TRAFFIC, WATCH, FINAL}
    assert {read.source for read in reads} >= {NEAR, LOADED}
    assert [read.end for read in reads] == sorted(read.end for read in reads)
    assert diverged(truth, {"reader-0": reads}, [key.rows for key in timetable.keys]) == []


def test_the_judge_knows_the_bound_in_force(application: ModuleType) -> None:
    """Readers are judged by the staleness that the board's own policy states."""
    assert application.BOARD.staleness * 1_000 == BOUND_MS
