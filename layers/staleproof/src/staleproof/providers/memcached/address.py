"""Where a Memcached cluster is, as a URL says it.

==========================================  ======================================================================
`memcached://host:port,host:port/`          these nodes, the same list for everybody
`memcached+discovery://endpoint:port/`      whatever nodes the endpoint names, see `discovery`
`memcacheds://`, `memcacheds+discovery://`  the same by TLS; certificates are verified, always
==========================================  ======================================================================

After a `?`: `ssl_ca_certs`, a file with the authorities to trust instead of the system's; `poll`, seconds after which
the endpoint is asked again.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from staleproof.errors import ConfigurationError
from staleproof.policies.duration import at_once, waited
from staleproof.providers.memcached.members import Member
from staleproof.providers.memcached.settlement import POLL

if TYPE_CHECKING:
    from staleproof.policies.duration import Duration

DEFAULT_PORT = 11_211
DEFAULT_TIMEOUT = 1.0
DEFAULT_MAX_CONNECTIONS = 64
MIN_TIMEOUT, MAX_TIMEOUT = 0.001, 3_600.0
SCHEMES = ("memcached", "memcacheds", "memcached+discovery", "memcacheds+discovery")
FORM = "write memcached://host:port,host:port/ or memcached+discovery://endpoint:port/, memcacheds for TLS"


class Address(NamedTuple):
    """Nodes, or the endpoint that names them.

    Attributes:
        members: the nodes that were given, or the endpoint alone.
        discovers: whether it is an endpoint.
        tls: how to encrypt, or None.
        poll: seconds after which an endpoint is asked again.
    """

    members: tuple[Member, ...]
    discovers: bool
    tls: ssl.SSLContext | None
    poll: float = POLL


class Limits(NamedTuple):
    """How long to wait, and how many connections to hold.

    Attributes:
        timeout: seconds for connecting, and for each send and receive.
        max_connections: to each node; who finds all of them busy waits *timeout* for one.
    """

    timeout: float = DEFAULT_TIMEOUT
    max_connections: int = DEFAULT_MAX_CONNECTIONS


def limits(timeout: Duration, max_connections: int) -> Limits:
    """Return the limits, checked.

    Raises:
        ConfigurationError: one of them cannot be.
    """
    given = waited(timeout, "timeout", MIN_TIMEOUT, MAX_TIMEOUT)
    return Limits(given, at_once(max_connections, "max_connections"))


_OPTIONS = ("ssl_ca_certs=", "poll=")


def parse(url: str) -> Address:
    """Return what *url* says.

    Raises:
        ConfigurationError: it cannot be read.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ConfigurationError(f"cache URL: scheme {scheme[:40]!r} is none of Memcached's; {FORM}")
    hosts, _, query = rest.partition("?")
    if "@" in hosts or (
        "@" in query and not query.startswith(_OPTIONS)
    ):  # what follows may be a part of a password
        raise ConfigurationError("cache URL: Memcached knows no user or password here; leave them out")
    hosts = hosts.rstrip("/")
    members = tuple(_member(host) for host in hosts.split(","))
    if len({member.name for member in members}) != len(members):
        raise ConfigurationError("cache URL: it names a node twice; name each one once")
    discovers = scheme.endswith("+discovery")
    if discovers and len(members) != 1:
        raise ConfigurationError(
            "cache URL: give the one configuration endpoint, or the nodes without +discovery"
        )
    options = _options(query)
    return Address(members, discovers, _tls(scheme, options.get("ssl_ca_certs")), _poll(options.get("poll")))


def _member(text: str) -> Member:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"cache URL: node {text[:80]!r}: {error}; {FORM}") from error
    if not host or parts.path or port == 0 or not text.isprintable():
        raise ConfigurationError(f"cache URL: {text[:80]!r} names no node; {FORM}")
    return Member(host, DEFAULT_PORT if port is None else port)


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = options.keys() - {"ssl_ca_certs", "poll"}
    if unknown:
        raise ConfigurationError(
            f"cache URL: no option is called {min(unknown)!r}; there are ssl_ca_certs and poll"
        )
    return options


def _poll(text: str | None) -> float:
    if text is None:
        return POLL
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_TIMEOUT:
        raise ConfigurationError(f"cache URL: poll={text!r}: use seconds, at most {MAX_TIMEOUT:.0f}")
    return seconds


def _tls(scheme: str, authorities: str | None) -> ssl.SSLContext | None:
    if not scheme.startswith("memcacheds"):
        if authorities is not None:
            raise ConfigurationError("cache URL: ssl_ca_certs without TLS; write memcacheds://")
        return None
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise ConfigurationError(
            f"cache URL: ssl_ca_certs={authorities!r} cannot be read: {error}"
        ) from error
