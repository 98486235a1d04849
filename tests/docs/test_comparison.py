"""The comparison with other libraries is honest: each name of ours exists, and none of their features is left out.

Their features are written down here by name, from their documentation and sources: annotations and their attributes,
options of an entry, exported names. Whoever finds one missing adds it here first.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

import staleproof
from staleproof.config.table import SETTINGS, variable
from staleproof.keys import template
from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "concepts" / "comparison.md").read_text()
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
CALL = re.compile(r"([\w.]+)\((\w+)=\)")
VERDICT = re.compile(r"\*\*(yes|otherwise|partly|not yet|no)\*\*")
OURS = re.compile(
    r"(?:Cache|Policy|NearCache|LoadContext|Cached|staleproof)\.[\w.]+(?:\(\w+=\))?$|\w+\(\w+=\)$"
)
HOMES = {
    "MemoryProvider": "staleproof.providers.memory",
    "RedisProvider": "staleproof.providers.redis",
    "TieredProvider": "staleproof.providers.tiered",
}

SPRING = """
    @Cacheable @CachePut @CacheEvict @Caching @CacheConfig @EnableCaching CachingConfigurer
    value cacheNames key keyGenerator cacheManager cacheResolver condition unless sync allEntries beforeInvocation
    #result #root.target #root.args #root.method #root.targetClass #root.caches Optional CompletableFuture Mono Flux
    get retrieve put putIfAbsent evict evictIfPresent clear invalidate getName getNativeCache getCache getCacheNames
    ConcurrentMapCacheManager SimpleCacheManager CaffeineCacheManager CompositeCacheManager NoOpCacheManager
    CacheErrorHandler LoggingCacheErrorHandler TransactionAwareCacheManagerProxy transactionAware
    entryTtl TtlFunction enableTimeToIdle disableCachingNullValues prefixKeysWith computePrefixWith serializeValuesWith
    lockingRedisCacheWriter BatchStrategies enableStatistics withInitialCacheConfigurations
""".split()  # noqa: SIM905 - it is read and compared with their pages, not as code
FUSION_CACHE = """
    GetOrSet TryGet GetOrDefault MaybeValue Set Remove Expire RemoveByTag Clear
    DefaultEntryOptions Duplicate FusionCacheEntryOptionsProvider CacheKeyPrefix
    Duration JitterMaxDuration Size Priority LockTimeout
    IsFailSafeEnabled FailSafeMaxDuration FailSafeThrottleDuration AllowStaleOnReadOnly
    FactorySoftTimeout FactoryHardTimeout AllowTimedOutFactoryBackgroundCompletion
    MemoryCacheDuration DistributedCacheDuration DistributedCacheFailSafeMaxDuration
    DistributedCacheSoftTimeout DistributedCacheHardTimeout EagerRefreshThreshold NotModified ETag LastModified ctx.Fail
    AllowBackgroundDistributedCacheOperations AllowBackgroundBackplaneOperations
    ReThrowDistributedCacheExceptions ReThrowBackplaneExceptions ReThrowSerializationExceptions
    SkipMemoryCacheRead SkipMemoryCacheWrite SkipDistributedCacheRead SkipDistributedCacheWrite
    SkipDistributedCacheReadWhenStale SkipBackplaneNotifications IgnoreIncomingBackplaneNotifications EnableAutoClone
