"""Whether the cache is reached at all, over TLS as it should be, and as whom."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn
from staleproof.cli.doctor_patient import denied
from staleproof.errors import CacheError, ProviderRejectedError
from staleproof.providers.redis.failures import REFUSED, TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cli.doctor_patient import Patient

CHECK = "reach"
DAY = 86_400
SOON_DAYS = 21
IAM_FIX = (
    "for IAM: the user's id and name are equal and in lower case, it is in the cache's user group, the role may "
    "elasticache:Connect on both the cache and the user, and this host's clock is right"
)


def reach(patient: Patient) -> Finding:
    """Connect, and say how that went."""
    began = time.perf_counter()
    try:
        reply = patient.ask("PING")
    except CacheError as error:
        return failed(error, patient)
    took = 1_000 * (time.perf_counter() - began)
    if isinstance(reply, Exception) and not denied(reply):
        return fault(
            CHECK, f"{patient.where} answers PING with {reply}", "it is not ready", "try again in a minute"
        )
    return fine(CHECK, f"{patient.where} answers, {took:.0f} ms after the first step towards it")


def failed(error: CacheError, patient: Patient) -> Finding:
    """Say why there is no answer, by what lies behind *error*."""
    behind = list(_causes(error))
    if isinstance(error, ProviderRejectedError):
        return _rejected(str(error), patient, behind)
    if patient.tls and any(isinstance(each, TIMEOUTS) for each in behind) and _speaks_plainly(patient):
        behind.append(ssl.SSLError())
    for kind, found, fix in _KNOWN:
        if any(isinstance(each, kind) for each in behind):
            return fault(CHECK, f"{patient.where}: {found}", _told(error), fix)
    closed = any("closed" in str(each).lower() or isinstance(each, ConnectionResetError) for each in behind)
    if closed and not patient.tls:
        fix = "write rediss:// if it speaks TLS, as every cache with encryption in transit does"
        return fault(CHECK, f"{patient.where} closes the connection", _told(error), fix)
    return fault(
        CHECK,
        f"{patient.where} is not reached",
        _told(error),
        "check the address, the network, and its state",
    )


def _rejected(told: str, patient: Patient, behind: list[BaseException]) -> Finding:
    if not any(isinstance(each, REFUSED) for each in behind):
        fix = (
            "allow +client|setname to the user"
            if "setname" in told
            else "end the address in /0, the only database"
        )
        return fault(CHECK, f"{patient.where} refuses the handshake", told, fix)
    if patient.address.credentials is None:
        fix = "put user and password into the address, or iam= or secret= (docs/operations/iam.md)"
    else:
        fix = IAM_FIX
    return fault("credentials", f"{patient.where} refuses the credentials", told, fix)


def _speaks_plainly(patient: Patient) -> bool:
    """Say whether the server answers without TLS: one that has none waits for the rest of a greeting in vain."""
    target: Any = patient.connections.apart()
    try:
        with socket.create_connection((target.host, target.port), timeout=patient.timeout) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) in {b"+", b"-"}
    except OSError:
        return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it came from: redis-py raises its own without naming the cause."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _told(error: CacheError) -> str:
    return str(error).partition("; retry")[0]


_KNOWN: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "the certificate is not accepted",
        "use the endpoint's own name, and let ssl_ca_certs= name the authority if it is a private one",
    ),
    (
        ssl.SSLError,
        "there is no TLS",
        "write redis:// if it has no encryption in transit; better, turn that on",
    ),
    (
        socket.gaierror,
        "the name is unknown",
        "check the endpoint's spelling, and that this network resolves it (VPC)",
    ),
    (
        ConnectionRefusedError,
        "nothing listens there",
        "check the port (6379; serverless readers 6380) and that the cache is available",
    ),
    (
        TIMEOUTS,
        "no answer in time",
        "let the security group of the cache admit this host at its port; both must be in reach of one VPC",
    ),
)


def encryption(patient: Patient) -> Iterator[Finding]:
    """Say whether anybody can listen, and how long the certificate lasts."""
    if not patient.tls:
        if patient.local:
            yield fine("tls", "no TLS, on this machine")
            return
        fix = "turn encryption in transit on, and write rediss://"
        yield warn("tls", "no TLS", "values, tags and passwords travel in clear text", fix)
        return
    connection = patient.connections.apart()
    try:
        connection.connect()
        sock: Any = connection._sock  # noqa: SLF001 - redis-py shows it nowhere else
        yield from _certificate(sock, patient)
    finally:
        connection.disconnect()


def _certificate(sock: Any, patient: Patient) -> Iterator[Finding]:
    certificate, version = sock.getpeercert(), sock.version()
    patient.measured["tls_version"] = version
    if not certificate:
        fix = "leave ssl_cert_reqs out of the address"
        yield warn("tls", f"{version}, the certificate is not verified", "anybody may pose as the cache", fix)
        return
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - patient.clock.wall()) / DAY
    patient.measured["certificate_days"] = round(days, 1)
    found = f"{version}, verified, the certificate lasts {days:.0f} days"
    if days < SOON_DAYS and not patient.local:
        yield warn(
            "tls", found, "clients will refuse it then", "renew it; ElastiCache renews its own in time"
        )
    else:
        yield fine("tls", found)


def identity(patient: Patient) -> Iterator[Finding]:
    """Say who we are to the server, and whether anybody may be the same."""
    reply = patient.ask("ACL", "WHOAMI")
    who = reply.decode() if isinstance(reply, bytes) else None
    patient.measured["user"] = who
    if who is None:
        yield note(
            "credentials",
            "the server does not tell who we are",
            fix="allow +acl|whoami, for the doctor alone",
        )
    elif _secret(patient) or patient.local:
        yield fine("credentials", f"we are {who!r}")
    else:
        fix = "give the cache a user group with a user for IAM, and switch the default user off"
        yield warn(
            "credentials",
            f"we are {who!r} without a password",
            "whoever reaches the cache may do all it may",
            fix,
        )


def _secret(patient: Patient) -> bool:
    """Say whether connections prove anything."""
    return patient.address.credentials is not None or "@" in patient.url
