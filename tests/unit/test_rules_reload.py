"""Rules that are read anew: new ones hold when they are good, and nothing that is wrong ever replaces them."""

from __future__ import annotations

import base64
import gzip
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof_pipeline import bootstrap, live
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.rule_texts import ParameterText
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.reload import Counts, Fetched, FileText, LiveRules
from staleproof_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = 'version: 1\nrules:\n  - {name: first, when: {table: Flights}, tags: ["flight:{id}"]}\n'
OTHER = GOOD.replace("first", "second")
INTERVAL = 60.0


class Kept:
    """A text as a store keeps it, with its history."""

    def __init__(self, *history: str) -> None:
        self.name = "kept"
        self.history = list(history)
        self.fetched = 0
        self.away: Exception | None = None

    def put(self, text: str) -> None:
        self.history.append(text)

    def fetch(self, known: str) -> Fetched | None:
        self.fetched += 1
        if self.away is not None:
            raise self.away
        if not self.history:
            raise ConfigurationError("kept: there is none")
        version = str(len(self.history))
        return None if version == known else Fetched(self.history[-1], version)

    def earlier(self) -> Iterator[Fetched]:
        for at in range(len(self.history) - 1, 0, -1):
            yield Fetched(self.history[at - 1], str(at))


def following(kept: Any, **options: Any) -> tuple[LiveRules, ManualClock, list[tuple[str, str]]]:
    clock = ManualClock()
    told: list[tuple[str, str]] = []
    rules = LiveRules(
        kept,
        interval=INTERVAL,
        clock=clock,
        told=lambda digest, error: told.append((digest, error)),
        **options,
    )
    return rules, clock, told


def test_new_rules_hold_after_the_interval_and_not_before() -> None:
    """Asking is free until a look is due; then what is new holds at once."""
    kept = Kept(GOOD)
    rules, clock, told = following(kept)
    first = rules.current()
    kept.put(OTHER)
    assert rules.current() is first
    assert kept.fetched == 1

    clock.advance(INTERVAL * 1.2)
    assert rules.current().file.rules[0].name == "second"
    assert told == [(loader.digest(GOOD), ""), (loader.digest(OTHER), "")]
    assert rules.counts == Counts(accepted=2)


def test_a_frozen_process_looks_when_it_thaws() -> None:
    """The wall clock alone makes a look due."""
    kept = Kept(GOOD)
    rules, clock, _ = following(kept)
    rules.current()
    kept.put(OTHER)
    clock.freeze(INTERVAL * 2)

    assert rules.current().digest == loader.digest(OTHER)


def test_unchanged_text_is_not_read_again() -> None:
    """The same version costs a request and nothing else: the rules are the very same object."""
    rules, clock, _ = following(Kept(GOOD))
    first = rules.current()
    clock.advance(INTERVAL * 2)

    assert rules.current() is first
    assert rules.counts == Counts(accepted=1, unchanged=1)


def test_wrong_rules_are_refused_once_and_the_last_good_go_on() -> None:
    """A refusal is told with its reason, counted, and not repeated for the same version; what follows may be good."""
    kept = Kept(GOOD)
    rules, clock, told = following(kept)
    first = rules.current()
    kept.put("version: 1\nrules: nonsense\n")
    for _ in range(3):
        clock.advance(INTERVAL * 2)
        assert rules.current() is first
    assert rules.counts == Counts(accepted=1, refused=1, unchanged=2)
    assert told[-1][0] == first.digest
    assert "version 2 is refused: kept:2: rules:" in told[-1][1]
    assert "refused" in rules.error

    kept.put(OTHER)
    clock.advance(INTERVAL * 2)
    assert rules.current().digest == loader.digest(OTHER)
    assert rules.error == ""


