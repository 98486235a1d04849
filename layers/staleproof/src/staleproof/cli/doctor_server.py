"""What the server is and what state it is in, read from INFO: CONFIG is closed on every ElastiCache."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cli.doctor_patient import Patient

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
MAX_SKEW = 1.0
SAMPLES = 5
CROWDED = 0.8
MAX_REPLICA_LAG = 10
POLICY = "maxmemory-policy"


def engine(patient: Patient) -> Iterator[Finding]:
    """Say what it is, and whether it is new enough."""
    if not patient.info:
        means = "version, eviction policy, memory, replicas and persistence stay unknown here"
        yield warn("engine", "INFO is not allowed", means, "allow +info, for the doctor alone")
        return
    name = patient.info.get("server_name") or ("valkey" if "valkey_version" in patient.info else "redis")
    version = patient.info.get(f"{name}_version") or patient.info.get("redis_version", "?")
    patient.measured.update(engine=name, version=version)
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    oldest = OLDEST.get(name, OLDEST["redis"])
    if numbers < oldest:
        means = "it lacks EXPIRE … GT and SET … NX GET: nothing can be cached"
        least = ".".join(map(str, oldest))
        yield fault(
            "engine", f"{name} {version}", means, f"upgrade to {name} {least} or newer, best Valkey 8"
        )
    else:
        yield fine("engine", f"{name} {version}")
    if patient.info.get("loading") == "1":
        yield fault("engine", "it loads its data", "commands fail until it has", "wait")


def memory(patient: Patient) -> Iterator[Finding]:
    """Say what happens when memory is full, and how near that is."""
    policy = patient.info.get("maxmemory_policy", "volatile-lru" if patient.serverless else "")
    limit, used = patient.number("maxmemory"), patient.number("used_memory")
    patient.measured.update(maxmemory_policy=policy, maxmemory=limit, used_memory=used)
    full = used / limit if used is not None and limit else None
    if policy:
        yield _policy(policy, full)
    if limit and used is not None:
        yield _usage(used, limit, policy)
    elif limit == 0 and not patient.serverless:
        means = "it grows until the machine has no memory left, and dies"
        yield warn("memory", f"{_size(used or 0)} used, without a limit", means, "set maxmemory")


def _policy(policy: str, full: float | None) -> Finding:
    if policy == "noeviction":
        means = "a full server refuses stores, and invalidations are not acknowledged"
        return warn(POLICY, policy, means, "set volatile-lru or volatile-ttl in the parameter group")
    if policy.startswith("allkeys-"):
        means = "the journal itself may be evicted: near caches clear, and peers lose what was owed to them"
        return warn(POLICY, policy, means, "set volatile-lru or volatile-ttl in the parameter group")
    if policy not in {"volatile-lru", "volatile-ttl", "volatile-lfu"}:
        means = "entries in use go as soon as others: more misses, nothing worse"
        return note(POLICY, policy, means, "volatile-lru keeps what is used")
    return fine(POLICY, policy, "what is used least goes, a miss each" if full is not None else "")


def _usage(used: int, limit: int, policy: str) -> Finding:
    part = used / limit
    found = f"{_size(used)} of {_size(limit)} used ({part:.0%})"
    if policy == "noeviction" and part >= 1:
        means = "it is full: nothing is stored and no invalidation is acknowledged"
        return fault("memory", found, means, "set volatile-lru, or take a larger node")
    if policy == "noeviction" and part >= CROWDED:
        return warn(
            "memory", found, "it will be full, and refuse then", "set volatile-lru, or take a larger node"
        )
    return fine("memory", found)


def evictions(patient: Patient) -> Iterator[Finding]:
    """Say whether memory was too small so far, and how often what was asked for was there."""
    evicted, hits, misses = (
        patient.number(each) for each in ("evicted_keys", "keyspace_hits", "keyspace_misses")
    )
    if evicted is None:
        return
    ratio = hits / (hits + misses) if hits is not None and misses and hits + misses else None
    patient.measured.update(evicted_keys=evicted, hit_ratio=ratio and round(ratio, 4))
    told = f", {ratio:.0%} of lookups found something" if ratio is not None else ""
    found = f"{evicted:,} keys evicted since the start{told}"
    if not evicted:
        yield fine("evictions", f"none since the start{told}")
    elif patient.info.get("maxmemory_policy", "").startswith("allkeys-"):
        means = "journals, guards and followers' positions may be among them"
        yield warn(
            "evictions", found, means, "set volatile-lru, and take a larger node if the hit ratio is low"
        )
    else:
        yield note(
            "evictions", found, "each is a miss, never an old value", "a larger node, if the hit ratio is low"
        )


def clients(patient: Patient) -> Iterator[Finding]:
    """Say whether connections run short."""
    connected, most, rejected = (
        patient.number(each) for each in ("connected_clients", "maxclients", "rejected_connections")
    )
    if connected is None:
        return
    patient.measured.update(connected_clients=connected, rejected_connections=rejected)
    found = f"{connected:,} connections" + (f" of {most:,}" if most else "")
    fix = "lower max_connections, or the concurrency of functions; or take a larger node"
    if rejected:
        yield warn(
            "clients", f"{found}; {rejected:,} were refused", "reads and invalidations failed then", fix
        )
    elif most and connected > CROWDED * most:
        yield warn("clients", found, "soon more are refused", fix)
    else:
        yield fine("clients", found)


def persistence(patient: Patient) -> Iterator[Finding]:
    """Say what a restart brings back."""
    if "aof_enabled" not in patient.info:
        return
    if patient.info.get("rdb_last_bgsave_status") == "err":
        means = "by default it refuses writes until a snapshot succeeds: no invalidation is acknowledged"
        yield fault("persistence", "the last snapshot failed", means, "make room on its disk")
    if patient.info["aof_enabled"] == "1":
        means = "after a crash the last second's invalidations may be missing, and what they named is back"
        yield warn(
            "persistence", "append-only file", means, "turn it off, or make providers with restarts='clear'"
        )
    else:
        means = "a restart starts empty: misses; after restoring a snapshot clear the namespaces"
        yield fine("persistence", "no append-only file", means)


def replication(patient: Patient) -> Iterator[Finding]:
    """Say whether this is the primary, and how far its replicas are behind."""
    role = patient.info.get("role")
    if role is None:
        return
    patient.measured["role"] = role
    if role != "master":
        state = patient.info.get("master_link_status", "unknown")
        means = "nothing can be stored or invalidated here"
        fix = "use the primary endpoint; replicas go behind it as reader="
        yield fault("replication", f"this is a replica (its link is {state})", means, fix)
        return
    replicas = [value for name, value in patient.info.items() if re.fullmatch(r"slave\d+", name)]
    behind = [each for each in replicas if "state=online" not in each or _lag(each) > MAX_REPLICA_LAG]
    patient.measured["replicas"] = len(replicas)
    if not replicas:
        means = "its failure empties the cache: every caller loads"
        yield note("replication", "primary, without replicas", "" if patient.serverless else means)
    elif behind:
        means = "a failover now would lose what they do not have, invalidations among it"
        yield warn(
            "replication",
            f"{len(behind)} of {len(replicas)} replicas are behind",
            means,
            "see to their load and network",
        )
    else:
        means = "replication is asynchronous: clear the namespaces after a failover"
        yield fine("replication", f"primary, {len(replicas)} replicas in step", means)


def _lag(replica: str) -> int:
    matched = re.search(r"lag=(\d+)", replica)
    return int(matched[1]) if matched else 0


def clock(patient: Patient) -> Iterator[Finding]:
    """Compare the server's clock with this host's, by the quickest of some answers."""
    measured: list[tuple[float, float]] = []
    for _ in range(SAMPLES):
        began, wall = time.perf_counter(), patient.clock.wall()
        reply = patient.ask("TIME")
        took = time.perf_counter() - began
        if not isinstance(reply, list):
            yield note("clock", "TIME is not allowed", fix="allow +time")
            return
        measured.append((took, int(reply[0]) + int(reply[1]) / 1e6 - (wall + took / 2)))
    took, skew = min(measured)
    patient.measured["clock_skew_ms"] = round(1_000 * skew, 1)
    found = f"this host is {abs(skew) * 1_000:.0f} ms {'behind' if skew > 0 else 'ahead'}"
    if abs(skew) > MAX_SKEW + took / 2:
        means = (
            "what it stores lives so much shorter or longer for others; minutes off, IAM refuses its tokens"
        )
        yield warn(
            "clock", found, means, "let this host keep time: chrony, or Amazon Time Sync at 169.254.169.123"
        )
    else:
        yield fine("clock", found)


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1_024:  # noqa: PLR2004 - of a KiB
            return f"{count:,.0f} {unit}"
        count /= 1_024  # type: ignore[assignment]
    return f"{count:,.1f} GiB"
