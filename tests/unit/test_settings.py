"""Settings: one meaning from whatever source, every fault told with its origin, no secret ever shown."""

from __future__ import annotations

import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import AsyncCache, Cache, CodecError, ConfigurationError, NearCache, Policy
from staleproof.codecs import JsonCodec, train
from staleproof.codecs.signed_pickle import KEY_BYTES, MAX_KEYS
from staleproof.config import Secret, Settings, async_provider, kinds, options, provider
from staleproof.config.environment import ELSEWHERE
from staleproof.config.listing import rows
from staleproof.config.secret import masked_url
from staleproof.config.table import DEFAULTS, SERVER, SETTINGS, path_of, setting, variable
from staleproof.near.store import DEFAULT_MAX_COPIES
from staleproof.policies.breaker import Breaker
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis.connections import DEFAULT_MAX_CONNECTIONS, MAX_TIMEOUT
from staleproof_pipeline.settings import Settings as PipelineSettings

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop", "STALEPROOF_FILE": "none"}
KEY = "k" * 32


def read(environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    """Settings of a whole environment and *environ*."""
    return Settings.from_env({**ENVIRON, **(environ or {})}, **arguments)


def faults(environ: dict[str, str] | None = None, **arguments: Any) -> list[str]:
    """The lines of the error that these settings raise."""
    with pytest.raises(ConfigurationError) as caught:
        read(environ, **arguments)
    return str(caught.value).splitlines()


def test_what_is_not_set_is_the_default() -> None:
    """Two variables are enough, and everything else is what the parts themselves take by default."""
    settings = read()
    assert settings.policy == Policy()
    assert (settings.server.namespace, settings.region, settings.server.timeout) == ("shop", "local", 1.0)
    assert not settings.off
    assert settings.origin("ttl") == "default"


def test_every_variable_arrives_where_it_belongs() -> None:
    """Texts become what their settings hold."""
    settings = read(
        {
            "STALEPROOF_CACHE_URL": "rediss://app:secret@cache.example:6380/1",
            "STALEPROOF_REGION": "eu-west-1",
            "STALEPROOF_TIMEOUT": "0.5",
            "STALEPROOF_MAX_CONNECTIONS": "8",
            "STALEPROOF_OFF": "yes",
            "STALEPROOF_NEAR_ENABLED": "off",
            "STALEPROOF_NEAR_MAX_COPIES": "500",
            "STALEPROOF_NEAR_MAX_BYTES": "64MiB",
            "STALEPROOF_NEAR_EVICTION": "tinylfu",
            "STALEPROOF_CODEC": "pickle",
            "STALEPROOF_PICKLE_KEYS": f"{KEY}, {KEY[::-1]}",
            "STALEPROOF_COMPRESSION": "zstd",
            "STALEPROOF_BREAKER_FAILURES": "7",
            "STALEPROOF_BREAKER_COOLDOWN": "30s",
            "STALEPROOF_RELOAD_EVERY": "none",
        }
    )
    server, near, breaker = settings.server, settings.near, settings.breaker
    assert server.url.reveal() == "rediss://app:secret@cache.example:6380/1"
    assert (server.timeout, server.max_connections) == (0.5, 8)
    assert (settings.region, settings.off) == ("eu-west-1", True)
    assert (near.enabled, near.max_copies, near.max_bytes, near.eviction) == (
        False,
        500,
        64 * 2**20,
        "tinylfu",
    )
    assert (settings.codec, settings.compression) == ("pickle", "zstd")
    assert settings.pickle_keys == (Secret(KEY), Secret(KEY[::-1]))
    assert (breaker.failures, breaker.cooldown, settings.reload_every) == (7, 30.0, None)


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("ttl", "1h", 3_600),
        ("ttl", "none", None),
        ("ttl", "90", 90),
        ("staleness", "0", 0),
        ("staleness", "off", None),
        ("jitter", "0.25", 0.25),
        ("xfetch", "1", 1.0),
        ("min_uses", "2", 2),
        ("compress_above", "none", None),
        ("fallback", "error", "error"),
    ],
)
def test_policy_fields_are_settings(name: str, written: str, expected: Any) -> None:
    """Each field of the default policy has a variable of its name, and `none` or `off` is None."""
    settings = read({variable(name): written})
    assert getattr(settings.policy, name) == expected
    assert settings.policy == Policy(**{name: expected})


