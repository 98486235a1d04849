"""`staleproof invalidate`: acts on the configured cache, over a real server, and its journal ships it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from staleproof import Cache
from staleproof.cli.program import program
from staleproof.providers.redis import RedisProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey_url: str, fresh_namespace: str
) -> None:
    """The cache is the one that the environment names."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "STALEPROOF_STAGE", "STALEPROOF_SSM_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STALEPROOF_CACHE_URL", valkey_url)
    monkeypatch.setenv("STALEPROOF_NAMESPACE", fresh_namespace)
    monkeypatch.setenv("STALEPROOF_REGION", "eu-west-1")


@pytest.fixture
def provider(valkey_url: str, fresh_namespace: str) -> Iterator[RedisProvider]:
    held = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
    yield held
    held.close()


@pytest.fixture
def cache(provider: RedisProvider) -> Cache:
    return Cache(provider, near=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, ["invalidate", *arguments], prog_name="staleproof")


def load(cache: Cache, key: str, value: str) -> Any:
    return cache.get_or_load(key, lambda: value, tags=["catalog"])


def test_tags_and_keys_are_forgotten(cache: Cache) -> None:
    """When the command returns, a read loads anew, whether its tag or its key was named."""
    assert (load(cache, "a", "old"), load(cache, "b", "old")) == ("old", "old")
    assert run("--key", "a").exit_code == 0
    assert (load(cache, "a", "new"), load(cache, "b", "new")) == ("new", "old")
    assert run("catalog").exit_code == 0
    assert (load(cache, "a", "newer"), load(cache, "b", "newer")) == ("newer", "newer")


def test_the_journal_has_it_so_that_peers_get_it(provider: RedisProvider) -> None:
    """What the command did is owed to every link of its region, with its cause."""
    provider.undelivered("us-east-1", 10)
    told = json.loads(
        run("catalog", "--key", "a", "--soft", "--row-version", "7", "--lag", "2s", "--json").stdout
    )
    owed = [record for _, record in provider.undelivered("us-east-1", 10).records if record and record.tags]

    assert [record.id for record in owed] == [told["id"]]
    (record,) = owed
    assert (record.origin, record.tags, record.keys) == ("eu-west-1", ("catalog",), ("a",))
    assert (record.soft, record.row_version, record.lag_ms) == (True, 7, 2_000)
    assert record.cause.source == "command line"
    assert (told["applied"], told["region"]) == (True, "eu-west-1")


def test_a_namespace_is_cleared_only_by_who_says_yes(cache: Cache) -> None:
    """Forgetting everything needs a yes; where nobody can be asked, it is an option."""
    load(cache, "a", "old")
    refused = run("--clear")
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert load(cache, "a", "new") == "old"
    assert run("--clear", "--yes").exit_code == 0
    assert load(cache, "a", "new") == "new"


def test_a_rehearsal_changes_nothing(cache: Cache, provider: RedisProvider) -> None:
    """`--dry-run` checks and tells, and neither entries nor the journal change."""
    load(cache, "a", "old")
    before = provider.journal_end()
    ran = run("catalog", "--key", "a", "--dry-run")

    assert (ran.exit_code, "would forget 1 tags and 1 keys" in ran.stdout) == (0, True)
    assert provider.journal_end() == before
    assert load(cache, "a", "new") == "old"
    assert json.loads(run("--clear", "--dry-run", "--json").stdout)["applied"] is False


def test_options_go_before_the_environment(
    valkey_url: str, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address and a namespace on the command line are the ones that are meant."""
    load(cache, "a", "old")
    monkeypatch.setenv("STALEPROOF_CACHE_URL", NOBODY)
    monkeypatch.setenv("STALEPROOF_NAMESPACE", "other")
    ran = run(
        "catalog", "--url", valkey_url, "--namespace", cache.namespace, "--region", "us-east-1", "--json"
    )

    assert json.loads(ran.stdout)["region"] == "us-east-1"
    assert load(cache, "a", "new") == "new"


def test_without_a_region_it_says_that_no_peer_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalidation that begins nowhere is shipped by nobody, and a person is told."""
    monkeypatch.delenv("STALEPROOF_REGION")
    assert "--region" in run("catalog").stderr
    assert "--region" not in run("catalog", "--region", "eu-west-1").stderr


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not acknowledged was not done: exit code 1, also where settings would put it off."""
    monkeypatch.setenv("STALEPROOF_CACHE_URL", NOBODY)
    monkeypatch.setenv("STALEPROOF_UNREACHABLE", "defer")
    ran = run("catalog")

    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "retry" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "nothing is named"),
        (["catalog", "--url", "memory://"], "memory://"),
        (["catalog", "--lag", "2h"], "lag"),
        (["catalog", "--row-version", "-1"], "row"),
        (["x" * 2_000], "tag"),
    ],
)
def test_slips_have_exit_code_2(arguments: list[str], named: str) -> None:
    """What somebody must mend is a line that names it."""
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert named in ran.stderr
