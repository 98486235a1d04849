"""`staleproof doctor`: examines a live cache, and says what is wrong, what follows from it, and what to do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from staleproof import aws
from staleproof.cli import (
    doctor_abilities,
    doctor_access,
    doctor_keyspace,
    doctor_latency,
    doctor_memcached,
    doctor_reach,
    doctor_report,
    doctor_server,
)
from staleproof.cli.doctor_discovery import described
from staleproof.cli.doctor_finding import Finding, Severity, fault, note, worst
from staleproof.config import Settings
from staleproof.errors import CacheError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.aws.description import CacheDescription
    from staleproof.cli.doctor_patient import Patient

    Check = Callable[[Patient], Iterator[Finding]]

FINE, WARNED, FAILED = 0, 1, 2
"""Exit codes."""

EXAMPLES = """\b
Examples:
  staleproof doctor redis://127.0.0.1:6379/0
  staleproof doctor redis://127.0.0.1:6379/0 --namespace shop --json
  staleproof doctor --from-env --strict
\b
With the ElastiCache API:
  staleproof doctor --name my-cache --user iam-user-01
  staleproof doctor --name my-cache --secret-id prod/cache --namespace shop
\b
Exit code 0: nothing is wrong, or only warnings; 1: warnings, with --strict; 2: errors.
It writes a few keys that nobody else has, and removes them; it reads no values.
"""


class Target(NamedTuple):
    """What is to be examined.

    Attributes:
        url: its address.
        namespace: the application's namespace, None if unknown.
        description: what AWS says, None if nobody asked.
    """

    url: str
    namespace: str | None = None
    description: CacheDescription | None = None


@click.command("doctor", epilog=EXAMPLES)
@click.argument("url", required=False)
@click.option("--name", help="Name or ARN of an ElastiCache cache, instead of an address.")
@click.option("--from-env", is_flag=True, help="The cache that Cache.from_env() would take here.")
@click.option("--user", help="With --name: the ElastiCache user to be, by IAM.")
@click.option("--secret-id", help="With --name: the secret that holds the password.")
@click.option(
    "--namespace", help="The application's namespace: its permissions, journal and followers are looked at."
)
@click.option(
    "--samples", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Pings to time."
)
@click.option(
    "--scan", default=10_000, show_default=True, type=click.IntRange(1), help="Keys to look at, at most."
)
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for each answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.pass_context
def command(
    context: click.Context,
    *,
    url: str | None,
    name: str | None,
    from_env: bool,
    user: str | None,
    secret_id: str | None,
    namespace: str | None,
    samples: int,
    scan: int,
    timeout: float,
    as_json: bool,
    strict: bool,
) -> None:
    """Examine the cache at URL, or one that --name or --from-env names; say what is wrong and what to do.

    Looks at reachability, TLS, credentials, permissions, engine, eviction policy and memory, replicas, persistence,
    clocks, latency, keys, journals and their followers. Needs no CONFIG; what a user may not ask is left out.
    """
    if sum((url is not None, name is not None, from_env)) != 1:
        raise click.UsageError("give one of URL, --name and --from-env")
    if name is None and (user or secret_id):
        raise click.UsageError("--user and --secret-id go with --name; an address says itself who to be")
    target = _target(url, name, user=user, secret_id=secret_id)
    target = target._replace(namespace=namespace or target.namespace)
    where, findings, measured = _examined(target, samples=samples, scan=scan, timeout=timeout)
    if as_json:
        click.echo(doctor_report.as_json(where, findings, measured))
    else:
        doctor_report.table(where, findings)
    context.exit(_code(worst(findings), strict=strict))


def _code(severity: Severity, *, strict: bool) -> int:
    if severity is Severity.ERROR:
        return FAILED
    return WARNED if strict and severity is Severity.WARNING else FINE


def _target(url: str | None, name: str | None, *, user: str | None, secret_id: str | None) -> Target:
    if url is not None:
        from staleproof.config import kinds  # noqa: PLC0415

        return Target(kinds.url(url, "URL").reveal())
    if name is None:
        server = Settings.from_env().server
        return Target(server.url.reveal(), server.namespace)
    description = aws.describe(name)
    return Target(
        aws.address_of(description, user=user, secret_id=secret_id, read_only=True), None, description
    )


def _examined(
    target: Target, *, samples: int, scan: int, timeout: float
) -> tuple[str, list[Finding], dict[str, object]]:
    if target.url.startswith("memory://"):
        found = note(
            "reach",
            "memory:// lives within one process",
            "no other process sees what it holds or invalidates",
        )
        return "memory", [found], {}
    told = list(described(target.description, target.url) if target.description else ())
    if target.url.startswith("memcache"):
        findings, measured = doctor_memcached.examine(target.url, samples=samples, timeout=timeout)
        return target.url, [*told, *findings], measured
    try:
        from staleproof.cli.doctor_patient import Patient  # noqa: PLC0415 - needs the extra `redis`
    except ModuleNotFoundError as error:
        raise ConfigurationError("doctor needs the Redis client; install staleproof[redis]") from error
    patient = Patient(target.url, namespace=target.namespace, timeout=timeout, description=target.description)
    try:
        findings = told + examine(patient, samples=samples, scan=scan)
    finally:
        patient.close()
    return patient.where, findings, patient.measured


def examine(patient: Patient, *, samples: int, scan: int) -> list[Finding]:
    """Return what every check finds; if the cache is not reached, only that."""
    reached = doctor_reach.reach(patient)
    if reached.severity is Severity.ERROR:
        return [reached]
    checks: tuple[Check, ...] = (
        doctor_reach.encryption,
        doctor_reach.identity,
        doctor_server.engine,
        doctor_abilities.cluster,
        doctor_abilities.serverless,
        doctor_server.replication,
        doctor_server.memory,
        doctor_server.evictions,
        doctor_server.persistence,
        doctor_server.clients,
        doctor_server.clock,
        doctor_access.permissions,
        doctor_access.configuration,
        doctor_abilities.scripts,
        doctor_abilities.tracking,
        partial(doctor_latency.latency, samples=samples),
        partial(doctor_keyspace.keyspace, limit=scan),
        doctor_keyspace.journals,
    )
    return [reached, *(finding for check in checks for finding in _tried(check, patient))]


def _tried(check: Check, patient: Patient) -> Iterator[Finding]:
    """Yield what *check* finds; what fails in it is a finding too, and the others go on."""
    try:
        yield from check(patient)
    except CacheError as error:
        name = getattr(check, "func", check).__name__
        yield fault(
            name, f"the examination broke off: {error}", "what this check looks at is unknown", "run it again"
        )