def test_a_field_that_is_a_switch_takes_words() -> None:
    """`off` is False where a field is true or false."""
    assert read({"STALEPROOF_STALENESS": "1s", "STALEPROOF_READER": "on"}).policy.reader
    assert not read({"STALEPROOF_READER": "off"}).policy.reader


def test_named_policies_build_on_the_default_one() -> None:
    """A named policy has the default policy's fields where it says nothing."""
    settings = read(
        {"STALEPROOF_TTL": "1h", "STALEPROOF_POLICIES__VERY_HOT__JITTER": "0.1"},
        policies={"very_hot": {"ttl": "1m"}, "plain": {}},
        stale_if_error="1d",
    )
    assert settings.policies == {
        "very_hot": Policy(ttl="1m", jitter=0.1, stale_if_error="1d"),
        "plain": Policy(ttl="1h", stale_if_error="1d"),
    }


def test_named_providers_build_on_the_caches_server() -> None:
    """A named provider has the cache's namespace, time-out and connections where it says nothing."""
    settings = read(
        {"STALEPROOF_PROVIDERS__SESSIONS__URL": "memory://", "STALEPROOF_TIMEOUT": "2s"},
        providers={"sessions": {"namespace": "sessions"}, "other": {"url": "redis://other", "timeout": 5}},
    )
    sessions, other = settings.providers["sessions"], settings.providers["other"]
    assert (sessions.namespace, sessions.timeout, sessions.max_connections) == ("sessions", 2.0, 64)
    assert (other.url.reveal(), other.namespace, other.timeout) == ("redis://other", "shop", 5.0)
    assert provider(settings, "sessions").namespace == "sessions"
    assert async_provider(settings, "other").namespace == provider(settings, "other").namespace == "shop"
    with pytest.raises(ConfigurationError, match=r"no provider 'session' \(there is: other, sessions\)"):
        provider(settings, "session")


def test_a_stronger_source_hides_a_weaker_one() -> None:
    """Arguments go before the environment, which goes before what AWS says of the region."""
    environ = {"STALEPROOF_TTL": "1h", "STALEPROOF_LEASE": "3s", "AWS_REGION": "eu-west-1"}
    settings = read(environ, ttl="1m")
    assert (settings.policy.ttl, settings.policy.lease, settings.region) == (60, 3, "eu-west-1")
    assert settings.origin("ttl") == "argument ttl"
    assert settings.origin("lease") == "environment STALEPROOF_LEASE"
    assert settings.origin("region") == "environment AWS_REGION"
    assert read({**environ, "STALEPROOF_REGION": "us-east-1"}).region == "us-east-1"


def test_an_empty_variable_is_not_set() -> None:
    """A template that cannot leave a variable out may leave it empty."""
    assert read({"STALEPROOF_TTL": ""}).policy == Policy()


@pytest.mark.parametrize("face", [Cache, AsyncCache])
def test_a_cache_comes_from_settings(face: Any) -> None:
    """Both faces take from settings all that they are told."""
    cache = face.from_env(
        {**ENVIRON, "STALEPROOF_TTL": "1h", "AWS_REGION": "eu-west-1"},
        staleness=0,
        off=True,
        near={"max_copies": 7, "eviction": "lfu"},
        codec="json",
        unreachable="defer",
        policies={"hot": {"ttl": "1m"}},
        providers={"sessions": {"url": "memory://", "namespace": "sessions"}},
        breaker={"failures": 9},
    )
    assert (cache.namespace, cache.core.region, cache.core.off) == ("shop", "eu-west-1", True)
    assert cache.core.policy == Policy(ttl=3_600, staleness=0)
    assert cache.policy_of("hot") == Policy(ttl=60, staleness=0)
    assert isinstance(cache.codec, JsonCodec)
    assert cache.core.deferred is not None
    assert (cache.on("sessions").namespace, cache.on("sessions").core.off) == ("sessions", True)
    assert face.from_settings(read(near={"enabled": False})).core.near is None


