"""Why a key is a hit, a miss or stale: told in words and as data, on both faces."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import (
    AsyncCache,
    Cache,
    NearCache,
    Policy,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.events.invalidation import Cause, Invalidation
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cache.explanation import Explanation

KEY = "product:42"
TAGS = ("product:42", "catalog")
PLAIN = Policy(ttl="10m")
EVENT = re.compile(r"evt [0-9a-f]{32}")


class Shop:
    """One face over a server of its own, and another process that invalidates."""

    def __init__(self, awaits: bool) -> None:
        self.awaits = awaits
        self.clock = ManualClock()
        self.server = MemoryProvider("shop", clock=self.clock)
        self.runner = asyncio.Runner() if awaits else None
        self.cache = self.process(PLAIN)
        self.elsewhere = Cache(self.server, clock=self.clock, region="us-east-1")

    def process(self, policy: Policy, **options: Any) -> Any:
        make: Any = AsyncCache if self.awaits else Cache
        provider: Any = AsyncMemoryProvider(inner=self.server) if self.awaits else self.server
        near = NearCache(clock=self.clock)
        options = {"near": near, "clock": self.clock, "region": "eu-west-1", "background": False, **options}
        self.cache = make(provider, policy=policy, **options)
        return self.cache

    def do(self, result: Any) -> Any:
        return result if self.runner is None else self.runner.run(result)

    def read(self, **options: Any) -> Any:
        async def load() -> str:
            return "value"

        return self.do(
            self.cache.get_or_load(KEY, load if self.awaits else lambda: "value", tags=TAGS, **options)
        )

    def explain(self, **options: Any) -> Explanation:
        found: Explanation = self.do(self.cache.explain(KEY, tags=TAGS, **options))
        assert json.loads(json.dumps(found.as_dict()))["key"] == KEY
        assert found.report().startswith(str(found))
        return found

    def say(self, **options: Any) -> str:
        """Return the headline, with events' ids left out."""
        return EVENT.sub("evt …", str(self.explain(**options)))


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    it = Shop(request.param)
    yield it
    if it.runner is not None:
        it.runner.close()


def ruled(**options: Any) -> Invalidation:
    why = Cause(
        source="dynamodb:Products", rules=("price-change",), entity="42", operation="modify", changed_ms=17
    )
    fields = {"id": "01JC", "origin": "eu-west-1", "namespace": "shop", "at_ms": 99, "trace": "1-2-3"}
    return Invalidation(**{**fields, "cause": why, **options})


# --- one line -----------------------------------------------------------------------------------------


def test_nothing_is_stored(shop: Shop) -> None:
    """Before anything was loaded there is nothing to tell, and the journal is not begun for it."""
    told = shop.explain()
    assert str(told) == "L1 OFF -> L2 MISS: nothing is stored"
    assert (told.outcome, told.reason, told.stored, told.causes) == ("load", "absent", None, ())
    assert [tag.verdict for tag in told.tags] == ["missing"] * 3
    assert shop.server.journal("", 10).records == []


def test_a_hit_tells_of_what_is_stored(shop: Shop) -> None:
    """A hit tells its age, its end, what its load cost, how it is written, and that its tags stand."""
    shop.process(Policy(ttl="10m", compress_above=100))
    load = {"tags_from": lambda _: ["brand:7"], "row_version": lambda _: 9}
    shop.read(**load)
    shop.clock.advance(31)
    told = shop.explain()
    assert str(told) == "L1 OFF -> L2 HIT, 31 s old"
    assert (told.outcome, told.reason, told.search) == ("hit", None, None)
    stored = told.stored
    assert stored is not None
    assert (stored.age, stored.expires_in, stored.row_version) == (31, 569, 9)
    assert (stored.codec, stored.compression, stored.format, stored.over) == ("msgpack", None, 0xE2, False)
    assert stored.bytes == shop.cache.statistics.bytes_written > stored.payload
    assert [(tag.text, tag.named, tag.verdict) for tag in told.tags] == [
        ("", True, "current"),
        ("product:42", True, "current"),
        ("catalog", True, "current"),
        (None, False, "current"),
    ]


