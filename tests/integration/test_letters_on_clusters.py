"""Letters, and what is put off, on a cluster: one key each, wherever it lies, and wherever it goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster
from staleproof.errors import ProviderUnavailableError
from staleproof.events import Invalidation
from staleproof_pipeline import bootstrap, dead_letter_stream
from staleproof_pipeline.dead_letter_stream import DeadLetterStream
from staleproof_pipeline.followups import Deferred
from staleproof_pipeline.redriving.stream_store import StreamStore
from staleproof_pipeline.settings import Settings
from tests.integration.debian_redis import BINARY
from tests.unit.change_records import record
from tests.unit.test_redriving import letter

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis


ENGINES = [pytest.param(None, id="valkey-9"), pytest.param(BINARY, id="redis-7.0", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=ENGINES)
def cluster(request: pytest.FixtureRequest) -> Iterator[ValkeyCluster]:
    """Three primaries, of the newest engine and of the oldest."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "letters", binary=request.param).start()


def address(cluster: ValkeyCluster) -> str:
    """As settings name a cluster."""
    return f"{cluster.url}?cluster=true"


@pytest.mark.parametrize("key", ["letters-a", "letters-b", "letters-c"])
def test_letters_lie_and_go(cluster: ValkeyCluster, key: str) -> None:
    """They are stored, taken, replaced and removed, on whichever node."""
    name = key.encode()
    made = DeadLetterStream(lambda: dead_letter_stream.line(address(cluster), 5.0, key), name)
    letters = [letter(record(number)) for number in range(3)]
    assert made.store(letters) == [None] * 3
    store = StreamStore(dead_letter_stream.line(address(cluster), 5.0, key), name)
    first, second, third = store.take()
    store.remove([first])
    store.replace(second, [letters[1]._replace(attempts=2)])
    assert store.take() == []
    store.close()
    again = StreamStore(dead_letter_stream.line(address(cluster), 5.0, key), name)
    assert next(each.texts for each in again.take()) == third.texts
    again.close()


@pytest.mark.parametrize("key", ["deferred-a", "deferred-b"])
def test_what_is_put_off_is_there_when_it_is_due(cluster: ValkeyCluster, key: str) -> None:
    """It stays until it is done; what comes twice is there once."""
    settings = Settings(
        cache_url=address(cluster), namespace="n", region="eu-west-1", deferral_set=key, timeout=5.0
    )
    held = bootstrap.deferral_set(settings)
    items = [
        Deferred(Invalidation(id=f"i{number}", origin="eu-west-1", namespace="n", tags=("a",)), delay)
        for number, delay in enumerate((0, 0, 600_000))
    ]
    assert held.defer([*items, *items]) == [None] * 6
    wait_until(lambda: len(held.due(10)) == 2, "two are due")  # times are whole milliseconds, rounded up
    due = held.due(10)
    assert held.waiting() == 3
    held.done(due)
    assert (held.due(10), held.waiting()) == ([], 1)
    held.close()


def test_a_node_that_is_away_is_told() -> None:
    """What cannot be stored is not taken for stored."""
    away = Settings(
        cache_url="redis://127.0.0.1:1/0", namespace="n", region="eu-west-1", deferral_set="d", timeout=0.3
    )
    held = bootstrap.deferral_set(away)
    (error,) = held.defer([Deferred(Invalidation(id="i", origin="eu-west-1", namespace="n", tags=("a",)), 1)])
    assert "STALEPROOF_DEFERRAL_SET" in str(error)
    with pytest.raises(ProviderUnavailableError):
        held.due(1)


@pytest.mark.parametrize("ahead", [-3_600.0, 3_600.0])
def test_a_workers_clock_says_nothing_of_when_it_is_due(
    cluster: ValkeyCluster, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """Clocks differ: an edge of a window that is applied too early would stand for changes that come after it."""
    key = f"deferred-{ahead}"
    settings = Settings(
        cache_url=address(cluster), namespace="n", region="eu-west-1", deferral_set=key, timeout=5.0
    )
    held = bootstrap.deferral_set(settings)
    wrong = time.time() + ahead
    monkeypatch.setattr(time, "time", lambda: wrong)
    one, other = (
        Invalidation(id=f"i{each}", origin="eu-west-1", namespace="n", tags=("a",)) for each in (1, 2)
    )
    assert held.defer([Deferred(one, 60_000), Deferred(other, 1)]) == [None] * 2
    monkeypatch.undo()

    wait_until(lambda: len(held.due(10)) == 1, "one is due")
    held.close()