def test_bounds_of_in_process_copies_arrive() -> None:
    """The near cache holds what its settings allow, and the stores know the same orders."""
    near = options(read(near={"max_bytes": "1kB", "eviction": "tinylfu"}))["near"]()
    assert isinstance(near, NearCache)
    assert near._held._bounds == (10_000, 1_000)
    for eviction in SETTINGS["near.eviction"].meaning.split("`")[1::2]:
        assert read(near={"eviction": eviction}).near.eviction == eviction


def test_pickles_are_signed_for_their_namespace() -> None:
    """The first key signs, all are accepted; and what was signed for one namespace is nothing in another."""
    old, both = (
        options(read(codec="pickle", pickle_keys=keys))["codec"] for keys in (KEY, [KEY[::-1] + "!", KEY])
    )
    other = options(read(codec="pickle", pickle_keys=KEY, namespace="other"))["codec"]
    assert both.decode(old.encode({1})) == {1}
    for reader, writer in ((old, both), (other, old)):
        with pytest.raises(CodecError, match="no valid signature"):
            reader.decode(writer.encode({1}))


def test_a_library_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a missing library means no compression; asked for by name it is a fault that names the extra."""
    monkeypatch.setattr("staleproof.codecs.compression.zstd_module", lambda: None)
    monkeypatch.setattr("staleproof.codecs.compression.lz4_block", lambda: None)
    assert options(read())["compression"] == "lz4"
    with pytest.raises(
        ConfigurationError, match=r"argument compression: compression='zstd' .* staleproof\[zstd\]"
    ):
        options(read(compression="zstd"))


@pytest.mark.parametrize("make", [provider, async_provider])
def test_without_the_client_library_its_extra_is_named(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a server needs the client library; without it the fault says what to install."""
    for name in [each for each in sys.modules if each.startswith(("staleproof.providers.redis", "redis."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"needs the Redis client; install staleproof\[redis\]"):
        make(read(cache_url="redis://h"))


def test_a_running_cache_takes_new_settings() -> None:
    """Policies, the off switch and the breaker reach a cache and its siblings; what they decorate follows."""
    cache = Cache.from_settings(read(providers={"sessions": {"url": "memory://", "namespace": "sessions"}}))
    cache.reconfigure(read(ttl="2h", policies={"hot": {"lease": "1s"}}, off=True, breaker={"failures": 9}))
    for each in (cache, cache.on("sessions")):
        assert (each.core.policy.ttl, each.policy_of("hot").lease, each.core.off) == (7_200, 1, True)
        assert each.core.breaker._failures == 9
    cache.reconfigure(read())
    assert not cache.core.off
    assert cache.get_or_load("k", lambda: 1) == cache.get_or_load("k", lambda: 2) == 1


@pytest.mark.parametrize(
    ("name", "written", "told"),
    [
        ("CACHE_URL", "http://user:secret@x", "cache_url has the scheme 'http'; use one of redis://, rediss://"),
        ("CACHE_URL", "secret", "cache_url has the scheme '***'; use one of"),
        ("CACHE_URL", "redis://:secret@x:port/0", "cache_url='redis://:***@x:port/0' is no address; write redis://"),
        ("CACHE_URL", "redis://x:65536", "cache_url='redis://x:65536' is no address"),
        ("CACHE_URL", "redis://:secret/0", "cache_url='redis://***' is no address"),
        ("CACHE_URL", "redis://u:se/cret@x", "cache_url='redis://u:***@x': a password with '/', '?' or '#' in it must"),
        ("NAMESPACE", "a b", "namespace 'a b' must be"),
        ("REGION", "eu west", "region='eu west' is no region; write"),
        ("TIMEOUT", "soon", "timeout='soon' is no duration; write seconds, or '250ms'"),
        ("TIMEOUT", "0", "timeout='0' is under a millisecond"),
        ("TIMEOUT", "2h", "timeout='2h' is more than an hour; write"),
        ("RELOAD_EVERY", "2d", "reload_every='2d' is more than a day; write"),
        ("MAX_CONNECTIONS", "many", "max_connections='many' must be a whole number of 1 or more"),
        ("NAMESPACE", " ", "namespace=' ' is no text; write one, in quotes"),
        ("BREAKER_FAILURES", "-1", "breaker.failures='-1' must be a whole number"),
        ("OFF", "perhaps", "off='perhaps' is neither on nor off; write true or false"),
        ("NEAR_MAX_BYTES", "64 stones", "near.max_bytes='64 stones' is no size; write bytes, or '64MB'"),
        ("NEAR_EVICTION", "random", "near.eviction='random' is none of 'lru', 'lfu'"),
        ("CODEC", "yaml", "codec='yaml' is none of 'msgpack', 'json', 'pickle'"),
        ("CODEC", "pickle", "codec='pickle' needs keys that sign; set STALEPROOF_PICKLE_KEYS"),
        ("PICKLE_KEYS", "secret", "pickle_keys: key 1 of 1 has 6 characters; use 32 or more random ones"),
        ("STAGE", "a/b", "stage='a/b' is no stage; write"),
        ("SSM_PATH", "staleproof", "ssm_path='staleproof' is no path; write one such as /staleproof/{stage}"),
        ("TTL", "soon", "ttl='soon' is no duration"),
        ("TTL", "0", "ttl='0' is under a millisecond"),
        ("STALENESS", "-1", "staleness='-1' is no duration"),
        ("LEASE", "off", "lease='off' is no duration"),
        ("FALLBACK", "hope", "fallback='hope' is none of 'load', 'stale', 'error'"),
        ("ADMIT", "always", "admit='always' cannot be called; pass a function"),
        ("POLICIES__HOT__TTL", "soon", "policies.hot.ttl='soon' is no duration"),
        ("PROVIDERS__A__URL", "http://x", "providers.a.url has the scheme 'http'; use one of"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told(name: str, written: str, told: str) -> None:
    """The line has the variable, the setting, the value unless it is secret, and what to write instead."""
    (line,) = faults({f"STALEPROOF_{name}": written})
    assert line.startswith(f"environment STALEPROOF_{name}: {told}")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"timeout": True}, "argument timeout: timeout=True is no duration"),
        (
            {"near": {"max_copies": 1.5}},
            "argument near.max_copies: near.max_copies=1.5 must be a whole number",
        ),
        ({"near": {"max_bytes": 0}}, "argument near.max_bytes: near.max_bytes=0 is no size"),
        ({"off": 1}, "argument off: off=1 is neither on nor off"),
        ({"namespace": 5}, "argument namespace: namespace=5 is no text; write one, in quotes"),
        ({"cache_url": None}, "argument cache_url: cache_url has the scheme '***'"),
        ({"pickle_keys": [1]}, "argument pickle_keys: pickle_keys=*** is no list of texts"),
        (
            {"pickle_keys": [KEY] * 9},
            "argument pickle_keys: pickle_keys: there are 9; keep 8, the first of which signs",
        ),
        ({"region": []}, "argument region: region=[] is no region"),
    ],
)
def test_an_argument_of_a_wrong_type_is_told(given: dict[str, Any], told: str) -> None:
    """What is no text is judged by its type."""
    (line,) = faults(**given)
    assert line.startswith(told)


@pytest.mark.parametrize(
    ("name", "path", "fix"),
    [
        ("STALENES", "stalenes", "did you mean STALEPROOF_STALENESS?"),
        ("NEAR__MAX_COPIES", "near__max_copies", "did you mean STALEPROOF_NEAR_MAX_COPIES?"),
        ("POLICIES__HOT__TLL", "policies.hot.tll", "did you mean STALEPROOF_POLICIES__HOT__TTL?"),
        ("COLOUR", "colour", "`staleproof config` lists those there are"),
    ],
)
def test_an_unknown_variable_is_told(name: str, path: str, fix: str) -> None:
    """A variable that no setting has is an error, with the one that was probably meant."""
    told = f"environment STALEPROOF_{name}: there is no setting {path!r}; {fix}"
    assert faults({f"STALEPROOF_{name}": "1"}) == [told]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"near": {"copies": 1}},
            "argument near.copies: there is no setting 'near.copies'; did you mean near.max_c",
        ),
        ({"near": 5}, "argument near: near is a table; it has enabled, max_copies, max_bytes, eviction"),
        ({"policies": 5}, "argument policies: policies is a table; it has a table for each name"),
        (
            {"policies": {"hot": 5}},
            "argument policies.hot: policies.hot is a table; it has ttl, idle, jitter",
        ),
        (
            {"policies": {"A-1": {"ttl": 5}}},
            "argument policies.A-1.ttl: policies has the name 'A-1'; write lower",
        ),
        ({"ttl": {"short": 1}}, "argument ttl.short: there is no setting 'ttl.short'; "),
        ({"nera": {}}, "argument nera: there is no setting 'nera'; "),
        (
            {"providers": {"a": {}}},
            "providers.a.url is not set; set STALEPROOF_PROVIDERS__A__URL, such as redis://",
        ),
    ],
)
def test_an_unknown_name_is_told(given: dict[str, Any], told: str) -> None:
    """So is one in a table, a table where a value stands, and a value where a table does."""
    (line,) = faults(**given)
    assert line.startswith(told)


