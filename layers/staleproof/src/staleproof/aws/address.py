"""Addresses of caches that say, beside where, how to prove who one is.

    rediss://iam-user-01@HOST:6379/0?iam=my-cache                      a token of IAM instead of a password
    rediss://iam-user-01@HOST:6379/0?iam=my-cache&serverless=true      for a serverless cache
    rediss://app@HOST:6379/0?secret=prod/cache                         the password lies in Secrets Manager
    rediss://HOST:6379/0?reader=READER_HOST:6379                       with an endpoint of replicas
    rediss://HOST:6379/0?cluster=true                                  a cluster's configuration endpoint

`cluster=` is read by the provider itself (`staleproof.providers.redis.endpoint`). What is ours in the query is taken
out; whatever else stands there is the client library's. One text, so that it fits
wherever an address does: a variable, a parameter, a settings file, a further provider. Nothing in it is secret but a
password. Nothing is asked or connected here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.providers.redis.credentials import Credentials

OURS = ("iam", "serverless", "region", "secret", "reader")
TLS = "rediss"
_PLACE = r"[\w.-]+(?::\d{1,5})?"
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class Address(NamedTuple):
    """Where a cache is.

    Attributes:
        url: as the client library takes it.
        reader_url: that of its replicas, None without them.
        credentials: what connections prove themselves with; None if that stands in the URL, or nothing is needed.
    """

    url: str
    reader_url: str | None = None
    credentials: Credentials | None = None


def is_extended(url: str) -> bool:
    """Say whether *url* holds anything of ours, so that others need not be parsed."""
    query = url.partition("?")[2]
    return bool(query) and any(part.partition("=")[0] in OURS for part in query.split("&"))


def parse(url: str) -> Address:
    """Return what *url* says.

    Raises:
        ConfigurationError: it contradicts itself, or a name in it is impossible.
    """
    if not is_extended(url):
        return Address(url)
    try:
        given = urlsplit(url)
    except ValueError:  # it may tell a part of the password; the provider refuses the address without that
        return Address(url)
    pairs = parse_qsl(given.query, keep_blank_values=True)
    ours = {name: value for name, value in pairs if name in OURS}
    query = urlencode([pair for pair in pairs if pair[0] not in OURS])
    prefix, at, place = given.netloc.rpartition("@")
    who, credentials = prefix + at, None
    if "iam" in ours or "secret" in ours:
        credentials, who = _credentials(given.scheme, prefix, ours), ""
    elif "serverless" in ours or "region" in ours:
        raise ConfigurationError("cache URL: serverless and region go with iam; add iam=NAME of the cache")
    reader = _reader(ours["reader"]) if "reader" in ours else None
    places = [given._replace(netloc=who + each, query=query).geturl() for each in (place, reader) if each]
    return Address(places[0], places[1] if reader else None, credentials)


def _reader(place: str) -> str:
    if not re.fullmatch(_PLACE, place):
        raise ConfigurationError(f"cache URL: reader={place!r} is no endpoint; write reader=HOST:6379")
    return place


def _credentials(scheme: str, prefix: str, ours: dict[str, str]) -> Credentials:
    user = unquote(prefix)
    if scheme != TLS:
        raise ConfigurationError("cache URL: iam and secret need TLS; write rediss:// instead of redis://")
    if ":" in prefix:
        raise ConfigurationError("cache URL: it has a password beside iam or secret; leave one of them out")
    if "iam" not in ours:
        from staleproof.aws.secret import SecretCredentials  # noqa: PLC0415 - one of the two is used

        return SecretCredentials(ours["secret"], user or None)
    if "secret" in ours:
        raise ConfigurationError("cache URL: it has iam and secret; leave one of them out")
    if not user:
        raise ConfigurationError(
            "cache URL: iam needs the id of a user; write rediss://USER@HOST:6379/0?iam=NAME"
        )
    from staleproof.aws.iam import IamCredentials  # noqa: PLC0415

    serverless = _flag("serverless", ours.get("serverless", "false"))
    return IamCredentials(ours["iam"], user, region=ours.get("region"), serverless=serverless)


def _flag(name: str, value: str) -> bool:
    if value.lower() not in _YES | _NO:
        raise ConfigurationError(f"cache URL: {name}={value!r} is neither true nor false")
    return value.lower() in _YES
