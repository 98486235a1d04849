"""`staleproof publish`: options and files become messages, failures have lines, the exit code says what next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from staleproof import publishers
from staleproof.cli import publish_messages
from staleproof.cli.program import program
from staleproof.cli.publish_course import Course
from staleproof.cli.publish_messages import Line, lines, message_of
from staleproof.errors import (
    ConfigurationError,
    MalformedEventError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.events import Change, Invalidate
from staleproof.events.change import decode
from staleproof.ports import Receipt
from staleproof.publishers import BlockingPublisher, MemoryPublisher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staleproof.errors import CacheError
    from staleproof.events import Message


class Fickle(MemoryPublisher):
    """Does not take messages whose entity names an error."""

    errors: dict[str, CacheError] = {  # noqa: RUF012
        "away": ProviderUnavailableError("nobody answers; retry"),
        "refused": ProviderRejectedError("no"),
        "denied": ConfigurationError("access is denied; allow it"),
    }

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Receipt:
        error = self.errors.get(message.entity if isinstance(message, Change) else "")
        return Receipt(message.id, error=error) if error else super().send([message])[0]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the transport of every address has taken."""
    publisher = Fickle()
    monkeypatch.setattr(publishers, "of", lambda _: publisher)
    return publisher.messages


def run(*arguments: str, **given: Any) -> Result:
    return CliRunner().invoke(
        program, ["publish", "--to", "null://", *arguments], prog_name="staleproof", **given
    )


def told(*arguments: str, **given: Any) -> Any:
    return json.loads(run("--json", *arguments, **given).stdout)


def test_options_are_one_change(taken: list[Any]) -> None:
    """What options say is what is sent: numbers as numbers, quoted ones as texts, rows from JSON or a file."""
    ran = run(
        *(
            "--entity",
            "product",
            "--operation",
            "remove",
            "--key",
            "id=42",
            "--key",
            'shop="7"',
            "--key",
            "n=a=b",
        ),
        *("--key", "part=007", "--old", '{"price": 12.5}', "--region", "eu-west-1", "--trace", "t"),
    )
    (sent,) = taken

    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "1 taken, 0 not" in ran.stdout
    assert isinstance(sent, Change)
    assert (sent.entity, sent.operation, sent.region, sent.trace) == ("product", "remove", "eu-west-1", "t")
    assert sent.keys == {"id": 42, "shop": "7", "n": "a=b", "part": "007"}
    assert (float(sent.old["price"] if sent.old else 0), sent.new) == (12.5, None)
    assert sent.changed_ms > 0


def test_a_row_comes_from_a_file_or_standard_input(taken: list[Any], tmp_path: Path) -> None:
    """`@FILE` and `@-` are read, so that no shell has to quote a row."""
    (tmp_path / "row.json").write_text('{"id": 1}')
    assert run("--entity", "p", "--new", f"@{tmp_path / 'row.json'}").exit_code == 0
    assert run("--entity", "p", "--new", "@-", input='{"id": 2}').exit_code == 0
    assert [each.new for each in taken] == [{"id": 1}, {"id": 2}]


def test_a_file_is_published_line_by_line(taken: list[Any]) -> None:
    """Both kinds are read, whole messages as they are, short ones filled in; empty lines are none."""
    whole = Change.now("order", "insert", keys={"id": 9})
    text = (
        '{"entity": "product", "operation": "modify", "keys": {"id": 1}}\n\n{"tags": ["catalog"]}\n'
        f"{json.dumps({'staleproof': 'change', 'schema': 1, 'id': whole.id, 'entity': 'order', 'operation': 'insert'})}"
    )
    summary = told("--file", "-", input=text)

    assert (summary["taken"], summary["failed"], summary["stopped_at_line"]) == (3, 0, None)
    assert [type(each) for each in taken] == [Change, Invalidate, Change]
    assert (taken[2].id, taken[2].entity) == (whole.id, "order")


def test_a_bad_line_is_told_and_the_others_go(taken: list[Any]) -> None:
    """What cannot be read has its line and its reason, exit code 2, and hinders nothing else."""
    text = '{"tags": ["a"]}\nnonsense\n[]\n{"tags": ["b"], "schema": 9}\n{"tags": ["c"]}\n'
    summary = told("--file", "-", input=text)

    assert [each.tags for each in taken] == [("a",), ("c",)]
    assert [each["line"] for each in summary["failures"]] == [2, 3, 4]
    assert run("--file", "-", input=text).exit_code == 2
    assert "line 2: it is no JSON" in run("--file", "-", input=text).stderr


def test_the_exit_code_says_what_next(taken: list[Any]) -> None:
    """1 where a later run may do, 2 where something must be mended; what was not taken is written out."""
    good, away, refused = (
        f'{{"entity": "{name}", "operation": "modify"}}\n' for name in ("good", "away", "refused")
    )
    assert run("--file", "-", input=good).exit_code == 0
    assert run("--file", "-", input=good + away).exit_code == 1
    assert run("--file", "-", input=good + away + refused).exit_code == 2