def test_empty_tables_change_nothing() -> None:
    """A table of the file whose lines were all taken out is no fault."""
    assert read(near={}, policies={}, providers={}, breaker={}) == read()


def test_what_is_missing_is_told() -> None:
    """The line names the variable, an example, and the other place where it may stand."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"STALEPROOF_FILE": "none"})
    url, namespace = str(caught.value).splitlines()
    assert url == (
        "cache_url is not set; set STALEPROOF_CACHE_URL, such as redis://127.0.0.1:6379/0, "
        "or cache_url in staleproof.toml"
    )
    assert (
        namespace
        == "namespace is not set; set STALEPROOF_NAMESPACE, such as shop, or namespace in staleproof.toml"
    )


def test_all_faults_are_told_together() -> None:
    """One start tells everything that is wrong, each thing once."""
    told = faults(
        {"STALEPROOF_TTL": "soon", "STALEPROOF_STALENES": "1", "STALEPROOF_POLICIES__HOT__LEASE": "x"},
        timeout="x",
        policies={"cold": {"ttl": "2h"}},
    )
    assert [line.partition(";")[0] for line in told] == [
        "environment STALEPROOF_STALENES: there is no setting 'stalenes'",
        "argument timeout: timeout='x' is no duration",
        "environment STALEPROOF_TTL: ttl='soon' is no duration",
        "environment STALEPROOF_POLICIES__HOT__LEASE: policies.hot.lease='x' is no duration",
    ]


def test_fields_that_do_not_go_together_are_told() -> None:
    """What a policy refuses as a whole is told at a field that takes part."""
    (line,) = faults({"STALEPROOF_READER": "on"})
    assert line.startswith("environment STALEPROOF_READER: reader=True needs a staleness above 0")
    (line,) = faults(policies={"hot": {"reader": True}})
    assert line.startswith("argument policies.hot.reader: policies.hot.reader=True needs a staleness")


def test_the_pipelines_variables_are_left_alone() -> None:
    """Whatever the pipeline's functions read under our prefix may stand in the same environment."""
    theirs = {variable(name): "x" for name in PipelineSettings.model_fields if name not in SETTINGS}
    assert read(theirs) == read()
    assert {path_of(name) for name in theirs} <= ELSEWHERE
    assert ELSEWHERE & {*SETTINGS, *DEFAULTS} == set()


