"""What the server offers beyond plain commands: cluster mode, scripts, tracking, and what Serverless limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from staleproof.cli.doctor_finding import Finding, fault, fine, note
from staleproof.cli.doctor_patient import denied
from staleproof.keys import Keyspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cli.doctor_patient import Patient

SCRIPT = b"return tonumber(ARGV[1]) + 1"
SERVERLESS = (
    "3,999 arguments a command (ours are cut below), one database, no keyspace events, volatile-lru; "
    "a script may run for 5 s; storage and ECPUs as far as its limits allow"
)


def cluster(patient: Patient) -> Iterator[Finding]:
    """Say whether keys are spread over shards, whether all of them answer, and whether the address knows."""
    patient.measured["cluster"] = patient.cluster
    if patient.cluster:
        yield from _shards(patient)
    elif patient.clustered:
        means = "a cache asks for the shards, and there are none"
        yield fault("cluster", "cluster mode is off", means, "take cluster=true out of the address")
    else:
        yield fine("cluster", "cluster mode is off")


def _shards(patient: Patient) -> Iterator[Finding]:
    state = _cluster_info(patient)
    shards = f"cluster mode is on, {state.get('cluster_size', '?')} shards"
    if not patient.clustered:
        means = "keys of other shards cannot be reached, and no entry together with its tags"
        yield fault("cluster", shards, means, "add cluster=true to the query of the address")
    if denied(patient.ask("CLUSTER", "SLOTS")):
        yield fault("cluster", shards, "which shard has which key stays unknown", "allow +cluster|slots")
    if state.get("cluster_state", "ok") != "ok":
        found = f"cluster mode is on, {state.get('cluster_slots_ok', '?')} of 16384 slots are served"
        yield fault(
            "cluster",
            found,
            "keys of the others cannot be read or written",
            "see to the shards that are down",
        )
    elif patient.clustered:
        yield fine("cluster", shards)


def _cluster_info(patient: Patient) -> dict[str, str]:
    reply = patient.ask("CLUSTER", "INFO")
    if not isinstance(reply, bytes):
        return {}
    pairs = (line.partition(":") for line in reply.decode().splitlines())
    return {name: value for name, _, value in pairs}


def scripts(patient: Patient) -> Iterator[Finding]:
    """Say whether Lua runs; leases end with a script."""
    reply = patient.ask("EVAL", SCRIPT, 0, 41)
    if reply == 42:  # noqa: PLR2004 - the answer
        yield fine("lua", "scripts run")
    else:
        fix = "allow +eval +evalsha"
        yield fault("lua", f"a script fails: {reply}", "nothing can be stored under a lease", fix)


def tracking(patient: Patient) -> Iterator[Finding]:
    """Say whether the server pushes what changes, for near caches that follow without asking."""
    journal = Keyspace(patient.namespace or patient.probe).journal
    holder = patient.holder(journal) if patient.cluster else patient.connections
    connection = holder.apart(protocol=3)
    try:
        connection.connect()
        for command in (("ON", "BCAST", "PREFIX", journal), ("OFF",)):
            connection.send_command("CLIENT", "TRACKING", *command)
            connection.read_response()
    except (RedisError, OSError) as error:
        means = "near caches ask for the journal themselves, as they do by default"
        yield note("tracking", f"no client tracking: {error}", means, "allow +client|tracking and +hello")
    else:
        yield fine("tracking", "client tracking works (RESP3)")
    finally:
        connection.disconnect()


def serverless(patient: Patient) -> Iterator[Finding]:
    """Tell the limits of ElastiCache Serverless."""
    if patient.serverless:
        yield note("serverless", "ElastiCache Serverless", SERVERLESS)