""".split()  # noqa: SIM905 - it is read and compared with their pages, not as code
FUSION_CACHE_TITLES = (
    "adaptive caching", "conditional refresh", "cache stampede", "L1 and L2", "disk cache", "backplane",
    "auto-recovery", "circuit breaker", "named caches", "keyed services", "dependency injection", "hot swap",
    "serializers", "events", "plugins", "OpenTelemetry", "logging", "cancellation", "HybridCache", "chaos",
    "simulator", "null caching", "sync and async",
)  # fmt: skip
CASHEWS = """
    cache early soft failover hit dynamic iterator locked lock set_lock unlock is_locked thunder_protection protected
    rate_limit slice_rate_limit circuit_breaker bloom dual_bloom transaction invalidate invalidate_further
    ttl key prefix condition NOT_NONE with_exceptions only_exceptions time_condition upper fast_condition
    tags delete_tags register_tag setup_tags_backend lower hash len jwt default_formatter.register type_format
    key_context noself get_cache_key_template
    set get get_or_set delete exists get_many set_many delete_many incr expire get_expire scan get_match delete_match
    clear get_raw set_raw get_bits incr_bits slice_incr set_add set_pop get_size get_keys_count ping
    disable disabling enable register_backend suppress register_type secret digestmod detect add_prefix all_keys_lower
    memory_limit setup mem
""".split()  # noqa: SIM905
THEIRS = {"Spring Cache": SPRING, "FusionCache": FUSION_CACHE, "cashews": CASHEWS}


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    text = dict(SECTION.findall(PAGE))[section]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def thing(dotted: str) -> Any:
    """What *dotted* names: an export of ours, something in it, a method of `Cache`, or any importable name."""
    head, *rest = dotted.split(".")
    if head in staleproof.__all__:
        found: Any = getattr(staleproof, head)
    elif head in HOMES:
        found = getattr(importlib.import_module(HOMES[head]), head)
    elif rest:
        found = importlib.import_module(head)
    else:
        found, rest = staleproof.Cache, [head]
    for name in rest:
        try:
            found = getattr(found, name)
        except AttributeError:
            found = importlib.import_module(f"{found.__name__}.{name}")
    return found


def resolve(code: str) -> None:
    """Raise unless *code* names something of ours."""
    if code.startswith("{"):
        template(code)
    elif code.startswith("STALEPROOF_"):
        assert code in {variable(path) for path in SETTINGS}
    elif code.startswith("make "):
        assert re.search(rf"^{code[5:]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif code.startswith("Policy."):
        assert code[7:] in {*staleproof.Policy.FIELDS, "but"}
    else:
        call = CALL.fullmatch(code)
        found = thing(call.group(1) if call else code)
        assert call is None or call.group(2) in inspect.signature(found).parameters


every_row = pytest.mark.parametrize(
    "row", [pytest.param(row, id=row[0]) for section in THEIRS for row in rows(section)]
)


@every_row
def test_a_row_has_a_verdict_and_a_reason(row: list[str]) -> None:
    """A row says one of five words first; what is claimed names ours, what is lacking says why or is called missing."""
    _, ours, why = row
    verdict = VERDICT.match(ours)

    assert verdict is not None
    if verdict.group(1) in {"yes", "partly"}:
        assert CODE.search(ours)
    if verdict.group(1) in {"otherwise", "partly", "no"}:
        assert why


@every_row
def test_what_is_ours_exists(row: list[str]) -> None:
    """Each name in the middle column resolves, and so does each in the last one that is plainly ours."""
    for code in CODE.findall(row[1]):
        resolve(code)
    for code in CODE.findall(row[2]):
        if OURS.match(code):
            resolve(code)


@pytest.mark.parametrize("section", THEIRS)
def test_no_feature_of_theirs_is_left_out(section: str) -> None:
    """Everything that they name stands in the first column of their table."""
    told = {code for row in rows(section) for code in CODE.findall(row[0])}
    told |= {code for row in rows(section) for code in CODE.findall(row[2])}

    assert [name for name in THEIRS[section] if name not in told] == []


def test_no_title_of_fusion_cache_is_left_out() -> None:
    """What FusionCache's documentation has a page on has a row."""
    told = " ".join(row[0].lower() for row in rows("FusionCache"))

    assert [title for title in FUSION_CACHE_TITLES if title.lower() not in told] == []


def test_what_they_lack_is_ours() -> None:
    """What is claimed to be here alone resolves, too."""
    for row in rows("What none of them has"):
        for code in CODE.findall(row[-1]):
            resolve(code)
