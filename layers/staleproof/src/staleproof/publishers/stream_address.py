"""Where a stream lies, as an address says it, and the client library's options that follow. Nothing is connected."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.backoff import NoBackoff

from staleproof import aws
from staleproof.errors import ConfigurationError

SCHEMES = ("redis", "rediss")
CLUSTER_ATTEMPTS = 3
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_FORM = "write redis://HOST:6379/0, or rediss:// for TLS, and in a password %2F for /, %3F for ?, %23 for #, %40 for @"


class StreamAddress(NamedTuple):
    """A server, or a cluster.

    Attributes:
        url: as the client library takes it; holds the password.
        where: its host and port.
        clustered: whether it leads to a cluster.
        credentials: what connections prove themselves with, if that does not stand in the URL.
    """

    url: str
    where: str
    clustered: bool
    credentials: Any

    @classmethod
    def of(cls, url: str) -> StreamAddress:
        """Read *url*.

        Raises:
            ConfigurationError: it cannot be read; the text, which may hold a password, is not repeated.
        """
        address = aws.parse(url)
        try:
            parts = urlsplit(address.url)
            port = parts.port or 6379
        except ValueError:
            raise ConfigurationError(f"stream URL: it cannot be read; {_FORM}") from None
        torn = bool(parts.fragment) or "@" in parts.path + parts.query
        if parts.scheme not in SCHEMES or not parts.hostname or torn:
            raise ConfigurationError(f"stream URL: it cannot be read; {_FORM}")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        words = [word for name, word in pairs if name == "cluster"]
        if any(word.lower() not in _WORDS for word in words):
            raise ConfigurationError(f"stream URL: cluster={words[-1]!r} is neither true nor false")
        query = urlencode([pair for pair in pairs if pair[0] != "cluster"])
        clustered = any(_WORDS[word.lower()] for word in words)
        plain = parts._replace(query=query).geturl()
        return cls(plain, f"{parts.hostname}:{port}", clustered, address.credentials)

    def __repr__(self) -> str:
        return f"StreamAddress({self.where!r}, clustered={self.clustered})"


def connecting(make: Any, address: StreamAddress, timeout: float, retry: Any) -> Any:
    """Return the client that *make*, a class of the client library, makes for *address*; *retry* is its retries' class.

    Raises:
        ConfigurationError: the library refuses an option of the address.
    """
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    # A cluster's client follows slots that moved by trying again; of one server nothing is tried again here.
    options["retry"] = retry(NoBackoff(), CLUSTER_ATTEMPTS if address.clustered else 0)
    if address.credentials is not None:
        options["credential_provider"] = address.credentials
    try:
        return make.from_url(address.url, **options)
    except (ValueError, TypeError) as error:
        reason = str(error) if str(error).endswith("in connection URL.") else "it cannot be read"
        raise ConfigurationError(f"stream URL: {reason}; {_FORM}") from None
