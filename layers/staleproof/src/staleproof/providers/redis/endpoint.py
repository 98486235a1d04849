"""What an address says of a cluster, and what does not go together with one."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from staleproof.errors import ConfigurationError

CLUSTER = "cluster"
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


def without_cluster(url: str) -> tuple[str, bool]:
    """Return *url* without `cluster=` in its query, and whether that said true.

    Raises:
        ConfigurationError: it says something else.
    """
    if f"{CLUSTER}=" not in url:
        return url, False
    given = urlsplit(url)
    pairs = parse_qsl(given.query, keep_blank_values=True)
    words = [word for name, word in pairs if name == CLUSTER]
    if any(word.lower() not in _WORDS for word in words):
        raise ConfigurationError(f"cache URL: cluster={words[-1]!r} is neither true nor false")
    query = urlencode([pair for pair in pairs if pair[0] != CLUSTER])
    return given._replace(query=query).geturl(), any(_WORDS[word.lower()] for word in words)


def unread(reader_url: str | None) -> None:
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
