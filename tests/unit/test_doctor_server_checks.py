"""What the doctor makes of a server's state: each thing that is wrong has its severity, meaning and fix."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cli import doctor_server
from staleproof.cli.doctor_finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR


def found(
    check: Callable[[Any], Iterator[Finding]], *, serverless: Any = False, **info: Any
) -> list[Finding]:
    """What *check* finds where INFO says this."""
    told = {name: str(value) for name, value in info.items()}

    def number(field: str) -> int | None:
        return int(told[field]) if field in told else None

    patient: Any = SimpleNamespace(info=told, number=number, measured={}, serverless=serverless, local=False)
    return list(check(patient))


@pytest.mark.parametrize(
    ("info", "severity", "word"),
    [
        ({"redis_version": "7.0.15"}, OK, "redis 7.0.15"),
        ({"redis_version": "6.2.6"}, ERROR, "redis 6.2.6"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"}, OK, "valkey 9.1.2"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.6"}, OK, "valkey 7.2.6"),
        ({"redis_version": "7.1.0"}, OK, "redis 7.1.0"),
        ({"redis_version": "10.0.0"}, OK, "redis 10.0.0"),
    ],
)
def test_an_old_engine_is_an_error(info: dict[str, str], severity: Severity, word: str) -> None:
    """Redis OSS below 7.0 lacks what the library needs; Valkey tells its own version beside the one it mimics."""
    (told,) = found(doctor_server.engine, **info)
    assert (told.severity, told.found) == (severity, word)


def test_without_info_the_rest_is_unknown() -> None:
    """A user without INFO learns what stays unknown, and no check invents anything."""
    (told,) = found(doctor_server.engine)
    assert (told.severity, told.fix) == (WARNING, "allow +info, for the doctor alone")
    checks = (
        doctor_server.memory,
        doctor_server.evictions,
        doctor_server.clients,
        doctor_server.persistence,
        doctor_server.replication,
    )
    assert [finding for check in checks for finding in found(check)] == []


def test_a_loading_server_is_an_error() -> None:
    """It answers, and refuses commands."""
    assert found(doctor_server.engine, redis_version="7.2.0", loading=1)[1].severity is ERROR


GIB = 2**30


@pytest.mark.parametrize(
    ("policy", "used", "severities"),
    [
        ("volatile-lru", GIB, [OK, OK]),
        ("volatile-ttl", GIB // 2, [OK, OK]),
        ("volatile-lfu", GIB // 2, [OK, OK]),
        ("volatile-random", GIB // 2, [INFO, OK]),
        ("allkeys-lru", GIB // 2, [WARNING, OK]),
        ("noeviction", GIB // 2, [WARNING, OK]),
        ("noeviction", int(0.9 * GIB), [WARNING, WARNING]),
        ("noeviction", GIB, [WARNING, ERROR]),
    ],
)
def test_the_eviction_policy_has_consequences(policy: str, used: int, severities: list[Severity]) -> None:
    """A full server that evicts costs misses; one that does not, or that evicts journals, costs invalidations."""
    told = found(doctor_server.memory, maxmemory_policy=policy, maxmemory=GIB, used_memory=used)
    assert [each.severity for each in told] == severities
    assert all(each.means and each.fix for each in told if each.severity >= WARNING)


def test_memory_without_a_limit_is_told() -> None:
    """On a server of one's own nothing else limits it; Serverless has limits of its own and tells none."""
    (_, told) = found(doctor_server.memory, maxmemory_policy="volatile-lru", maxmemory=0, used_memory=1_500)
    assert (told.severity, told.found) == (WARNING, "1 KiB used, without a limit")
    serverless = found(doctor_server.memory, serverless=True, maxmemory=0, used_memory=1)
    assert [(each.check, each.severity) for each in serverless] == [("maxmemory-policy", OK)]


@pytest.mark.parametrize(
    ("info", "severity"),
    [
        ({"evicted_keys": 0, "keyspace_hits": 9, "keyspace_misses": 1}, OK),
        ({"evicted_keys": 5, "maxmemory_policy": "volatile-lru"}, INFO),
        (
            {"evicted_keys": 5, "maxmemory_policy": "allkeys-lru", "keyspace_hits": 0, "keyspace_misses": 0},
            WARNING,
        ),
    ],
)
def test_evictions_are_told(info: dict[str, object], severity: Severity) -> None:
    """Evicted entries are misses; under an `allkeys` policy journals may be among them."""
    (told,) = found(doctor_server.evictions, **info)
    assert told.severity is severity


@pytest.mark.parametrize(
    ("connected", "rejected", "severity"), [(10, 0, OK), (90, 0, WARNING), (10, 3, WARNING)]
)
def test_a_shortage_of_connections_is_told(connected: int, rejected: int, severity: Severity) -> None:
    """Connections that were refused, or soon are."""
    (told,) = found(
        doctor_server.clients, connected_clients=connected, maxclients=100, rejected_connections=rejected
    )
    assert told.severity is severity


@pytest.mark.parametrize(
    ("info", "severities"),
    [
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "ok"}, [OK]),
        ({"aof_enabled": 1}, [WARNING]),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, [ERROR, OK]),
    ],
)
def test_what_a_restart_brings_back_is_told(info: dict[str, object], severities: list[Severity]) -> None:
    """An append-only file may end before the last invalidations; a failed snapshot stops writes."""
    assert [each.severity for each in found(doctor_server.persistence, **info)] == severities


ONLINE = "ip=10.0.0.2,port=6379,state=online,offset=14,lag=0"


@pytest.mark.parametrize(
    ("info", "severity"),
    [
        ({"role": "master", "slave0": ONLINE}, OK),
        ({"role": "master"}, INFO),
        ({"role": "master", "slave0": ONLINE, "slave1": ONLINE.replace("lag=0", "lag=60")}, WARNING),
        ({"role": "master", "slave0": ONLINE.replace("online", "wait_bgsave")}, WARNING),
        ({"role": "slave", "master_link_status": "up"}, ERROR),
    ],
)
def test_replicas_are_told(info: dict[str, object], severity: Severity) -> None:
    """A replica takes no writes; a primary without any, or with late ones, loses what they do not have."""
    (told,) = found(doctor_server.replication, **info)
    assert told.severity is severity


def answering(skew: float, pause: float = 0.0) -> Any:
    """A patient whose server's clock differs from this host's by *skew* seconds."""
    wall = SimpleNamespace(wall=lambda: 1_000_000.0)
    seconds = 1_000_000 + skew

    def ask(*_: Any) -> list[bytes]:
        return [str(int(seconds)).encode(), str(round(seconds % 1 * 1e6)).encode()]

    return SimpleNamespace(clock=wall, ask=ask, measured={})


@pytest.mark.parametrize(
    ("skew", "severity"), [(0.0, OK), (0.4, OK), (3.0, WARNING), (-3.0, WARNING), (900, WARNING)]
)
def test_a_wrong_clock_is_told(skew: float, severity: Severity) -> None:
    """This host's clock against the server's, in both directions."""
    (told,) = doctor_server.clock(answering(skew))
    assert told.severity is severity
    assert ("behind" if skew > 0 else "ahead") in told.found


def test_a_forbidden_clock_is_told() -> None:
    """Without TIME nothing is compared."""
    patient: Any = SimpleNamespace(
        clock=SimpleNamespace(wall=lambda: 0.0), ask=lambda *_: Exception("NOPERM"), measured={}
    )
    (told,) = doctor_server.clock(patient)
    assert told.fix == "allow +time"
