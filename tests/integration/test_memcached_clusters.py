"""Real Memcached nodes that come, go, hang, restart and encrypt."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
import time
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.loopback import HOST, exchange
from local.memcached import Memcached
from local.memcached_discovery import DiscoveryEndpoint
from local.supervisor import Supervisor
from staleproof import AsyncCache, Cache, Policy
from staleproof.errors import (
    ConfigurationError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.ports import Claim, Deposit, Want
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider, health, pool
from staleproof.tags import ROOT
from staleproof.testing import Blocking
from staleproof.testing.examples import MINE, MINUTE, A, invalidation
from tests.unit.elasticache_account import Account, cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.memcached

Make = Any


@pytest.fixture(scope="module")
def owner() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


@pytest.fixture(scope="module")
def nodes(owner: Supervisor) -> list[Memcached]:
    """Four nodes, which tests add and remove, and do not end."""
    servers = [Memcached(owner, f"cluster-{number}") for number in range(4)]
    for server in servers:
        server.start()
    return servers


@pytest.fixture
def mortal(owner: Supervisor, fresh_namespace: str) -> Memcached:
    """A node that a test may end."""
    server = Memcached(owner, f"mortal-{fresh_namespace}")
    server.start()
    return server


@pytest.fixture(params=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Callable[..., Any]]:
    """Makes a provider for a URL, in either colour, as blocking code sees it."""
    made: list[Any] = []

    def provider(url: str, **options: Any) -> Any:
        options = {"namespace": fresh_namespace, **options}
        if request.param == "blocking":
            made.append(MemcachedProvider.from_url(url, **options))
        else:
            made.append(Blocking(AsyncMemcachedProvider.from_url(url, **options)))
        return made[-1]

    yield provider
    for each in made:
        each.close() if request.param == "blocking" else each.shut()


def listed(nodes: list[Memcached]) -> list[str]:
    return [node.host_and_port for node in nodes]


def fill(provider: Any, keys: list[str]) -> None:
    for key in keys:
        provider.put(key, key.encode(), MINUTE)


def found(provider: Any, keys: list[str]) -> list[str]:
    return [key for key in keys if provider.read(key, [])[0] == key.encode()]


KEYS = [f"key:{number}" for number in range(200)]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("addresses", [False, True])
def test_nodes_are_discovered(make: Make, nodes: list[Memcached], *, older: bool, addresses: bool) -> None:
    """By the question of today's engines, and by the older one; with addresses and with names alone."""
    with DiscoveryEndpoint(listed(nodes[:3]), older=older, addresses=addresses) as endpoint:
        provider = make(endpoint.url)
        fill(provider, KEYS)
        assert found(provider, KEYS) == KEYS
        assert endpoint.asked == (2 if older else 1)


def square(number: int) -> int:
    """What is cached there."""
    return number**2


def test_a_cluster_is_found_by_its_name(nodes: list[Memcached], fresh_namespace: str) -> None:
    """AWS tells the configuration endpoint, and that the nodes: caches are made, fill, hit and are invalidated."""
    with DiscoveryEndpoint(listed(nodes[:3])) as endpoint:
        host, _, port = endpoint.url.removeprefix("memcached+discovery://").rstrip("/").rpartition(":")
        place = {"Address": host, "Port": int(port)}
        account = Account(cluster("shop", ConfigurationEndpoint=place))
        options: dict[str, Any] = {"environ": {}, "file": "none", "namespace": fresh_namespace}
        with Cache.from_aws("shop", client=account.client, **options) as cache:
            squares = cache.cacheable("square:{number}", tags=["squares"])(square)
            assert [squares(number) for number in range(9)] * 2 == [
                squares(number) for number in (*range(9), *range(9))
            ]
            assert cache.statistics.loads == 9
            cache.invalidate("squares")
            squares(3)
            assert cache.statistics.loads == 10

        async def awaited() -> Any:
            async with AsyncCache.from_aws("shop", client=account.client, **options) as other:
                return await other.get("square:3", tags=["squares"])

        assert asyncio.run(awaited()) == 9


