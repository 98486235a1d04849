"""`Reloader`: settings that change while a process runs.

Theory of operation
-------------------
What may change are policies, the off switch and the breaker; the rest (addresses, codecs, bounds) is fixed for the
life of the process, and a change of it is noted in `pending` until a restart.

* **When.** `poll` reads the sources if *every* seconds have passed since the last attempt *began*, whatever became of
  it, by the larger of two clocks: after a freeze of any length it is due. Between, it costs two clock readings, so it
  may stand in every request. In Lambda nothing else is possible: no thread runs there between two invocations. A
  server may `start` a thread instead, which polls.
* **Whole or not at all.** The sources are read and checked completely. If anything is wrong, whatever it is, the last
  good settings stay, `failures` counts it and the log tells it once; a request never fails because of it.
* **Who.** One thread reads at a time; others go on with what there is. The listener is called by the thread that
  read, and `settings` changes after it returned: a listener that raises is called again the next time.
* **Forks.** A child begins with a lock of its own, and a thread of its own if the parent had one.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

import msgspec

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.config.table import REQUIRED, SETTINGS, setting
from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from staleproof.config.settings import Settings
    from staleproof.policies.duration import Duration

LONGEST_PAUSE = 5.0
"""Seconds between two looks of the thread at the clock: a machine that was suspended is noticed within these."""

_LOG = logging.getLogger("staleproof.config")
_RELOADERS: WeakSet[Reloader] = WeakSet()


def _after_fork() -> None:
    for reloader in list(_RELOADERS):
        reloader.after_fork()


os.register_at_fork(after_in_child=_after_fork)


class Reloader:
    """Keeps *settings* up to date, and tells a listener.

    Args:
        settings: what is in force; they carry the sources that they were read from.
        on_change: called with the new settings, in which only what may change has changed.
        every: seconds between two looks, or a text such as `"1m"`; the setting `reload_every` by default.
        clock: the source of time.

    Attributes:
        settings: what is in force now.
        reloads: how often they changed.
        failures: how often they could not be read, or the listener raised.
        error: what was wrong the last time, "" if nothing was.
        pending: paths of settings that have new values, which only a restart takes.

    Raises:
        ConfigurationError: the settings were not read from any source.
    """

    def __init__(
        self,
        settings: Settings,
        on_change: Callable[[Settings], object],
        *,
        every: Duration | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if settings.sources is None:
            raise ConfigurationError(
                "these settings have no sources; make them by Settings.from_env or Sources"
            )
        self.settings = settings
        self.reloads = self.failures = 0
        self.error = ""
        self.pending: tuple[str, ...] = ()
        self._sources = settings.sources
        self._on_change = on_change
        self._every = settings.reload_every if every is None else seconds(every, "every")
        self._clock = clock
        self._began = clock.now()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        _RELOADERS.add(self)

    def poll(self) -> bool:
        """Read the sources if it is time; say whether settings changed. Never raises."""
        if self._every is None or self._clock.now().elapsed(self._began) < self._every:
            return False
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._began = self._clock.now()
            return self._reload()
        finally:
            self._lock.release()

    def reload(self) -> bool:
        """Read the sources now, whether or not it is time; say whether settings changed. Never raises."""
        with self._lock:
            self._began = self._clock.now()
            return self._reload()

    def start(self) -> None:
        """Poll from a daemon thread of this process, until `stop`. Starting twice is starting once."""
        if self._thread is None and self._every is not None:
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopped,), name="staleproof-reloader", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread; wait up to *timeout* seconds for a reading under way, for ever if None."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def after_fork(self) -> None:
        """Begin anew in a child process."""
        self._lock = threading.Lock()
        if self._thread is not None:
            self._thread = None
            self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, stopped: threading.Event) -> None:
        pause = min(self._every or LONGEST_PAUSE, LONGEST_PAUSE)
        while not stopped.wait(pause):
            self.poll()

    def _reload(self) -> bool:
        try:
            changed = self._take(self._sources.settings())
        except Exception as error:  # noqa: BLE001 - what is in force stays, whatever went wrong
            self._failed(error)
            return False
        if self.error:
            _LOG.warning("settings are read again")
            self.error = ""
        return changed

    def _take(self, read: Settings) -> bool:
        new = merged(self.settings, read)
        self._note(tuple(restarts(self.settings, read)))
        if new == self.settings:
            return False
        self._on_change(new)
        self.settings = new
        self.reloads += 1
        return True

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        told = f"{type(error).__name__}: {error}".replace("\n", " | ")
        if told != self.error:  # once for each thing that goes wrong, not once a minute
            _LOG.warning("new settings are not taken, the last good ones stay: %s", told)
            self.error = told

    def _note(self, pending: tuple[str, ...]) -> None:
        if pending and pending != self.pending:
            _LOG.warning("new values wait for a restart: %s", ", ".join(pending))
        self.pending = pending


def merged(old: Settings, new: Settings) -> Settings:
    """Return *old* with whatever a running process takes from *new*."""
    given = {path: each for path, each in old.given.items() if not _reloads(path)}
    given |= {path: each for path, each in new.given.items() if _reloads(path)}
    return msgspec.structs.replace(
        old, policy=new.policy, policies=new.policies, off=new.off, breaker=new.breaker, given=given
    )


def restarts(old: Settings, new: Settings) -> list[str]:
    """Return the paths that only a restart takes, and whose values differ."""
    paths = [path for path in {**SETTINGS, **old.given, **new.given} if not _reloads(path)]
    return [path for path in paths if _value(old, path) != _value(new, path)]


def _reloads(path: str) -> bool:
    found = setting(path)
    return path.startswith("policies.") or (found is not None and found.reloads)


def _value(settings: Settings, path: str) -> object:
    """Return the checked value of *path*, None if it has none; *settings* were checked before."""
    given, found = settings.given.get(path), setting(path)
    written = found.default if given is None and found is not None else given and given.value
    if found is None or written is None or written is REQUIRED:
        return written
    value: object = found.check(written, path)
    return value