def test_a_rotated_tag_is_told_with_event_rule_and_region(shop: Shop) -> None:
    """The sentence of the promise: which tag, which event, which rule, which region."""
    shop.process(PLAIN.but(staleness=5))
    shop.server.invalidate([ruled(id="other", tags=("else",))])
    shop.read()
    shop.clock.advance(31)
    shop.cache.core.near.reset()
    shop.server.invalidate([ruled(tags=("x", "catalog"))])
    told = shop.explain()
    assert str(told) == (
        "L1 MISS -> L2 HIT, 31 s old -> STALE: tag 'catalog' rotated by evt 01JC (rule 'price-change', eu-west-1)"
    )
    assert (told.outcome, told.reason) == ("load", "tag")
    (why,) = told.causes
    assert (why.event, why.origin, why.at_ms, why.trace) == ("01JC", "eu-west-1", 99, "1-2-3")
    assert (why.source, why.rules, why.entity) == ("dynamodb:Products", ("price-change",), "42")
    assert (why.operation, why.changed_ms, why.tags, why.key) == ("modify", 17, ("catalog",), False)
    assert why.place.endswith("#01JC")
    assert [(tag.text, tag.verdict, tag.cause) for tag in told.tags] == [
        ("", "current", None),
        ("product:42", "current", None),
        ("catalog", "missing", "01JC"),
    ]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("tag", "STALE: tag 'catalog' rotated by evt … (application, us-east-1)"),
        ("both", "STALE: tag 'product:42' rotated by evt … (application, us-east-1), and 1 more"),
        ("revealed", "STALE: tag 'brand:7' rotated by evt … (application, us-east-1)"),
        ("clear", "STALE: the namespace cleared by evt … (application, us-east-1)"),
        ("softly", "STALE: tag 'catalog' softly invalidated by evt … (application, us-east-1)"),
        ("key softly", "STALE: the key was softly invalidated by evt … (application, us-east-1)"),
    ],
)
def test_each_way_to_become_stale_has_its_words(shop: Shop, how: str, words: str) -> None:
    """Tags of the call, tags that only a record names, the whole namespace; hard and soft."""
    shop.read(tags_from=lambda _: ["brand:7"])
    shop.clock.advance(31)
    away = shop.elsewhere
    actions: dict[str, Any] = {
        "tag": lambda: away.invalidate("catalog"),
        "both": lambda: away.invalidate("catalog", "product:42"),
        "revealed": lambda: away.invalidate("brand:7"),
        "clear": away.clear,
        "softly": lambda: away.invalidate("catalog", soft=True),
        "key softly": lambda: away.evict(KEY, soft=True),
    }
    actions[how]()
    assert shop.say() == f"L1 OFF -> L2 HIT, 31 s old -> {words}"
    assert shop.explain().outcome == "load"


def test_an_evicted_key_is_told(shop: Shop) -> None:
    """A key that was removed is a miss, and the record that removed it last is named."""
    shop.read()
    shop.elsewhere.evict(KEY)
    assert (
        shop.say() == "L1 OFF -> L2 MISS: nothing is stored; last evicted by evt … (application, us-east-1)"
    )


def test_a_version_that_the_server_lost_is_no_event(shop: Shop) -> None:
    """Where no record names a tag whose version is gone, the server has evicted it; that is said."""
    shop.elsewhere.invalidate("something")
    shop.read()
    shop.server.drop(shop.server.keys.version(told_id(shop, "catalog")))
    assert "the server evicted it" in shop.say()
    shop.server.drop(shop.server.keys.journal)
    shop.clock.advance(10)
    shop.elsewhere.invalidate("something")  # the journal begins later than the entry now
    told = shop.explain()
    assert "by what the journal does not tell" in str(told)
    assert told.search is not None
    assert told.search.trimmed


def told_id(shop: Shop, text: str) -> bytes:
    return next(bytes.fromhex(tag.id) for tag in shop.explain().tags if tag.text == text)