def test_a_node_is_added_and_removed(make: Make, nodes: list[Memcached]) -> None:
    """Keys that stay where they are stay hits; those that move are misses, also when they move back."""
    with DiscoveryEndpoint(listed(nodes[:3])) as endpoint:
        provider = make(endpoint.url)
        fill(provider, KEYS)
        endpoint.change(listed(nodes))
        provider.membership.doubt(provider.membership.view)
        stayed = found(provider, KEYS)
        assert len(KEYS) / 2 < len(stayed) < len(KEYS)
        provider.invalidate([invalidation(keys=tuple(set(KEYS) - set(stayed)))])
        endpoint.change(listed(nodes[:3]))
        provider.membership.doubt(provider.membership.view)
        assert found(provider, KEYS) == stayed


def test_a_client_that_has_not_heard_is_told_by_the_nodes(make: Make, nodes: list[Memcached]) -> None:
    """He never asks for the list by himself, and yet reads nothing that a client of the new ring has invalidated."""
    with DiscoveryEndpoint(listed(nodes[:3])) as endpoint:
        late = make(endpoint.url)
        fill(late, KEYS)
        endpoint.change(listed(nodes[1:]))
        early = make(endpoint.url)
        early.invalidate([invalidation(keys=tuple(KEYS[::2]))])
        assert not set(found(late, KEYS)) & set(KEYS[::2])
        assert endpoint.asked >= 3


def test_the_endpoint_may_be_away(make: Make, nodes: list[Memcached], owner: Supervisor) -> None:
    """Who knows the nodes goes on with them; who does not is told where he asked."""
    with DiscoveryEndpoint(listed(nodes[:2])) as endpoint:
        provider = make(endpoint.url + "?poll=0.001")
        fill(provider, KEYS[:5])
        url = endpoint.url
    assert found(provider, KEYS[:5]) == KEYS[:5]
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        make(url, namespace="other").read("key", [])


def test_a_node_without_discovery_is_no_endpoint(make: Make, nodes: list[Memcached]) -> None:
    """The error says what to give instead."""
    with pytest.raises(ProviderError, match="configuration endpoint"):
        make(f"memcached+discovery://{nodes[0].host_and_port}/").read("key", [])


def test_a_restarted_node_is_empty_and_usable(make: Make, mortal: Memcached) -> None:
    """The first call after a restart already works; what was stored is a miss."""
    provider = make(mortal.url)
    provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=True)
    provider.store("key", b"1", MINUTE, MINE)
    before = provider.snapshot([A], MINUTE, guard=False).versions
    mortal.kill()
    mortal.start()
    assert provider.read("key", [ROOT, A]) == (None, [None, None])
    assert provider.snapshot([A], MINUTE, guard=False).versions != before


def test_a_dead_node_is_left_alone_and_comes_back(
    make: Make, nodes: list[Memcached], mortal: Memcached
) -> None:
    """Its keys are unavailable, quickly; the others' are served; and it is used again when it is back."""
    provider = make(f"memcached://{','.join(listed([nodes[0], mortal]))}/")
    fill(provider, KEYS)
    mortal.kill()
    state = {key: available(provider, key) for key in KEYS}
    assert {*state.values()} == {True, False}
    began = time.monotonic()
    for key in KEYS:
        available(provider, key)
    assert time.monotonic() - began < 2.0
    dead = next(key for key, lives in state.items() if not lives)
    with pytest.raises(ProviderUnavailableError):
        provider.invalidate([invalidation(keys=(dead,))])
    mortal.start()
    wait_until(lambda: available(provider, dead), "the node is used again")
    assert provider.read(dead, [])[0] is None


def available(provider: Any, key: str) -> bool:
    try:
        provider.read(key, [])
    except ProviderUnavailableError:
        return False
    return True


@pytest.mark.slow
def test_a_node_that_hangs_costs_one_timeout_or_two(
    make: Make, nodes: list[Memcached], mortal: Memcached
) -> None:
    """Then it is left alone; what it held is there again when it goes on, and was not invalidated meanwhile."""
    provider = make(f"memcached://{','.join(listed([nodes[0], mortal]))}/", timeout=0.2)
    fill(provider, KEYS)
    mortal.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for key in KEYS:
            available(provider, key)
        assert time.monotonic() - began < 2.0
    finally:
        mortal.signal(signal.SIGCONT)
    wait_until(lambda: all(available(provider, key) for key in KEYS), "the node is used again")
    assert found(provider, KEYS) == KEYS