def test_every_path_has_a_variable_of_its_own() -> None:
    """No two settings share a variable, and a variable leads back to its path."""
    paths = [
        *SETTINGS,
        *DEFAULTS,
        "policies.very_hot.negative_ttl",
        *(f"providers.a.{name}" for name in SERVER),
    ]
    assert len({variable(path) for path in paths}) == len(paths)
    for path in paths:
        assert path_of(variable(path)) == path
        assert setting(path) is not None


@pytest.mark.parametrize("face", [Cache, AsyncCache])
def test_replicas_are_a_setting(face: Any) -> None:
    """One or several, of the cache's own server and of further ones; shown without their passwords."""
    settings = read(
        {
            "STALEPROOF_CACHE_URL": "redis://primary:6379",
            "STALEPROOF_READER_URL": "redis://u:s3cret@replica-a:6379,redis://replica-b:6379/0",
            "STALEPROOF_PROVIDERS__OTHER__URL": "redis://other:6379",
            "STALEPROOF_PROVIDERS__OTHER__READER_URL": "redis://other-replica:6379",
            "STALEPROOF_PROVIDERS__PLAIN__URL": "redis://plain:6379",
        }
    )
    cache = face.from_settings(settings)
    assert [each.connections.where for each in cache.provider.reader.readers] == [
        "replica-a:6379",
        "replica-b:6379",
    ]
    assert cache.on("other").provider.reader.connections.where == "other-replica:6379"
    assert cache.on("plain").provider.reader is None
    shown = {row.setting: row.value for row in rows(settings)}
    assert shown["reader_url"] == ["redis://u:***@replica-a:6379", "redis://replica-b:6379/0"]
    assert "s3cret" not in repr(settings)
    assert settings.origin("reader_url") == "environment STALEPROOF_READER_URL"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reader_url": "redis://a"}, "argument reader_url: reader_url: memory:// has no replicas"),
        ({"cache_url": "redis://a", "reader_url": "memcached://b"}, "only Valkey and Redis have replicas"),
        ({"cache_url": "redis://a?reader=b", "reader_url": "redis://b"}, "says reader= already"),
        ({"cache_url": "redis://a", "reader_url": 5}, "reader_url is no address"),
        (
            {"providers": {"x": {"url": "memcached://a", "reader_url": "redis://b"}}},
            "argument providers.x.reader_url: providers.x.reader_url: memcached://a has no replicas",
        ),
        ({"memory": {"max_bytes": None, "max_entries": "none"}}, "are both none; memory has an end"),
        ({"memory": {"eviction": "random"}}, "memory.eviction='random' is none of 'lru'"),
        ({"near": {"budget": "much"}}, "near.budget='much' is no size"),
        ({"near": {"weak": "perhaps"}}, "near.weak='perhaps' is neither on nor off"),
        ({"dictionaries": 5}, "dictionaries=5 is no path"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_wrong_replicas_bounds_and_dictionaries_are_told(arguments: dict[str, Any], says: str) -> None:
    """Each by a line, before anything is made."""
    told = faults(None, **arguments)
    assert len(told) == 1
    assert says in told[0]


@pytest.mark.parametrize("face", [Cache, AsyncCache])
def test_memory_has_the_bounds_that_it_is_given(face: Any) -> None:
    """Entries, bytes, order and idle time of a provider inside the process, further ones included."""
    environ = {
        "STALEPROOF_MEMORY_MAX_ENTRIES": "7",
        "STALEPROOF_MEMORY_MAX_BYTES": "none",
        "STALEPROOF_MEMORY_EVICTION": "tinylfu",
        "STALEPROOF_MEMORY_IDLE": "5m",
        "STALEPROOF_PROVIDERS__OTHER__URL": "memory://",
    }
    cache = face.from_settings(read(environ))
    for each in (cache.provider, cache.on("other").provider):
        entries = getattr(each, "inner", each)._cells.entries
        assert entries._books._bounds == (7, float("inf"))
        assert type(entries._books._order).__name__ == "TinyLfu"
        assert entries._idle == 300
    bounds = inspect.signature(MemoryProvider).parameters
    memory = read().memory
    assert {name: getattr(memory, name) for name in memory.__struct_fields__} == {
        name: bounds[name].default for name in memory.__struct_fields__
    }


def test_near_caches_share_a_budget_and_may_be_weak() -> None:
    """Those of all providers of a cache together, beside the bound of each."""
    settings = read(
        {"STALEPROOF_NEAR_WEAK": "true", "STALEPROOF_NEAR_BUDGET": "2kB", "STALEPROOF_NEAR_MAX_BYTES": "1kB"},
        providers={"other": {"url": "memory://", "namespace": "other"}},
    )
    cache = Cache.from_settings(settings)
    one, other = cache.core.near, cache.on("other").core.near
    assert one is not None
    assert other is not None
    assert one._weak
    assert other._weak
    assert one._budget is other._budget
    assert one._budget is not None
    assert one._budget.max_bytes == 2_000
    assert one._held._bounds[1] == 1_000


def test_dictionaries_are_read_from_files(tmp_path: Path) -> None:
    """The first one writes, all of them read; what cannot be read is told with its origin."""
    samples = [f"product {n} of brand {n % 7}, in stock {n}".encode() for n in range(300)]
    old, new = tmp_path / "old.zdict", tmp_path / "new.zdict"
    old.write_bytes(train(samples, 1_024).raw)
    new.write_bytes(train(samples[::-1], 2_048).raw)
    environ = {"STALEPROOF_DICTIONARIES": f"{new}, {old}", "STALEPROOF_COMPRESSION": "zstd"}
    cache = Cache.from_settings(read(environ))
    assert [each.raw for each in cache.core.dictionaries] == [new.read_bytes(), old.read_bytes()]
    for wrong, says in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=f"^environment STALEPROOF_DICTIONARIES: .*{says}"):
            Cache.from_settings(read({**environ, "STALEPROOF_DICTIONARIES": str(wrong)}))
    old.write_bytes(b"\x37\xa4\x30\xec")
    with pytest.raises(ConfigurationError, match="no Zstandard dictionary"):
        Cache.from_settings(read(environ))


