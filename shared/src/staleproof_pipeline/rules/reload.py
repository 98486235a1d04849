"""Rules that are read anew while the pipeline runs, and never replaced by rules that are wrong.

Theory of operation. `LiveRules` holds the last good rules. Whoever asks for them (`current`) after the interval has
passed has the text fetched first: unchanged, it costs a request; changed, it is parsed and checked as a whole; and
only then do all later records see the new rules, at once. What is wrong is refused, told and counted, and the last good
rules go on; the same refused version is not read again. What cannot be reached is tried again after the next interval.

There is no thread: a Lambda between two invocations has none. The interval is measured by both clocks, so a function
that was frozen looks first. Of several threads one fetches, and the others go on with what they have.

The first read has no last good rules in memory. Then the earlier versions that the store keeps are tried, newest first,
and then `fallback`; if none of them is good the pipeline does not start, and takes no record that it could not judge.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CacheError, ConfigurationError
from staleproof_pipeline.rules import loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staleproof.clock import Clock, Instant
    from staleproof_pipeline.rules.ruleset import Ruleset

INTERVAL = 60.0
"""Seconds between two looks."""

JITTER = 0.1
"""Share of the interval by which processes differ, so that they do not all look at once."""

MAX_EARLIER = 5
"""Earlier versions that a start tries."""


class Fetched(NamedTuple):
    """A version of the text.

    Attributes:
        text: the rules as written.
        version: the store's name for this version: an ETag, a number.
    """

    text: str
    version: str


class RulesText(Protocol):
    """Where the text of the rules is kept.

    Attributes:
        name: for messages, such as `s3://bucket/rules.yaml`.
    """

    @property
    def name(self) -> str:
        """Where it is kept, for messages."""
        ...

    def fetch(self, known: str) -> Fetched | None:
        """Return the text, or None if its version is *known*.

        Raises:
            CacheError: it cannot be had.
        """
        ...

    def earlier(self) -> Iterator[Fetched]:
        """Yield versions before the last fetched one, newest first; none where the store keeps none."""
        ...


class FileText:
    """A file, read as a whole at every look: its time of change may be too coarse to tell two writes apart.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)

    def fetch(self, known: str) -> Fetched | None:
        """See `RulesText.fetch`."""
        text = loader.read(self.name)
        version = loader.digest(text)
        return None if version == known else Fetched(text, version)

    def earlier(self) -> Iterator[Fetched]:
        """See `RulesText.earlier`: a file has none."""
        yield from ()


class Counts(NamedTuple):
    """What became of the looks.

    Attributes:
        accepted: new rules hold.
        unchanged: there were no new ones.
        refused: there were, and they are wrong.
        unreachable: nobody answered.
    """

    accepted: int = 0
    unchanged: int = 0
    refused: int = 0
    unreachable: int = 0


class LiveRules:
    """Rules that follow their text.

    Args:
        text: where it is kept.
        interval: seconds between two looks.
        fallback: the rules of a start without any good text, such as those that were deployed with the code.
        check: raises `ConfigurationError` for good rules that this deployment cannot carry out.
        told: hears of every change and refusal: the digest that holds, and what is wrong or "".
        clock: the source of time.

    Attributes:
        counts: what became of the looks.
        error: what was wrong at the last look, "" if nothing.
    """

    def __init__(
        self,
        text: RulesText,
        *,
        interval: float = INTERVAL,
        fallback: Ruleset | None = None,
        check: Callable[[Ruleset], None] | None = None,
        told: Callable[[str, str], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._text = text
        self._interval = interval * random.uniform(1 - JITTER, 1 + JITTER)
        self._fallback = fallback
        self._check = check or (lambda _: None)
        self._told = told or (lambda _digest, _error: None)
        self._clock = clock
        self._lock = threading.Lock()
        self._rules: Ruleset | None = None
        self._known = ""
        self._looked: Instant = clock.now()
        self.counts = Counts()
        self.error = ""

    def current(self) -> Ruleset:
        """Return the rules that hold now, after a look if one is due.

        Raises:
            CacheError: there are none yet, and the text is wrong or cannot be had.
        """
        rules = self._rules
        if rules is None:
            return self._first()
        if self._clock.now().elapsed(self._looked) >= self._interval:
            self.reload()
            return self._rules or rules
        return rules

    def reload(self) -> bool:
        """Look now; return whether the rules are new. Never raises once there are rules, and never loses them."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._looked = self._clock.now()
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> bool:
        try:
            fetched = self._text.fetch(self._known)
        except Exception as error:  # noqa: BLE001 - whatever it is, the last good rules go on
            self._count("refused" if isinstance(error, ConfigurationError) else "unreachable")
            self._problem(_reason(error))
            return False
        if fetched is None:
            self._count("unchanged")
            return False
        self._known = fetched.version
        try:
            self._adopt(self._read(fetched))
        except Exception as error:  # noqa: BLE001 - a corrupt text must not stop a pipeline that works
            self._count("refused")
            self._problem(f"version {fetched.version} is refused: {_reason(error)}")
            return False
        return True

    def _first(self) -> Ruleset:
        with self._lock:
            if self._rules is None:
                self._looked = self._clock.now()
                self._start()
        return self.current()

    def _start(self) -> None:
        problem: CacheError
        try:
            fetched = self._text.fetch("")
            if fetched is None:
                raise ConfigurationError(f"{self._text.name}: there is no text; write the rules there")
            self._known = fetched.version
            self._adopt(self._read(fetched))
        except CacheError as error:
            problem = error
        else:
            return
        self._count("refused" if isinstance(problem, ConfigurationError) else "unreachable")
        rules = next(self._good_earlier(), None) if self._known else None
        rules = rules or self._fallback
        if rules is None:
            raise problem
        self._rules = rules
        self._problem(str(problem))

    def _good_earlier(self) -> Iterator[Ruleset]:
        try:
            for _, fetched in zip(range(MAX_EARLIER), self._text.earlier(), strict=False):
                if (rules := self._good(fetched)) is not None:
                    yield rules
        except CacheError:
            return  # what is wrong with the newest version is told, not that its predecessors are out of reach

    def _good(self, fetched: Fetched) -> Ruleset | None:
        try:
            return self._read(fetched)
        except CacheError:
            return None

    def _read(self, fetched: Fetched) -> Ruleset:
        rules = loader.loads(fetched.text, self._text.name)
        self._check(rules)
        return rules

    def _adopt(self, rules: Ruleset) -> None:
        if self._rules is not None:
            rules.carry(self._rules.coverage())
        self._rules = rules
        self.error = ""
        self._count("accepted")
        self._told(rules.digest, "")

    def _problem(self, error: str) -> None:
        self.error = error
        self._told(self._rules.digest if self._rules else "", error)

    def _count(self, name: str) -> None:
        self.counts = self.counts._replace(**{name: getattr(self.counts, name) + 1})


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, CacheError) else f"{type(error).__name__}: {error}"
