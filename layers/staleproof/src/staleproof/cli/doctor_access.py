"""What this user may do, tried with keys that nobody else has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import OutOfMemoryError

from staleproof.cli.doctor_commands import USES
from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn
from staleproof.cli.doctor_patient import denied, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cli.doctor_commands import Use
    from staleproof.cli.doctor_patient import Patient

CHECK = "permissions"


def permissions(patient: Patient) -> Iterator[Finding]:
    """Try every command that the library sends, and name those that are not allowed."""
    every = [command for use in USES for command in use.commands(patient)]
    replies = patient.ask_all(every, patient.probe_key("text"))
    if any(isinstance(reply, OutOfMemoryError) for reply in replies):
        means = "nothing is stored, and no invalidation is acknowledged"
        yield fault(
            "memory", "it refuses writes: out of memory", means, "set volatile-lru, or take a larger node"
        )
    found = list(_told(patient, replies))
    yield from found or [fine(CHECK, f"every command of the library, on {_pattern(patient)}")]


def _told(patient: Patient, replies: list[Any]) -> Iterator[Finding]:
    rest = iter(replies)
    keyless = False
    for use in USES:
        pairs = [(str(command[0]).lower(), next(rest)) for command in use.commands(patient)]
        lacking = dict.fromkeys(
            name for name, reply in pairs if (denied(reply) and not _of_keys(reply)) or unknown(reply)
        )
        keyless = keyless or any(denied(reply) and _of_keys(reply) for _, reply in pairs)
        if lacking:
            yield _lacking(use, list(lacking))
    if keyless:
        yield _keyless(patient)


def _lacking(use: Use, names: list[str]) -> Finding:
    make = fault if use.needed else warn
    fix = f"add {' '.join(f'+{name}' for name in names)} to the user's access string"
    return make(CHECK, f"not allowed: {', '.join(names)}", f"{use.purpose} does not work", fix)


def _keyless(patient: Patient) -> Finding:
    found = f"keys like {patient.probe_key('text').decode()} are closed to this user"
    if patient.namespace is None:
        fix = "say which namespace the application uses: --namespace NAME"
        return note(CHECK, found, "whether its own are open was not tried", fix)
    fix = f"add {_pattern(patient)} to the user's access string"
    return fault(CHECK, found, f"namespace {patient.namespace} cannot be used", fix)


def _pattern(patient: Patient) -> str:
    return f"~sp:{patient.namespace or '*'}:*"


def _of_keys(reply: Any) -> bool:
    """Say whether a refusal is about keys, by the server's own words: it has one code for all."""
    return "key" in str(reply).lower()


def configuration(patient: Patient) -> Iterator[Finding]:
    """Say whether this user could change the server, which no application should."""
    reply = patient.ask("CONFIG", "GET", "maxmemory-policy")
    if isinstance(reply, Exception):
        yield fine("config", "CONFIG is closed, as on every ElastiCache; nothing here needs it")
    elif patient.local:
        yield fine("config", "CONFIG is open, on this machine")
    else:
        yield note(
            "config",
            "CONFIG is open",
            "whoever has this user may change the server",
            "take -@admin -@dangerous away",
        )