def test_defaults_are_those_of_the_parts() -> None:
    """What a setting says is the default is what the part takes by itself."""
    breaker = inspect.signature(Breaker).parameters
    assert SETTINGS["breaker.failures"].default == breaker["failures"].default
    assert SETTINGS["breaker.cooldown"].default == breaker["cooldown"].default
    assert SETTINGS["near.max_copies"].default == DEFAULT_MAX_COPIES
    face = inspect.signature(Cache).parameters
    assert SETTINGS["compression"].default == face["compression"].default
    assert SETTINGS["unreachable"].default == face["unreachable"].default
    assert kinds.LONGEST_TIMEOUT == MAX_TIMEOUT
    assert SETTINGS["max_connections"].default == DEFAULT_MAX_CONNECTIONS
    assert (kinds.LEAST_KEY, kinds.MOST_KEYS) == (KEY_BYTES, MAX_KEYS)
    assert DEFAULTS.keys() == Policy.FIELDS.keys()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
        ("redis://app:secret@h", "redis://app:***@h"),
        ("redis://:se:cr:et@h", "redis://:***@h"),
        ("redis://secret@h", "redis://***@h"),
        ("redis://se/cr:et@h", "redis://***@h"),
        ("redis://u:p@secret@h", "redis://u:***@h"),
        ("redis://:secret", "redis://***"),
        ("redis://h/0?password=secret&db=1", "redis://h/0?password=***&db=1"),
        ("redis://h?db=1&ssl_Password=secret", "redis://h?db=1&ssl_Password=***"),
        ("unix://u:secret@/tmp/s.sock", "unix://u:***@/tmp/s.sock"),
        ("secret", "***"),
    ],
)
def test_an_address_shows_no_credentials(url: str, shown: str) -> None:
    """Whatever may be a password is hidden, also in an address that is none."""
    assert masked_url(url) == shown


def test_secrets_are_never_printed() -> None:
    """Not by `repr`, `str`, formatting, `rich` or the record of what was given; only by `reveal`."""
    settings = read({"STALEPROOF_CACHE_URL": "redis://u:hush-hush@h"}, pickle_keys=[KEY])
    url = settings.server.url
    shown = (
        f"{settings!r} {settings} {list(settings.__rich_repr__())} {settings.given} {url} {url!r} {url!s:>40}"
    )
    assert "hush" not in shown
    assert KEY not in shown
    assert "redis://u:***@h" in shown
    assert url.reveal() == "redis://u:hush-hush@h"
    assert pickle.loads(pickle.dumps(url)) == url != Secret("redis://u@h")  # noqa: S301 - our own bytes
    assert len({url, Secret(url.reveal())}) == 1


def test_settings_do_not_change() -> None:
    """A set of settings is a value."""
    settings = read()
    assert settings == read()
    assert settings != read(ttl=1)
    with pytest.raises(AttributeError):
        settings.off = True  # type: ignore[misc]
