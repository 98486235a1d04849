"""What the server offers beyond plain commands: cluster mode, scripts, tracking, and what Serverless limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from staleproof.cli.doctor_finding import Finding, fault, fine, note
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
    """Say whether keys are spread over shards, and whether all of them answer."""
    patient.measured["cluster"] = patient.cluster
    database = patient.connections.apart().db
    if not patient.cluster:
        yield fine("cluster", "cluster mode is off")
        return
    if database:
        fix = "end the address in /0, or in nothing"
        yield fault("cluster", f"database {database} in cluster mode", "there is only database 0", fix)
    state = _cluster_info(patient)
    if not state:
        yield note("cluster", "cluster mode is on", "the state of its shards is not told")
    elif state.get("cluster_state") != "ok":
        found = f"cluster mode is on, {state.get('cluster_slots_ok', '?')} of 16384 slots are served"
        yield fault(
            "cluster",
            found,
            "keys of the others cannot be read or written",
            "see to the shards that are down",
        )
    else:
        yield fine("cluster", f"cluster mode is on, {state.get('cluster_size', '?')} shards")


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
    connection = patient.connections.apart(protocol=3)
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
