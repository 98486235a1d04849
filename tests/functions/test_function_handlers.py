"""The handlers with raw sample events, over a real cache server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from tests.unit.change_records import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Deployed

pytestmark = pytest.mark.redis

FLIGHT = "EWR-2013-02-08-14-UA1545"
DONE: dict[str, list[Any]] = {"batchItemFailures": []}


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("insert", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
        ("modify", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:AA", "airline:UA"]),
        ("remove", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
        ("ttl", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
        ("keys-only", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14"]),
        ("new-image", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
        ("old-image", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
        ("all-types", [f"flight:{FLIGHT}", "board:EWR-2013-02-08-14", "airline:UA"]),
    ],
)
def test_a_stream_record_invalidates(deploy: Callable[[str], Deployed], name: str, tags: list[str]) -> None:
    """Every kind of record that the stream can tell is applied, journaled and handed to the peers."""
    function = deploy("invalidate_from_table")

    assert function.invoke(sample(f"dynamodb-{name}")) == DONE
    (applied,) = function.journal()
    assert sorted(applied.tags) == sorted(tags)
    assert [each.id for each in function.link.records] == [applied.id]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("malformed", "malformed"), ("unknown-version", "unsupported-version"), ("oversized", "oversized")],
)
def test_a_bad_stream_record_is_buried(deploy: Callable[[str], Deployed], name: str, reason: str) -> None:
    """It is reported as done, since its payload and the reason are kept; nothing is applied for it."""
    function = deploy("invalidate_from_table")

    assert function.invoke(sample(f"dynamodb-{name}")) == DONE
    (letter,) = function.dead_letters.letters
    assert (letter.reason, [letter.payload]) == (reason, sample(f"dynamodb-{name}")["Records"])
    assert function.journal() == []


def test_an_unknown_table_changes_nothing(deploy: Callable[[str], Deployed]) -> None:
    """A table that no rule names is read past."""
    function = deploy("invalidate_from_table")

    assert function.invoke(sample("dynamodb-unknown-table")) == DONE
    assert function.journal() == []
    assert function.dead_letters.letters == []


@pytest.mark.parametrize(
    ("name", "outcome", "journaled"),
    [
        ("application", "applied", 1),
        ("replayed", "applied", 1),
        ("replication", "applied", 2),
        ("own-origin", "ignored", 0),
        ("unknown-detail-type", "ignored", 0),
        ("malformed", "dead_lettered", 1),
        ("newer-invalidation", "dead_lettered", 0),
        ("wrong-schema", "dead_lettered", 0),
        ("unknown-version", "dead_lettered", 0),
        ("oversized", "dead_lettered", 0),
    ],
)
def test_an_event_of_the_bus(
    deploy: Callable[[str], Deployed], fresh_namespace: str, name: str, outcome: str, journaled: int
) -> None:
    """Every kind of event ends as it should, and what can be applied of it is."""
    function = deploy("invalidate_from_bus")
    event = _in_namespace(sample(f"eventbridge-{name}"), fresh_namespace)

    assert function.invoke(event)[outcome] == 1
    assert len(function.journal()) == journaled
    assert len(function.dead_letters.letters) == (outcome == "dead_lettered")


def _in_namespace(event: dict[str, Any], namespace: str) -> dict[str, Any]:
    for each in event["detail"].get("invalidations", []):
        each["namespace"] = namespace
    return event


def test_a_reader_loads_anew_after_the_handler_returned(
    deploy: Callable[[str], Deployed], valkey_url: str, fresh_namespace: str
) -> None:
    """What the function acknowledged, no read that starts later serves."""
    function = deploy("invalidate_from_table")
    cache = Cache(function.provider, region="eu-west-1")
    rows = iter(["scheduled", "departed"])

    def read() -> str:
        return cache.get_or_load(f"flight:{FLIGHT}", lambda: next(rows), tags=[f"flight:{FLIGHT}"])

    assert [read(), read()] == ["scheduled", "scheduled"]
    function.invoke(sample("dynamodb-modify"))
    assert read() == "departed"


def test_what_was_not_pushed_is_replicated(deploy: Callable[[str], Deployed]) -> None:
    """The scheduled function ships what an application invalidated, once."""
    function = deploy("replicate")
    Cache(function.provider, region="eu-west-1").invalidate("flight:1")

    assert function.invoke({}) == {"shipped": 1, "complete": True}
    assert function.invoke({}) == {"shipped": 0, "complete": True}
    assert [each.tags for each in function.link.records] == [("flight:1",)]


# --- the environment is wrong, or the server is away ------------------------------------------------------------


@pytest.mark.parametrize("name", ["invalidate_from_table", "invalidate_from_bus", "replicate"])
@pytest.mark.parametrize("variable", ["STALEPROOF_CACHE_URL", "STALEPROOF_NAMESPACE", "STALEPROOF_BUS"])
def test_a_missing_variable_stops_the_cold_start(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    """The function does not initialise, and its error names the variable and what to set it to."""
    environ.delenv(variable)

    with pytest.raises(ConfigurationError, match=f"{variable} is not set; set it to"):
        deploy(name)


def test_wrong_rules_stop_the_cold_start(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch
) -> None:
    """A deployment with a mistake in its rules takes no record; the error has the line."""
    environ.setenv("STALEPROOF_RULES_TEXT", RULES_WITH_A_MISTAKE)

    with pytest.raises(
        ConfigurationError,
        match=r"STALEPROOF_RULES_TEXT:4: rules\[0\]\.tgas: unknown field; did you mean 'tags'",
    ):
        deploy("invalidate_from_table")


RULES_WITH_A_MISTAKE = """version: 1
rules:
  - {name: r, when: {table: Flights}, tags: [a],
     tgas: [b]}
"""


def test_a_server_that_is_down_at_the_start_costs_no_record(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch
) -> None:
    """The function starts, fails every record by name, and applies them once the server is there."""
    environ.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")
    function = deploy("invalidate_from_table")
    event = sample("dynamodb-modify")
    number = event["Records"][0]["dynamodb"]["SequenceNumber"]

    assert function.invoke(event) == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert function.dead_letters.letters == []


def test_an_event_is_raised_while_the_server_is_down(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch
) -> None:
    """An asynchronous function raises, so that Lambda delivers the event again."""
    environ.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")
    function = deploy("invalidate_from_bus")

    with pytest.raises(
        ProviderUnavailableError, match=r"127\.0\.0\.1:1 cannot be reached: .*; retry, and check endpoint"
    ):
        function.invoke(sample("eventbridge-application"))


def test_replication_raises_while_the_server_is_down(
    deploy: Callable[[str], Deployed], environ: pytest.MonkeyPatch
) -> None:
    """The run fails visibly; the next one starts from the same position."""
    environ.setenv("STALEPROOF_CACHE_URL", "redis://127.0.0.1:1/0")

    with pytest.raises(ProviderUnavailableError):
        deploy("replicate").invoke({})