@pytest.mark.parametrize(
    "away", [ProviderUnavailableError("away; retry"), RuntimeError("bug"), OSError("disk")]
)
def test_a_store_that_is_away_changes_nothing(away: Exception) -> None:
    """Whatever fetching raises, the rules go on, and the next look finds what is new."""
    kept = Kept(GOOD)
    rules, clock, _ = following(kept)
    first = rules.current()
    kept.away = away
    clock.advance(INTERVAL * 2)
    assert rules.current() is first
    assert rules.counts.unreachable == 1

    kept.away = None
    kept.put(OTHER)
    clock.advance(INTERVAL * 2)
    assert rules.current() is not first


def test_a_start_with_a_wrong_text_goes_back_to_the_last_good_version() -> None:
    """A new process has no last good rules in memory; the store's earlier versions are tried, newest first."""
    kept = Kept(GOOD, OTHER, "nonsense", "version: 2")
    rules, clock, told = following(kept)

    assert rules.current().digest == loader.digest(OTHER)
    assert told[0][0] == loader.digest(OTHER)
    assert "kept:1: version" in told[0][1]
    clock.advance(INTERVAL * 2)
    assert rules.current().digest == loader.digest(OTHER)


def test_a_start_without_any_good_text_falls_back_or_fails() -> None:
    """With rules deployed beside the code these hold; without them the pipeline does not start."""
    fallback = loader.loads(OTHER)
    rules, _, _ = following(Kept("nonsense"), fallback=fallback)
    assert rules.current() is fallback

    with pytest.raises(ConfigurationError, match="kept:1"):
        following(Kept("nonsense"))[0].current()
    kept = Kept(GOOD)
    kept.away = ProviderUnavailableError("away; retry")
    late, _, _ = following(kept)
    with pytest.raises(ProviderUnavailableError):
        late.current()
    kept.away = None
    assert late.current().digest == loader.digest(GOOD)


def test_rules_that_a_deployment_cannot_carry_out_are_refused() -> None:
    """Good rules may need what this deployment lacks."""
    kept = Kept(GOOD)
    settings = Settings(cache_url="memory://", namespace="n", region="eu-west-1", rules="x")

    def check(rules: Any) -> None:
        if rules.needs_deferral:
            raise ConfigurationError("no deferral")

    rules, clock, _ = following(kept, check=check)
    first = rules.current()
    kept.put(GOOD.replace('"]}', '"], delay: 2s}'))
    clock.advance(INTERVAL * 2)
    assert rules.current() is first
    assert rules.counts.refused == 1
    assert settings.rules_interval == INTERVAL


def test_counts_of_matches_survive_a_change_of_the_rules() -> None:
    """Which rules never match is told of the process, not of the latest version."""
    kept = Kept(GOOD)
    rules, clock, _ = following(kept)
    rules.current().carry({"first": 3})
    kept.put(GOOD + OTHER.partition("rules:\n")[2])
    clock.advance(INTERVAL * 2)

    assert rules.current().coverage() == {"first": 3, "second": 0}
    assert rules.current().unmatched() == ["second"]


corruptions = st.one_of(
    st.text(max_size=60),
    st.integers(0, len(GOOD)).map(lambda at: GOOD[:at]),
    st.tuples(st.integers(0, len(GOOD) - 1), st.characters()).map(
        lambda each: GOOD[: each[0]] + each[1] + GOOD[each[0] + 1 :]
    ),
    st.tuples(st.integers(0, len(GOOD)), st.text(max_size=6)).map(
        lambda each: GOOD[: each[0]] + each[1] + GOOD[each[0] :]
    ),
    st.sampled_from(
        ["\0", "\ud800", "[" * 3_000, "&a [*a]", "!!python/object:x {}", "x" * 300_000, "version: 1\n" * 2]
    ),
)


@given(st.lists(corruptions, min_size=1, max_size=6))
def test_no_text_whatever_takes_the_last_good_rules_away(texts: list[str]) -> None:
    """After any corrupt texts there are rules, the last of those texts that are good; nothing raises."""
    kept = Kept(GOOD)
    rules, clock, _ = following(kept)
    last = rules.current().digest
    for text in texts:
        kept.put(text)
        clock.advance(INTERVAL * 2)
        if _is_good(text):
            last = loader.digest(text)
        assert rules.current().digest == last
    assert rules.counts.accepted + rules.counts.refused == len(texts) + 1


