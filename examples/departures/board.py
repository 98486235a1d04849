"""A departures board: what an application that caches with Staleproof looks like.

Two DynamoDB tables hold the truth, and other programs write to them. Nothing here knows when a row
changes: `rules.yaml` says what a change makes stale, and the pipeline tells the cache.

    flight("EWR-2013-02-08-14-UA1545")   one flight
    board("EWR-2013-02-08-14")           a page: the departures of one airport and hour, with their airlines
    airline("UA")                        one airline, with its cancellations so far

Settings come from the environment: `STALEPROOF_CACHE_URL`, `STALEPROOF_NAMESPACE`, and boto3's own (`AWS_REGION`,
`AWS_ENDPOINT_URL`). Nothing is connected before the first call.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache as once
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from examples.departures.identifiers import board_of
from staleproof import Cache, Policy

cache = Cache.from_env()

BOARD = Policy(ttl="1h", staleness="100ms")
"""Kept an hour; a copy in this process may lag a tenth of a second behind an acknowledged invalidation."""


@dataclass(frozen=True, slots=True)
class Airline:
    """An airline and how many of its departures were cancelled so far."""

    carrier: str
    name: str
    cancelled: int
    version: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A departure; *departed* and *landed* are New York's time, empty until it happens."""

    flight_id: str
    carrier: str
    number: str
    destination: str
    status: str
    scheduled: str
    departed: str
    landed: str
    version: int


@dataclass(frozen=True, slots=True)
class Board:
    """A page of the board."""

    flights: list[Flight]
    airlines: list[Airline]


@cache.cacheable("flight:{flight_id}", tags=["flight:{flight_id}"], policy=BOARD)
def flight(flight_id: str) -> Flight | None:
    """Return one flight, or None if it is not on the board yet."""
    key = {"board": board_of(flight_id), "flight_id": flight_id}
    item = table("Flights").get_item(Key=key, ConsistentRead=True).get("Item")
    return _flight(item) if item else None


@cache.cacheable("airline:{carrier}", tags=["airline:{carrier}"], policy=BOARD)
def airline(carrier: str) -> Airline | None:
    """Return one airline."""
    item = table("Airlines").get_item(Key={"carrier": carrier}, ConsistentRead=True).get("Item")
    return _airline(item) if item else None


# Which airlines a page names is known only once it is loaded: that is what `tags_from` is for. They are those of its
# flights, not those found in the table: one that is missing there must reach the page when it appears.
@cache.cacheable(
    "board:{board_id}",
    tags=["board:{board_id}"],
    tags_from=lambda page: [f"airline:{each.carrier}" for each in page.flights],
    policy=BOARD,
)
def board(board_id: str) -> Board:
    """Return a page of the board."""
    query = Key("board").eq(board_id)
    items = table("Flights").query(KeyConditionExpression=query, ConsistentRead=True)["Items"]
    flights = [_flight(item) for item in items]
    # One batch for all of them; `airline` would serve here too, but would ask for one at a time.
    return Board(flights, _airlines({each.carrier for each in flights}))


@once
def table(name: str) -> Any:
    """Return a table of the region where the tables are, which need not be ours."""
    return boto3.resource("dynamodb", region_name=os.environ.get("TABLES_REGION")).Table(name)


def _flight(item: dict[str, Any]) -> Flight:
    texts = {name: item[name] for name in Flight.__slots__ if name != "version"}
    return Flight(**texts, version=int(item["version"]))


def _airline(item: dict[str, Any]) -> Airline:
    return Airline(item["carrier"], item["name"], int(item["cancelled"]), int(item["version"]))


def _airlines(carriers: set[str]) -> list[Airline]:
    items: list[dict[str, Any]] = []
    wanted: Any = {"Airlines": {"Keys": [{"carrier": each} for each in carriers], "ConsistentRead": True}}
    while wanted and carriers:
        answer = table("Airlines").meta.client.batch_get_item(RequestItems=wanted)
        items += answer["Responses"]["Airlines"]
        wanted = answer.get("UnprocessedKeys")
    return sorted((_airline(item) for item in items), key=lambda each: each.carrier)
