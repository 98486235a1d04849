"""Metrics and logs of the functions: right in number, low in cardinality, in AWS's shape."""

from __future__ import annotations

import io
import json
import logging
import secrets
import sys
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from staleproof.errors import MalformedEventError, OversizedEventError, ProviderUnavailableError
from staleproof_pipeline.errors import UnforeseenEventError
from staleproof_pipeline.observability import MAX_ERROR, MAX_SAMPLES, Observability
from staleproof_pipeline.report import Outcome, RecordOutcome, Report
from tests.unit.change_records import poison, record, world

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "4111-1111-1111-1111"  # noqa: S105 - stands for a value that nobody should read in a log


class Context:
    """What a handler gets beside its event."""

    function_name = "invalidate-from-table"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:invalidate-from-table"
    aws_request_id = "request-1"


class Stdout(io.StringIO):
    """Whatever standard output is when something is written."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)


@pytest.fixture
def observability(monkeypatch: pytest.MonkeyPatch) -> Observability:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "invalidate-from-table")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    Metrics().clear_metrics()  # all of a process share them, and another test may have left some unwritten
    # Loggers of one name share a handler, and with it the output of the test that made it.
    logger = Logger(service=secrets.token_hex(4), logger_handler=logging.StreamHandler(Stdout()))
    return Observability("eu-west-1", logger=logger)


def documents(output: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The metrics document (without that of the cold start), and the log lines."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    (metrics,) = (line for line in lines if "_aws" in line and "ColdStart" not in line)
    return metrics, [line for line in lines if "_aws" not in line]


def test_an_invocation_writes_counts_and_lags(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """One EMF document has each outcome's number and every lag, under service and region alone."""
    made = world(observer=observability)

    @observability.handler
    def handler(event: Any, context: Any) -> None:
        made.apply(record(1), record(2), poison(3), record(4, table="Gates"))

    handler({}, Context())
    metrics, lines = documents(capsys.readouterr().out)
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]

    assert (metrics["Applied"], metrics["Ignored"], metrics["DeadLettered"], metrics["Failed"]) == (
        [2], [1], [1], [0]
    )  # fmt: skip
    assert metrics["InvalidationLag"] == [8_000, 8_000]
    assert (metrics["Shipped"], metrics["ShipFailed"]) == ([2], [0])
    assert [set(each) for each in directive["Dimensions"]] == [{"region", "service"}]
    assert directive["Namespace"] == "Staleproof"
    (told,) = (each for each in lines if each["message"] == "record dead-lettered")
    assert (told["reason"], told["kind"], told["path"]) == ("malformed", "FieldError", "eventName")
    assert any("no rule is about dynamodb 'Gates'" in each["message"] for each in lines)


def test_a_failed_handler_still_writes_its_metrics(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """A raise, which is how an asynchronous function asks for a retry, loses no count."""

    @observability.handler
    def handler(event: Any, context: Any) -> None:
        failed = RecordOutcome(Outcome.FAILED, RuntimeError("away"))
        report = Report([1], [failed])
        observability.batch(report, "eventbridge", [])
        report.acknowledged()

    with pytest.raises(RuntimeError, match="away"):
        handler({}, Context())

    assert documents(capsys.readouterr().out)[0]["Failed"] == [1]


def test_samples_are_bounded_and_keep_the_worst(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thousands of lags become at most a hundred values, the largest among them."""

    @observability.handler
    def handler(event: Any, context: Any) -> None:
        observability.batch(Report([], []), "dynamodb", list(range(4_321)))

    handler({}, Context())
    lags = documents(capsys.readouterr().out)[0]["InvalidationLag"]

    assert len(lags) <= MAX_SAMPLES
    assert max(lags) == 4_320


def test_a_note_is_told_once_a_process(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that no rule names would otherwise fill the log."""
    for _ in range(3):
        observability.noted("no rule is about dynamodb 'Gates'")

    assert capsys.readouterr().out.count("Gates") == 1


def test_many_bad_records_do_not_flood_the_log(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a batch of poison some are told; all are counted, and all are in the dead letter."""
    bad = RecordOutcome(Outcome.DEAD_LETTERED, MalformedEventError("x"))

    @observability.handler
    def handler(event: Any, context: Any) -> None:
        observability.batch(Report([1] * 500, [bad] * 500), "dynamodb", [])

    handler({}, Context())
    metrics, lines = documents(capsys.readouterr().out)

    assert metrics["DeadLettered"] == [500]
    assert len(lines) <= 20


def _refused_by_a_template() -> Exception:
    letters = world().dead_letters
    made = world(
        'version: 1\nrules: [{name: a, when: {table: F*}, tags: ["x:{carrier}"]}]', dead_letters=letters
    )
    bad = record(1)
    bad["dynamodb"]["NewImage"]["carrier"] = {"L": [{"S": SECRET}]}
    (outcome,) = made.apply(bad).outcomes
    assert SECRET in str(letters.letters[0].payload)
    assert outcome.error is not None
    return outcome.error


def _wrong_field() -> Exception:
    made = world()
    bad = record(1)
    bad["dynamodb"]["NewImage"]["version"] = {"N": SECRET}
    (outcome,) = made.apply(bad).outcomes
    assert SECRET in made.dead_letters.letters[0].error
    assert outcome.error is not None
    return outcome.error


def _unforeseen() -> Exception:
    error = UnforeseenEventError(f"KeyError: {SECRET}")
    try:
        dict[str, int]().pop(SECRET)
    except KeyError as fault:
        error.__cause__ = fault
    return error


@pytest.mark.parametrize(
    ("make", "path", "stack"),
    [
        (_wrong_field, "dynamodb.NewImage.version", False),
        (_refused_by_a_template, "x:{carrier}", False),
        (_unforeseen, "", True),
        (lambda: OversizedEventError(f"tag {SECRET!r} is too long"), "", False),
    ],
)
def test_values_of_a_record_reach_no_log(
    observability: Observability,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[], Exception],
    path: str,
    stack: bool,
) -> None:
    """A log tells reason, kind and path; only what nobody foresaw has a stack, and that without its message."""
    bad = RecordOutcome(Outcome.DEAD_LETTERED, make())

    observability.batch(Report([1], [bad]), "dynamodb", [])
    output = capsys.readouterr().out
    (line,) = (json.loads(each) for each in output.splitlines() if "record dead-lettered" in each)

    assert SECRET not in output
    assert (line.get("path", ""), "stack" in line, "exception" in line) == (path, stack, False)


def test_a_failed_record_tells_a_bounded_error(
    observability: Observability, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a server said is told, as far as 2 kB."""
    failed = RecordOutcome(Outcome.FAILED, ProviderUnavailableError("x" * 100_000))

    observability.batch(Report([1], [failed]), "dynamodb", [])

    assert json.loads(capsys.readouterr().out.splitlines()[0])["error"] == "x" * MAX_ERROR


def test_links_are_observed(observability: Observability, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed shipments, lag and gaps are metrics; the link's name is in the log only."""

    @observability.handler
    def handler(event: Any, context: Any) -> None:
        observability.shipped("eventbridge:b", 3, 2, "slow down")
        observability.followed("eventbridge:b", 61_000)
        observability.gap("eventbridge:b", "flights")

    handler({}, Context())
    metrics, lines = documents(capsys.readouterr().out)

    assert (metrics["Shipped"], metrics["ShipFailed"]) == ([3], [2])
    assert (metrics["ReplicationLag"], metrics["JournalGap"]) == ([61_000], [1])
    assert "eventbridge:b" not in json.dumps(metrics)
    assert len(lines) == 3