def _is_good(text: str) -> bool:
    try:
        loader.loads(text)
    except ConfigurationError:
        return False
    return True


def test_one_thread_looks_and_the_others_go_on() -> None:
    """A slow store holds up one thread only."""
    kept = Kept(GOOD)
    rules, clock, _ = following(kept)
    first = rules.current()
    entered, leave = threading.Event(), threading.Event()
    slow = kept.fetch

    def fetch(known: str) -> Fetched | None:
        entered.set()
        assert leave.wait(10)
        return slow(known)

    kept.fetch = fetch  # type: ignore[method-assign]
    kept.put(OTHER)
    clock.advance(INTERVAL * 2)
    looking = threading.Thread(target=rules.current)
    looking.start()
    assert entered.wait(10)
    clock.advance(INTERVAL * 2)
    assert rules.current() is first
    leave.set()
    looking.join(10)
    assert rules.current().digest == loader.digest(OTHER)


def test_a_file_is_followed(tmp_path: Path) -> None:
    """A file that is written, broken, removed and written again."""
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    rules, clock, _ = following(FileText(path))
    first = rules.current()
    for text in ("nonsense", None, "\xff"):
        if text is None:
            path.unlink()
        else:
            path.write_bytes(text.encode("latin-1"))
        clock.advance(INTERVAL * 2)
        assert rules.current() is first
    path.write_text(OTHER)
    clock.advance(INTERVAL * 2)
    assert rules.current().digest == loader.digest(OTHER)
    assert rules.counts == Counts(accepted=2, refused=3)


@pytest.mark.parametrize("place", ["s3://bucket", "s3:///key", "s3://"])
def test_a_place_that_names_no_object_is_told(place: str) -> None:
    """A wrong setting says what to write."""
    settings = Settings(cache_url="memory://", namespace="n", region="eu-west-1", rules=place)
    with pytest.raises(ConfigurationError, match="write s3://BUCKET/KEY"):
        live.text(settings, lambda service, region: None)


def test_a_pipeline_without_a_queue_refuses_rules_that_put_off() -> None:
    """A deployment whose rules need more than it has does not start, and says which setting is missing."""
    rules = GOOD.replace('"]}', '"], coalesce: 1s}')
    settings = Settings(
        cache_url="memory://", namespace="n", region="eu-west-1", rules_text=rules, dead_letter_queue_url="q"
    )
    with pytest.raises(ConfigurationError, match=r"rules first have .* set STALEPROOF_DEFERRAL_QUEUE_URL"):
        bootstrap.pipeline(settings)
    found = settings.model_copy(update={"deferral_queue_url": "http://127.0.0.1:1/q"})
    assert bootstrap.pipeline(found).invalidator is not None
    assert live.rules(found, lambda *_: None, object(), NullObserver()).current().needs_deferral == ["first"]  # type: ignore[arg-type]


class Parameters:
    """An SSM client that holds one packed parameter."""

    def __init__(self, value: str) -> None:
        self.value = value

    def get_parameter(self, **asked: Any) -> dict[str, Any]:
        return {"Parameter": {"Version": 1, "Value": self.value}}


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (base64.b64encode(gzip.compress(GOOD.encode())).decode(), True),
        ("H4sInonsense", False),
        (base64.b64encode(gzip.compress(b"\xff" * 99)).decode(), False),
        (base64.b64encode(gzip.compress(b"# " + b"x" * 50_000_000)).decode(), False),
    ],
    ids=["packed", "no base64", "no text", "bomb"],
)
def test_a_parameter_may_be_packed(value: str, good: bool) -> None:
    """Large rules fit into a parameter when packed; what unpacks to nonsense, or to gigabytes, is refused."""
    rules, _, _ = following(ParameterText(lambda: Parameters(value), "/rules"))
    if good:
        assert rules.current().digest == loader.digest(GOOD)
    else:
        with pytest.raises(ConfigurationError):
            rules.current()
