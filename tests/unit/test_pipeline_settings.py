"""Settings: what is missing or wrong is named, with its value and its fix."""

from __future__ import annotations

import pytest

from staleproof.errors import ConfigurationError
from staleproof_pipeline import bootstrap
from staleproof_pipeline.settings import Settings
from tests.unit.change_records import RULES

ENVIRON = {
    "STALEPROOF_CACHE_URL": "memory://",
    "STALEPROOF_NAMESPACE": "flights",
    "STALEPROOF_REGION": "eu-west-1",
    "STALEPROOF_RULES_TEXT": RULES,
    "STALEPROOF_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
}


def refused(**changes: str) -> str:
    """What is said about the environment with *changes*; "" removes a variable."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({**ENVIRON, **{f"STALEPROOF_{name}": value for name, value in changes.items()}})
    return str(caught.value)


def test_a_full_environment_is_read() -> None:
    """Lists are split, durations are seconds, everything else has a default."""
    given = {
        **ENVIRON,
        "STALEPROOF_PEERS": "us-east-1, ap-south-1",
        "STALEPROOF_BUS": "b",
        "STALEPROOF_TIMEOUT": "250ms",
    }
    settings = Settings.from_env(given)

    assert settings.peers == ("us-east-1", "ap-south-1")
    assert settings.timeout == 0.25
    assert settings.journal_horizon == 900


def test_the_region_is_lambdas_own_unless_said() -> None:
    """Lambda sets AWS_REGION; ours goes first."""
    env = {name: value for name, value in ENVIRON.items() if name != "STALEPROOF_REGION"}

    assert Settings.from_env({**env, "AWS_REGION": "us-east-1"}).region == "us-east-1"
    assert Settings.from_env({**ENVIRON, "AWS_REGION": "us-east-1"}).region == "eu-west-1"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"CACHE_URL": ""},
            "STALEPROOF_CACHE_URL is not set; set it to the cache's endpoint, such as rediss://",
        ),
        ({"NAMESPACE": ""}, "STALEPROOF_NAMESPACE is not set; set it to the name"),
        ({"REGION": ""}, "STALEPROOF_REGION is not set; set it to the region's name"),
        ({"CACHE_URL": "http://user:secret@x"}, "STALEPROOF_CACHE_URL='http:…': the scheme must be one of"),
        ({"NAMESPACE": "a b"}, "STALEPROOF_NAMESPACE='a b': namespace 'a b' must be"),
        ({"REGION": "Europe"}, "STALEPROOF_REGION='Europe': a region is lower-case"),
        ({"TIMEOUT": "soon"}, "STALEPROOF_TIMEOUT='soon': duration='soon' is no duration"),
        ({"TIMEOUT": "0s"}, "STALEPROOF_TIMEOUT='0s': Input should be greater than 0"),
        ({"PEERS": "us-east-1"}, "STALEPROOF_BUS is not set; set it to the name of this region's event bus"),
        ({"PEERS": "eu-west-1", "BUS": "b"}, "STALEPROOF_PEERS names 'eu-west-1', which is this region"),
        ({"PEERS": "US!", "BUS": "b"}, "STALEPROOF_PEERS='US!': a region is lower-case"),
    ],
)
def test_a_wrong_variable_is_named(changes: dict[str, str], told: str) -> None:
    """The message has the variable, the value (never a credential) and the fix."""
    message = refused(**changes)

    assert told in message
    assert "secret" not in message


def test_all_missing_variables_are_told_at_once() -> None:
    """A first deployment is corrected in one go."""
    message = refused(CACHE_URL="", NAMESPACE="", REGION="")

    assert len(message.splitlines()) == 3


@pytest.mark.parametrize("name", ["DEAD_LETTER_QUEUE_URL", "RULES_TEXT"])
def test_a_pipeline_needs_rules_and_a_dead_letter_queue(name: str) -> None:
    """Without them changes could be lost, so nothing starts."""
    env = {key: value for key, value in ENVIRON.items() if key != f"STALEPROOF_{name}"}
    expected = "STALEPROOF_RULES is not set" if name == "RULES_TEXT" else f"STALEPROOF_{name} is not set"

    with pytest.raises(ConfigurationError, match=expected):
        bootstrap.pipeline(Settings.from_env(env))


def test_replication_needs_neither() -> None:
    """What ships the journal starts without rules; with them it follows their namespaces too."""
    rules = RULES.replace("name: flight\n", "name: flight\n    namespace: other\n")
    named = bootstrap.replication(Settings.from_env({**ENVIRON, "STALEPROOF_RULES_TEXT": rules}))
    bare = {
        key: ENVIRON[key] for key in ("STALEPROOF_CACHE_URL", "STALEPROOF_NAMESPACE", "STALEPROOF_REGION")
    }

    assert bootstrap.replication(Settings.from_env(bare)).run(6_000) == {"shipped": 0, "complete": True}
    assert named.follower._namespaces == ["flights", "other"]


def test_wrong_rules_in_the_environment_name_the_variable() -> None:
    """Rules given as text are told by the variable's name and their line."""
    with pytest.raises(ConfigurationError, match=r"STALEPROOF_RULES_TEXT:1: version"):
        bootstrap.pipeline(Settings.from_env({**ENVIRON, "STALEPROOF_RULES_TEXT": "version: 2"}))
