"""The departures board, and the demo's reader in it, over tables that are plain dictionaries."""

from __future__ import annotations

import importlib
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.demo.blackboard import Blackboard
from local.demo.judge import diverged
from local.demo.recording import FINAL, LOADED, NEAR, TRAFFIC, WATCH, Recorder, read_records
from local.demo.stage import BOUND_MS
from local.demo.timetable import AIRLINES, FLIGHTS, Timetable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


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
        answer: dict[str, Any] = {"Responses": {"Airlines": [self.items[AIRLINES][first["carrier"]]]}}
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
    page = application.board("EWR-2013-02-08-14")
    united = next(each for each in page.airlines if each.carrier == "UA")
    tables.put({**tables.items[AIRLINES]["UA"], "cancelled": 999, "version": united.version + 1})
    application.cache.invalidate("airline:HA")

    assert "HA" not in {each.carrier for each in page.airlines}
    assert application.board("EWR-2013-02-08-14") == page

    application.cache.invalidate("airline:UA")
    changed = application.board("EWR-2013-02-08-14")

    assert [each.cancelled for each in changed.airlines if each.carrier == "UA"] == [999]
    assert changed.flights == page.flights


def test_what_is_not_there_is_cached_too(application: ModuleType, tables: Tables) -> None:
    """A flight that is not on the board yet is None, until its tag says otherwise."""
    assert [application.flight("EWR-2013-02-08-14-UA1") for _ in range(3)] == [None] * 3
    assert tables.loads == 1
    assert application.board("EWR-2013-02-08-14") == application.Board([], [])


def test_a_reader_records_what_it_saw(
    application: ModuleType,
    tables: Tables,
    timetable: Timetable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader reads as passengers do, watches each change until it has arrived, and compares every key at the end."""
    reader = importlib.reload(importlib.import_module("local.demo.reader"))
    blackboard = Blackboard.create(tmp_path / "blackboard", len(timetable.changes), 1)
    recorder = Recorder(tmp_path / "reads")
    thread = threading.Thread(
        target=reader.Reader(0, timetable, blackboard, recorder, 200.0, (0, 1)).run, daemon=True
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
