"""What AWS says about a cache, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.aws.description import CacheDescription


def described(cache: CacheDescription, address: str) -> Iterator[Finding]:
    """Say what was found, and under which *address*, which holds no secret, applications reach it without asking."""
    mode = "cluster mode" if cache.cluster else "no cluster mode"
    found = (
        f"{cache.name}: {cache.engine} {cache.version}".rstrip() + f", {cache.kind}, {mode}, {cache.status}"
    )
    if cache.status not in {"available", "modifying", "snapshotting"}:
        yield fault("aws", found, "it may not answer", "wait until it is available")
    else:
        yield fine("aws", found)
    yield note(
        "address",
        address,
        "with it a start asks nothing of AWS",
        "set STALEPROOF_CACHE_URL to it",
    )
    yield from _resilience(cache)
    place = cache.membership
    if place is not None and not cache.writable:
        means = "read-only: nothing can be stored or invalidated in it"
        fix = "use a cache of this region's own; invalidations are replicated to it"
        primary = place.primary_region or "another region"
        yield fault("datastore", f"secondary of {place.datastore}, whose primary is in {primary}", means, fix)
    elif place is not None:
        yield fine("datastore", f"primary of {place.datastore}")


def _resilience(cache: CacheDescription) -> Iterator[Finding]:
    if cache.kind == "replicationgroup" and not cache.failover:
        means = "when the primary fails somebody must promote a replica"
        yield warn(
            "failover", "no automatic failover", means, "add a replica, and turn automatic failover on"
        )
    if cache.authentication == "none":
        means = "whoever reaches it may read and change everything"
        yield warn(
            "users", "no user group and no AUTH token", means, "give it a user group with a user for IAM"
        )
