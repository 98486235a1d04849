"""`staleproof rules explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from staleproof.errors import ConfigurationError
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.cli.kafka_option import kafka_schemas, reading_of
from staleproof_pipeline.cli.printing import as_json, console, table
from staleproof_pipeline.merging import Home
from staleproof_pipeline.rules import given, loader
from staleproof_pipeline.rules.explain import explain as explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.rules.explain import Explanation, Verdict
    from staleproof_pipeline.sources.kafka import Reading

STDIN = "-"

EXAMPLES = """\b
Examples:
  staleproof rules explain rules.yaml events/dynamodb-modify.json
  staleproof rules explain rules.yaml event.json --record 2 --json
  staleproof rules explain rules.yaml - < event.json
  staleproof rules explain rules.yaml kafka-event.json --kafka-schemas schemas.json
\b
EVENT is what a function receives (an event of any source, or one of its records), or a change in short:
  {"table": "Products", "keys": {"id": 7}, "old": {"price": 5}, "new": {"price": 6}}
\b
Exit code 0: rules were asked; 1: the event would go to the dead letters; 2: the file or the event is wrong.
"""


@click.command("explain", epilog=EXAMPLES)
@click.argument("file", envvar="STALEPROOF_RULES")
@click.argument("event")
@click.option(
    "--record", type=click.IntRange(0), help="Which of the event's records, from 0; all if omitted."
)
@click.option(
    "--namespace", default="default", show_default=True, help="Where rules that name none invalidate."
)
@click.option("--region", default="eu-west-1", show_default=True, help="Where the pipeline runs.")
@kafka_schemas
@click.option("--json", "as_document", is_flag=True, help="Print a list of objects instead of tables.")
@click.pass_context
def explain(
    context: click.Context,
    *,
    file: str,
    event: str,
    record: int | None,
    namespace: str,
    region: str,
    kafka_schemas: Path | None,
    as_document: bool,
) -> None:
    """Say which rules in FILE fire for the change in EVENT, why the others do not, and what falls.

    Of a rule that does not fire, the first condition that does not hold is named, with what is there instead.
    """
    rules = loader.load(file)
    parts = _parts(event, record, reading_of(kafka_schemas))
    home = Home(region, namespace, 0)
    answers = [explained(rules, each, home) for each in parts if isinstance(each, ChangeEvent)]
    if as_document:
        as_json([_document(each) for each in answers])
    else:
        for each in answers:
            _print(each)
        for other in (each for each in parts if not isinstance(each, ChangeEvent)):
            console().print(f"no rule is asked: {_otherwise(other)}", markup=False)
    context.exit(int(any(each.error for each in answers)))


def _parts(event: str, record: int | None, reading: Reading) -> list[given.Part]:
    found = given.read(_stdin() if event == STDIN else given.event(Path(event)), reading)
    if record is None:
        return found
    if record >= len(found):
        raise ConfigurationError(f"--record {record}: the event has {len(found)}; count from 0")
    return [found[record]]


def _stdin() -> Any:
    try:
        return json.loads(sys.stdin.read(given.MAX_EVENT_BYTES))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"standard input: {error}; write the event as JSON") from error


def _print(answer: Explanation) -> None:
    change = answer.change
    out = console()
    out.print(f"{change.source} {change.entity}: {change.operation.value}, id {change.id}", markup=False)
    table(("", "rule", "condition", "why"), [_row(each) for each in answer.verdicts])
    if answer.error:
        out.print(f"dead letter: {answer.error}", markup=False)
    for line in _falling(answer):
        out.print(line, markup=False)


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    if not verdict.fired:
        return "-", verdict.rule, verdict.condition, verdict.why
    shadow = verdict.targets is not None and verdict.targets.shadow
    return "shadow" if shadow else "fires", verdict.rule, "", verdict.why


def _falling(answer: Explanation) -> Iterator[str]:
    follow_ups = answer.follow_ups
    for each in answer.invalidations:
        yield _line("falls", each)
    for coalesced in follow_ups.coalesced:
        yield _line(f"falls at most twice in {coalesced.window_ms} ms", coalesced.invalidation)
    for deferred in follow_ups.deferred:
        yield _line(f"falls again after {deferred.delay_ms} ms", deferred.invalidation)
    for invalidation in follow_ups.shadowed:
        yield _line("would fall, but for shadow mode", invalidation)
    for warm in follow_ups.warm:
        yield f"is loaded again in {warm.namespace}: {', '.join(warm.keys)}"
    if not answer.error and not answer.invalidations and not follow_ups:
        yield "nothing falls"


def _line(verb: str, each: Invalidation) -> str:
    what = [*(["everything"] if each.clear else []), *each.tags, *(f"key {key}" for key in each.keys)]
    extra = [
        *(["soft"] if each.soft else []),
        *([f"row version {each.row_version} for {each.lag_ms} ms"] if each.row_version is not None else []),
    ]
    return f"{verb} in {each.namespace}: {', '.join(what)}" + (f" ({', '.join(extra)})" if extra else "")


def _otherwise(part: Any) -> str:
    reason = getattr(part, "reason", "")
    return reason or "the event names what is to fall itself"


def _document(answer: Explanation) -> dict[str, Any]:
    change, follow_ups = answer.change, answer.follow_ups
    return {
        "change": {
            "id": change.id,
            "source": change.source,
            "entity": change.entity,
            "operation": change.operation,
        },
        "rules": [_verdict(each) for each in answer.verdicts],
        "invalidations": _invalidations(answer.invalidations),
        "coalesced": [
            {"window_ms": each.window_ms, "invalidation": msgspec.to_builtins(each.invalidation)}
            for each in follow_ups.coalesced
        ],
        "deferred": [
            {"delay_ms": each.delay_ms, "invalidation": msgspec.to_builtins(each.invalidation)}
            for each in follow_ups.deferred
        ],
        "shadowed": _invalidations(follow_ups.shadowed),
        "warm": [each._asdict() for each in follow_ups.warm],
        "error": answer.error,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    targets = verdict.targets
    return {
        "rule": verdict.rule,
        "fired": verdict.fired,
        "condition": verdict.condition,
        "why": verdict.why,
        "tags": targets.tags if targets else (),
        "keys": targets.keys if targets else (),
        "shadow": bool(targets and targets.shadow),
    }


def _invalidations(found: Sequence[Invalidation]) -> list[Any]:
    return [msgspec.to_builtins(each) for each in found]
