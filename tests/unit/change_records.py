"""Raw records and a pipeline within the process, for the tests of the pipeline."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import ManualClock
from staleproof.events import Invalidation
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.invalidation import Invalidator
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.replication.links import MemoryLink
from staleproof_pipeline.replication.push import Pusher
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from staleproof_pipeline.translation import Translator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.report import Report
    from staleproof_pipeline.rules.ruleset import Ruleset
    from staleproof_pipeline.sources import RecordSource

EVENTS = Path(__file__).resolve().parents[2] / "events"
HOME, PEER = "eu-west-1", "us-east-1"

RULES = """
version: 1
rules:
  - name: flight
    when: {table: Flights}
    tags: ["flight:{keys.flight_id}", "airline:{carrier}"]
  - name: rebooked
    when: {source: eventbridge, detail_type: Flight Rebooked}
    tags: ["flight:{flight_id}", "airline:{carrier}"]
    keys: ["seat-map:{flight_id}"]
"""


def sample(name: str) -> Any:
    """The raw event in `events/NAME.json`."""
    return json.loads((EVENTS / f"{name}.json").read_text())


def record_of(name: str) -> dict[str, Any]:
    """The only record of a sample stream event."""
    (record,) = sample(name)["Records"]
    return dict(record)


def record(number: int, *, table: str = "Flights", carrier: str = "UA", **fields: Any) -> dict[str, Any]:
    """A record that changes flight *number*; *fields* replace top-level fields."""
    made = copy.deepcopy(record_of("dynamodb-modify"))
    made["eventID"] = f"event-{number}"
    made["eventSourceARN"] = made["eventSourceARN"].replace("Flights", table)
    told = made["dynamodb"]
    told["SequenceNumber"] = str(1_000 + number)
    for image in (told["Keys"], told["NewImage"], told["OldImage"]):
        image["flight_id"] = {"S": f"f{number}"}
    told["NewImage"]["carrier"] = told["OldImage"]["carrier"] = {"S": carrier}
    return {**made, **fields}


def poison(number: int) -> dict[str, Any]:
    """A record that can never be applied."""
    return record(number, eventName="UPSERT")


def invalidation(number: int, *, origin: str = HOME, tags: Sequence[str] = ()) -> Invalidation:
    """An invalidation of its own tag, or of *tags*."""
    return Invalidation(
        id=f"i{number}", origin=origin, namespace="flights", tags=tuple(tags) or (f"t{number}",)
    )


class World(NamedTuple):
    """One region's pipeline, and what lies around it."""

    invalidator: Invalidator
    provider: MemoryProvider
    providers: Providers
    dead_letters: MemoryDeadLetters
    link: MemoryLink
    clock: ManualClock

    def apply(self, *records: Any, source: RecordSource = SOURCE) -> Report:
        """Deal with *records*."""
        return self.invalidator.apply(list(records), source)

    def journal(self) -> list[Invalidation]:
        """What was applied, without the record that opens a journal."""
        page = self.provider.journal("", 100_000)
        return [each for _, each in page.records if each is not None and each.origin]


def world(
    rules: str | Ruleset = RULES,
    *,
    provider: Any = None,
    dead_letters: Any = None,
    link: Any = None,
    observer: Any = None,
    chunk: int = 500,
    region: str = HOME,
) -> World:
    """A pipeline over the memory provider, or over what is given."""
    clock = ManualClock(wall=1_360_332_010.0)
    provider = provider or MemoryProvider("flights", clock=clock)
    providers = Providers(lambda _: provider)
    letters = dead_letters or MemoryDeadLetters()
    link = link or MemoryLink()
    ruleset = loader.loads(rules) if isinstance(rules, str) else rules
    invalidator = Invalidator(
        Translator(ruleset, region, "flights", peers={HOME, PEER} - {region}, clock=clock),
        providers,
        letters,
        Pusher([link], providers, region, observer=observer),
        observer=observer,
        clock=clock,
        chunk=chunk,
    )
    return World(invalidator, provider, providers, letters, link, clock)
