"""Order is free: the same changes any number of times, in any order, by any way, end in the same state."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from staleproof.tags import tag_id
from staleproof_pipeline.replication.packing import parcels
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import dynamodb_streams, eventbridge
from tests.unit.change_records import HOME, PEER, World, record, sample, world

RULES = loader.loads(
    """
version: 1
rules:
  - {name: flight, when: {table: Flights}, tags: ["flight:{keys.flight_id}"], keys: ["seats:{keys.flight_id}"],
     row_version: version, lag: 1h}
  - {name: airline, when: {table: Flights}, tags: ["airline:{carrier}"]}
"""
)
FLIGHTS, AIRLINES = range(6), ("UA", "AA", "DL")
TAGS = [*(f"flight:f{n}" for n in FLIGHTS), *(f"airline:{each}" for each in AIRLINES)]


def changed(number: int, carrier: str, version: int) -> dict[str, Any]:
    made = record(number, carrier=carrier)
    made["dynamodb"]["NewImage"]["version"] = {"N": str(version)}
    return made


CHANGES = st.lists(
    st.builds(changed, st.sampled_from(FLIGHTS[:4]), st.sampled_from(AIRLINES), st.integers(1, 50)),
    min_size=1,
    max_size=6,
)


def filled(region: str = HOME) -> tuple[World, list[bytes]]:
    """A region whose cache holds every tag's version and an entry a flight."""
    made = world(RULES, region=region)
    versions = made.provider.snapshot([tag_id(tag) for tag in TAGS], 0, guard=True).versions
    for number in FLIGHTS:
        made.provider.put(f"seats:f{number}", b"entry", 0)
    return made, list(versions)


def state(made: World, before: list[bytes]) -> tuple[Any, ...]:
    """What readers can see: which versions are still the old ones, which entries are there, which rows are fenced."""
    ids = [tag_id(tag) for tag in TAGS]
    versions = made.provider.read("", ids).versions
    entries = [made.provider.read(f"seats:f{number}", []).entry for number in FLIGHTS]
    fences = made.provider.snapshot(ids, 0, guard=False).min_versions
    return [now == then for now, then in zip(versions, before, strict=True)], entries, list(fences)


@given(changes=CHANGES, data=st.data())
def test_repetition_and_order_do_not_matter(changes: list[Any], data: st.DataObject) -> None:
    """Once in order, or many times in any order and in batches of any size: the state is the same."""
    once, before_once = filled()
    once.apply(*changes)

    again, before_again = filled()
    shuffled = data.draw(st.permutations(changes * data.draw(st.integers(1, 3))))
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        again.apply(*shuffled[:size], source=dynamodb_streams.SOURCE)
        shuffled = shuffled[size:]

    assert state(again, before_again) == state(once, before_once)


@given(changes=CHANGES, data=st.data())
def test_a_peer_ends_in_the_same_state(changes: list[Any], data: st.DataObject) -> None:
    """What the home hands on, in any order and any number of times, leaves the peer's cache as it left the home's."""
    home, before_home = filled()
    home.apply(*changes)
    events = []
    for parcel in parcels(home.link.records, HOME, 1_200):
        event = sample("eventbridge-replication")
        event["detail"] = json.loads(parcel.detail)
        events.append(event)

    peer, before_peer = filled(PEER)
    for event in data.draw(st.permutations(events * data.draw(st.integers(1, 2)))):
        peer.apply(event, source=eventbridge.SOURCE)

    assert state(peer, before_peer) == state(home, before_home)
    assert peer.link.records == []