def test_a_tag_that_came_back_is_gone_all_the_same(shop: Shop) -> None:
    """Another entry's load gives a rotated tag a new version; the old entry's one is gone, and explained."""
    shop.read()
    shop.elsewhere.invalidate("catalog")
    shop.elsewhere.get_or_load("other", lambda: 1, tags=["catalog"])
    told = shop.explain()
    assert [tag.verdict for tag in told.tags] == ["current", "current", "gone"]
    assert "tag 'catalog' rotated by" in str(told)


def test_the_newest_event_is_told_and_all_are_listed(shop: Shop) -> None:
    """Of several invalidations since the load the newest is named; each is listed once, also if it came twice."""
    shop.server.invalidate([ruled(id="before", tags=("catalog",))])
    shop.clock.advance(10)
    shop.read()
    for event in ("first", "second", "second"):
        shop.clock.advance(0.1)
        shop.server.invalidate([ruled(id=event, tags=("catalog",))])
    told = shop.explain()
    assert [each.event for each in told.causes] == ["second", "first"]
    assert told.tags[2].cause == "second"


def test_soft_moments_are_told_with_what_is_left(shop: Shop) -> None:
    """A stale value tells since when it is one, and for how long it is still served."""
    shop.process(PLAIN.but(stale_while_revalidate="20s", stale_if_error="1m"))
    shop.read()
    shop.clock.advance(31)
    shop.elsewhere.invalidate("catalog", soft=True)
    shop.clock.advance(5)
    told = shop.explain()
    assert shop.say().endswith("(application, us-east-1) -> SERVED for another 15 s")
    assert (told.outcome, told.reason) == ("stale", "tag")
    assert told.stale is not None
    assert (told.stale.age, told.stale.revalidate_left, told.stale.error_left) == (5, 15, 55)
    assert told.tags[2].verdict == "soft"
    assert told.tags[2].ended_ms == told.stale.since_ms == told.causes[0].at_ms
    shop.clock.advance(20)
    assert shop.explain().outcome == "load"
    shop.elsewhere.invalidate("catalog")
    assert shop.explain().stale is None


def test_an_expired_entry_needs_no_event(shop: Shop) -> None:
    """Time is told as time: the journal is not even searched."""
    shop.process(PLAIN.but(ttl="10s", stale_while_revalidate="1m"))
    shop.read()
    shop.clock.advance(13)
    told = shop.explain()
    assert str(told) == "L1 OFF -> L2 HIT, 13 s old -> STALE: expired 3.0 s ago -> SERVED for another 57 s"
    assert (told.reason, told.search, told.causes) == ("expired", None, ())


def test_what_cannot_be_read_says_so(shop: Shop) -> None:
    """Other tags, another type, another program's bytes: each is a miss with its own words."""
    shop.read()
    assert shop.explain(kind=int).reason == "codec"
    assert "as this call's type" in shop.say(kind=int)
    other = shop.do(shop.cache.explain(KEY, tags=["elsewhere"]))
    assert (other.reason, other.outcome) == ("retagged", "load")
    assert "under other tags" in str(other)
    shop.server.put(KEY, b"another program's", 60_000)
    assert "cannot be read by this release" in shop.say()


# --- the near cache ---------------------------------------------------------------------------------


def test_a_copy_within_its_bound_is_told(shop: Shop) -> None:
    """Within the bound a read is served near, whatever the server has meanwhile: both are told."""
    shop.process(PLAIN.but(staleness=5))
    shop.read()
    shop.clock.advance(2)
    shop.elsewhere.invalidate("catalog")
    told = shop.explain()
    assert shop.say().startswith("L1 HIT, in step 2.0 s ago -> L2 HIT, 2.0 s old -> STALE: tag 'catalog'")
    assert told.outcome == "near hit"
    assert (told.near.bound, told.near.behind, told.near.checked, told.near.served) == (5, 2, False, True)


