"""What an address says: where it leads, and whether to a cluster; without ever telling what may be a password.

A password with a `/`, `?`, `#` or `[` that is not escaped ends the address's place early, and what parsers then
complain of, or take for a port, is a part of the password. So nothing of what cannot be read is repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.exceptions import RedisError

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    P = TypeVar("P")

CLUSTER = "cluster"
SCHEMES = ("redis", "rediss", "unix")
FORM = "write redis://host:port/0, or rediss:// for TLS, and in a password %2F for /, %3F for ?, %23 for #, %40 for @"
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


def pooled(make: Callable[..., P], url: str, options: dict[str, Any]) -> P:
    """Return what *make* makes of *url*.

    Raises:
        ConfigurationError: it cannot be read; its text is neither in the message nor in any error behind it.
    """
    if split(url) is not None:
        try:
            pool = make(url, **options)
            reason = _unusable(pool)
            if reason is None:
                return pool
        except ValueError as error:
            # Of what follows a place that can be read, redis-py tells the name of an option that it knows.
            reason = str(error) if str(error).endswith("in connection URL.") else "it cannot be read"
    else:
        reason = "it cannot be read"
    raise ConfigurationError(f"cache URL: {reason}; {FORM}")


def _unusable(pool: Any) -> str | None:
    """Say why no connection can be made as *pool* would make them at first use; None if one can."""
    options = {name: value for name, value in pool.connection_kwargs.items() if name != "durability"}
    try:
        pool.connection_class(**options)
    except (RedisError, TypeError, ValueError):
        return "an option after its ? is unknown, or has no value that it could have"
    return None


def split(url: str) -> SplitResult | None:
    """Return the parts of *url*, or None if they cannot be told apart for certain."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or parts.fragment:
        return None
    torn = "@" in parts.path + parts.query and "@" not in parts.netloc
    database = parts.path.strip("/")
    torn = torn or (bool(database) and not database.isdecimal())
    return None if torn and parts.scheme != "unix" else parts


def without_cluster(url: str) -> tuple[str, bool]:
    """Return *url* without `cluster=` in its query, and whether that said true.

    Raises:
        ConfigurationError: it says something else.
    """
    if f"{CLUSTER}=" not in url:
        return url, False
    given = split(url)
    if given is None:
        return url, False  # `pooled` refuses it
    pairs = parse_qsl(given.query, keep_blank_values=True)
    words = [word for name, word in pairs if name == CLUSTER]
    if any(word.lower() not in _WORDS for word in words):
        raise ConfigurationError(f"cache URL: cluster={words[-1]!r} is neither true nor false")
    query = urlencode([pair for pair in pairs if pair[0] != CLUSTER])
    return given._replace(query=query).geturl(), any(_WORDS[word.lower()] for word in words)


def unread(reader_url: str | Sequence[str] | None) -> None:
    """Refuse a reader endpoint beside a cluster.

    A replica is believed as far as it shows our place in the journal. In a cluster the journal lies on one node, and
    what its replica has says nothing of the others'.

    Raises:
        ConfigurationError: there is one.
    """
    if reader_url is not None:
        raise ConfigurationError(
            "reader_url: a cluster's replicas cannot show how fresh they are, so none is read; leave it out"
        )
