"""Structures and invalidations under every interleaving of their questions, and proof that this test can fail."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache
from staleproof.keys import Keyspace
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.memory_structures import structures as memory
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.cache.structures.requests import Plan

KEYS = Keyspace("local")
ENDINGS: dict[str, Callable[[Cache], object]] = {
    "tag": lambda cache: cache.invalidate("t"),
    "soft": lambda cache: cache.invalidate("t", soft=True),
    "evict": lambda cache: cache.evict("k"),
    "clear": lambda cache: cache.clear(),
    "lost version": lambda cache: cache.provider.drop(KEYS.version(tag_id("t"))),  # type: ignore[attr-defined]
    "lost root": lambda cache: cache.provider.drop(KEYS.version(ROOT)),  # type: ignore[attr-defined]
    "lost stamp": lambda cache: cache.provider.drop(KEYS.entry("k")),  # type: ignore[attr-defined]
}


class Actor:
    """A plan that goes on by one question at a time; remembers at which turns it asked."""

    def __init__(self, cache: Cache, plan: Plan[Any]) -> None:
        self.turns: list[int] = []
        self.result: Any = None
        self._cache = cache
        self._plan = plan
        self._asked: Any = next(plan)

    def step(self, turn: int) -> None:
        """Have the pending question answered."""
        self.turns.append(turn)
        try:
            self._asked = self._plan.send(self._cache.run_command(self._asked))
        except StopIteration as end:
            self.result = end.value


def plan_of(operation: Any, *arguments: Any) -> Plan[Any]:
    """The plan of a handle's operation, not yet begun."""
    method, handle = operation.func, operation.args[0]
    plan: Plan[Any] = method.__wrapped__(handle, *arguments)
    return plan


def schedules() -> Iterator[tuple[str, ...]]:
    """Every order of two writers and a reader, who ask twice, and of one who ends it all."""
    return iter(sorted(set(itertools.permutations(("a", "a", "b", "b", "r", "r", "end")))))


def violations(end: Callable[[Cache], object]) -> list[str]:
    """Run every schedule; return what was wrong."""
    found = []
    for schedule in schedules():
        cache = Cache(MemoryProvider(), near=False)
        handle = cache.set("k", member=str, tags=["t"])()
        handle.add("before")
        actors = {
            "a": Actor(cache, plan_of(handle.add, "a")),
            "b": Actor(cache, plan_of(handle.add, "b")),
            "r": Actor(cache, plan_of(handle.members)),
        }
        ended = schedule.index("end")
        for turn, name in enumerate(schedule):
            if name == "end":
                end(cache)
            else:
                actors[name].step(turn)
        found += judged(actors, ended, "".join(schedule))
    return found


def judged(actors: dict[str, Actor], ended: int, schedule: str) -> list[str]:
    """What a reader must not have seen, and must have."""
    reader, wrong = actors.pop("r"), []
    seen: set[str] = reader.result
    if reader.turns[0] > ended and "before" in seen:
        wrong.append(f"{schedule}: saw what was there before")
    for name, writer in actors.items():
        if writer.turns[0] < ended < reader.turns[0] and name in seen:
            wrong.append(f"{schedule}: {name} began before the end, the reader after it, and saw it")
        if ended < writer.turns[0] and writer.turns[1] < reader.turns[0] and name not in seen:
            wrong.append(f"{schedule}: {name} was over before the reader began, who did not see it")
    return wrong


@pytest.mark.parametrize("way", ENDINGS)
def test_who_begins_after_an_end_sees_nothing_from_before(way: str) -> None:
    """A reader that begins after an invalidation, or a loss, sees what began after it, and nothing from before."""
    assert violations(ENDINGS[way]) == []


def test_a_body_named_without_its_versions_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: where the name forgets the versions, what was before is seen."""
    monkeypatch.setattr(memory, "digest", lambda stamp, _: stamp.hex().encode())

    assert violations(ENDINGS["tag"])
    assert not violations(ENDINGS["evict"])


def test_a_body_named_without_its_stamp_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: where the name forgets the stamp, an evicted key is still full."""
    monkeypatch.setattr(memory, "digest", lambda _, versions: b"".join(versions).hex().encode())

    assert violations(ENDINGS["evict"])
    assert not violations(ENDINGS["clear"])