def test_a_copy_beyond_its_bound_is_checked_as_a_read_would(shop: Shop) -> None:
    """It is told whether the next check of the journal spares the copy, and the check is not made for it."""
    shop.process(PLAIN.but(staleness=5))
    shop.read()
    shop.clock.advance(6)
    assert shop.say() == "L1 HIT, after a check of the journal -> L2 HIT, 6.0 s old"
    shop.elsewhere.invalidate("elsewhere")
    assert shop.explain().outcome == "near hit"
    shop.elsewhere.invalidate("catalog")
    told = shop.explain()
    assert shop.say().startswith("L1 DROPPED -> L2 HIT, 6.0 s old -> STALE: tag 'catalog' rotated by evt …")
    assert (told.near.state, told.near.cause, told.outcome) == ("dropped", told.causes[0].event, "load")
    shop.elsewhere.get_or_load(KEY, lambda: "new", tags=TAGS)
    assert shop.say() == (
        "L1 DROPPED: tag 'catalog' named by evt … (application, us-east-1) -> L2 HIT, 0.0 s old"
    )
    assert shop.cache.core.near.copies, "the copy is still there: nothing was changed"


@pytest.mark.parametrize("how", ["lost", "never followed"])
def test_a_copy_that_the_journal_cannot_vouch_for_is_dropped(shop: Shop, how: str) -> None:
    """A journal with a gap, or a place that was never taken, spares nothing."""
    shop.process(PLAIN.but(staleness=0))
    shop.read()
    if how == "lost":
        shop.server.drop(shop.server.keys.journal)
        shop.elsewhere.invalidate("elsewhere")
    else:
        shop.cache.core.near._cursor = ""
    assert shop.say() == ("L1 DROPPED: the journal cannot show that nothing was missed -> L2 HIT, 0.0 s old")


def test_a_copy_for_another_call_is_none(shop: Shop) -> None:
    """A copy that other tags or another type brought, or whose life is over, answers nothing."""
    shop.process(PLAIN.but(staleness=60))
    shop.read()
    assert shop.do(shop.cache.explain(KEY, tags=["a"])).near.state == "other"
    assert shop.explain(kind=int).near.state == "other"
    assert shop.explain(policy=PLAIN).near.state == "off"
    shop.clock.advance(601)
    assert shop.explain().near.state == "over"


# --- what else there is -----------------------------------------------------------------------------


def test_a_switched_off_cache_says_so(shop: Shop) -> None:
    """Whatever is stored, a cache that is off loads."""
    shop.read()
    with shop.cache.off():
        assert str(shop.explain()) == "OFF: every read loads -> L1 OFF -> L2 HIT, 0.0 s old"
        assert (shop.explain().outcome, shop.explain().off) == ("off", True)


