"""What lies on the server: keys by namespace, journals, and who follows them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn
from staleproof.keys import Keyspace
from staleproof.ports import journal_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cli.doctor_patient import Patient

PREFIX = b"sp:"
OTHERS = ""
PAGE = 1_000
SCAN_SECONDS = 3.0
LONG_JOURNAL = 1_000_000
MAX_LAG = 60.0
MAX_NAMESPACES = 10
SHOWN = 5


def keyspace(patient: Patient, limit: int) -> Iterator[Finding]:
    """Count keys by namespace, in a sample of *limit* or of some seconds."""
    total = patient.ask("DBSIZE")
    seen, whole = _scan(patient, limit)
    if seen is None:
        yield note("keyspace", "SCAN is not allowed", "cache.scan() does not work", "allow +scan")
        return
    patient.measured.update(keys=total if isinstance(total, int) else None, keys_by_namespace=dict(seen))
    ours = {name: count for name, count in seen.most_common() if name != OTHERS}
    told = [f"{name} {count:,}" for name, count in list(ours.items())[:SHOWN]]
    told += [f"{len(ours) - SHOWN} namespaces more"] * (len(ours) > SHOWN)
    told += [f"others' {seen[OTHERS]:,}"] * bool(seen[OTHERS])
    size = f"{total:,} keys" if isinstance(total, int) else "keys"
    where = " on this node" if patient.cluster else ""
    sample = "" if whole else f"; of {seen.total():,} that were looked at"
    found = f"{size}{where}{sample}: {', '.join(told) or 'none'}"
    if seen[OTHERS] and ours:
        yield note("keyspace", found, "others' keys are evicted together with ours, and FLUSHALL takes both")
    else:
        yield fine("keyspace", found)


def _scan(patient: Patient, limit: int) -> tuple[Counter[str] | None, bool]:
    """Return how many keys each namespace has, and whether all were looked at."""
    seen: Counter[str] = Counter()
    cursor, began = b"0", time.perf_counter()
    while True:
        reply = patient.ask("SCAN", cursor, "COUNT", PAGE)
        if not isinstance(reply, list):
            return None, False
        cursor, names = reply
        seen.update(_namespace(name) for name in names)
        if cursor == b"0":
            return seen, True
        if seen.total() >= limit or time.perf_counter() - began > SCAN_SECONDS:
            return seen, False


def _namespace(name: bytes) -> str:
    parts = name.split(b":", 2)
    return parts[1].decode(errors="replace") if name.startswith(PREFIX) and len(parts) > 2 else OTHERS  # noqa: PLR2004


def journals(patient: Patient) -> Iterator[Finding]:
    """Look at the journal of the namespace, or of those that were seen."""
    seen = patient.measured.get("keys_by_namespace") or {}
    names = [patient.namespace] if patient.namespace else sorted(filter(None, seen))[:MAX_NAMESPACES]
    for name in names:
        yield from _journal(patient, Keyspace(name))


def _journal(patient: Patient, keys: Keyspace) -> Iterator[Finding]:
    asked = [
        ("XLEN", keys.journal),
        ("XRANGE", keys.journal, "-", "+", "COUNT", 1),
        ("XREVRANGE", keys.journal, "+", "-", "COUNT", 1),
    ]
    length, first, last = patient.ask_all(asked, keys.journal)
    if isinstance(length, Exception):
        if "WRONGTYPE" in str(length):
            means = "no invalidation is acknowledged"
            fix = f"remove {keys.journal.decode()}, which is none of ours"
            yield fault("journal", f"{keys.namespace}: something else lies in its place", means, fix)
        return
    if not first or not last:
        yield fine("journal", f"{keys.namespace}: nothing invalidated so far")
        return
    hours = (_ms(last[0][0]) - _ms(first[0][0])) / 3_600_000
    patient.measured.setdefault("journals", {})[keys.namespace] = length
    found = f"{keys.namespace}: {length:,} invalidations over {hours:,.1f} hours"
    behind = dict(_followers(patient, keys, _ms(last[0][0]), _ms(first[0][0])))
    if length > LONG_JOURNAL:
        means = "it takes memory that is never evicted"
        fix = "forget followers that are gone; a scheduled replicate function trims it"
        yield warn("journal", found, means, fix)
    else:
        yield fine("journal", found)
    yield from _told(keys.namespace, behind)


def _told(namespace: str, behind: dict[str, float]) -> Iterator[Finding]:
    slow = {name: lag for name, lag in behind.items() if lag > MAX_LAG}
    listed = ", ".join(f"{name} {lag:,.0f} s" for name, lag in behind.items())
    if slow:
        means = "those regions still serve what was invalidated here, and the journal cannot be trimmed"
        fix = "see to the replicate function and its dead letters; a follower that is gone for good must be forgotten"
        yield warn("followers", f"{namespace}: behind by {listed}", means, fix)
    elif behind:
        yield fine("followers", f"{namespace}: {listed} behind")


def _followers(patient: Patient, keys: Keyspace, last: int, first: int) -> Iterator[tuple[str, float]]:
    """Yield each follower with the seconds between the journal's end and its position."""
    asked = [("HKEYS", keys.followers), ("HVALS", keys.followers)]
    replies: list[Any] = patient.ask_all(asked, keys.followers)
    if any(isinstance(each, Exception) for each in replies):
        return
    for name, position in zip(*replies, strict=True):
        try:
            at = journal_order(position.decode())[0] if position else first
        except ValueError:
            at = first  # no position of ours: as good as none
        yield name.decode(errors="replace"), max(0, last - at) / 1_000


def _ms(place: bytes) -> int:
    return int(place.partition(b"-")[0])
