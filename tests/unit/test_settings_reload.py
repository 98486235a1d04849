"""Settings that change while a process runs: soon, whole, and never for the worse."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

from local.conditions import wait_until
from staleproof import ConfigurationError, Policy
from staleproof.clock import ManualClock
from staleproof.config import ParameterStore, Reloader, Settings
from tests.unit.settings_parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATH = "/staleproof/prod"
ENVIRON = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop", "STALEPROOF_FILE": "none"}


class Listener:
    """Notes what it is told, and raises if it is asked to."""

    def __init__(self) -> None:
        self.told: list[Settings] = []
        self.refuses = False

    def __call__(self, settings: Settings) -> None:
        if self.refuses:
            raise RuntimeError("not now")
        self.told.append(settings)


@pytest.fixture
def held() -> Parameters:
    return Parameters({f"{PATH}/ttl": "1h"})


@pytest.fixture
def settings(held: Parameters) -> Settings:
    return Settings.from_env(ENVIRON, parameters=ParameterStore(lambda: held), stage="prod")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def reloader(settings: Settings, listener: Listener, clock: ManualClock) -> Iterator[Reloader]:
    made = Reloader(settings, listener, every="30s", clock=clock)
    yield made
    made.stop()


def test_what_changed_reaches_the_listener(
    reloader: Reloader, held: Parameters, listener: Listener, clock: ManualClock
) -> None:
    """Policies, the off switch and the breaker are taken, each with its origin; the listener has them first."""
    held.put(f"{PATH}/ttl", "2h")
    held.put(f"{PATH}/policies/hot/jitter", "0.1")
    held.put(f"{PATH}/off", "true")
    held.put(f"{PATH}/breaker/failures", "9")
    clock.advance(30)

    assert reloader.poll()
    (told,) = listener.told
    assert reloader.settings is told
    assert (told.policy, told.policies) == (Policy(ttl="2h"), {"hot": Policy(ttl="2h", jitter=0.1)})
    assert (told.off, told.breaker.failures) == (True, 9)
    assert told.origin("policies.hot.jitter") == f"ssm {PATH}/policies/hot/jitter"
    assert (reloader.reloads, reloader.failures, reloader.error) == (1, 0, "")


def test_what_went_is_the_default_again(reloader: Reloader, held: Parameters, listener: Listener) -> None:
    """A parameter that was removed leaves its default behind, and a named policy goes with its last field."""
    held.put(f"{PATH}/policies/hot/ttl", "1m")
    assert reloader.reload()
    del held.held[f"{PATH}/policies/hot/ttl"]
    del held.held[f"{PATH}/ttl"]
    held.put(f"{PATH}/lease", "3s")

    assert reloader.reload()
    assert (listener.told[-1].policy, listener.told[-1].policies) == (Policy(lease="3s"), {})
    assert reloader.settings.origin("ttl") == "default"


def test_nobody_is_asked_before_it_is_time(
    reloader: Reloader, held: Parameters, listener: Listener, clock: ManualClock
) -> None:
    """Between two looks a poll asks nobody; and what did not change is told to nobody."""
    asked = held.asked
    clock.advance(29)
    assert not reloader.poll()
    assert held.asked == asked
    clock.advance(1)
    assert not reloader.poll()
    assert not reloader.poll()
    assert (held.asked, listener.told) == (asked + 1, [])


def test_a_freeze_counts(reloader: Reloader, held: Parameters, clock: ManualClock) -> None:
    """A machine that slept, whose monotonic clock stood still, looks at the first poll after it."""
    held.put(f"{PATH}/ttl", "2h")
    clock.freeze(30)
    assert reloader.poll()


def test_the_last_good_ones_stay(
    reloader: Reloader,
    held: Parameters,
    listener: Listener,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Wrong values and a service that is away change nothing; each is counted every time and logged once."""
    good = reloader.settings
    for wrong in ("soon", "soon", "later"):
        held.put(f"{PATH}/ttl", wrong)
        clock.advance(30)
        assert not reloader.poll()
    held.failing = OSError("away")
    clock.advance(30)
    assert not reloader.poll()

    assert (reloader.settings, listener.told, reloader.failures) == (good, [], 4)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "ttl='soon' is no duration" in caplog.messages[0]
    assert reloader.error == "OSError: away"

    held.failing = None
    held.put(f"{PATH}/ttl", "2h")
    clock.advance(30)
    assert reloader.poll()
    assert (reloader.error, caplog.messages[-1]) == ("", "settings are read again")


def test_a_failure_does_not_hurry(reloader: Reloader, held: Parameters, clock: ManualClock) -> None:
    """A source that fails is asked no more often than one that answers."""
    held.failing = OSError("away")
    clock.advance(30)
    reloader.poll()
    asked = held.asked
    for _ in range(29):
        clock.advance(1)
        reloader.poll()
    assert held.asked == asked


def test_secrets_stay_out_of_the_log(
    reloader: Reloader, held: Parameters, caplog: pytest.LogCaptureFixture
) -> None:
    """What is wrong with a secret is logged without it."""
    held.put(f"{PATH}/cache_url", "rediss:/hush-hush@cache", "SecureString")
    held.put(f"{PATH}/ttl", "hush-hush", "SecureString")
    assert not reloader.reload()
    assert "ttl is wrong (a SecureString, not shown)" in caplog.text
    assert "hush" not in caplog.text + reloader.error