@pytest.mark.parametrize("fallback", ["load", "stale", "error"])
def test_a_server_that_is_away_is_explained(
    shop: Shop, fallback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No exception: what failed is told, with what the policy then does, and the breaker does not hear of it."""
    shop.process(PLAIN.but(fallback=fallback, staleness=0, stale_if_error="1h"))
    shop.read()

    def fail(*_: Any) -> Any:
        raise ProviderUnavailableError("gone")

    for name in ("read", "read_following", "journal"):
        monkeypatch.setattr(shop.server, name, fail)
    told = shop.explain()
    assert str(told).startswith("L1 UNCHECKED -> L2 AWAY: ProviderUnavailableError: gone")
    assert (told.outcome, told.reason) == (fallback, "unreachable")
    assert shop.cache.core.breaker.in_a_row == 0
    for _ in range(3):
        shop.cache.core.breaker.failed()
    told = shop.explain()
    assert "the breaker is open for another 1.000 s" in str(told)
    assert (told.reason, told.outage.breaker_open, told.outage.in_a_row) == ("breaker", True, 3)
    assert shop.cache.core.breaker.opened == 1


def test_a_server_that_refuses_is_explained(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises to whoever reads is told as that."""

    def refuse(*_: Any) -> Any:
        raise ProviderRejectedError("no permission")

    monkeypatch.setattr(shop.server, "read", refuse)
    told = shop.explain()
    assert (told.outcome, told.reason) == ("error", "rejected")
    assert "no permission" in str(told)


def test_a_journal_that_is_lost_on_the_way_leaves_the_rest(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only the search fails, what was seen before is told all the same."""
    shop.read()
    shop.elsewhere.invalidate("catalog")

    def fail(*_: Any) -> Any:
        raise ProviderUnavailableError("gone")

    monkeypatch.setattr(shop.server, "journal", fail)
    told = shop.explain()
    assert str(told).endswith("tag 'catalog' rotated, by what the journal does not tell")
    assert told.reason == "tag"
    assert "gone" in told.report()


def test_a_deferred_invalidation_is_told_ahead(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the server is applied before the next read: a hit of the server is none for this process."""
    shop.process(PLAIN, unreachable="defer")
    shop.read()
    real = shop.server.invalidate

    def fail(*_: Any) -> Any:
        raise ProviderUnavailableError("gone")

    monkeypatch.setattr(shop.server, "invalidate", fail)
    shop.do(shop.cache.invalidate("elsewhere"))
    assert shop.explain().outcome == "hit"
    shop.do(shop.cache.invalidate("catalog"))
    monkeypatch.setattr(shop.server, "invalidate", real)
    told = shop.explain()
    assert shop.say() == (
        "L1 OFF -> L2 HIT, 0.0 s old -> STALE: tag 'catalog' named by evt … (application, eu-west-1), "
        "which waits for the server"
    )
    assert (told.outcome, told.outage.deferred, len(shop.cache.core.deferred)) == ("load", 2, 2)


def test_a_resting_loader_is_told(shop: Shop) -> None:
    """A loader that failed just now is left alone while the stale value is served."""
    shop.process(PLAIN.but(ttl="10s", stale_if_error="1m", retry_after="5s"))
    shop.read()
    shop.clock.advance(11)

    def broken() -> str:
        raise LookupError

    async def async_broken() -> str:
        raise LookupError

    load = async_broken if shop.awaits else broken
    assert shop.do(shop.cache.get_or_load(KEY, load, tags=TAGS)) == "value"
    told = shop.explain()
    assert (told.resting, told.outcome) == (5, "stale")
    assert "is left alone for another 5.0 s" in told.report()
    shop.clock.advance(6)
    assert (shop.explain().resting, shop.explain().outcome) == (0, "load")


def test_a_load_of_this_process_is_told() -> None:
    """While this process loads the key, that is told; no lease is taken to find out who else does."""
    cache = Cache(MemoryProvider("shop"))
    seen: list[Any] = []

    def load() -> str:
        seen.append(cache.explain(KEY, tags=TAGS))
        return "value"

    cache.get_or_load(KEY, load, tags=TAGS)
    assert [each.loading for each in (*seen, cache.explain(KEY, tags=TAGS))] == [True, False]
    assert "this process is loading the key" in seen[0].report()


def test_an_async_load_is_told() -> None:
    """The same among tasks."""
    cache = AsyncCache(AsyncMemoryProvider("shop"))

    async def load() -> bool:
        return (await cache.explain(KEY)).loading

    assert asyncio.run(cache.get_or_load(KEY, load))


def test_a_decorated_call_can_be_explained(shop: Shop) -> None:
    """`explain_of` takes a call as decorators make it, with or without the texts of its tags."""
    shop.read()
    call = shop.cache.call(KEY, TAGS)
    named, unnamed = shop.do(shop.cache.explain_of(call, TAGS)), shop.do(shop.cache.explain_of(call))
    assert [tag.text for tag in named.tags] == ["", *TAGS]
    assert [tag.text for tag in unnamed.tags] == ["", None, None]
    assert f"tag #{unnamed.tags[1].id}: as it was" in unnamed.report()
    shop.elsewhere.invalidate(*TAGS)
    assert [tag.text for tag in shop.do(shop.cache.explain_of(call)).tags] == ["", *TAGS]