@pytest.mark.slow
def test_idle_connections_that_the_server_closed_are_replaced(make: Make, mortal: Memcached) -> None:
    """Nobody is told of a restart between two calls."""
    provider = make(mortal.url)
    provider.put("key", b"1", MINUTE)
    mortal.stop()
    mortal.start()
    provider.put("key", b"2", MINUTE)
    assert provider.read("key", [])[0] == b"2"


def test_a_connection_that_was_silent_for_long_is_opened_anew(
    make: Make, nodes: list[Memcached], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies between may have forgotten it, and would let whoever uses it wait for the whole timeout."""
    provider = make(nodes[0].url)
    provider.put("key", b"1", MINUTE)
    made = told(nodes[0], b"total_connections")
    assert provider.read("key", [])[0] == b"1"
    assert told(nodes[0], b"total_connections") == made + 1  # who asks
    now = time.time()
    monkeypatch.setattr(health, "time", lambda: now + health.SILENT + 2)
    assert provider.read("key", [])[0] == b"1"
    assert told(nodes[0], b"total_connections") == made + 3


def told(node: Memcached, what: bytes) -> int:
    """What *node* says about itself."""
    stats = exchange(node.port, b"stats\r\n", 1 << 16)
    return int(stats.partition(b"STAT %b " % what)[2].split(b"\r\n")[0])


def test_who_is_interrupted_gives_all_connections_back(
    nodes: list[Memcached], fresh_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of a talk with several nodes: the others are not read, and not lost either; there is one to each."""
    url = f"memcached://{','.join(listed(nodes))}/"
    provider = MemcachedProvider.from_url(url, namespace=fresh_namespace, max_connections=1, timeout=5.0)
    fill(provider, KEYS)
    wants = [Want(key, []) for key in KEYS]
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what is undone matters
            patch.setattr(pool, "_receive", interrupted)
            provider.read_many(wants)
        assert [each.entry is not None for each in provider.read_many(wants)] == [True] * len(KEYS)
    provider.close()


def interrupted(*_: object) -> Any:
    raise KeyboardInterrupt


def test_a_value_too_large_is_served_unstored_and_counted(
    nodes: list[Memcached], fresh_namespace: str
) -> None:
    """The next read loads again; the statistics say why."""
    provider = MemcachedProvider.from_url(nodes[0].url, namespace=fresh_namespace)
    cache = Cache(provider, policy=Policy(ttl="1m"))
    value = Random(1).randbytes(1_200_000)
    assert cache.get_or_load("key", lambda: value) == value
    assert cache.get_or_load("key", lambda: b"small") == b"small"
    assert cache.get_or_load("key", lambda: b"other") == b"small"
    assert cache.statistics.unstored["provider"] == 1
    with pytest.raises(ProviderRejectedError, match="max_item_size"):
        provider.put("key", value, MINUTE)
    assert provider.read("key", [])[0] is None
    provider.close()


@pytest.mark.slow
def test_tls_is_verified(make: Make, owner: Supervisor, tmp_path: Path, fresh_namespace: str) -> None:
    """By the authorities that are given or the system's; a certificate of somebody else is refused."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", f"subjectAltName=IP:{HOST}"),
        ],
        check=True,
        capture_output=True,
    )
    options = ["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}"]
    server = Memcached(owner, f"tls-{fresh_namespace}", options=options)
    server.start()
    url = f"memcacheds://{server.host_and_port}/"
    provider = make(f"{url}?ssl_ca_certs={certificate}")
    for size in (0, 4_000, 9_000, 16_300, 17_000, 300_000, 1_000_000):
        provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=True)
        assert provider.store("key", b"x" * size, MINUTE, MINE)
        assert provider.read("key", [])[0] == b"x" * size
    deposits = [Deposit(f"key:{size}", b"x" * size, MINUTE, MINE) for size in range(0, 40_000, 777)]
    provider.begin_many([Claim(each.key, [A], MINE) for each in deposits], MINUTE, MINUTE, guard=False)
    assert all(provider.store_many(deposits))
    assert [one.entry for one in provider.read_many([Want(each.key, []) for each in deposits])] == [
        each.entry for each in deposits
    ]
    with pytest.raises(ProviderRejectedError, match="certificate"):
        make(url).read("key", [])
    server.stop()


def test_a_cache_by_url(nodes: list[Memcached], fresh_namespace: str) -> None:
    """Settings know the address; a near cache has no journal to follow here, and reads go on."""
    cache = Cache.from_env({}, cache_url=nodes[0].url, namespace=fresh_namespace)
    numbers = count()
    assert [cache.get_or_load("key", lambda: next(numbers), tags=["t"]) for _ in range(3)] == [0, 0, 0]
    cache.invalidate("t")
    assert cache.get_or_load("key", lambda: next(numbers), tags=["t"]) == 1
    with pytest.raises(ProviderRejectedError, match="does not list"):
        list(cache.scan())
    cache.close()


@pytest.mark.slow
def test_no_stale_read_under_load_while_nodes_come_and_go(make: Make, nodes: list[Memcached]) -> None:
    """P1 on real nodes: writers invalidate, readers judge, nodes join and leave; nobody reads what was invalidated."""
    with DiscoveryEndpoint(listed(nodes[:3])) as endpoint:
        judge = Judge()
        workers = [
            threading.Thread(target=work, args=(judge, make(endpoint.url + "?poll=1"), number))
            for number, work in enumerate([judged, judged, judged, invalidating])
        ]
        for worker in workers:
            worker.start()
        try:
            for members in (nodes, nodes[:2], nodes[1:3], nodes[1:], nodes[:3], nodes):
                time.sleep(0.7)
                endpoint.change(listed(members))
        finally:
            time.sleep(0.7)
            judge.over.set()
            for worker in workers:
                worker.join()
    assert judge.stale == []
    assert judge.hits > 200
    assert judge.invalidations > 50


class Judge:
    """A source whose rows only grow, and what was acknowledged of it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.rows = dict.fromkeys((f"row:{number}" for number in range(8)), 0)
        self.acknowledged = dict(self.rows)
        self.stale: list[tuple[str, int, int]] = []
        self.hits = self.loads = self.invalidations = 0


def judged(judge: Judge, provider: Any, number: int) -> None:
    random = Random(number)
    while not judge.over.is_set():
        row = random.choice(sorted(judge.rows))
        least = judge.acknowledged[row]
        try:
            got = read_or_load(judge, provider, row, random.randbytes(12))
        except ProviderUnavailableError:
            continue
        if got is not None and got < least:
            judge.stale.append((row, got, least))


def read_or_load(judge: Judge, provider: Any, row: str, lease: bytes) -> int | None:
    tags = [ROOT, A]
    raw, versions = provider.read(row, tags)
    if raw is not None and None not in versions and raw[8:] == b"".join(versions):
        judge.hits += 1
        return int.from_bytes(raw[:8], "big")
    begun = provider.begin(row, tags, lease, MINUTE, MINUTE, guard=False)
    if begun.leased:
        value = judge.rows[row]
        judge.loads += 1
        provider.store(row, value.to_bytes(8, "big") + b"".join(begun.snapshot.versions), MINUTE, lease)
    return None


def invalidating(judge: Judge, provider: Any, number: int) -> None:
    random = Random(number)
    while not judge.over.is_set():
        row = random.choice(sorted(judge.rows))
        judge.rows[row] += 1
        value = judge.rows[row]
        try:
            by_tag = random.random() < 0.2
            provider.invalidate([invalidation("a") if by_tag else invalidation(keys=(row,))])
        except ProviderUnavailableError:
            continue
        judge.acknowledged[row] = value
        judge.invalidations += 1
        time.sleep(0.004)


def test_no_memcached_is_said(monkeypatch: pytest.MonkeyPatch, owner: Supervisor) -> None:
    """Where the program is missing, the tests that need it fail and name the package."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Exception, match="apt-get install memcached"):
        Memcached(owner, "missing").start()
    with pytest.raises(ConfigurationError):
        MemcachedProvider.from_url("memcached://", namespace="x")
