"""How many events one process applies, beside a bare loop over the same stream that does nothing with them.

The bare loop reads the same batches by XREADGROUP with redis-py and acknowledges each entry by an XACK when it has seen
it, as a consumer does that handles one event after the other. Ours reads, parses, evaluates the rules, invalidates,
journals, and acknowledges the batch in one command. The note tells how fast a bare loop is that acknowledges whole
batches too: what is left of it is the price of doing the work, which no consumer in Python escapes.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figures
from benchmarks.measurement import Subject, compare
from benchmarks.stand import BenchmarkError
from staleproof.clock import SYSTEM_CLOCK
from staleproof_pipeline import bootstrap, providers
from staleproof_pipeline.consuming import opening
from staleproof_pipeline.consuming.consumer import Consumer
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.settings import Settings

if TYPE_CHECKING:
    from benchmarks.stand import Stand

STREAM, BARE, GROUP = "bench:changes", "bench:bare", "bare"
BATCH = 500
COUNT = 4 * BATCH
"""Events of a sample."""
RULES = """
version: 1
rules:
  - {name: product, when: {source: application, entity: product}, tags: ["product:{id}"]}
"""


class Ours:
    """The pipeline as a worker runs it, over a stream of its own."""

    def __init__(self, stand: Stand) -> None:
        self._client = stand.client
        self._client.delete(STREAM)
        settings = Settings(
            cache_url=stand.url,
            namespace="bench-events",
            region="eu-west-1",
            rules_text=RULES,
            dead_letter_queue_url="none",
            stream=STREAM,
        )
        self._providers = providers.of_url(stand.url, timeout=10.0, horizon=settings.journal_horizon)
        quiet: Any = Quiet()
        pipeline = bootstrap.pipeline(
            settings,
            providers=self._providers,
            dead_letters=MemoryDeadLetters(),
            links=[],
            observability=quiet,
        )
        self._feed = opening.stream_feed(settings, SYSTEM_CLOCK, count=BATCH)
        self._consumer = Consumer(
            self._feed, pipeline.invalidator, pipeline.gaps, observer=quiet, pause=time.sleep
        )

    def prepare(self, count: int) -> None:
        """Write so many events."""
        write(self._client, STREAM, count)

    def run(self, count: int) -> None:
        """Apply so many."""
        wanted = self._consumer.consumed.applied + count
        while self._consumer.consumed.applied < wanted:
            if not self._consumer.step(0, lambda: True):
                raise BenchmarkError("events were not applied")

    def close(self) -> None:
        """Remove what was written, and close."""
        self._feed.close()
        self._client.delete(STREAM)
        self._providers.get("bench-events").close()


class Bare:
    """A loop that does nothing with what it reads."""

    def __init__(self, stand: Stand) -> None:
        self._client = stand.client
        self._client.delete(BARE)
        self._client.xgroup_create(BARE, GROUP, "0", mkstream=True)

    def prepare(self, count: int) -> None:
        """Write so many events."""
        write(self._client, BARE, count)

    def run(self, count: int) -> None:
        """Read so many, and acknowledge each."""
        while count > 0:
            places = self._read()
            for place in places:
                self._client.xack(BARE, GROUP, place)
            count -= len(places)

    def run_batches(self, count: int) -> None:
        """Read so many, and acknowledge them by batches."""
        while count > 0:
            places = self._read()
            self._client.xack(BARE, GROUP, *places)
            count -= len(places)

    def _read(self) -> list[Any]:
        found: Any = self._client.xreadgroup(GROUP, "c", {BARE: ">"}, count=BATCH)
        return [place for place, _ in found[0][1]]

    def close(self) -> None:
        """Remove what was written."""
        self._client.delete(BARE)


class Quiet(NullObserver):
    """Observability that writes nothing: the bare loop writes nothing either."""

    def flush(self) -> None:
        """Write nothing."""


def write(client: Any, stream: str, count: int) -> None:
    """Append so many published changes of rows of a usual size."""
    pipe = client.pipeline(transaction=False)
    for number in range(count):
        row = {"id": number, "name": "a product's name", "price": 12.5, "brand": "b"}
        told = {"staleproof": "change", "schema": 1, "entity": "product", "operation": "modify"}
        change = {**told, "id": secrets.token_hex(8), "keys": {"id": number}, "old": row, "new": row}
        pipe.xadd(stream, {"m": json.dumps(change)}, maxlen=4 * COUNT, approximate=True)
    pipe.execute()


def vs_bare_loop(stand: Stand, seconds: float) -> Figures:
    """Compare microseconds an event."""
    ours, bare = Ours(stand), Bare(stand)
    try:
        measured = compare(
            Subject(ours.run, ours.prepare, number=COUNT, samples=3),
            Subject(bare.run, bare.prepare, number=COUNT, samples=3),
            seconds=seconds,
        )
        bare.prepare(COUNT)
        began = time.perf_counter()
        bare.run_batches(COUNT)
        batched = (time.perf_counter() - began) / COUNT * 1e6
    finally:
        ours.close()
        bare.close()
    return Figures.of(
        measured, f"{1e6 / measured.ours:,.0f} events/s; by batches a bare loop takes {batched:.2g} µs"
    )
