"""What the doctor asks of Memcached: the list of nodes, and each node what it says about itself. It writes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from staleproof.cli.doctor_finding import Finding, fault, fine, note, warn
from staleproof.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from staleproof.providers.memcached.address import Address
    from staleproof.providers.memcached.members import Member

    Facts = dict[str, str]

OLDEST = (1, 6)
"""The first release with the meta protocol."""

SLOW_MS = 2.0
CROWDED = 0.8
SKEW_SECONDS = 5.0
MOST_BYTES = 1 << 20
LOCAL = ("127.", "localhost", "::1")
LISTED = "check the endpoint (it has .cfg. in its name), its security group and its state"


def examine(url: str, *, samples: int, timeout: float) -> tuple[list[Finding], dict[str, object]]:
    """Return what is found about the nodes of *url*, and what was measured, by node.

    Raises:
        ConfigurationError: the address cannot be read, or the extra is not installed.
    """
    try:
        from staleproof.providers.memcached.address import parse  # noqa: PLC0415 - needs the extra `memcached`
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "doctor needs the Memcached client; install staleproof[memcached]"
        ) from error
    address = parse(url)
    findings = [_encryption(address)]
    members = address.members
    if address.discovers:
        try:
            members = _listed(address, timeout)
        except ProviderError as error:
            return [*findings, fault("reach", "the list of nodes is not told", str(error), LISTED)], {}
        findings.append(fine("discovery", f"the endpoint names {len(members)} nodes"))
    measured: dict[str, object] = {}
    for member in members:
        findings += _node(member, address, samples, timeout, measured)
    return findings, measured


def _listed(address: Address, timeout: float) -> tuple[Member, ...]:
    from staleproof.providers.memcached.address import Limits  # noqa: PLC0415 - needs the extra
    from staleproof.providers.memcached.connections import Connections  # noqa: PLC0415

    return Connections(Limits(timeout), tls=address.tls, endpoint=address.members[0]).ask(()).members


def _encryption(address: Address) -> Finding:
    if address.tls is not None:
        return fine("tls", "TLS, the certificates are verified")
    if all(member.host.startswith(LOCAL) for member in address.members):
        return fine("tls", "no TLS, on this machine")
    fix = "turn encryption in transit on, and write memcacheds://"
    return warn("tls", "no TLS", "values and tags travel in clear text, and anybody may pose as a node", fix)


def _node(
    member: Member, address: Address, samples: int, timeout: float, measured: dict[str, object]
) -> Iterator[Finding]:
    from staleproof.providers.memcached.failures import translate  # noqa: PLC0415 - needs the extra
    from staleproof.providers.memcached.pool import connect  # noqa: PLC0415

    try:
        with connect(member, timeout, address.tls) as sock:
            line = Line(sock, member.name)
            told = line.asked(b"version\r\n", (b"\r\n",)).decode(errors="replace").partition(" ")[2].strip()
            yield _version(member.name, told)
            if line.asked(b"mn\r\n", (b"\r\n",)) != b"MN\r\n":
                yield fault(
                    "reach", f"{member.name} does not know the meta protocol", "nothing works", UPGRADE
                )
                return
            facts = line.facts(b"stats\r\n")
            settings, took = line.facts(b"stats settings\r\n"), line.timed(samples)
            measured[member.name] = {"round_trip_p50_ms": took}
            yield from _judged(member.name, facts, settings, took)
    except (OSError, ProviderError, ValueError) as error:
        why = str(translate(error, member.name) if isinstance(error, OSError | ProviderError) else error)
        yield fault("reach", f"{member.name} is not reached", why.partition("; retry")[0], FIX)


FIX = "check the address, the security group, TLS (memcacheds://) and the node's state"
UPGRADE = "use memcached 1.6 or later"


def _version(name: str, told: str) -> Finding:
    numbers = tuple(int(part) for part in told.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST:
        return fault("reach", f"{name} is memcached {told[:40]}", "it lacks the meta protocol", UPGRADE)
    return fine("reach", f"{name} answers, memcached {told[:40] or 'of unknown version'}")


def _judged(name: str, facts: Facts, settings: Facts, took: float) -> Iterator[Finding]:
    """Yield what follows from a node's own figures; what it does not tell is left out."""
    if not facts:
        yield note("stats", f"{name} does not tell its figures", "as with ElastiCache Serverless")
    if settings.get("evictions") == "off":
        yield fault(
            "memory",
            f"{name} evicts nothing (-M)",
            "when it is full no load is stored, and leases fail",
            "start it without -M",
        )
    if _number(facts, "evictions"):
        means = "what goes early is loaded again; a version that goes early takes all entries with it"
        yield warn(
            "memory", f"{name} has evicted {facts['evictions']} items", means, "use larger or more nodes"
        )
    most, now = _number(settings, "maxconns"), _number(facts, "curr_connections")
    if most and now > CROWDED * most:
        fix = "lower max_connections of the clients"
        yield warn(
            "clients", f"{name} has {now:.0f} of {most:.0f} connections", "others will be refused", fix
        )
    if "time" in facts and abs(time.time() - _number(facts, "time")) > SKEW_SECONDS:
        yield warn(
            "clock",
            f"the clock of {name} is off by {time.time() - _number(facts, 'time'):.0f} s from here",
            "what lives longer than 30 days has its end as a date",
            "set the clocks by NTP",
        )
    if took > SLOW_MS:
        fix = "run in the cache's region and zone"
        yield warn("latency", f"a round trip to {name} takes {took:.2f} ms", "every read takes as long", fix)
    else:
        yield fine("latency", f"a round trip to {name} takes {took:.2f} ms")


def _number(facts: Facts, name: str) -> float:
    try:
        return float(facts.get(name, "0"))
    except ValueError:
        return 0.0


class Line:
    """A conversation with one node.

    Args:
        sock: a connection to it.
        name: the node's, for messages.
    """

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._socket = sock
        self._name = name

    def asked(self, request: bytes, ends: tuple[bytes, ...]) -> bytes:
        """Return the answer, which ends in one of *ends*.

        Raises:
            OSError: there is none.
        """
        self._socket.sendall(request)
        received = b""
        while not received.endswith(ends):
            data = self._socket.recv(1 << 16)
            if not data or len(received) > MOST_BYTES:
                raise ConnectionResetError(f"{self._name} breaks off, or does not come to an end")
            received += data
        return received

    def facts(self, request: bytes) -> Facts:
        """Return what `stats` tells, by name; nothing if the node refuses."""
        text = self.asked(request, (b"END\r\n", b"ERROR\r\n")).decode(errors="replace")
        words = [line.split(" ", 2) for line in text.split("\r\n") if line.startswith("STAT ")]
        return {word[1]: word[2] for word in words if word[2:]}

    def timed(self, samples: int) -> float:
        """Return how many milliseconds the middle one of so many round trips takes."""
        took = []
        for _ in range(samples):
            began = time.perf_counter()
            self.asked(b"mn\r\n", (b"\r\n",))
            took.append(1_000 * (time.perf_counter() - began))
        return sorted(took)[len(took) // 2]