def test_what_was_not_taken_can_be_published_again(taken: list[Any], tmp_path: Path) -> None:
    """The file of failures is a file of messages, under the same ids."""
    text = '{"entity": "good", "operation": "modify"}\n{"entity": "away", "operation": "modify", "id": "x"}\n'
    left = tmp_path / "left.ndjson"
    run("--file", "-", "--failed", str(left), input=text)

    assert [decode(line).id for line in left.read_bytes().splitlines()] == ["x"]
    assert run("--file", str(left)).exit_code == 1


def test_a_line_that_cannot_be_read_is_kept_as_it_is(taken: list[Any], tmp_path: Path) -> None:
    """Whoever mends and publishes the file of failures publishes all that was left."""
    left = tmp_path / "left.ndjson"
    wrong = ["{bad", '{"entity": "good", "operation": "zzz"}']
    ran = run(
        "--file", "-", "--failed", str(left), input="\r\n".join([wrong[0], '{"tags": ["a"]}', wrong[1], ""])
    )

    assert ran.exit_code == 2
    assert left.read_text().splitlines() == wrong


@pytest.mark.parametrize("entity", ["away", "denied"])
def test_where_nobody_takes_anything_it_stops_and_says_where(taken: list[Any], entity: str) -> None:
    """A transport that is gone is not asked a thousand times: the line at which to go on is told."""
    good = '{"entity": "good", "operation": "modify"}\n'
    text = good * 4 + good.replace("good", entity) * 1_000
    ran = run("--file", "-", "--batch", "2", input=text)

    assert "go on with --skip 4" in ran.stderr
    assert "4 taken, 2 not" in ran.stdout
    assert told("--file", "-", "--skip", "1004", input=text + good)["taken"] == 1


def test_a_rehearsal_sends_nothing(taken: list[Any]) -> None:
    """`--dry-run` prints each message as it would go, and what is wrong, and sends none."""
    ran = run("--dry-run", "--file", "-", input='{"tags": ["a"]}\nnonsense\n')

    assert taken == []
    assert decode(ran.stdout.splitlines()[0]).tags == ("a",)  # type: ignore[union-attr]
    assert ("line 2" in ran.stderr, ran.exit_code) == (True, 2)
    assert told("--dry-run", "--entity", "product") == {"dry_run": True, "messages": 1, "unreadable": 0}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--entity"),
        (["--entity", "p", "--file", "-"], "--entity"),
        (["--file", "-", "--key", "id=1"], "--key"),
        (["--entity", "p", "--key", "id"], "NAME=VALUE"),
        (["--entity", "p", "--key", "id=1", "--key", "id=2"], "NAME=VALUE"),
        (["--entity", "p", "--new", "[1]"], "--new"),
        (["--entity", "p", "--new", "@/nowhere"], "--new"),
        (["--entity", "p", "--operation", "upsert"], "upsert"),
        (["--entity", "x" * 300], "entity has 300 characters"),
        (["--entity", "p", "--rate", "0"], "--rate"),
    ],
)
def test_slips_are_usage_errors(arguments: list[str], named: str) -> None:
    """What cannot be meant is told before anything is sent, with exit code 2."""
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert named in ran.stderr


def test_an_address_is_told_without_its_password() -> None:
    """An error, or a summary, never repeats what may be secret."""
    arguments = ["publish", "--to", "redis://:hush@127.0.0.1:1/0?stream=s&timeout=0.05", "--entity", "p"]
    ran = CliRunner().invoke(program, arguments)
    assert "hush" not in ran.stdout + ran.stderr
    assert ran.exit_code == 1


def test_the_rate_is_kept() -> None:
    """Batches wait until the rate allows the next one, by the clock, without drifting."""
    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    course = Course(MemoryPublisher(), batch=500, rate=10.0, clock=lambda: now[0], sleep=sleep)
    list(course.run(Line(at, Change.now("p", "modify")) for at in range(30)))

    assert course.taken == 30
    assert now[0] == pytest.approx(3.0)
    assert waits == [pytest.approx(1.0)] * 3


def test_an_endless_line_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the bound is skipped as it is read, and the next one is a line again."""
    import io  # noqa: PLC0415

    monkeypatch.setattr(publish_messages, "LONGEST_LINE", 64)
    found = list(lines(io.BytesIO(b"x" * 1_000 + b'\n{"tags": ["a"]}\n' + b"y" * 65)))

    assert [(line.number, line.message is None) for line in found] == [(1, True), (2, False), (3, True)]


def test_a_message_is_an_object() -> None:
    """A list or a number is none, and says so."""
    with pytest.raises(MalformedEventError, match="a message is an object"):
        message_of([1])


def test_a_publisher_is_closed_also_when_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are let go whatever happens."""
    closed = []

    class Broken(BlockingPublisher):
        def send(self, messages: Sequence[Message]) -> list[Receipt]:
            raise ConfigurationError("not installed; install it")

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(publishers, "of", lambda _: Broken())
    assert run("--entity", "p").exit_code == 2
    assert closed == [True]
