"""`FlightContract`: one load for many readers, in a process and among them; a part of `CacheContract`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from staleproof.testing.cache_case import PATIENCE, CacheCase

if TYPE_CHECKING:
    from staleproof.testing.cache_case import MakeCache, Source

CROWD = 8


class FlightContract(CacheCase):
    """Nobody loads what another is loading."""

    def test_a_crowd_loads_once(self, here: Any, source: Source) -> None:
        """Readers that begin at once get the value of one load."""
        assert self.together(lambda _: here.get_or_load("key", source.load), CROWD) == [1] * CROWD
        assert source.loads == 1
        assert here.statistics.reads == CROWD

    def test_a_crowd_in_several_processes_loads_once(self, here: Any, there: Any, source: Source) -> None:
        """The key's lease makes it one load among processes, too."""
        everybody = lambda number: (here, there)[number % 2].get_or_load("key", source.load)  # noqa: E731
        assert self.together(everybody, CROWD) == [1] * CROWD
        assert source.loads == 1

    def test_a_failure_is_for_everybody_aboard(self, here: Any, source: Source) -> None:
        """All who waited for a load get its exception; whoever comes later loads again."""
        aboard = threading.Barrier(CROWD)

        def fail() -> Any:
            source.load()
            raise LookupError

        def read(_: int) -> Any:
            aboard.wait(PATIENCE)
            return here.get_or_load("key", fail)

        outcomes = self.together(read, CROWD)
        assert all(isinstance(each, LookupError) for each in outcomes)
        assert source.loads <= CROWD
        assert here.get_or_load("key", lambda: 2) == 2

    def test_a_waiting_process_takes_what_the_other_loaded(self, here: Any, there: Any) -> None:
        """While one loads, a reader elsewhere waits, and does not load."""
        loading, go_on = threading.Event(), threading.Event()

        def slow() -> str:
            loading.set()
            assert go_on.wait(PATIENCE)
            return "loaded here"

        def read(number: int) -> Any:
            if number == 0:
                return here.get_or_load("key", slow)
            assert loading.wait(PATIENCE)
            threading.Timer(0.02, go_on.set).start()
            return there.get_or_load("key", lambda: "loaded there")

        assert self.together(read, 2) == ["loaded here"] * 2
        assert (there.statistics.loads, there.statistics.waits) == (0, 1)

    def test_impatience_loads_for_itself_alone(self, make_cache: MakeCache, here: Any) -> None:
        """Whoever has no patience gets a value of his own, and stores nothing over the other's."""
        hasty, loading, go_on = make_cache(patience=0), threading.Event(), threading.Event()

        def slow() -> str:
            loading.set()
            assert go_on.wait(PATIENCE)
            return "stored"

        def read(number: int) -> Any:
            if number == 0:
                return here.get_or_load("key", slow)
            assert loading.wait(PATIENCE)
            try:
                return hasty.get_or_load("key", lambda: "for itself")
            finally:
                go_on.set()

        assert self.together(read, 2) == ["stored", "for itself"]
        assert here.get("key") == "stored"
        assert hasty.statistics.unstored == {"patience": 1}

    def test_a_load_that_asks_for_itself_does_not_wait_for_itself(self, here: Any) -> None:
        """Recursion ends with the loader, not with a deadlock."""
        depth: list[int] = []

        def load() -> int:
            depth.append(len(depth))
            return 1 if len(depth) > 2 else int(here.get_or_load("key", load)) + 1

        assert here.get_or_load("key", load) == 3
        assert depth == [0, 1, 2]

    def test_different_questions_do_not_wait_for_one_another(self, here: Any) -> None:
        """Another key, and the same key under other tags, are loads of their own."""

        def load() -> list[Any]:
            return [
                here.get_or_load("other", lambda: "other"),
                here.get_or_load("key", lambda: "tagged", tags=["t"], policy=None),
            ]

        assert here.get_or_load("key", load) == ["other", "tagged"]