def test_a_listener_that_raises_is_told_again(
    reloader: Reloader, held: Parameters, listener: Listener
) -> None:
    """New settings are in force only after the listener has taken them."""
    held.put(f"{PATH}/ttl", "2h")
    listener.refuses = True
    assert not reloader.reload()
    assert (reloader.settings.policy.ttl, reloader.error) == (3_600, "RuntimeError: not now")
    listener.refuses = False
    assert reloader.reload()
    assert reloader.settings.policy.ttl == 7_200


def test_what_needs_a_restart_is_noted(
    reloader: Reloader, held: Parameters, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses and bounds stay as they are; that they differ is said once, until they do not any more."""
    held.put(f"{PATH}/near/max_copies", "5")
    held.put(f"{PATH}/timeout", "1000ms")
    held.put(f"{PATH}/providers/sessions/url", "memory://")
    assert not reloader.reload()
    assert not reloader.reload()
    assert reloader.pending == ("near.max_copies", "providers.sessions.url")
    assert caplog.messages == ["new values wait for a restart: near.max_copies, providers.sessions.url"]
    held.put(f"{PATH}/ttl", "2h")
    assert reloader.reload()
    assert listener.told[-1].near.max_copies == 10_000
    assert listener.told[-1].origin("near.max_copies") == "default"
    del held.held[f"{PATH}/near/max_copies"], held.held[f"{PATH}/providers/sessions/url"]
    assert not reloader.reload()
    assert not reloader.pending


def test_a_file_that_changes_is_taken(tmp_path: Path, listener: Listener) -> None:
    """The settings file is a source like another: while it is broken or away the last good settings stay."""
    path = tmp_path / "settings.toml"
    path.write_text("[policies.hot]\nttl = '1m'")
    reloader = Reloader(Settings.from_env(ENVIRON, file=str(path)), listener)
    assert not reloader.reload()
    path.write_text("[policies.hot]\nttl = '15m'")
    assert reloader.reload()
    assert reloader.settings.policies["hot"].ttl == 900
    path.write_text("[policies.hot")
    assert not reloader.reload()
    path.unlink()
    assert not reloader.reload()
    assert reloader.settings.policies["hot"].ttl == 900
    assert (reloader.reloads, reloader.failures) == (1, 2)


def test_how_often_is_a_setting(
    settings: Settings, listener: Listener, clock: ManualClock, held: Parameters
) -> None:
    """Without an argument the setting says how often; `none` is never, unless somebody insists."""
    reloader = Reloader(settings, listener, clock=clock)
    never = Reloader(
        Settings.from_env(ENVIRON, parameters=ParameterStore(lambda: held), stage="prod", reload_every=None),
        listener,
        clock=clock,
    )
    held.put(f"{PATH}/ttl", "2h")
    clock.advance(59)
    assert not reloader.poll()
    clock.advance(1)
    assert reloader.poll()
    never.start()
    assert not never.poll()
    assert never.reload()


def test_settings_without_sources_cannot_be_read_again(settings: Settings, listener: Listener) -> None:
    """Settings that nobody read have nowhere to be read again."""
    values = {**settings.values(), "given": {}}
    with pytest.raises(ConfigurationError, match="have no sources; make them by"):
        Reloader(Settings(**values), listener)


def test_one_thread_reads_at_a_time(settings: Settings, clock: ManualClock, held: Parameters) -> None:
    """While one thread reads, another that polls goes on with what there is."""
    reading, enough = threading.Event(), threading.Event()

    def slow(_: Settings) -> None:
        reading.set()
        assert enough.wait(10)

    reloader = Reloader(settings, slow, every=30, clock=clock)
    held.put(f"{PATH}/ttl", "2h")
    clock.advance(30)
    first = threading.Thread(target=reloader.poll)
    first.start()
    assert reading.wait(10)
    clock.advance(30)
    assert not reloader.poll()
    enough.set()
    first.join()
    assert reloader.settings.policy.ttl == 7_200


def test_a_server_has_a_thread(settings: Settings, listener: Listener, held: Parameters) -> None:
    """Between `start` and `stop` a daemon thread polls; both may be called twice."""
    with Reloader(settings, listener, every="10ms") as reloader:
        reloader.start()
        threads = [each for each in threading.enumerate() if each.name == "staleproof-reloader"]
        assert [each.daemon for each in threads] == [True]
        held.put(f"{PATH}/ttl", "2h")
        wait_until(lambda: bool(listener.told), "the listener is told", timeout=10)
    reloader.stop()
    assert not threads[0].is_alive()


def in_child(work: Callable[[], bool]) -> int:
    """Return how a forked child ends that does *work*: 0 if it was true."""
    child = os.fork()
    if not child:
        right = False
        try:
            right = work()
        finally:
            os._exit(0 if right else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_begins_anew(settings: Settings, held: Parameters) -> None:
    """A forked child has a thread of its own if the parent had one, and no lock that a parent's thread held."""
    told = threading.Event()

    with Reloader(settings, lambda _: told.set(), every="10ms") as reloader:
        held.put(f"{PATH}/ttl", "2h")
        reloader._lock.acquire()
        try:
            assert in_child(lambda: told.wait(10)) == 0
        finally:
            reloader._lock.release()
