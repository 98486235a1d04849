"""The function that redrives: what it takes, what it answers, and when it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.execution_environment import LambdaContext
from staleproof.errors import ConfigurationError
from staleproof_pipeline import bootstrap
from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.redriving import invocation, opening
from tests.unit.change_records import poison, record
from tests.unit.letter_account import Account
from tests.unit.test_redriving import letter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Deployed

pytestmark = pytest.mark.redis

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/undelivered"


@pytest.fixture
def account(environ: pytest.MonkeyPatch) -> Account:
    """What AWS has; every client leads there."""
    made = Account()
    environ.setenv("STALEPROOF_UNDELIVERED_QUEUE_URL", QUEUE)
    environ.setenv("STALEPROOF_UNDELIVERED_BUCKET", "undelivered")
    environ.setattr(bootstrap, "client", made.client)
    redriver = opening.redriver
    environ.setattr(
        invocation.Redriving,
        "make",
        lambda _, *given, **parts: redriver(*given, client=made.client, **parts),
    )
    return made


def test_it_answers_what_became_of_each(deploy: Callable[[str], Deployed], account: Account) -> None:
    """Counts add up, what stays is named, and the answer is JSON."""
    function = deploy("redrive")
    account.put(
        *bodies(letter(record(1))), *bodies(letter(poison(2))), *bodies(letter(record(3), reason="refused"))
    )

    dry = function.invoke({"dry_run": True})
    assert (dry["applied"], dry["again"], len(dry["letters"]), len(account.messages)) == (2, 1, 3, 3)
    told = function.invoke({"filter": ["reason=malformed"]})
    assert (told["applied"], told["again"], told["passed"], told["stopped"]) == (1, 1, 1, "")
    assert [each["fate"] for each in told["letters"]] == ["again"]
    assert [each.tags[0] for each in function.journal()] == ["flight:f1"]
    assert function.invoke(None)["applied"] == 1


@pytest.mark.parametrize("place", ["undelivered", "batches"])
def test_it_reads_the_stacks_own_places(
    deploy: Callable[[str], Deployed], account: Account, place: str
) -> None:
    """What AWS gave up is read from the queue or the bucket that the settings name."""
    event = json.dumps({"Records": [record(1)]})
    account.put(event)
    account.objects["aws/lambda/1"] = event.encode()
    assert deploy("redrive").invoke({"from": place})["applied"] == 1
    assert (len(account.messages), len(account.objects)) == ((0, 1) if place == "undelivered" else (1, 0))


@pytest.mark.parametrize(
    "event",
    [
        {"from": "https://sqs.eu-west-1.amazonaws.com/1/another"},
        {"from": 7},
        {"limit": 0},
        {"everything": True},
        {"filter": "reason=malformed"},
        {"filter": ["nonsense"]},
        "dead-letters",
    ],
)
def test_a_wrong_event_does_nothing(deploy: Callable[[str], Deployed], account: Account, event: Any) -> None:
    """It is told what is wrong; an address is no place, whoever asks."""
    account.put(*bodies(letter(record(1))))
    with pytest.raises(ConfigurationError):
        deploy("redrive").invoke(event)
    assert (len(account.messages), account.taken) == (1, set())


def test_it_ends_before_its_time_is_up(deploy: Callable[[str], Deployed], account: Account) -> None:
    """With little time left it takes nothing more, and says that there may be more."""
    function = deploy("redrive")
    account.put(*bodies(letter(record(1))))
    late = LambdaContext("request-1", "arn:aws:lambda:eu-west-1:123456789012:function:f", 0.0)
    told = function.module.handler({}, late)
    assert (told["applied"], told["more"], len(account.messages)) == (0, True, 1)


def test_a_place_that_is_away_is_told(deploy: Callable[[str], Deployed], account: Account) -> None:
    """The answer says why it stopped; nothing is lost."""
    account.put(*bodies(letter(record(1))))
    account.away.add("delete_message_batch")
    told = deploy("redrive").invoke({})
    assert "ServiceUnavailable" in told["stopped"]
    assert len(account.messages) == 1
